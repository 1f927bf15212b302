"""The way through: photo -> faces -> ratings -> a prediction, or its picture."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.detector import Detector, fastest_detector, onnx_detector
from pipeline.errors import SettingsError, UnknownModel
from pipeline.memory import return_large_blocks, trim
from pipeline.models import Model
from pipeline.photo import read_full, read_photo
from pipeline.render import draw, encode
from pipeline.scorer import OnnxScorer, Scorer
from pipeline.settings import ROOT, PipelineSettings
from pipeline.types import Box, Face, RatedFace

DETECTOR = "mtcnn"


@dataclass(frozen=True)
class Prediction:
    """What was found in a photo. Faces are in the pixels of the whole upright photo."""

    width: int
    height: int
    faces: tuple[RatedFace, ...]
    scorer: Scorer
    timing_ms: dict[str, float]
    """Milliseconds by stage: decode, detect, score."""


class Predictor:
    """Detector and scorers, loaded once, and the way through them."""

    def __init__(
        self,
        models: Mapping[str, Model],
        detector: Detector,
        scorers: Mapping[str, Scorer],
        settings: PipelineSettings,
    ) -> None:
        self.models = models
        """Detector and scorers by name, with their cards."""
        self.detector = detector
        self._scorers = scorers
        self._settings = settings
        self.ready = False
        """Whether every model has run once."""

    def predict(
        self,
        data: bytes,
        *,
        model: str | None = None,
        max_faces: int | None = None,
        min_confidence: float = 0.0,
    ) -> Prediction:
        """Rate every face of an encoded photo, the largest first, or the largest `max_faces`.

        Faces of a confidence below `min_confidence` (0..1) are left out. Raises UnknownModel for
        a scorer that is not served, and PhotoError's children for a photo that cannot be used.
        """
        scorer = self._scorer(model)
        timing_ms: dict[str, float] = {}
        with _timed(timing_ms, "decode"):
            photo = read_photo(data, self._settings.photo)
        with _timed(timing_ms, "detect"):
            faces = self.detector.detect(photo.pixels)
            faces = [face for face in faces if face.confidence >= min_confidence][:max_faces]
        with _timed(timing_ms, "score"):
            ratings = scorer.rate(photo.pixels, faces)
        height, width = photo.pixels.shape[:2]
        fx, fy = photo.width / width, photo.height / height
        rated = zip((face.scaled(fx, fy) for face in faces), ratings, strict=True)
        return Prediction(
            photo.width,
            photo.height,
            tuple(RatedFace(face, rating) for face, rating in rated),
            scorer,
            timing_ms,
        )

    def picture(self, data: bytes, prediction: Prediction, format: str) -> bytes:  # noqa: A002
        """The whole photo with the prediction drawn on it, as a 'png', 'jpeg' or 'webp' image."""
        # Drawn where it was decoded, for a copy of the largest photo would take 150 MB.
        pixels = np.require(read_full(data, self._settings.photo), requirements="W")
        draw(pixels, prediction.faces)
        return encode(pixels, format, self._settings.render)

    def warm_up(self) -> None:
        """Run every model once, so that the first photo does not pay for first times.

        Leaves the process with no more memory than it needs.
        """
        return_large_blocks()
        # As good as a random picture, whose module takes as long to import as to run.
        pixels = np.arange(128 * 128 * 3, dtype=np.uint32).astype(np.uint8).reshape(128, 128, 3)
        face = Face(Box(32, 32, 96, 96), 1.0, ((0, 0),) * 5)
        self.detector.detect(pixels)
        for scorer in self._scorers.values():
            scorer.rate(pixels, [face])
        trim()
        self.ready = True

    def _scorer(self, name: str | None) -> Scorer:
        name = name or self._settings.scorer.model
        try:
            return self._scorers[name]
        except KeyError:
            raise UnknownModel(
                f"there is no model {name!r}; served are: {', '.join(self._scorers)}"
            ) from None


def load_predictor(settings: PipelineSettings) -> Predictor:
    """Load the detector and every scorer that the settings allow, on the engine they choose.

    Raises ModelError for files that are missing or not what their card says, SettingsError for an
    engine or device that this machine does not have.
    """
    engine = settings.engine
    folder = ROOT / engine.models_dir
    scorer_names = dict.fromkeys((settings.scorer.model, *settings.scorer.also))
    models = {name: Model.open(folder / name) for name in (DETECTOR, *scorer_names)}
    batch_size = settings.scorer.batch_size
    detector: Detector
    scorers: dict[str, Scorer]
    if engine.engine == "torch":
        try:
            from pipeline import reference
        except ModuleNotFoundError as error:
            raise SettingsError(f"engine = torch needs the torch extra: {error}") from error
        device = reference.torch_device(engine.device, engine.threads)
        detector = reference.TorchDetector(models[DETECTOR], settings.detector, device)
        scorers = {
            name: reference.TorchScorer(models[name], batch_size, device) for name in scorer_names
        }
    else:
        cv2.setNumThreads(engine.threads)
        find = fastest_detector if engine.engine == "native" else onnx_detector
        detector = find(models[DETECTOR], settings.detector, engine.threads)
        scorers = {
            name: OnnxScorer(models[name], batch_size, engine.threads) for name in scorer_names
        }
    return Predictor(models, detector, scorers, settings)


@contextmanager
def _timed(timing_ms: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timing_ms[stage] = (time.perf_counter() - start) * 1000
