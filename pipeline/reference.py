"""The same two models straight in PyTorch: the oracle of the tests, and the engine for a GPU.

Needs the `torch` extra; chosen by `engine = torch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from safetensors.torch import load

from pipeline.crops import crop
from pipeline.detector import pyramid
from pipeline.errors import SettingsError
from pipeline.models import Model
from pipeline.network import RatingNet, SpreadLaw
from pipeline.scorer import ratings_of, view_of
from pipeline.settings import DetectorSettings
from pipeline.types import Box, Face, Pixels, Rating


def torch_device(name: str, threads: int) -> torch.device:
    """The device of that name, with so many threads of the CPU beside it.

    Raises SettingsError if this machine has none.
    """
    torch.set_num_threads(threads)
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device = cuda, but PyTorch finds no CUDA device on this machine")
    return torch.device(name)


class TorchDetector:
    """facenet-pytorch's MTCNN."""

    def __init__(self, model: Model, settings: DetectorSettings, device: torch.device) -> None:
        self.name = model.name
        self.engine = f"torch {device}"
        self._settings = settings
        self._mtcnn = MTCNN(
            keep_all=True,
            post_process=False,
            min_face_size=settings.min_face_size,
            thresholds=list(settings.thresholds),
            factor=settings.scale_factor,
            device=device,
        )

    def detect(self, pixels: Pixels) -> list[Face]:
        """Every face in the picture, in its pixels, largest box first; [] if there is none."""
        height, width = pixels.shape[:2]
        if not any(pyramid(height, width, self._settings)):
            return []  # the reference fails on a picture that holds no pyramid
        boxes, scores, landmarks = self._mtcnn.detect(pixels, landmarks=True)
        if boxes is None:
            return []
        return [
            Face(
                Box(*map(float, box)), float(score), tuple((float(x), float(y)) for x, y in points)
            )
            for box, score, points in zip(boxes, scores, landmarks, strict=True)
        ]


class TorchScorer:
    """torchvision's ResNet-34 with the weights of the model's float16 master, run in float32."""

    def __init__(self, model: Model, batch_size: int, device: torch.device) -> None:
        master = model.file("master")
        self.name = model.name
        self.sha256 = model.sha256(master)
        self._batch_size = batch_size
        self._view = view_of(model)
        self._device = device
        law = spread_law(model.card)
        net = RatingNet(model.card.get("recipe", {}).get("base", "resnet34"), law)
        net.load_master(load(model.read(master)))
        self._has_spread = law is not None
        self._net = net.eval().to(device)

    def rate(self, pixels: Pixels, faces: Sequence[Face]) -> list[Rating]:
        """A rating for each of the faces, which are in the pixels of that picture."""
        ratings = []
        for start in range(0, len(faces), self._batch_size):
            chunk = faces[start : start + self._batch_size]
            crops = torch.from_numpy(
                np.stack([crop(pixels, face.box, self._view) for face in chunk])
            )
            crops = crops.to(self._device)
            with torch.inference_mode():
                scores, spreads = (rated.cpu().numpy() for rated in self._net(crops))
            ratings += ratings_of(scores, spreads if self._has_spread else None)
        return ratings


def spread_law(card: Mapping[str, Any]) -> SpreadLaw | None:
    """How a scorer's card says that its spread is read; None for one that has none."""
    law = card.get("spread")
    return law and SpreadLaw(law["label"], law["gain"])
