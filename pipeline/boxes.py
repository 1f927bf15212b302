"""Arithmetic on arrays of boxes, float32 of shape (n, 4) as x1, y1, x2, y2.

The steps and their order are those of facenet-pytorch's `detect_face.py`, so that float32
rounding falls the same way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.pooling import Float, Int


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


def nms(boxes: Float, scores: Float, threshold: float) -> Int:
    """Indices that survive greedy suppression by IoU > threshold, best score first.

    Equal to torchvision.ops.nms, ties included.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-scores, kind="stable")
    # torchvision compares in double precision, where 0.3 is not what it is in single.
    limit = np.float64(threshold)
    return _suppress(boxes, area, order, limit, extra=np.float32(0), by_smaller=False)


def nms_by_smaller(boxes: Float, scores: Float, threshold: float) -> Int:
    """As `nms`, but the overlap is a share of the smaller box, and sides count the last pixel."""
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    order = np.argsort(scores)[::-1]
    return _suppress(boxes, area, order, threshold, extra=np.float32(1), by_smaller=True)


def _suppress(
    boxes: Float,
    area: Float,
    order: Int,
    threshold: float | np.float64,
    extra: np.float32,
    by_smaller: bool,
) -> Int:
    # Sorted columns, so that each round works on contiguous tails.
    x1, y1, x2, y2 = np.ascontiguousarray(boxes[order].T)
    area = area[order]
    alive = np.ones(len(order), dtype=np.bool_)
    kept: list[int] = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(i)
        rest = slice(i + 1, None)
        width = np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]) + extra
        height = np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]) + extra
        inter = np.maximum(width, 0) * np.maximum(height, 0)
        other = area[rest]
        union = np.minimum(area[i], other) if by_smaller else area[i] + other - inter
        # inter > threshold * union would round differently
        with np.errstate(divide="ignore", invalid="ignore"):
            alive[rest] &= ~(inter / union > threshold)
    survivors: npt.NDArray[np.int64] = order[np.array(kept, dtype=np.int64)]
    return survivors
