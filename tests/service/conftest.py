"""What the service's tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient


@pytest.fixture
def goes_on(client: FlaskClient, photo: bytes) -> Iterator[None]:
    """After each piece of bad input, the next photo is rated."""
    yield
    answer = client.post("/predict", data=photo, content_type="image/jpeg")
    assert len(json.loads(answer.text)["faces"]) == 1
