"""What a refused request must look like."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.test import TestResponse


def problem(answer: TestResponse, status: int, *words: str) -> dict[str, Any]:
    """Hold an answer against the one shape that errors have."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    document: dict[str, Any] = json.loads(answer.text)
    assert set(document) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert document["status"] == status
    assert document["type"].startswith("urn:attrai:problem:")
    assert document["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.text
    for word in words:
        assert word in document["detail"]
    return document
