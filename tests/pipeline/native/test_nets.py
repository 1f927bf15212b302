"""The kernel's networks against facenet-pytorch's, value by value, in every variant."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from torch.nn.functional import interpolate

from pipeline import boxes
from pipeline.models import Model
from pipeline.native.library import CELL, KernelMissing, open_library, struct_sizes
from pipeline.native.nets import NativeNets
from pipeline.native.packing import pack_onet, pack_pnet, pack_rnet, read_weights
from pipeline.pooling import Int
from pipeline.settings import ROOT
from pipeline.types import Pixels

MODEL = Model.open(ROOT / "models" / "mtcnn")
CLOSE = 2e-5
"""By which float32 sums in another order may differ, on outputs of about 1."""


@pytest.fixture(scope="module")
def reference() -> MTCNN:
    return MTCNN(keep_all=True, post_process=False)


def seen(pixels: Pixels, height: int, width: int) -> torch.Tensor:
    """A picture as the reference's networks see it, resized."""
    planes = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    return (interpolate(planes, size=(height, width), mode="area") - 127.5) * 0.0078125


# Down to one window a side; ends of rows in every place of a vector; halves at the border to pool.
SIZES = [(12, 12), (12, 13), (13, 12), (14, 15), (15, 45), (47, 30), (64, 64), (65, 99), (250, 333)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(97, 143), (12, 12), (400, 300)])
def test_pnet(
    variant: str, reference: MTCNN, astronaut: Pixels, shape: tuple[int, int], size: tuple[int, int]
) -> None:
    pixels = astronaut[40 : 40 + shape[0], 150 : 150 + shape[1]]
    cells = NativeNets(MODEL, variant).propose(pixels.copy(), [size], 1e-9)
    with torch.inference_mode():
        offsets, probability = reference.pnet(seen(pixels, *size))
    height, width = probability.shape[2:]
    assert list(zip(cells.row, cells.column, strict=True)) == list(np.ndindex(height, width))
    np.testing.assert_allclose(cells.scores, probability[0, 1].ravel(), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(cells.offsets.T, offsets[0].reshape(4, -1), rtol=0, atol=CLOSE)


def test_pnet_gives_the_windows_above_the_threshold_of_each_level(
    variant: str, reference: MTCNN, astronaut: Pixels
) -> None:
    sizes = [(300, 280), (150, 141), (75, 70)]
    cells = NativeNets(MODEL, variant).propose(astronaut, sizes, 0.6)
    assert len(cells.scores) > 20
    for level, size in enumerate(sizes):
        with torch.inference_mode():
            _, probability = reference.pnet(seen(astronaut, *size))
        rows, columns = np.nonzero(probability[0, 1].numpy() >= 0.6)
        here = cells.level == level
        np.testing.assert_array_equal(cells.row[here], rows)
        np.testing.assert_array_equal(cells.column[here], columns)


def windows_of(pixels: Pixels, count: int) -> Int:
    """Windows of all sizes down to a pixel, at the picture's edges too."""
    height, width = pixels.shape[:2]
    rng = np.random.default_rng(4)
    corners = np.sort(rng.integers(0, [[width + 1, height + 1]], (2, count, 2)), axis=0)
    start = np.minimum(corners[0], [width - 1, height - 1])
    windows = np.hstack([start, np.maximum(corners[1], start + 1)])
    windows[:3] = [[0, 0, width, height], [0, 0, 1, 1], [width - 1, 0, width, height]]
    return windows


@pytest.mark.parametrize("count", [1, 7, 16, 37])
def test_rnet_and_onet(variant: str, reference: MTCNN, astronaut: Pixels, count: int) -> None:
    nets, windows = NativeNets(MODEL, variant), windows_of(astronaut, max(count, 3))[-count:]
    for net, ours, size in ((reference.rnet, nets.refine, 24), (reference.onet, nets.output, 48)):
        crops = [seen(astronaut[y1:y2, x1:x2], size, size) for x1, y1, x2, y2 in windows]
        with torch.inference_mode():
            *others, probability = net(torch.cat(crops))
        scores, *heads = ours(astronaut, windows)
        np.testing.assert_allclose(scores, probability[:, 1], rtol=0, atol=CLOSE)
        for head, expected in zip(heads, others, strict=True):
            np.testing.assert_allclose(head, expected, rtol=0, atol=CLOSE)


def test_no_window_is_no_work(variant: str, astronaut: Pixels) -> None:
    nets, nothing = NativeNets(MODEL, variant), np.empty((0, 4), np.int64)
    assert [len(part) for part in nets.refine(astronaut, nothing)] == [0, 0]
    assert [len(part) for part in nets.output(astronaut, nothing)] == [0, 0, 0]
    assert len(nets.propose(astronaut, [], 0.6).scores) == 0


def test_sums_stay_exact_on_the_largest_working_photo(variant: str, reference: MTCNN) -> None:
    pixels = np.full((2800, 2800, 3), 255, np.uint8)
    cells = NativeNets(MODEL, variant).propose(pixels, [(12, 12)], 1e-9)
    with torch.inference_mode():
        _, probability = reference.pnet(torch.full((1, 3, 12, 12), 127.5 * 0.0078125))
    np.testing.assert_allclose(cells.scores, probability[0, 1].ravel(), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("by_smaller", [False, True])
@pytest.mark.parametrize("count", [0, 1, 33, 400])
def test_suppresses_bit_for_bit_as_numpy_does(variant: str, count: int, by_smaller: bool) -> None:
    rng = np.random.default_rng(3)
    start = rng.uniform(0, 60, (count, 2))
    found = np.hstack([start, start + rng.uniform(0, 40, (count, 2))]).astype(np.float32)
    area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    groups = np.sort(rng.integers(0, 5, count))
    arguments = (found, area, groups, np.float32(0.3), np.float32(by_smaller), by_smaller)
    alive = NativeNets(MODEL, variant).suppress(*arguments)
    np.testing.assert_array_equal(alive, boxes.suppress(*arguments))
    assert alive.sum() < count or count <= 1


def test_the_arrays_have_the_size_of_the_structs(variant: str) -> None:
    weights = read_weights(MODEL)
    packed = (
        pack_pnet(weights["pnet"]), pack_rnet(weights["rnet"]), pack_onet(weights["onet"])
    )  # fmt: skip
    expected = (*(array.nbytes for array in packed), CELL.itemsize)
    assert struct_sizes(open_library()) == expected


def test_a_variant_that_does_not_run_here_is_missing(variant: str) -> None:
    with pytest.raises(KernelMissing, match="no variant 'v9'"):
        NativeNets(MODEL, "v9")
