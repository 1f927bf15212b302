"""How far two detectors' boxes, or two scorers' scores, are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.types import Box, Face, Rating


@dataclass(frozen=True)
class Parity:
    """Ours against the reference: each of its faces with the one of ours that overlaps it most."""

    faces: int
    """Of the reference."""
    unmatched: int
    """Faces of either that the other has not, at an IoU of 0.5."""
    least_iou: float
    """Of the matched faces; 1 where there are none."""
    most_pixels: float
    """Largest difference of a corner's coordinate, in pixels of the working photo."""
    most_points: float
    """Largest difference of a score, in points."""


def compare(
    ours: Sequence[Face],
    reference: Sequence[Face],
    our_ratings: Sequence[Rating],
    ratings: Sequence[Rating],
) -> Parity:
    """Both in the pixels of the same picture, each face with its rating."""
    ious, pixels, points, taken = [1.0], [0.0], [0.0], set()
    for face, rating in zip(reference, ratings, strict=True):
        overlaps = [iou(face.box, other.box) for other in ours]
        best = int(np.argmax(overlaps)) if overlaps else 0
        if not overlaps or overlaps[best] < 0.5 or best in taken:
            continue
        taken.add(best)
        ious.append(overlaps[best])
        pixels.append(float(np.abs(_corners(face.box) - _corners(ours[best].box)).max()))
        points.append(abs(rating.score - our_ratings[best].score))
    unmatched = len(ours) + len(reference) - 2 * len(taken)
    return Parity(len(reference), unmatched, min(ious), max(pixels), max(points))


def iou(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    common = max(width, 0) * max(height, 0)
    union = one.area + other.area - common
    return common / union if union > 0 else 0.0


def _corners(box: Box) -> np.ndarray:
    return np.array([box.x1, box.y1, box.x2, box.y2])
