"""What many tests share: a real face, a loaded predictor, the service's client."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
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
from tests.deploy.machine import Machine, obstacle
from tests.deploy.provision import install

SHARED = ROOT.parent / "shared" / "data"
SCORER = Settings().scorer.model
"""The default one."""
SOAK = os.environ.get("ATTRAI_SOAK") == "1"
FIGURES = pytest.StashKey[list[tuple[str, str]]]()


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


@pytest.fixture(scope="session")
def fresh_tree() -> Iterator[Machine]:
    """A machine's tree with nothing of AttrAI in it, or a skip where none can be had."""
    if reason := obstacle():
        pytest.skip(reason)
    with Machine() as machine:
        yield machine


@pytest.fixture(scope="session")
def machine(fresh_tree: Machine) -> Machine:
    """A booted machine that serves; whoever changes something of it puts it back."""
    install(fresh_tree)
    fresh_tree.boot()
    # An address that is not loopback: what comes from there is a stranger.
    fresh_tree.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    return fresh_tree


@pytest.fixture(scope="session")
def scale() -> Callable[[int, int], int]:
    """How many: the first number in `make test`, the second in `make soak`."""
    return lambda short, full: full if SOAK else short


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Notes what a promise came to; all of it is printed at the end."""
    figures = pytestconfig.stash.setdefault(FIGURES, [])
    return lambda promise, found: figures.append((promise, found))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if figures := terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.section("the promises, measured" if SOAK else "the promises, in short")
        for promise, found in figures:
            terminalreporter.write_line(f"| {promise} | {found} |")
