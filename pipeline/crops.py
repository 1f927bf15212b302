"""Cuts the picture of a face that the scorer sees. Training cuts with this very code."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.shrinking import shrink
from pipeline.types import Box, Pixels


@dataclass(frozen=True)
class View:
    """How a scorer sees a face; its card says which view it was trained with."""

    context: float
    """Side of a crop over the longer side of the face's box: chin and ears belong to a face."""
    size: int
    """Side of a crop, in pixels."""


def crop(pixels: Pixels, box: Box, view: View) -> Pixels:
    """The square around a face's box, uint8 of shape (view.size, view.size, 3).

    What lies outside the picture repeats its border.
    """
    size = view.size
    height, width = pixels.shape[:2]
    side = max(round(view.context * max(box.width, box.height)), 2)
    # The cascade may push a centre over the edge; the square must still hold a pixel.
    middle_x = min(max((box.x1 + box.x2) / 2, 0), width)
    middle_y = min(max((box.y1 + box.y2) / 2, 0), height)
    left, top = round(middle_x - side / 2), round(middle_y - side / 2)
    right, bottom = left + side, top + side
    inside = pixels[max(top, 0) : bottom, max(left, 0) : right]
    beyond = [max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)]
    if any(beyond):
        above, below, before, after = beyond
        inside = np.asarray(
            cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8
        )
    if side > size:
        return shrink(inside, size, size)
    return np.asarray(cv2.resize(inside, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
