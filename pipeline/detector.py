"""MTCNN's three-stage cascade on ONNX Runtime: pixels in, faces out.

Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", IEEE Signal Processing Letters 23(10), 2016. The weights are those of
facenet-pytorch, and so are the steps, one for one: its MTCNN is the oracle of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from pipeline.boxes import clipped, nms, nms_by_smaller, regressed, squared
from pipeline.models import Model, onnx_session
from pipeline.pooling import Float, IntegralImage
from pipeline.settings import DetectorSettings
from pipeline.types import Box, Face, Pixels

CELL = 12
"""P-Net's window, in pixels of a pyramid level."""
STRIDE = 2
"""Distance of P-Net's windows, in pixels of a pyramid level."""
BATCH = 256
"""Candidates that go through R-Net or O-Net at once; bounds the memory of a crowd."""


class Detector(Protocol):
    """What finds faces in a picture."""

    name: str

    def detect(self, pixels: Pixels) -> list[Face]:
        """Every face in the picture, in its pixels, largest box first; [] if there is none."""


class OnnxDetector:
    """The cascade on ONNX Runtime.

    Raises ModelError when the graphs are not those of the model's card.
    """

    def __init__(self, model: Model, settings: DetectorSettings, threads: int) -> None:
        self.name = model.name
        self._settings = settings
        self._pnet, self._rnet, self._onet = (
            onnx_session(model.read(f"{net}.onnx"), threads) for net in ("pnet", "rnet", "onet")
        )

    def detect(self, pixels: Pixels) -> list[Face]:
        """Every face in the picture, in its pixels, largest box first; [] if there is none."""
        picture = IntegralImage(pixels)
        boxes = self._propose(picture)
        boxes = self._refine(picture, boxes)
        boxes, scores, landmarks = self._output(picture, boxes)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return [_face(boxes[i], scores[i], landmarks[i]) for i in np.argsort(area)[::-1]]

    def _propose(self, picture: IntegralImage) -> Float:
        """P-Net over the image pyramid: candidate squares (n, 4)."""
        levels = [
            self._propose_at(picture, scale)
            for scale in pyramid(picture.height, picture.width, self._settings)
        ]
        if not levels:
            return np.empty((0, 4), dtype=np.float32)
        boxes, scores, offsets = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        keep = nms(boxes, scores, 0.7)
        return squared(regressed(boxes[keep], offsets[keep], inclusive=False))

    def _propose_at(self, picture: IntegralImage, scale: float) -> tuple[Float, Float, Float]:
        """P-Net on one level: boxes (n, 4) in the picture's pixels, scores (n,), offsets (n, 4)."""
        level = picture.resize(int(picture.height * scale + 1), int(picture.width * scale + 1))
        offsets, probability = self._pnet.run(None, {"pixels": level[None]})
        rows, columns = np.nonzero(probability[0] >= self._settings.thresholds[0])
        start = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE
        corners = np.hstack([start + 1, start + CELL]) / np.float32(scale)
        boxes = np.floor(corners)
        scores = probability[0, rows, columns]
        keep = nms(boxes, scores, 0.5)
        return boxes[keep], scores[keep], offsets[0, :, rows, columns][keep]

    def _refine(self, picture: IntegralImage, boxes: Float) -> Float:
        """R-Net over the candidates: fewer, better squares (n, 4)."""
        boxes, (offsets, scores) = _run(self._rnet, picture, boxes, 24, outputs=(4, None))
        passed = scores > self._settings.thresholds[1]
        boxes, scores, offsets = boxes[passed], scores[passed], offsets[passed]
        keep = nms(boxes, scores, 0.7)
        return squared(regressed(boxes[keep], offsets[keep], inclusive=True))

    def _output(self, picture: IntegralImage, boxes: Float) -> tuple[Float, Float, Float]:
        """O-Net over what is left: boxes (n, 4), scores (n,), landmarks (n, 5, 2)."""
        boxes, (offsets, points, scores) = _run(
            self._onet, picture, boxes, 48, outputs=(4, 10, None)
        )
        passed = scores > self._settings.thresholds[2]
        boxes, scores, offsets, points = (a[passed] for a in (boxes, scores, offsets, points))
        size = boxes[:, 2:] - boxes[:, :2] + np.float32(1)
        # five x, then five y, as shares of the square
        landmarks = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size[:, None, :]
        landmarks = landmarks + boxes[:, None, :2] - np.float32(1)
        boxes = regressed(boxes, offsets, inclusive=True)
        keep = nms_by_smaller(boxes, scores, 0.7)
        return boxes[keep], scores[keep], landmarks[keep]


def pyramid(height: int, width: int, settings: DetectorSettings) -> Iterator[float]:
    """Scales at which P-Net's 12-pixel window sees faces from min_face_size up to the picture."""
    scale = CELL / settings.min_face_size
    shortest = min(height, width) * scale
    while shortest >= CELL:
        yield scale
        scale *= settings.scale_factor
        shortest *= settings.scale_factor


def _run(
    net: Any, picture: IntegralImage, boxes: Float, size: int, outputs: tuple[int | None, ...]
) -> tuple[Float, list[Float]]:
    """Crops of the boxes through a net, in batches: the boxes that hold a pixel, and its outputs.

    `outputs` gives the columns of each output, None for a plain vector.
    """
    windows = clipped(boxes, picture.height, picture.width)
    # The reference keeps empty ones and gets its boxes and crops out of step.
    some = (windows[:, 2:] > windows[:, :2]).all(axis=1)
    boxes, windows = boxes[some], windows[some]
    runs = [
        net.run(None, {"pixels": picture.crops(windows[i : i + BATCH], size)})
        for i in range(0, len(windows), BATCH)
    ]
    if not runs:
        shapes = [(0,) if columns is None else (0, columns) for columns in outputs]
        return boxes, [np.empty(shape, dtype=np.float32) for shape in shapes]
    return boxes, [np.concatenate(parts) for parts in zip(*runs, strict=True)]


def _face(box: Float, score: np.float32, landmarks: Float) -> Face:
    points = tuple((float(x), float(y)) for x, y in landmarks)
    return Face(Box(*(float(corner) for corner in box)), float(score), points)
