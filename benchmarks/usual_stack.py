"""What most people would build: PIL, facenet-pytorch's MTCNN and torchvision's ResNet-34.

The models and weights are those of AttrAI, in float32 and on one thread of PyTorch. Every peer's
server holds this very class.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pipeline.models import Model
from pipeline.predictor import DETECTOR
from pipeline.reference import TorchDetector, TorchScorer, torch_device
from pipeline.settings import ROOT, PipelineSettings
from pipeline.types import Face, Pixels, Rating


class UsualStack:
    """Detector and scorer in PyTorch, loaded once, and the way through them."""

    def __init__(self, settings: PipelineSettings | None = None) -> None:
        settings = settings or PipelineSettings()
        device = torch_device("cpu", 1)
        folder = ROOT / settings.engine.models_dir
        detector, scorer = (Model.open(folder / name) for name in (DETECTOR, settings.scorer.model))
        self.detector = TorchDetector(detector, settings.detector, device)
        self.scorer = TorchScorer(scorer, settings.scorer.batch_size, device)
        self._side = settings.photo.working_side

    def predict(self, data: bytes) -> dict[str, Any]:
        """The faces of an encoded photo: the photo's size, boxes in its pixels, scores."""
        return self.rate(Image.open(io.BytesIO(data)))

    def rate(self, image: Image.Image) -> dict[str, Any]:
        """The same for an image that PIL has opened."""
        size = image.size
        pixels = self.shrink(image)
        faces = self.detector.detect(pixels)
        ratings = self.scorer.rate(pixels, faces)
        height, width = pixels.shape[:2]
        upright = size if (size[0] > size[1]) == (width > height) else size[::-1]
        return _answer(upright, (width, height), faces, ratings)

    def shrink(self, image: Image.Image) -> Pixels:
        """The upright photo with a long side of at most the working side.

        PIL decodes a JPEG at a half, a quarter or an eighth where that is large enough.
        """
        image.thumbnail((self._side, self._side))
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)

    def decode(self, data: bytes) -> Pixels:
        """The stage alone: bytes to what the models see."""
        return self.shrink(Image.open(io.BytesIO(data)))

    def picture(self, data: bytes) -> bytes:
        """The whole photo with boxes and scores on it, as a PNG of PIL's default compression."""
        photo = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        answer = self.rate(photo.copy())
        draw = ImageDraw.Draw(photo)
        line = max(2, max(photo.size) // 300)
        font = ImageFont.load_default(max(15, max(photo.size) // 50))
        for face in answer["faces"]:
            box = face["box"]
            x, y = box["x"], box["y"]
            draw.rectangle((x, y, x + box["width"], y + box["height"]), outline="lime", width=line)
            draw.text((x, y), f"{face['score']:.1f}", "lime", font, anchor="lb")
        return png(photo)


def png(image: Image.Image, level: int = 6) -> bytes:
    """A picture as a PNG; 6 is PIL's default level of zlib."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=level)
    return file.getvalue()


def _answer(
    photo: tuple[int, int],
    working: tuple[int, int],
    faces: Sequence[Face],
    ratings: Sequence[Rating],
) -> dict[str, Any]:
    """AttrAI's own shape of an answer, as far as it counts: size, boxes, confidence, score."""
    fx, fy = photo[0] / working[0], photo[1] / working[1]
    boxes = [face.box.scaled(fx, fy) for face in faces]
    return {
        "image": {"width": photo[0], "height": photo[1]},
        "faces": [
            {
                "box": {
                    "x": round(box.x1),
                    "y": round(box.y1),
                    "width": round(box.width),
                    "height": round(box.height),
                },
                "confidence": round(face.confidence, 4),
                "score": round(rating.score, 1),
            }
            for box, face, rating in zip(boxes, faces, ratings, strict=True)
        ],
    }
