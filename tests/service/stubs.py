"""A predictor whose models are quick: the service around it, and its decoder, are the real ones."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.models import Model
from pipeline.predictor import DETECTOR, Predictor
from pipeline.settings import ROOT
from pipeline.types import Box, Face, Pixels, Rating
from service.settings import Settings

CROWDED = 256
"""Photos as wide as that have faces enough for a header that is too long."""


class StubDetector:
    """Finds faces in any photo that has the room, the last one half outside of it."""

    name = DETECTOR
    engine = "onnx"

    def detect(self, pixels: Pixels) -> list[Face]:
        height, width = pixels.shape[:2]
        if min(height, width) < 24:
            return []
        points = ((10, 10), (30, 10), (20, 20.4), (12, 30), (28, -3))
        faces = [Face(Box(width - 20.5, height - 20.5, width + 19.5, height + 19.5), 0.75, points)]
        count = 40 if width >= CROWDED else 1
        return [Face(Box(2.2, 3.3, 20, 21), 0.9876543, points)] * count + faces


class StubScorer:
    """Rates every face alike, and knows how sure it is of every other one."""

    name = "resnet34-2"
    sha256 = "0" * 64

    def rate(self, pixels: Pixels, faces: Sequence[Face]) -> list[Rating]:
        return [Rating(5.4321, None if i % 2 else 0.654) for i in range(len(faces))]


def stub_predictor(settings: Settings) -> Predictor:
    """The predictor of this repository's models, of which only the cards are read."""
    scorer = StubScorer()
    models = {name: Model.open(ROOT / "models" / name) for name in (DETECTOR, scorer.name)}
    predictor = Predictor(models, StubDetector(), {scorer.name: scorer}, settings)
    predictor.ready = True
    return predictor
