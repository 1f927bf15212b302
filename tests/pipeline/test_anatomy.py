"""How many parts a photo may have: the last number that is accepted, and the first that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image

from pipeline import anatomy
from pipeline.anatomy import check_work, count_scans
from pipeline.errors import UndecodablePhoto
from pipeline.photo import read_photo
from tests.hostile.bombs import many_scans
from tests.pipeline.pictures import ENCODINGS, SETTINGS, chunk, encode


def jpeg_with(inserted: bytes) -> bytes:
    data = encode(Image.new("RGB", (64, 64)), "JPEG")
    return data[:2] + inserted + data[2:]


def png_with(inserted: bytes) -> bytes:
    data = encode(Image.new("RGB", (64, 64)), "PNG")
    return data[:33] + inserted + data[33:]


OWN_SEGMENTS = 9  # of the JPEG above, its end included
LIMITS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "segments": (lambda n: jpeg_with(b"\xff\xe5\0\2" * n), anatomy._MAX_SEGMENTS - OWN_SEGMENTS),
    "filling": (lambda n: jpeg_with(b"\xff" * n), anatomy._MAX_JUNK),
    "junk": (lambda n: jpeg_with(b"\xff\xfe\0\2" + b"\0" * n), anatomy._MAX_JUNK),
    "restarts": (lambda n: jpeg_with(b"\xff\xd0" * n), anatomy._MAX_JUNK // 2),
    "chunks": (lambda n: png_with(chunk(b"abCd", b"") * n), anatomy._MAX_CHUNKS - 2),
    "IDATs": (lambda n: png_with(chunk(b"IDAT", b"") * n), anatomy._MAX_IDATS - 1),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_are_the_last_numbers_accepted(name: str) -> None:
    make, most = LIMITS[name]
    assert read_photo(make(most), SETTINGS).width == 64
    with pytest.raises(UndecodablePhoto, match="more"):
        read_photo(make(most + 1), SETTINGS)


@pytest.mark.parametrize("kind", ENCODINGS)
def test_scans_are_counted(kind: str) -> None:
    """Of a picture in a picture, as phones make, only the outer one's."""
    image = Image.new("RGB", (64, 64), "olive")
    scans = {"JPEG": 1, "progressive JPEG": 10}.get(kind, 0)
    thumbnail = encode(image, "progressive JPEG")
    assert count_scans(encode(image, kind)) == scans
    assert count_scans(encode(image, kind) + thumbnail) == scans
    inside = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert count_scans(jpeg_with(inside)) == 1


def test_scans_that_are_few_for_a_small_photo_are_too_many_for_a_large_one() -> None:
    assert read_photo(many_scans(90, (320, 320)), SETTINGS).width == 320
    with pytest.raises(UndecodablePhoto, match="scans"):
        read_photo(many_scans(100, (320, 320)), SETTINGS)
    with pytest.raises(UndecodablePhoto, match=r"scans, too many for 49561600 pixels"):
        read_photo(many_scans(20), SETTINGS)
    assert read_photo(many_scans(5), SETTINGS).width == 7040


def test_one_scan_is_never_too_many() -> None:
    check_work(1, 10**12)
    check_work(20, 50_000_000)
    with pytest.raises(UndecodablePhoto):
        check_work(21, 50_000_000)


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG"])
def test_arithmetic_coding_is_refused_by_the_header(kind: str) -> None:
    sound = encode(Image.new("RGB", (64, 64), "olive"), kind)
    huffman, arithmetic = {
        "JPEG": (b"\xff\xc0\0", b"\xff\xc9\0"),
        "progressive JPEG": (b"\xff\xc2\0", b"\xff\xca\0"),
    }[kind]
    assert read_photo(sound, SETTINGS).width == 64
    with pytest.raises(UndecodablePhoto, match="arithmetic"):
        read_photo(sound.replace(huffman, arithmetic, 1), SETTINGS)
