"""Shrinking against OpenCV's INTER_AREA, to the bit, in every variant of the kernel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline import shrinking
from pipeline.native.library import KernelMissing, open_library, variants
from pipeline.photo import read_photo
from pipeline.settings import PhotoSettings
from pipeline.shrinking import shrink, shrink_by

CASES = [
    ((866, 1155), (768, 1024)), ((1125, 1500), (768, 1024)), ((97, 143), (96, 31)),
    ((1000, 37), (999, 36)), ((50, 50), (1, 49)), ((3, 700), (1, 13)), ((301, 200), (150, 133)),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target"), CASES)
def test_the_kernel_shrinks_as_opencv_does(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    try:
        kernels = list(variants(open_library()))
    except KernelMissing as error:
        pytest.skip(f"no native kernel: {error}")
    pixels = np.random.default_rng(9).integers(0, 256, (*source, 3), np.uint8)
    expected = cv2.resize(pixels, target[::-1], interpolation=cv2.INTER_AREA)
    assert kernels
    for kernel in kernels:
        np.testing.assert_array_equal(shrink_by(kernel, pixels, *target[::-1]), expected)


@pytest.mark.parametrize("target", [(300, 200), (150, 100), (299, 200), (300, 199)])
def test_with_the_kernel_and_without_a_photo_is_the_same(
    monkeypatch: pytest.MonkeyPatch, target: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(9).integers(0, 256, (400, 600, 3), np.uint8)
    small = shrink(pixels, *target)
    monkeypatch.setattr(shrinking, "_kernel", lambda: None)
    np.testing.assert_array_equal(small, shrink(pixels, *target))


def test_a_turned_photo_is_shrunk_too() -> None:
    turned = np.random.default_rng(9).integers(0, 256, (90, 60, 3), np.uint8).transpose(1, 0, 2)
    expected = cv2.resize(np.ascontiguousarray(turned), (67, 44), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(shrink(turned, 67, 44), expected)


def test_a_photo_is_shrunk_to_the_working_side() -> None:
    pixels = np.random.default_rng(9).integers(0, 256, (300, 500, 3), np.uint8)
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    photo = read_photo(data, PhotoSettings(working_side=200))
    np.testing.assert_array_equal(photo.pixels, shrink(pixels, 200, 120))
