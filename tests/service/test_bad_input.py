"""What bad input gets: the right status, a detail that helps, and a worker that goes on."""

from __future__ import annotations

import base64
import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

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
from tests.conftest import SCORER
from tests.service.forms import as_json, form, parts

TEXT_PART = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'


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


@pytest.fixture(autouse=True)
def _goes_on(client: FlaskClient, photo: bytes) -> Iterator[None]:
    """After each piece of bad input, the next photo is rated."""
    yield
    answer = client.post("/predict", data=photo, content_type="image/jpeg")
    assert len(json.loads(answer.text)["faces"]) == 1


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


def test_no_body(client: FlaskClient) -> None:
    problem(client.post("/predict"), 400, "body is empty")
    problem(client.post("/predict", content_type="image/png"), 400, "body is empty")
    problem(client.get("/predict"), 400, "?url=")


def test_an_upload_over_the_limit_is_refused_by_its_length(client: FlaskClient) -> None:
    problem(client.post("/predict", **form(bytes(50_000_000))), 413, "16777216")


def test_a_raw_body_just_over_the_limit(client: FlaskClient) -> None:
    data = image_of("JPEG") + bytes(16 * 1024 * 1024)
    problem(client.post("/predict", data=data, content_type="image/jpeg"), 413, "16777216")


@pytest.mark.parametrize(
    "fields", [[], [("photo", "a.jpg", b"x")], [("other", None, "text")], [("image", "a.jpg", b"")]]
)
def test_a_form_without_a_photo(client: FlaskClient, fields: list[Any]) -> None:
    problem(client.post("/predict", **parts(*fields)), 400)


def test_a_field_that_is_text_gets_a_hint(client: FlaskClient) -> None:
    problem(client.post("/predict", **parts(("image", None, "photo.jpg"))), 400, "-F image=@FILE")


def test_two_photos_at_once(client: FlaskClient, photo: bytes) -> None:
    two = parts(("image", "a.jpg", photo), ("image", "b.jpg", photo))
    problem(client.post("/predict", **two), 400, "one photo")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "video/mp4"])
def test_a_body_of_another_type(client: FlaskClient, photo: bytes, kind: str) -> None:
    problem(client.post("/predict", data=photo, content_type=kind), 415, kind, "multipart")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"image": null}',
        b'{"image": 5}',
        b'{"image": ""}',
        b'{"image": "no base64!"}',
        b'{"image": "abc"}',
        '{"image": "ÄÖÜ"}'.encode(),
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_bad_json(client: FlaskClient, body: bytes) -> None:
    problem(client.post("/predict", data=body, content_type="application/json"), 400)


def test_invalid_base64_is_named(client: FlaskClient) -> None:
    problem(client.post("/predict", json={"image": "@@@@"}), 400, "base64")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("format=gif", "format"),
        ("format=", "format"),
        ("format=JSON", "format"),
        ("max_faces=-1", "max_faces"),
        ("max_faces=0", "max_faces"),
        ("max_faces=1.5", "max_faces"),
        ("max_faces=many", "max_faces"),
        ("max_faces=", "max_faces"),
        ("max_faces=99999999999", "max_faces"),
        ("max_faces=%D9%A3", "max_faces"),
        ("min_confidence=2", "min_confidence"),
        ("min_confidence=-0.1", "min_confidence"),
        ("min_confidence=nan", "min_confidence"),
        ("min_confidence=high", "min_confidence"),
        ("min_confidence=", "min_confidence"),
        ("min_confidence=0_1", "min_confidence"),
        ("min_confidence=%200.5", "min_confidence"),
        ("min_confidence=%D9%A0.%D9%A5", "min_confidence"),
        ("min_confidence=1e999", "min_confidence"),
        ("model=", "model"),
        ("fromat=png", "fromat"),
        ("url=https://example.com/b.jpg", "url"),
        ("format=png&format=json", "format"),
    ],
)
def test_bad_options_are_named(client: FlaskClient, photo: bytes, query: str, word: str) -> None:
    answer = client.post(f"/predict?{query}", data=photo, content_type="image/jpeg")
    problem(answer, 400, word)
    problem(client.get(f"/predict?url=https://example.com/a.jpg&{query}"), 400, word)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_of_other_bytes_than_utf_8(client: FlaskClient, method: str) -> None:
    for query in ("\xff", "model=\xff", "url=http://example.com/\xe9"):
        raw = {"QUERY_STRING": query}
        problem(client.open("/predict", method=method, environ_overrides=raw), 400, "UTF-8", "%XX")


@pytest.mark.parametrize("value", [True, None, [1], {"a": 1}, 1.5, "x", -3])
def test_bad_options_in_json(client: FlaskClient, photo: bytes, value: Any) -> None:
    for option in ("max_faces", "format"):
        problem(client.post("/predict", **as_json(photo, **{option: value})), 400, option)


@pytest.mark.parametrize("value", [True, None, [0.5], "x", 10**400, -(10**400)])
def test_a_confidence_in_json_that_cannot_be(client: FlaskClient, photo: bytes, value: Any) -> None:
    answer = client.post("/predict", **as_json(photo, min_confidence=value))
    problem(answer, 400, "min_confidence")


@pytest.mark.parametrize(
    "fields",
    [{"\x80" * 50_000: 1}, {"model": "m" * 50_000}, {"format": ["f"] * 50_000}],
    ids=["name", "model", "list"],
)
def test_what_was_wrong_is_not_sent_back_in_full(
    client: FlaskClient, photo: bytes, fields: dict[str, Any]
) -> None:
    answer = client.post("/predict", **as_json(photo, **fields))
    problem(answer, 400)
    assert len(answer.data) < 1000


def test_a_member_of_json_that_comes_twice_is_named(client: FlaskClient) -> None:
    for name in ("image", "max_faces"):
        body = f'{{"image": "AAAA", "max_faces": 1, "{name}": 2}}'
        answer = client.post("/predict", data=body, content_type="application/json")
        problem(answer, 400, name, "more than once")


@pytest.mark.parametrize("kind", ["white space", "values", "objects"])
def test_json_of_many_parts_takes_little_memory(client: FlaskClient, kind: str) -> None:
    body = {
        "white space": '{"image": "' + "@a " * 1_000_000 + '"}',
        "values": '{"image": "AAAA", "a": [' + "[]," * 1_000_000 + "1]}",
        "objects": '{"image": "AAAA", "a": [' + "{}," * 1_000_000 + "1]}",
    }[kind].encode()
    tracemalloc.start()
    try:
        answer = client.post("/predict", data=body, content_type="application/json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    problem(answer, 400)
    assert peak < 8 * len(body)


def test_white_space_in_base64_is_skipped(client: FlaskClient, photo: bytes) -> None:
    lines = base64.encodebytes(photo).decode().replace("\n", " \r\n\t")
    answer = client.post("/predict", json={"image": lines})
    assert answer.status_code == 200


def test_an_option_given_in_two_places(client: FlaskClient, photo: bytes) -> None:
    answer = client.post("/predict?format=json", **form(photo, format="png"))
    problem(answer, 400, "more than once")


def test_an_unknown_model_lists_those_there_are(client: FlaskClient, photo: bytes) -> None:
    answer = client.post("/predict?model=vgg", data=photo, content_type="image/jpeg")
    problem(answer, 404, "'vgg'", SCORER)


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "image/avif, text/*"])
def test_an_accept_header_that_nothing_fits(client: FlaskClient, photo: bytes, accept: str) -> None:
    answer = client.post(
        "/predict", data=photo, content_type="image/jpeg", headers={"Accept": accept}
    )
    problem(answer, 406, "image/webp")


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


@pytest.mark.parametrize(
    ("path", "method", "kind", "begin", "status"),
    [
        ("/predict", "POST", "multipart/form-data; boundary=b", TEXT_PART, 413),
        ("/predict", "POST", "multipart/form-data; boundary=b", b"--b\r\n", 400),
        ("/predict", "POST", "multipart/form-data", TEXT_PART, 400),
        ("/predict", "POST", "text/plain", b"", 415),
        ("/predict", "GET", "image/jpeg", b"", 400),
        ("/predict", "DELETE", "image/jpeg", b"", 405),
        ("/nowhere", "POST", "image/jpeg", b"", 404),
        ("/healthz", "POST", "image/jpeg", b"", 405),
        ("/healthz", "GET", "image/jpeg", b"", 200),
    ],
)
@pytest.mark.parametrize("size", [3_000_000, 30_000_000])
def test_a_body_is_read_to_its_end(
    client: FlaskClient, path: str, method: str, kind: str, begin: bytes, status: int, size: int
) -> None:
    """Or the kernel, and nginx in its wake, would not let its sender see the answer."""
    body = io.BytesIO(begin + b"\r" * size)
    length = str(len(body.getbuffer()))
    answer = client.open(
        path,
        method=method,
        input_stream=body,
        content_type=kind,
        headers={"Content-Length": length},
    )
    assert answer.status_code in (status, 413)
    assert body.read() == b""


def test_a_body_that_breaks_off_has_its_answer(client: FlaskClient) -> None:
    body = io.BytesIO(b"\xff\xd8")
    headers = {"Content-Length": "3000000"}
    answer = client.post("/nowhere", input_stream=body, headers=headers)
    problem(answer, 404)
