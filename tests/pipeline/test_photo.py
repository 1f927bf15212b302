"""What becomes of photos of every kind.

Pillow is the oracle for pixels; files are made here, and damaged here.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from pipeline.photo import read_full, read_photo
from pipeline.settings import PhotoSettings
from pipeline.shrinking import shrink
from pipeline.types import Pixels
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
    psnr,
)

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
@pytest.mark.parametrize("tags", [{}, {ExifTags.Base.Make: "a maker"}], ids=["no", "some"])
def test_an_orientation_outside_of_exif_counts_as_little_as_in_a_browser(
    portrait: Image.Image, kind: str, tags: dict[int, str]
) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    told: dict[str, Any] = {"xmp": xmp}
    if kind == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        info.add_text("Raw profile type exif", f"\nexif\n{len(exif(6))}\n{exif(6).hex()}\n")
        told = {"pnginfo": info}
    if tags:
        told["exif"] = Image.Exif()
        told["exif"].update(tags)
    data = encode(portrait, kind, **told)
    np.testing.assert_array_equal(read_full(data, SETTINGS), by_pillow(encode(portrait, kind)))


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
    full, decoded_pixels = read_full(data, SETTINGS), []

    def spy(pixels: Pixels, width: int, height: int) -> Pixels:
        decoded_pixels.append(pixels.shape[0] * pixels.shape[1])
        return shrink(pixels, width, height)

    monkeypatch.setattr("pipeline.photo.shrink", spy)
    photo = read_photo(data, SETTINGS)
    assert [count < 6_000_000 for count in decoded_pixels] == [True]
    assert (photo.width, photo.height) == full.shape[1::-1]
    expected = cv2.resize(full, photo.pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert psnr(photo.pixels, np.asarray(expected, np.uint8)) > 38
