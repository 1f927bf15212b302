"""Area resampling exactly as torch's `interpolate(mode="area")`, by an integral image.

That mode is adaptive average pooling: output cell i of n averages the input cells
floor(i*size/n) .. ceil((i+1)*size/n). cv2.INTER_AREA weighs the border cells by their overlap
instead, which moves MTCNN's boxes. Sums over an integral image are exact and cost four look-ups
a cell whatever the window (Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.types import Pixels

Float = npt.NDArray[np.float32]
Int = npt.NDArray[np.int64]


class IntegralImage:
    """The integral image of an RGB picture, to resample it or many crops of it.

    Sums are int32, so the picture may hold at most 2**31 / 255 pixels (about 8.4 million).
    """

    def __init__(self, pixels: Pixels) -> None:
        self.height, self.width = pixels.shape[:2]
        self._sums = cv2.integral(pixels, sdepth=cv2.CV_32S)

    def resize(self, height: int, width: int) -> Float:
        """The whole picture as float32 of shape (height, width, 3), values 0..255."""
        top, bottom = _windows(np.array([0]), np.array([self.height]), height)
        left, right = _windows(np.array([0]), np.array([self.width]), width)
        bands = self._sums[bottom[0]] - self._sums[top[0]]
        sums = bands[:, right[0]] - bands[:, left[0]]
        return _divide(sums, (bottom - top)[0, :, None, None], (right - left)[0, None, :, None])

    def crops(self, boxes: Int, size: int) -> Float:
        """Crops (n, 4) of x1, y1, x2, y2, ends excluded, as float32 of shape (n, size, size, 3).

        Each crop must lie within the picture and hold at least one pixel.
        """
        left, right = (edge[:, None, :] for edge in _windows(boxes[:, 0], boxes[:, 2], size))
        top, bottom = (edge[:, :, None] for edge in _windows(boxes[:, 1], boxes[:, 3], size))
        flat = self._sums.reshape(-1, 3)
        stride = self.width + 1
        sums = flat[bottom * stride + right] - flat[top * stride + right]
        sums -= flat[bottom * stride + left] - flat[top * stride + left]
        return _divide(sums, (bottom - top)[..., None], (right - left)[..., None])


def _windows(start: Int, end: Int, cells: int) -> tuple[Int, Int]:
    """Where each of `cells` windows over start..end begins and ends, both of shape (n, cells)."""
    size = (end - start)[:, None]
    index = np.arange(cells)
    first = start[:, None] + index * size // cells
    last = start[:, None] - (-(index + 1) * size // cells)
    return first, last


def _divide(sums: npt.NDArray[np.int32], heights: Int, widths: Int) -> Float:
    # By the height, then by the width, in float32: the order in which torch rounds.
    means = sums.astype(np.float32)
    means /= heights.astype(np.float32)
    means /= widths.astype(np.float32)
    return means
