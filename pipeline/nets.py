"""MTCNN's three networks: what they compute of a picture, and the same on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from pipeline import boxes
from pipeline.boxes import Suppress
from pipeline.models import Model, onnx_session
from pipeline.pooling import Float, Int, IntegralImage
from pipeline.types import Pixels

Picture = TypeVar("Picture")

CELL = 12
"""P-Net's window, in pixels of a pyramid level."""
BATCH = 256
"""Windows that go through R-Net or O-Net at once; bounds the memory of a crowd."""


@dataclass(frozen=True)
class Cells:
    """P-Net's windows that may hold a face, by level, row and column."""

    level: Int
    """Of the pyramid, (n,)."""
    row: Int
    """In steps of P-Net's stride, (n,)."""
    column: Int
    scores: Float
    """Probability of a face, (n,)."""
    offsets: Float
    """Of the box's corners, as fractions of its sides, (n, 4)."""


class Nets(Protocol[Picture]):
    """Computes the networks on a picture, which it may prepare once."""

    engine: str
    """Its name."""

    @property
    def suppress(self) -> Suppress:
        """The suppression that goes with it."""

    def picture(self, pixels: Pixels) -> Picture:
        """The picture as the other methods want it."""

    def propose(
        self, picture: Picture, sizes: Sequence[tuple[int, int]], threshold: float
    ) -> Cells:
        """P-Net on the picture resized to each of the sizes (height, width), at least CELL each.

        Gives the windows whose probability is `threshold` or more.
        """

    def refine(self, picture: Picture, windows: Int) -> tuple[Float, Float]:
        """R-Net on windows (n, 4): probabilities (n,), offsets (n, 4)."""

    def output(self, picture: Picture, windows: Int) -> tuple[Float, Float, Float]:
        """O-Net on windows (n, 4): probabilities (n,), offsets (n, 4), landmarks (n, 10)."""


class OnnxNets:
    """The networks on ONNX Runtime.

    Raises ModelError when the graphs are not those of the model's card.
    """

    def __init__(self, model: Model, threads: int) -> None:
        self.engine = "onnx"
        self.suppress: Suppress = boxes.suppress
        self._pnet, self._rnet, self._onet = (
            onnx_session(model.read(f"{net}.onnx"), threads) for net in ("pnet", "rnet", "onet")
        )

    def picture(self, pixels: Pixels) -> IntegralImage:
        """The picture's integral image, for area pooling."""
        return IntegralImage(pixels)

    def propose(
        self, picture: IntegralImage, sizes: Sequence[tuple[int, int]], threshold: float
    ) -> Cells:
        """As `Nets` says."""
        none, (no_scores, no_offsets) = np.empty(0, np.int64), _empty(None, 4)
        found = [Cells(none, none, none, no_scores, no_offsets)]
        for level, size in enumerate(sizes):
            offsets, scores = self._pnet.run(None, {"pixels": picture.resize(*size)[None]})
            rows, columns = np.nonzero(scores[0] >= threshold)
            levels = np.full(len(rows), level)
            passed = scores[0, rows, columns], offsets[0, :, rows, columns]
            found.append(Cells(levels, rows, columns, *passed))
        parts = zip(*(vars(cells).values() for cells in found), strict=True)
        return Cells(*(np.concatenate(part) for part in parts))

    def refine(self, picture: IntegralImage, windows: Int) -> tuple[Float, Float]:
        """As `Nets` says."""
        offsets, scores = _run(self._rnet, picture, windows, 24, _empty(4, None))
        return scores, offsets

    def output(self, picture: IntegralImage, windows: Int) -> tuple[Float, Float, Float]:
        """As `Nets` says."""
        offsets, points, scores = _run(self._onet, picture, windows, 48, _empty(4, 10, None))
        return scores, offsets, points


def _run(
    net: Any, picture: IntegralImage, windows: Int, size: int, nothing: list[Float]
) -> list[Float]:
    """A net's outputs on the windows, in batches; `nothing` is what it puts out for no window."""
    runs = [nothing]
    for i in range(0, len(windows), BATCH):
        runs.append(net.run(None, {"pixels": picture.crops(windows[i : i + BATCH], size)}))
    return [np.concatenate(parts) for parts in zip(*runs, strict=True)]


def _empty(*columns: int | None) -> list[Float]:
    """No rows of so many columns; None for a plain vector."""
    return [np.empty((0,) if n is None else (0, n), np.float32) for n in columns]
