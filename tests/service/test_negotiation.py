"""What Accept chooses (RFC 9110, 12.5.1), what HEAD and OPTIONS get, and what may be kept."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from service import requests
from service.application import create_app
from service.settings import Settings
from tests.service.forms import form
from tests.service.stubs import stub_predictor

JSON, PNG, JPEG, WEBP = "application/json", "image/png", "image/jpeg", "image/webp"
READ = ("/", "/docs", "/favicon.ico", "/openapi.json", "/models", "/healthz", "/readyz", "/metrics")


@pytest.fixture(scope="module")
def quick() -> Flask:
    return create_app(Settings(), stub_predictor(Settings()))


@pytest.fixture(scope="module")
def image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("*/*;q=0.1", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ('application/json;charset="UTF-8";q=0.9, image/png;q=0.8', JSON),
        ("application/json;version=2", None),
        ("application/*", JSON),
        ("application/problem+json, application/json", JSON),
        ("application/json, text/plain, */*", JSON),
        ("image/png", PNG),
        ("Image/PNG", PNG),
        ("image/*", PNG),
        ("image/jpeg", JPEG),
        ("image/webp", WEBP),
        # The higher q wins, wherever it stands.
        ("image/jpeg;q=0.5, image/webp;q=0.9", WEBP),
        ("image/webp;q=0.9, image/jpeg;q=0.5", WEBP),
        ("image/jpeg;q=0.501, image/webp;q=0.5", JPEG),
        ("application/json;q=0.2, image/png;q=0.3", PNG),
        ("image/jpeg ; q=0.5 , image/png ; q=0.4", JPEG),
        # The most precise range that matches says a type's q, however low.
        ("*/*, application/json;q=0.5", PNG),
        ("image/*, image/png;q=0.5", JPEG),
        ("image/*;q=0.9, image/png;q=0.1, image/jpeg;q=0.1, */*;q=0.5", WEBP),
        ("*/*;q=0.5, image/*;q=0.4", JSON),
        # q=0 is a no.
        ("application/json;q=0, */*", PNG),
        ("image/png;q=0, image/*", JPEG),
        ("image/png;q=0, image/jpeg;q=0, image/*", WEBP),
        ("image/*;q=0, */*", JSON),
        ("image/*;q=0, */*;q=0.1", JSON),
        ("*/*;q=0, image/webp", WEBP),
        ("application/json;q=0.000, image/webp;q=0.001", WEBP),
        # Of equals, the one asked for by name; of those, the order of the option `format`.
        ("*/*, image/webp", WEBP),
        ("image/*, image/jpeg", JPEG),
        ("image/webp, image/jpeg, image/png", PNG),
        ("image/png, application/json", JSON),
        # What browsers send: a page, an <img>.
        ("text/html,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", WEBP),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", WEBP),
        ("image/avif,image/*;q=0.8,*/*;q=0.5", PNG),
        # A q that is none takes its range out; what is no range matches nothing.
        ("image/png;q=2, image/jpeg", JPEG),
        ("image/png;q=x, image/jpeg;q=0.1", JPEG),
        ("*, image/jpeg", JPEG),
        ("*/png, image/jpeg", JPEG),
        # Nothing that there is.
        ("text/html", None),
        ("image/gif, image/avif", None),
        ("application/xml, text/*", None),
        ("*/*;q=0", None),
        ("application/json;q=0", None),
        ("image/*;q=0, application/*;q=0.0", None),
        ("*/json", None),
        ("application/problem+json", None),
    ],
)  # fmt: skip
def test_accept_chooses_the_format(
    quick: Flask, image: bytes, accept: str | None, chosen: str | None
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = quick.test_client().post("/predict", **form(image), headers=headers)
    assert "Accept" in answer.headers["Vary"]
    if chosen is not None:
        assert (answer.status_code, answer.mimetype) == (200, chosen)
        return
    assert (answer.status_code, answer.mimetype) == (406, "application/problem+json")
    assert all(offered in str(answer.json) for offered in (JSON, PNG, JPEG, WEBP))


@pytest.mark.parametrize("accept", ["*/*", "image/png", "application/json", "text/html", "*/*;q=0"])
@pytest.mark.parametrize("path", ["/predict", "/none", "/static/x/none.js"])
def test_an_error_is_a_problem_whatever_is_accepted(quick: Flask, path: str, accept: str) -> None:
    answer = quick.test_client().get(path, headers={"Accept": accept})
    assert answer.status_code in (400, 404, 406)
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_its_body(client: FlaskClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    moving = {"Content-Length"} if path == "/metrics" else set()  # it counts these very requests
    for name in {"Content-Length", "Content-Type", "Cache-Control", "ETag", "Vary"} - moving:
        assert head.headers.get(name) == get.headers.get(name)


def test_head_never_downloads_a_photo(quick: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> bytes:
        raise AssertionError("something was downloaded")

    monkeypatch.setattr(requests, "fetch", refuse)
    answer = quick.test_client().head("/predict?url=https://example.com/photo.jpg")
    assert (answer.status_code, answer.data) == (405, b"")
    assert answer.headers["Allow"] == "GET, OPTIONS, POST"
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("path", [*READ, "/static/x/main.js"])
def test_options_tells_the_methods(quick: Flask, path: str) -> None:
    answer = quick.test_client().options(path)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert "Content-Type" not in answer.headers
    assert answer.headers["X-Request-ID"]


def test_options_tells_the_methods_of_predict(quick: Flask) -> None:
    answer = quick.test_client().options("/predict?url=https://example.com/photo.jpg")
    assert answer.status_code == 204
    assert answer.headers["Allow"] == "GET, OPTIONS, POST"


def test_options_of_nothing_is_a_404(quick: Flask) -> None:
    assert quick.test_client().options("/none").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/predict", "/models", "/openapi.json", "/docs"])
def test_any_other_method_is_told_which_there_are(quick: Flask, path: str, method: str) -> None:
    answer = quick.test_client().open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    expected = "GET, OPTIONS, POST" if path == "/predict" else "GET, HEAD, OPTIONS"
    assert answer.headers["Allow"] == expected


@pytest.mark.parametrize(
    "path", ["/static//x/main.js", "/static/x//main.js", "/models/", "/predict//"]
)
def test_a_path_is_taken_as_it_is(quick: Flask, path: str) -> None:
    answer = quick.test_client().get("/", environ_overrides={"PATH_INFO": path})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert "Location" not in answer.headers


@pytest.mark.parametrize("sent", [{}, {"format": "png"}, {"max_faces": "0"}, {"model": "none"}])
def test_nothing_about_a_photo_may_be_kept(
    quick: Flask, image: bytes, sent: dict[str, str]
) -> None:
    for body in (image, b"no photo"):
        answer = quick.test_client().post("/predict", **form(body, **sent))
        assert answer.headers["Cache-Control"] == "no-store"
        assert not {"ETag", "Last-Modified", "Expires"} & set(answer.headers.keys())


@pytest.mark.parametrize("path", [*READ[3:], "/docs", "/none", "/predict"])
def test_only_the_page_may_be_kept(quick: Flask, path: str) -> None:
    answer = quick.test_client().get(path, headers={"If-None-Match": "*"})
    assert answer.status_code != 304
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
