"""A prediction as plain figures: what the command line writes and the service answers."""

from __future__ import annotations

from typing import Any

from pipeline.predictor import Prediction
from pipeline.types import LANDMARKS, RatedFace


def report(prediction: Prediction) -> dict[str, Any]:
    """The photo's size and its faces, in whole pixels, boxes clipped to the photo."""
    width, height = prediction.width, prediction.height
    return {
        "image": {"width": width, "height": height},
        "faces": [_face(rated, width, height) for rated in prediction.faces],
    }


def _face(rated: RatedFace, width: int, height: int) -> dict[str, Any]:
    face = rated.face
    x1, x2 = (min(max(round(x), 0), width) for x in (face.box.x1, face.box.x2))
    y1, y2 = (min(max(round(y), 0), height) for y in (face.box.y1, face.box.y2))
    return {
        "box": {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1},
        "confidence": round(face.confidence, 4),
        "landmarks": {
            name: [round(x), round(y)]
            for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=True)
        },
        "score": round(rated.rating.score, 1),
        "spread": None if rated.rating.spread is None else round(rated.rating.spread, 1),
    }
