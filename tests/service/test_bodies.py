"""What a request brings: bodies of every kind, broken, too large, and of many parts."""

from __future__ import annotations

import base64
import io
import tracemalloc
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.service.answers import problem
from tests.service.forms import form, parts

pytestmark = pytest.mark.usefixtures("goes_on")

TEXT_PART = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'


def test_no_body(client: FlaskClient) -> None:
    problem(client.post("/predict"), 400, "body is empty")
    problem(client.post("/predict", content_type="image/png"), 400, "body is empty")
    problem(client.get("/predict"), 400, "?url=")


def test_an_upload_over_the_limit_is_refused_by_its_length(client: FlaskClient) -> None:
    problem(client.post("/predict", **form(bytes(50_000_000))), 413, "16777216")


def test_a_raw_body_just_over_the_limit(client: FlaskClient) -> None:
    data = b"\xff\xd8\xff" + bytes(16 * 1024 * 1024)
    problem(client.post("/predict", data=data, content_type="image/jpeg"), 413, "16777216")


@pytest.mark.parametrize(
    "fields", [[], [("photo", "a.jpg", b"x")], [("other", None, "text")], [("image", "a.jpg", b"")]]
)
def test_a_form_without_a_photo(client: FlaskClient, fields: list[Any]) -> None:
    problem(client.post("/predict", **parts(*fields)), 400)


def test_a_field_that_is_text_gets_a_hint(client: FlaskClient) -> None:
    problem(client.post("/predict", **parts(("image", None, "photo.jpg"))), 400, "-F image=@FILE")


def test_a_file_beside_the_photo(client: FlaskClient, photo: bytes) -> None:
    fields = parts(("image", "a.jpg", photo), ("mask", "b.jpg", photo))
    problem(client.post("/predict", **fields), 400, "other files than the one in 'image'")


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


@pytest.mark.parametrize(
    ("path", "method", "kind", "begin", "status"),
    [
        ("/predict", "POST", "multipart/form-data; boundary=b", TEXT_PART, 400),
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
