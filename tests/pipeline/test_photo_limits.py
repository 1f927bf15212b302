"""What the decoder refuses, and how little that costs."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import (
    EmptyPhoto,
    PhotoError,
    PhotoTooLarge,
    PhotoTooSmall,
    UndecodablePhoto,
    UnknownImageType,
)
from pipeline.photo import read_full, read_photo
from pipeline.settings import ROOT, PhotoSettings
from tests.pipeline.pictures import (
    ENCODINGS,
    PNG_END,
    SETTINGS,
    THREE,
    by_pillow,
    chunk,
    encode,
    exif,
    no_warning,
    resized,
    with_sound_checksums,
)

# Limits


def refusal(data: bytes, settings: PhotoSettings = SETTINGS) -> PhotoError:
    with pytest.raises(PhotoError) as caught, no_warning():
        read_photo(data, settings)
    with pytest.raises(type(caught.value)):
        read_full(data, settings)
    return caught.value


def test_nothing_is_no_photo_and_one_pixel_is_too_small() -> None:
    for data, error, detail in (
        (b"", EmptyPhoto, "0 bytes"),
        (encode(Image.new("RGB", (1, 1)), "PNG"), PhotoTooSmall, "1 x 1 pixels"),
    ):
        refused = refusal(data)
        assert type(refused) is error
        assert detail in str(refused)


@pytest.mark.parametrize("kind", THREE)
def test_the_limits_are_the_last_values_accepted(portrait: Image.Image, kind: str) -> None:
    data = encode(portrait, kind, exif=exif(6))
    at_limits = {"max_bytes": len(data), "max_pixels": 8000, "min_side": 80}
    assert read_photo(data, PhotoSettings(**at_limits)).width == 80
    for name, error, value in (
        ("max_bytes", PhotoTooLarge, len(data) - 1),
        ("max_pixels", PhotoTooLarge, 7999),
        ("min_side", PhotoTooSmall, 81),
    ):
        refused = refusal(data, PhotoSettings(**{**at_limits, name: value}))
        assert type(refused) is error
        assert str(value) in str(refused)


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A sound PNG of 30,000 x 30,000 pixels in about 100 kB."""
    row, deflate = bytes(1 + 30_000 // 8), zlib.compressobj(9)
    squeezed = b"".join([deflate.compress(row * 1000) for _ in range(30)]) + deflate.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", squeezed) + PNG_END
    assert len(data) < 150_000
    return data


@pytest.mark.parametrize("kind", THREE)
@pytest.mark.parametrize("size", [(9000, 8000), (12_000, 10_000), (16_383, 16_383)])
def test_a_giant_is_refused_by_its_header(
    decoded: list[str], portrait: Image.Image, kind: str, size: tuple[int, int]
) -> None:
    sound = encode(portrait, kind)
    error = refusal(resized(sound, *size))
    assert type(error) is PhotoTooLarge
    assert f"at most {SETTINGS.max_pixels} " in str(error)
    assert decoded == []
    read_photo(sound, SETTINGS)
    assert decoded, "the spies must notice a decoder"


def test_a_decompression_bomb_is_refused_without_decoding(decoded: list[str], bomb: bytes) -> None:
    assert type(refusal(bomb)) is PhotoTooLarge
    assert decoded == []


def test_a_decompression_bomb_costs_no_memory(bomb: bytes) -> None:
    code = """
import pathlib, re, sys
from pipeline.photo import PhotoSettings, PhotoTooLarge, read_photo
status = pathlib.Path("/proc/self/status")
peak = lambda: int(re.search(r"VmHWM:\\s+([0-9]+) kB", status.read_text())[1])
data = sys.stdin.buffer.read()
before = peak()
try:
    read_photo(data, PhotoSettings())
except PhotoTooLarge:
    print(peak() - before)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=bomb, stdout=subprocess.PIPE, cwd=ROOT, check=True)
    assert int(done.stdout) < 20_000, "KiB"


# What is no photo, and what is a broken one


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PDF", "ICO", "PPM", "JPEG2000"])
def test_another_kind_of_image_is_refused(portrait: Image.Image, kind: str) -> None:
    error = refusal(encode(portrait, kind))
    assert type(error) is UnknownImageType
    assert "JPEG, PNG or WebP" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"dear diary, this is no photo.jpg",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\xff\xd8",
        b"\0",
    ],
)
def test_what_has_no_magic_of_ours_is_refused(data: bytes) -> None:
    assert type(refusal(data)) is UnknownImageType


@pytest.mark.parametrize("kind", ["PNG", "WebP"])
def test_a_moving_picture_is_refused(portrait: Image.Image, kind: str) -> None:
    frames = {"save_all": True, "append_images": [Image.new("RGB", portrait.size)]}
    error = refusal(encode(portrait, kind, **frames))
    assert type(error) is UnknownImageType
    assert "animated" in str(error)


@pytest.mark.parametrize("damage", ["trailing", "before the scan", "before the end", "one frame"])
def test_harmless_damage_to_a_jpeg_does_no_harm(portrait: Image.Image, damage: str) -> None:
    sound = encode(portrait, "JPEG")
    scan = sound.index(b"\xff\xda")
    data = {
        "trailing": sound + b"\0garbage" * 100,
        "before the scan": sound[:scan] + b"\x12\x34\x56" + sound[scan:],
        "before the end": sound[:-2] + bytes(4) + sound[-2:],
        "one frame": encode(portrait, "MPO", save_all=True, append_images=[portrait])[:-2000],
    }[damage]
    with no_warning():
        np.testing.assert_array_equal(read_photo(data, SETTINGS).pixels, by_pillow(sound))


@pytest.mark.parametrize("kind", ENCODINGS)
def test_a_truncated_photo_is_undecodable(portrait: Image.Image, kind: str) -> None:
    data = encode(portrait, kind, exif=exif(6))
    kept = [len(data) * percent // 100 for percent in range(5, 100, 5)]
    errors = {length: type(refusal(data[:length])) for length in kept}
    assert set(errors.values()) == {UndecodablePhoto}, errors
    for length in range(1, 40):
        assert type(refusal(data[:length])) in (UnknownImageType, UndecodablePhoto)


@pytest.mark.parametrize("kind", [*ENCODINGS, "MPO", "PNG of sound checksums"])
def test_a_damaged_photo_is_a_photo_or_a_photo_error(portrait: Image.Image, kind: str) -> None:
    image = portrait.quantize(16) if "checksums" in kind else portrait
    frames = {"save_all": True, "append_images": [portrait]} if kind == "MPO" else {}
    sound = encode(image, kind.removesuffix(" of sound checksums"), exif=exif(6), **frames)
    settings = PhotoSettings(max_pixels=1_000_000)  # lest a flip in the header takes seconds
    dice = random.Random(kind)
    outcomes = {"photo": 0, "error": 0}
    for number in range(300):
        damaged = bytearray(sound)
        reach = len(sound) if number % 2 else 400  # headers make the more interesting victims
        for _ in range(dice.choice((1, 1, 2, 8))):
            damaged[dice.randrange(reach)] = dice.randrange(256)
        data = with_sound_checksums(bytes(damaged)) if "checksums" in kind else bytes(damaged)
        try:
            with no_warning():
                photo = read_photo(data, settings)
            assert max(photo.pixels.shape) == min(
                max(photo.width, photo.height), settings.working_side
            )
            outcomes["photo"] += 1
        except PhotoError:
            outcomes["error"] += 1
        except BaseException as error:
            error.add_note(f"damaged copy {number} of the {kind}")
            raise
    assert min(outcomes.values()) > 0, outcomes
