"""MTCNN's three-stage cascade: pixels in, faces out.

Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", IEEE Signal Processing Letters 23(10), 2016. The weights are those of
facenet-pytorch, and so are the steps, one for one: its MTCNN is the oracle of the tests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from pipeline.boxes import clipped, nms, nms_by_smaller, regressed, squared
from pipeline.models import Model
from pipeline.native.library import KernelMissing
from pipeline.native.nets import NativeNets
from pipeline.nets import CELL, Nets, OnnxNets
from pipeline.pooling import Float, Int
from pipeline.settings import DetectorSettings
from pipeline.types import Box, Face, Pixels

log = logging.getLogger("attrai")

Picture = TypeVar("Picture")

STRIDE = 2
"""Distance of P-Net's windows, in pixels of a pyramid level."""


class Detector(Protocol):
    """What finds faces in a picture."""

    name: str
    engine: str
    """What computes it."""

    def detect(self, pixels: Pixels) -> list[Face]:
        """Every face in the picture, in its pixels, largest box first; [] if there is none."""


class Cascade(Generic[Picture]):
    """The steps between the three networks, which `nets` compute."""

    def __init__(self, name: str, nets: Nets[Picture], settings: DetectorSettings) -> None:
        self.name = name
        self.engine = nets.engine
        self._nets = nets
        self._settings = settings

    def detect(self, pixels: Pixels) -> list[Face]:
        """Every face in the picture, in its pixels, largest box first; [] if there is none."""
        height, width = pixels.shape[:2]
        picture = self._nets.picture(pixels)
        boxes = self._propose(picture, height, width)
        boxes = self._refine(picture, *visible(boxes, height, width))
        boxes, scores, landmarks = self._output(picture, *visible(boxes, height, width))
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return [_face(boxes[i], scores[i], landmarks[i]) for i in np.argsort(area)[::-1]]

    def _propose(self, picture: Picture, height: int, width: int) -> Float:
        """P-Net over the image pyramid: candidate squares (n, 4)."""
        scales = list(pyramid(height, width, self._settings))
        sizes = [(int(height * scale + 1), int(width * scale + 1)) for scale in scales]
        cells = self._nets.propose(picture, sizes, self._settings.thresholds[0])
        scale = np.array(scales, np.float32)[cells.level]
        start = np.stack([cells.column, cells.row], axis=1).astype(np.float32) * STRIDE
        boxes = np.floor(np.hstack([start + 1, start + CELL]) / scale[:, None])
        best = nms(boxes, cells.scores, 0.5, cells.level, self._nets.suppress)
        boxes, scores, offsets = boxes[best], cells.scores[best], cells.offsets[best]
        keep = nms(boxes, scores, 0.7, suppress=self._nets.suppress)
        return squared(regressed(boxes[keep], offsets[keep], inclusive=False))

    def _refine(self, picture: Picture, boxes: Float, windows: Int) -> Float:
        """R-Net over the candidates: fewer, better squares (n, 4)."""
        scores, offsets = self._nets.refine(picture, windows)
        passed = scores > self._settings.thresholds[1]
        boxes, scores, offsets = boxes[passed], scores[passed], offsets[passed]
        keep = nms(boxes, scores, 0.7, suppress=self._nets.suppress)
        return squared(regressed(boxes[keep], offsets[keep], inclusive=True))

    def _output(self, picture: Picture, boxes: Float, windows: Int) -> tuple[Float, Float, Float]:
        """O-Net over what is left: boxes (n, 4), scores (n,), landmarks (n, 5, 2)."""
        scores, offsets, points = self._nets.output(picture, windows)
        passed = scores > self._settings.thresholds[2]
        boxes, scores, offsets, points = (a[passed] for a in (boxes, scores, offsets, points))
        size = boxes[:, 2:] - boxes[:, :2] + np.float32(1)
        # five x, then five y, as shares of the square
        landmarks = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size[:, None, :]
        landmarks = landmarks + boxes[:, None, :2] - np.float32(1)
        boxes = regressed(boxes, offsets, inclusive=True)
        keep = nms_by_smaller(boxes, scores, 0.7, self._nets.suppress)
        return boxes[keep], scores[keep], landmarks[keep]


def onnx_detector(model: Model, settings: DetectorSettings, threads: int) -> Cascade[Any]:
    """The cascade on ONNX Runtime. Raises ModelError if the model is not what its card says."""
    return Cascade(model.name, OnnxNets(model, threads), settings)


def native_detector(
    model: Model, settings: DetectorSettings, variant: str | None = None
) -> Cascade[Any]:
    """The cascade on the native kernel: its variant of that name, or the fastest that runs here.

    Raises KernelMissing if it was not built, ModelError if the model is not what its card says.
    """
    return Cascade(model.name, NativeNets(model, variant), settings)


def fastest_detector(model: Model, settings: DetectorSettings, threads: int) -> Cascade[Any]:
    """The cascade on the native kernel, or on ONNX Runtime, with a warning, where that is missing.

    Raises ModelError if the model is not what its card says.
    """
    try:
        return native_detector(model, settings)
    except KernelMissing as error:
        log.warning("faces are found on ONNX Runtime, without the native kernel: %s", error)
        return onnx_detector(model, settings, threads)


def pyramid(height: int, width: int, settings: DetectorSettings) -> Iterator[float]:
    """Scales at which P-Net's 12-pixel window sees faces from min_face_size up to the picture."""
    scale = CELL / settings.min_face_size
    shortest = min(height, width) * scale
    while shortest >= CELL:
        yield scale
        scale *= settings.scale_factor
        shortest *= settings.scale_factor


def visible(boxes: Float, height: int, width: int) -> tuple[Float, Int]:
    """The boxes of which a picture of that size shows a pixel, and what it shows of them."""
    windows = clipped(boxes, height, width)
    # The reference keeps empty ones and gets its boxes and crops out of step.
    some = (windows[:, 2:] > windows[:, :2]).all(axis=1)
    return boxes[some], windows[some]


def _face(box: Float, score: np.float32, landmarks: Float) -> Face:
    points = tuple((float(x), float(y)) for x, y in landmarks)
    return Face(Box(*(float(corner) for corner in box)), float(score), points)
