from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from pipeline.png import write_png
from pipeline.types import Pixels


def decoders(data: bytes) -> list[Pixels]:
    """The picture as libpng and as Pillow read it, both strict about checksums."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert (image.format, image.mode) == ("PNG", "RGB")
            by_pillow = np.asarray(image)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return [np.asarray(by_pillow, np.uint8), np.asarray(bgr[..., ::-1], np.uint8)]


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


def portrait(side: int) -> Pixels:
    whole = np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    return np.asarray(cv2.resize(whole, (side, side)), np.uint8)


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (1, 300), (300, 1), (7, 5), (640, 480), (90_000, 3), (3, 90_000)],
)
def test_every_decoder_reads_the_same_pixels(width: int, height: int, level: int) -> None:
    pixels = noise(width, height)
    for decoded in decoders(write_png(pixels, level)):
        np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("height", [135, 136, 137, 273])  # 136 rows of 640 pixels are a band
def test_no_row_is_lost_between_two_bands(height: int) -> None:
    pixels = noise(640, height)
    for decoded in decoders(write_png(pixels, 1)):
        np.testing.assert_array_equal(decoded, pixels)


def test_pixels_that_lie_apart_in_memory_are_written_in_their_order() -> None:
    pixels = noise(64, 64)[::2, ::-1]
    for decoded in decoders(write_png(pixels, 1)):
        np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("side", [300, 512, 1500])
def test_a_photo_takes_no_more_room_than_libpng_gives_it_at_level_1(side: int) -> None:
    pixels = portrait(side)
    usual = cv2.imencode(".png", pixels[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 1))[1]
    assert len(write_png(pixels, 1)) < 1.1 * len(usual)
