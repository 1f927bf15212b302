"""What becomes of photos of every kind, and of what only claims to be one.

Pillow is the oracle for pixels; files are made here, and damaged here.
"""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps, WebPImagePlugin

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
from pipeline.types import Pixels

SETTINGS = PhotoSettings()
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
ENCODINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"format": "JPEG"},
    "progressive JPEG": {"format": "JPEG", "progressive": True},
    "PNG": {"format": "PNG"},
    "WebP": {"format": "WEBP"},
    "lossless WebP": {"format": "WEBP", "lossless": True},
}
THREE = ("JPEG", "PNG", "WebP")


@pytest.fixture(scope="module")
def portrait(astronaut: Pixels) -> Image.Image:
    """100 x 80 pixels that no turn or flip maps onto themselves."""
    return Image.fromarray(astronaut[50:130, 170:270])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each decoder that runs."""
    calls: list[str] = []

    def spy(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(f"{owner.__name__}.{name}")
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    spy(simplejpeg, "decode_jpeg")
    spy(ImageFile.ImageFile, "load")
    spy(WebPImagePlugin.WebPImageFile, "load")
    return calls


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file of one of ENCODINGS, or of another format of Pillow's."""
    file = io.BytesIO()
    image.save(file, **{**ENCODINGS.get(kind, {"format": kind}), **options})
    return file.getvalue()


def by_pillow(data: bytes, mode: str = "RGB") -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert(mode), np.uint8)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "a maker of cameras"
    tags[ExifTags.Base.Orientation] = orientation
    return tags.tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def resized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG, PNG or lossy WebP whose header claims another size."""
    if data.startswith(b"\x89PNG"):
        header = chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29])
        return data[:8] + header + data[33:]
    if data.startswith(b"RIFF"):
        at, size = data.index(b"\x9d\x01\x2a") + 3, struct.pack("<HH", width, height)
    else:
        at, size = data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width)
    return data[:at] + size + data[at + 4 :]


def with_sound_checksums(png: bytes) -> bytes:
    """A damaged PNG with its checksums made good, so that the damage reaches the decoder."""
    repaired, at = png[:8], 8
    while (end := at + 8 + int.from_bytes(png[at : at + 4], "big")) + 4 <= len(png):
        repaired += chunk(png[at + 4 : at + 8], png[at + 8 : end])
        at = end + 4
    return repaired + png[at:]


def psnr(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return cv2.PSNR(one, other)


@contextmanager
def no_warning() -> Iterator[None]:
    """Nothing may warn within; an error for a warning could be taken for damage and hidden."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [str(warning.message) for warning in caught] == []


# Pixels


@pytest.mark.parametrize("kind", ["PNG", "lossless WebP"])
def test_lossless_pixels_come_out_as_they_are(portrait: Image.Image, kind: str) -> None:
    pixels = read_photo(encode(portrait, kind), SETTINGS).pixels
    np.testing.assert_array_equal(pixels, np.asarray(portrait))
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"progressive": True},
        {"quality": 30, "optimize": True},
        {"restart_marker_blocks": 4},
        {"keep_rgb": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(512, 512), (333, 501)])
def test_a_jpeg_at_full_size_is_pillows_bit_for_bit(
    astronaut: Pixels, options: dict[str, Any], size: tuple[int, int]
) -> None:
    data = encode(Image.fromarray(astronaut).resize(size), "JPEG", **options)
    np.testing.assert_array_equal(read_photo(data, SETTINGS).pixels, by_pillow(data))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("L", "JPEG"), ("L", "progressive JPEG")],
)
def test_grey_bilevel_and_palette_become_rgb(portrait: Image.Image, mode: str, kind: str) -> None:
    image = portrait.quantize(16) if mode == "P" else portrait.convert(mode)
    data = encode(image, kind)
    pixels = read_full(data, SETTINGS)
    np.testing.assert_array_equal(pixels, by_pillow(data))
    assert psnr(pixels, np.asarray(image.convert("RGB"))) > 30


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_a_jpeg_of_four_inks_becomes_rgb(portrait: Image.Image, transform: int) -> None:
    inks = portrait.convert("CMYK")
    data = encode(inks, "JPEG", quality=95)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    data = data[:at] + bytes([transform]) + data[at + 1 :]
    pixels = read_full(data, SETTINGS)
    np.testing.assert_array_equal(pixels, by_pillow(data))
    # What was written as CMYK and is read as YCCK has other colours.
    assert (psnr(pixels, np.asarray(portrait)) > 30) == (transform == 0)


def test_sixteen_bits_of_grey_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256 * 32).astype(np.uint16).reshape(32, 256)
    pixels = read_full(cv2.imencode(".png", ramp)[1].tobytes(), SETTINGS)
    assert np.abs(pixels - (ramp / 257)[:, :, None]).max() <= 1


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_of_colour_are_scaled(portrait: Image.Image, channels: int) -> None:
    wide = np.asarray(portrait.convert("RGBA")).astype(np.uint16)[:, :, :channels] * 257
    data = cv2.imencode(".png", wide[:, :, [2, 1, 0, 3][:channels]])[1].tobytes()
    np.testing.assert_array_equal(read_full(data, SETTINGS), np.asarray(portrait))


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGBA", "PNG", {}),
        ("RGBA", "lossless WebP", {"exact": True}),
        ("LA", "PNG", {}),
        ("P", "PNG", {"transparency": 3}),
        ("P", "PNG", {"transparency": bytes(range(0, 256, 16))}),
        ("RGB", "PNG", {"transparency": (0, 0, 0)}),
        ("L", "PNG", {"transparency": 0}),
        ("1", "PNG", {"transparency": 0}),
    ],
)
def test_transparency_shows_a_white_page(
    portrait: Image.Image, mode: str, kind: str, options: dict[str, Any]
) -> None:
    image = portrait.copy()
    image.paste("black", (10, 10, 50, 50))
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = encode(image.quantize(16) if mode == "P" else image.convert(mode), kind, **options)
    colours, alpha = np.split(by_pillow(data, "RGBA").astype(float), [3], axis=2)
    assert (alpha < 255).any()
    expected = (colours * alpha + 255 * (255 - alpha)) / 255
    assert np.abs(read_full(data, SETTINGS) - expected).max() <= 1


def test_transparent_sixteen_bit_grey_shows_a_white_page() -> None:
    data = cv2.imencode(".png", np.full((32, 32), 0x1234, np.uint16))[1].tobytes()
    transparent = data.replace(PNG_END, b"")
    at = transparent.index(b"IDAT") - 4
    key = chunk(b"tRNS", b"\x12\x34")
    assert (read_full(data[:at] + key + data[at:], SETTINGS) == 255).all()


@pytest.mark.parametrize("kind", ENCODINGS)
def test_a_colour_profile_is_no_obstacle(portrait: Image.Image, kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, profiled = encode(portrait, kind), encode(portrait, kind, icc_profile=profile)
    assert len(profiled) > len(plain) + 100
    np.testing.assert_array_equal(read_full(profiled, SETTINGS), read_full(plain, SETTINGS))


def test_the_first_picture_of_an_mpo_is_the_photo(portrait: Image.Image) -> None:
    others = [Image.new("RGB", portrait.size, "red")] * 2
    data = encode(portrait, "MPO", save_all=True, append_images=others)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "MPO"
    np.testing.assert_array_equal(
        read_photo(data, SETTINGS).pixels, by_pillow(encode(portrait, "JPEG"))
    )


# Orientation


@pytest.mark.parametrize("kind", THREE)
@pytest.mark.parametrize("orientation", range(10))
def test_a_photo_comes_out_upright(portrait: Image.Image, kind: str, orientation: int) -> None:
    data = encode(portrait, kind, exif=exif(orientation))
    photo = read_photo(data, SETTINGS)
    np.testing.assert_array_equal(photo.pixels, by_pillow(data))
    np.testing.assert_array_equal(photo.pixels, read_full(data, SETTINGS))
    assert (photo.width, photo.height) == photo.pixels.shape[1::-1]
    assert (photo.width < photo.height) == (orientation in (5, 6, 7, 8))


def test_an_orientation_behind_the_pixels_of_a_png_counts(portrait: Image.Image) -> None:
    data = encode(portrait, "PNG").removesuffix(PNG_END)
    data += chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")) + PNG_END
    np.testing.assert_array_equal(read_full(data, SETTINGS), np.rot90(np.asarray(portrait), -1))


@pytest.mark.parametrize("kind", THREE)
@pytest.mark.parametrize(
    "damage",
    [
        exif(1)[:20],
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0" + b"\xff" * 40,
        exif(1)[:10] + b"\xff\xff\xff\x7f" + exif(1)[14:],
        exif(1)[:14] + b"\xff\xff" + exif(1)[16:],
    ],
    ids=["cut", "nothing", "half a header", "junk", "wild offset", "wild count"],
)
def test_a_photo_with_damaged_exif_still_decodes(
    portrait: Image.Image, kind: str, damage: bytes
) -> None:
    data = encode(portrait, kind, exif=damage)
    with no_warning():
        pixels = read_photo(data, SETTINGS).pixels
    np.testing.assert_array_equal(pixels, by_pillow(encode(portrait, kind)))


# Size


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "working_size"),
    [
        ((160, 120), (64, 48)),
        ((120, 160), (48, 64)),
        ((65, 64), (64, 63)),
        ((640, 16), (64, 2)),
        ((64, 64), (64, 64)),
        ((40, 30), (40, 30)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_models_see_a_long_side_of_the_working_side_at_most(
    kind: str, size: tuple[int, int], working_size: tuple[int, int], orientation: int
) -> None:
    data = encode(Image.new("RGB", size), kind, exif=exif(orientation))
    photo = read_photo(data, PhotoSettings(working_side=64))
    turn = -1 if orientation == 6 else 1
    assert photo.pixels.shape[1::-1] == working_size[::turn]
    assert (photo.width, photo.height) == size[::turn]
    assert read_full(data, SETTINGS).shape[1::-1] == size[::turn]


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "CMYK JPEG"])
@pytest.mark.parametrize("orientation", [1, 8])
def test_a_large_jpeg_is_not_decoded_at_full_size(
    astronaut: Pixels, monkeypatch: pytest.MonkeyPatch, kind: str, orientation: int
) -> None:
    image = Image.fromarray(cv2.resize(astronaut, (4000, 3000), interpolation=cv2.INTER_LINEAR))
    if kind == "CMYK JPEG":
        image, kind = image.convert("CMYK"), "JPEG"
    data = encode(image, kind, exif=exif(orientation))
    full, resize, decoded_pixels = read_full(data, SETTINGS), cv2.resize, []

    def spy(pixels: Pixels, *args: Any, **kwargs: Any) -> Any:
        decoded_pixels.append(pixels.shape[0] * pixels.shape[1])
        return resize(pixels, *args, **kwargs)

    monkeypatch.setattr(cv2, "resize", spy)
    photo = read_photo(data, SETTINGS)
    assert [count < 6_000_000 for count in decoded_pixels] == [True]
    assert (photo.width, photo.height) == full.shape[1::-1]
    expected = resize(full, photo.pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert psnr(photo.pixels, np.asarray(expected, np.uint8)) > 38


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
