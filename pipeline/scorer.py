"""Faces to ratings: crops through a ResNet-34, one batch a photo.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016. How the network
was trained, and how well it rates, is in its card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.crops import View, crop
from pipeline.errors import ModelError
from pipeline.models import Model, onnx_session
from pipeline.pooling import Float
from pipeline.types import Face, Pixels, Rating


class Scorer(Protocol):
    """What rates faces."""

    name: str
    sha256: str
    """Of the weights that run."""

    def rate(self, pixels: Pixels, faces: Sequence[Face]) -> list[Rating]:
        """A rating for each of the faces, which are in the pixels of that picture."""


def ratings_of(scores: Float, spreads: Float | None = None) -> list[Rating]:
    """The ratings of scores (n,) and, where the model has them, spreads (n,)."""
    doubts = [None] * len(scores) if spreads is None else map(float, spreads)
    return [Rating(float(score), doubt) for score, doubt in zip(scores, doubts, strict=True)]


def view_of(model: Model) -> View:
    """What the model sees of a face. Raises ModelError if its card does not say so."""
    try:
        view = model.card["view"]
        return View(float(view["context"]), int(view["size"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of {model.name!r} gives no view of a face") from error


class OnnxScorer:
    """The network on ONNX Runtime, as the model's card says it is served.

    Its graph takes `crops`, uint8 (n, size, size, 3), normalises them itself, and gives float32
    scores (n,) from 1 to 10 and, unless it is an early one, their spreads (n,). Raises ModelError
    when the graph is not that of the model's card.
    """

    def __init__(self, model: Model, batch_size: int, threads: int) -> None:
        served = model.file("served")
        self.name = model.name
        self.sha256 = model.sha256(served)
        self._batch_size = batch_size
        self._view = view_of(model)
        self._session = onnx_session(model.path(served), threads)

    def rate(self, pixels: Pixels, faces: Sequence[Face]) -> list[Rating]:
        """A rating for each of the faces, which are in the pixels of that picture."""
        ratings = []
        for start in range(0, len(faces), self._batch_size):
            chunk = faces[start : start + self._batch_size]
            crops = np.stack([crop(pixels, face.box, self._view) for face in chunk])
            scores, *spreads = self._session.run(None, {"crops": crops})
            ratings += ratings_of(scores, *spreads)
        return ratings
