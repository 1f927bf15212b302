"""Arithmetic on arrays of boxes, float32 of shape (n, 4) as x1, y1, x2, y2.

The steps and their order are those of facenet-pytorch's `detect_face.py`, so that float32
rounding falls the same way.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.pooling import Float, Int

Bool = npt.NDArray[np.bool_]


class Suppress(Protocol):
    """Greedy suppression, by NumPy below or by the native kernel."""

    def __call__(
        self,
        boxes: Float,
        area: Float,
        groups: Int,
        threshold: np.float32,
        extra: np.float32,
        by_smaller: bool,
    ) -> Bool:
        """Which boxes survive, (n,).

        Boxes of a group lie together, the best first, and only suppress each other: where their
        overlap is more than `threshold` of both, or of the smaller one. Sides count `extra` more.
        """


def squared(boxes: Float) -> Float:
    """Each box grown around its centre to a square of its longer side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    start = boxes[:, :2] + size * np.float32(0.5) - side * np.float32(0.5)
    return np.hstack([start, start + side])


def regressed(boxes: Float, offsets: Float, inclusive: bool) -> Float:
    """Boxes moved by `offsets` (n, 4), fractions of their sides.

    `inclusive` counts the last pixel into a side, as R-Net's and O-Net's regression does and
    P-Net's does not.
    """
    size = boxes[:, 2:] - boxes[:, :2] + np.float32(inclusive)
    return boxes + offsets * np.hstack([size, size])


def clipped(boxes: Float, height: int, width: int) -> Int:
    """Whole-pixel boxes, ends excluded, inside a picture of that size; may come out empty.

    The first pixel is included twice over (start - 1), as in the reference's `pad`.
    """
    corners = np.trunc(boxes).astype(np.int64)
    start = np.maximum(corners[:, :2], 1) - 1
    end = np.minimum(corners[:, 2:], [width, height])
    return np.hstack([start, end])


def suppress(
    boxes: Float,
    area: Float,
    groups: Int,
    threshold: np.float32,
    extra: np.float32,
    by_smaller: bool,
) -> Bool:
    """As `Suppress` says."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    ends = np.searchsorted(groups, groups, side="right")
    alive = np.ones(len(boxes), dtype=np.bool_)
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        rest = slice(i + 1, ends[i])
        width = np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]) + extra
        height = np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]) + extra
        inter = np.maximum(width, 0) * np.maximum(height, 0)
        other = area[rest]
        union = np.minimum(area[i], other) if by_smaller else area[i] + other - inter
        # inter > threshold * union would round differently
        with np.errstate(divide="ignore", invalid="ignore"):
            alive[rest] &= ~(inter / union > threshold)
    return alive


def nms(
    boxes: Float,
    scores: Float,
    threshold: float,
    groups: Int | None = None,
    suppress: Suppress = suppress,
) -> Int:
    """Indices that survive greedy suppression by IoU > threshold, best score first.

    Equal to torchvision.ops.nms, ties included. With `groups` (n,) that rise, each group is on
    its own, and they come one after the other.
    """
    if groups is None:
        groups = np.zeros(len(boxes), np.int64)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.lexsort((-scores, groups))
    # torchvision compares in double precision: of floats, those above the last one below it.
    limit = np.float32(threshold)
    if float(limit) > threshold:
        limit = np.nextafter(limit, np.float32(0))
    alive = suppress(boxes[order], area[order], groups[order], limit, np.float32(0), False)
    return order[alive]


def nms_by_smaller(
    boxes: Float, scores: Float, threshold: float, suppress: Suppress = suppress
) -> Int:
    """As `nms`, but the overlap is a share of the smaller box, and sides count the last pixel."""
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    order = np.argsort(scores)[::-1]
    group = np.zeros(len(boxes), np.int64)
    alive = suppress(boxes[order], area[order], group, np.float32(threshold), np.float32(1), True)
    return order[alive]
