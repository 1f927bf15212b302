"""What bad input gets: the right status, a detail that helps, and a worker that goes on."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

import pipeline.errors
import service.errors
from pipeline.errors import AttraiError
from pipeline.predictor import Predictor
from service import requests
from service.application import create_app
from service.errors import FetchFailed, FetchTimedOut, UrlRefused
from service.fetch import FetchSettings
from service.problems import STATUS
from service.settings import Settings
from tests.service.answers import problem
from tests.service.forms import as_json, form

pytestmark = pytest.mark.usefixtures("goes_on")


def image_of(format_: str, size: tuple[int, int] = (40, 40), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "olive").save(file, format_, **options)
    return file.getvalue()


def vast_png() -> bytes:
    """30,000 x 30,000 pixels of one bit in about 100 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_000 * (30_000 // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )


def animated_webp() -> bytes:
    frames = [Image.new("RGB", (60, 60), colour) for colour in ("red", "green", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    return file.getvalue()


BAD_PHOTOS = {
    "empty": (b"", 400, "empty"),
    "text": (b"this is no photo, whatever its name says\n" * 20, 415, "JPEG, PNG or WebP"),
    "gif": (image_of("GIF"), 415, "JPEG, PNG or WebP"),
    "truncated jpeg": (image_of("JPEG", (400, 400))[:-900], 422, "cannot be decoded"),
    "header only": (image_of("JPEG")[:30], 422, "header"),
    "1x1": (image_of("PNG", (1, 1)), 422, "1 x 1"),
    "vast": (vast_png(), 413, "too many pixels"),
    "animated": (animated_webp(), 415, "animated"),
}


@pytest.mark.parametrize("name", BAD_PHOTOS)
def test_bad_photos(client: FlaskClient, name: str) -> None:
    data, status, word = BAD_PHOTOS[name]
    answers = [
        client.post("/predict", **form(data)),
        client.post("/predict", data=data, content_type="image/jpeg"),
        client.post("/predict?format=png", **as_json(data)),
    ]
    for answer in answers:
        problem(answer, status)
    problem(answers[0], status, word)


def test_the_vast_png_is_small() -> None:
    assert len(vast_png()) < 150_000


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg",
        "http://localhost/a.jpg",
        "http://[::1]/a.jpg",
        "http://10.0.0.1/a.jpg",
        "http://192.168.1.1/a.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "ftp://example.com/a.jpg",
        "http://user:secret@example.com/a.jpg",
        "not a url",
    ],
)
def test_urls_that_are_refused(client: FlaskClient, url: str) -> None:
    problem(client.get("/predict", query_string={"url": url}), 400)


@pytest.mark.parametrize(
    ("error", "status"),
    [(UrlRefused("no"), 400), (FetchFailed("no"), 502), (FetchTimedOut("no"), 504)],
)
def test_what_a_failed_download_gets(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: AttraiError, status: int
) -> None:
    def fail(*_: Any) -> bytes:
        raise error

    monkeypatch.setattr(requests, "fetch", fail)
    problem(client.get("/predict?url=https://example.com/a.jpg"), status)


def test_downloads_can_be_switched_off(predictor: Predictor) -> None:
    closed = create_app(Settings(fetch=FetchSettings(enabled=False)), predictor).test_client()
    problem(closed.get("/predict?url=https://example.com/a.jpg"), 400, "switched off")


def test_routes_and_methods(client: FlaskClient) -> None:
    problem(client.get("/nowhere"), 404, "/predict")
    answer = client.put("/predict")
    problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_a_worker_that_is_not_warm_says_so(predictor: Predictor) -> None:
    cold = Predictor(predictor.models, predictor.detector, {}, Settings())
    problem(create_app(Settings(), cold).test_client().get("/readyz"), 503)


def test_a_fault_of_ours_is_a_500_without_a_word_of_it(
    app: Flask, photo: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("service.application.figures", fail)
    answer = app.test_client().post("/predict", data=photo, content_type="image/jpeg")
    monkeypatch.undo()
    document = problem(answer, 500, "request_id")
    assert "secret" not in answer.text
    assert document["request_id"] in caplog.text
    assert "the secret is 42" in caplog.text


def test_every_error_that_a_request_can_end_in_has_a_status() -> None:
    startup = {
        pipeline.errors.SettingsError,
        pipeline.errors.ModelError,
        service.errors.KeyFileError,
    }
    groups = {
        pipeline.errors.AttraiError,
        pipeline.errors.PhotoError,
        service.errors.RequestError,
        service.errors.FetchError,
        service.errors.AuthError,
    }
    tree = {
        value
        for module in (pipeline.errors, service.errors)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, AttraiError)
    }
    assert tree - startup - groups == set(STATUS)
