"""A prediction as an answer: JSON, or the photo with boxes and scores."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from pipeline.predictor import Prediction
from pipeline.report import report
from service.options import MEDIA_TYPES

RESULT_HEADER = "X-Attrai-Result"
MAX_RESULT = 4096
"""Bytes; a longer header would not pass proxies."""


def figures(prediction: Prediction, detector: str, request_id: str) -> dict[str, Any]:
    """The contract's JSON."""
    scorer = prediction.scorer
    return {
        "request_id": request_id,
        "model": {"detector": detector, "scorer": scorer.name, "sha256": scorer.sha256},
        **report(prediction),
        "timing_ms": {stage: round(ms, 1) for stage, ms in prediction.timing_ms.items()},
    }


def json_response(document: Any) -> Response:
    """A JSON answer that ends in a newline, for the sake of terminals."""
    return Response(_compact(document) + "\n", mimetype="application/json")


def picture_response(picture: bytes, format_: str, result: dict[str, Any]) -> Response:
    """A picture; the figures travel in a header when they fit."""
    response = Response(picture, mimetype=MEDIA_TYPES[format_])
    header = _compact(result)
    if len(header) <= MAX_RESULT:
        response.headers[RESULT_HEADER] = header
    return response


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
