"""The networks by the native kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.boxes import Bool
from pipeline.models import Model
from pipeline.native.library import CELL, choose
from pipeline.native.packing import pack_onet, pack_pnet, pack_rnet, read_weights
from pipeline.nets import Cells
from pipeline.pooling import Float, Int
from pipeline.types import Pixels

HEADS = 16
"""Columns that R-Net and O-Net give: face logit, 4 offsets, O-Net's 10 landmarks, nothing."""
MARGIN = 1e-3
"""By which logits are taken below the threshold; the probability has the last word."""


class NativeNets:
    """The networks by the kernel's variant of that name, or by the fastest that runs here.

    Raises KernelMissing if there is none, and ModelError when the weights are not those of the
    model's card. One thread computes, whatever the settings say.
    """

    def __init__(self, model: Model, variant: str | None = None) -> None:
        self._kernel = choose(variant)
        self.engine = f"native {self._kernel.name.decode()}"
        weights = read_weights(model)
        self._pnet = pack_pnet(weights["pnet"])
        self._rnet = pack_rnet(weights["rnet"])
        self._onet = pack_onet(weights["onet"])

    def picture(self, pixels: Pixels) -> Pixels:
        """The pixels without gaps."""
        return np.ascontiguousarray(pixels)

    def propose(self, picture: Pixels, sizes: Sequence[tuple[int, int]], threshold: float) -> Cells:
        """As `Nets` says."""
        # Memory that is not written to is not taken.
        room = np.empty(sum(_cells(height) * _cells(width) for height, width in sizes), CELL)
        table = np.array(sizes, np.int32).reshape(-1, 2)
        logit = math.log(threshold / (1 - threshold)) - MARGIN
        height, width = picture.shape[:2]
        count = self._kernel.propose(
            self._pnet, picture, height, width, len(sizes), table, logit, room
        )
        if count < 0:
            raise MemoryError("no memory for P-Net's rows")
        cells = room[:count]
        scores = _probability(cells["logit"])
        cells, scores = cells[scores >= threshold], scores[scores >= threshold]
        order = np.lexsort((cells["column"], cells["row"], cells["level"]))
        cells = cells[order]
        return Cells(cells["level"], cells["row"], cells["column"], scores[order], cells["offsets"])

    def refine(self, picture: Pixels, windows: Int) -> tuple[Float, Float]:
        """As `Nets` says."""
        heads = self._run(self._kernel.refine, self._rnet, picture, windows)
        return _probability(heads[:, 0]), heads[:, 1:5]

    def output(self, picture: Pixels, windows: Int) -> tuple[Float, Float, Float]:
        """As `Nets` says."""
        heads = self._run(self._kernel.output, self._onet, picture, windows)
        return _probability(heads[:, 0]), heads[:, 1:5], heads[:, 5:15]

    def suppress(
        self,
        boxes: Float,
        area: Float,
        groups: Int,
        threshold: np.float32,
        extra: np.float32,
        by_smaller: bool,
    ) -> Bool:
        """As `boxes.Suppress` says."""
        alive = np.empty(len(boxes), np.uint8)
        self._kernel.suppress(
            len(boxes), np.ascontiguousarray(boxes.T), area, groups.astype(np.int32),
            threshold, extra, by_smaller, alive,
        )  # fmt: skip
        return alive.view(np.bool_)

    @staticmethod
    def _run(net: Callable[..., int], weights: Float, picture: Pixels, windows: Int) -> Float:
        heads = np.empty((len(windows), HEADS), np.float32)
        height, width = picture.shape[:2]
        if net(weights, picture, height, width, len(windows), windows.astype(np.int32), heads):
            raise MemoryError("no memory for the network's maps")
        return heads


def _cells(side: int) -> int:
    """P-Net's windows along a side of a level."""
    return (side - 1) // 2 - 4


def _probability(logit: Float) -> Float:
    """Softmax over a face's logit and that of none, from their difference, as torch rounds it."""
    odds: Float = np.exp(-np.abs(logit))
    face: Float = np.where(logit > 0, np.float32(1), odds)
    return face / (np.float32(1) + odds)
