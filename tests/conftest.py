"""What many tests share: a real face, a loaded predictor, the service's client."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from pipeline.predictor import Predictor, load_predictor
from pipeline.settings import ROOT
from pipeline.types import Pixels
from service.application import create_app
from service.settings import Settings

SHARED = ROOT.parent / "shared" / "data"
SCORER = Settings().scorer.model
"""The default one."""


@pytest.fixture(scope="session")
def astronaut() -> Pixels:
    """NASA's portrait of Eileen Collins, public domain: 512 x 512 pixels, one face."""
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def encoded(astronaut: Pixels) -> Callable[[str], bytes]:
    """The astronaut as an image file of a format of Pillow's."""

    def encode(format_: str) -> bytes:
        file = io.BytesIO()
        Image.fromarray(astronaut).save(file, format_)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def photo(encoded: Callable[[str], bytes]) -> bytes:
    """The astronaut as a JPEG."""
    return encoded("JPEG")


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    """The models of this repository, warm, with default settings."""
    loaded = load_predictor(Settings())
    loaded.warm_up()
    return loaded


@pytest.fixture(scope="session")
def app(predictor: Predictor) -> Flask:
    """The service over the shared predictor, with default settings."""
    return create_app(Settings(), predictor)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the service, without a network."""
    return app.test_client()


@pytest.fixture(scope="session")
def rated_photos() -> list[Path]:
    """The rated photos, which no clone of this repository holds."""
    photos = sorted(SHARED.glob("*/images/*.jpg"))
    if not photos:
        pytest.skip(f"no rated photos in {SHARED.relative_to(ROOT.parent)}")
    return photos
