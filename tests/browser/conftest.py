"""The page in a real browser: a server on loopback, headless Chromium, and what both have seen.

Chromium is the system's own (Debian's package `chromium`); nothing is downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.predictor import Predictor
from pipeline.types import Pixels
from tests.browser.photos import crowd
from tests.browser.server import PhotoHost, Server
from tests.browser.sights import Sights

if TYPE_CHECKING:  # each test module skips where it is not installed
    from playwright.sync_api import Browser, BrowserContext, Page

PATIENCE = 120_000
"""Milliseconds: only a machine that is very busy needs them."""

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # which root may not have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def photo_host(photo: bytes, astronaut: Pixels) -> Iterator[PhotoHost]:
    """A site with a photo of one face, and one of twenty."""
    photos = {"/photo.jpg": photo, "/crowd.png": crowd(astronaut, 4, 5)}
    with PhotoHost.serving(photos) as host:
        yield host


@pytest.fixture(scope="session")
def running(
    predictor: Predictor, photo_host: PhotoHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    with Server.serving(predictor, photo_host.port, keys) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """The service with real models, its page, and nothing left of the test before."""
    running.reset()
    return running


@pytest.fixture
def context_options() -> dict[str, object]:
    """What a test may override: the size of the window, its colours, whether it is a phone."""
    return {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def context(browser: Browser, context_options: dict[str, object]) -> Iterator[BrowserContext]:
    context = browser.new_context(**context_options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def sights(context: BrowserContext, server: Server) -> Iterator[Sights]:
    """What the browser complains about or asks for; unless it was expected, the test fails."""
    sights = Sights(context, server.url)
    yield sights
    sights.check()


@pytest.fixture
def page(context: BrowserContext, server: Server, sights: Sights) -> Page:
    """The page, freshly opened; what it does wrong on the way fails the test."""
    page = context.new_page()
    page.goto(server.url)
    return page


@pytest.fixture(scope="session")
def portrait(photo: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut under a name that a shell and curl both stumble over."""
    file = tmp_path_factory.mktemp("photos") / """it's a "nice", $HOME; photo.jpg"""
    file.write_bytes(photo)
    return file


@pytest.fixture(scope="session")
def one_face(photo: bytes, predictor: Predictor) -> float:
    """The astronaut's score, as the page rounds it."""
    return round(predictor.predict(photo).faces[0].rating.score, 1)
