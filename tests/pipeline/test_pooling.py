"""Area pooling and suppression against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate
from torchvision.ops import nms as torch_nms

from pipeline.boxes import clipped, nms
from pipeline.pooling import IntegralImage
from pipeline.types import Pixels


def area(pixels: Pixels, height: int, width: int) -> np.ndarray:
    planes = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    pooled = interpolate(planes, size=(height, width), mode="area")
    return pooled[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(13, 13), (97, 61), (200, 300), (16, 300), (250, 333)])
def test_resizes_as_torch_does(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    np.testing.assert_array_equal(IntegralImage(pixels).resize(*size), area(pixels, *size))


def test_crops_as_torch_does_even_when_the_crop_is_smaller_than_its_cells() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (120, 90, 3), dtype=np.uint8)
    start = rng.integers(0, 80, (50, 2))
    boxes = np.hstack([start, np.minimum(start + rng.integers(1, 70, (50, 2)), [90, 120])])
    for size in (24, 48):
        crops = IntegralImage(pixels).crops(boxes, size)
        for (x1, y1, x2, y2), crop in zip(boxes, crops, strict=True):
            expected = area(pixels[y1:y2, x1:x2], size, size)
            np.testing.assert_allclose(crop, expected, rtol=0, atol=2e-5)


def test_sums_stay_exact_on_the_largest_working_photo() -> None:
    pixels = np.full((2800, 2800, 3), 255, np.uint8)
    assert (IntegralImage(pixels).resize(20, 20) == 255).all()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppresses_as_torchvision_does(threshold: float) -> None:
    rng = np.random.default_rng(3)
    start = rng.integers(0, 60, (400, 2))
    boxes = np.hstack([start, start + rng.integers(5, 40, (400, 2))]).astype(np.float32)
    scores = rng.permutation(400).astype(np.float32)
    expected = torch_nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    np.testing.assert_array_equal(nms(boxes, scores, threshold), expected.numpy())


def test_suppression_of_nothing_is_nothing() -> None:
    nothing = np.empty((0, 4), np.float32)
    assert nms(nothing, nothing[:, 0], 0.5).shape == (0,)


def test_boxes_are_cut_at_the_pictures_edges() -> None:
    boxes = np.array([[-5.5, -2, 300, 40.9], [10.2, 10.9, 20, 20], [50, 60, 40, 70]], np.float32)
    expected = [[0, 0, 100, 40], [9, 9, 20, 20], [49, 59, 40, 50]]
    np.testing.assert_array_equal(clipped(boxes, height=50, width=100), expected)
