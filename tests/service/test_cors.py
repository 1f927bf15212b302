"""Pages of other origins: nothing for them by default, and no more than is set."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from pipeline.errors import SettingsError
from pipeline.settings import load
from service.application import create_app
from service.cors import ANSWER_HEADERS, REQUEST_HEADERS, ROUTES, CorsSettings
from service.settings import Settings
from tests.service.forms import form
from tests.service.stubs import stub_predictor

FRIEND = "https://photos.example"
OTHER = "http://localhost:5173"
STRANGERS = [
    "https://evil.example",
    "http://photos.example",
    "https://photos.example:8443",
    "https://photos.example.evil.example",
    "https://evil-photos.example",
    "https://PHOTOS.example",
    "https://photos.example/",
    "null",
    "*",
    "",
]


def client_with(*origins: str) -> FlaskClient:
    settings = Settings(cors=CorsSettings(origins))
    return create_app(settings, stub_predictor(settings)).test_client()


@pytest.fixture(scope="module")
def friendly() -> FlaskClient:
    return client_with(FRIEND, OTHER)


def allowed(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


def preflight(client: FlaskClient, origin: str, path: str = "/predict") -> TestResponse:
    return client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-request-id",
        },
    )


@pytest.mark.parametrize("path", ["/", "/docs", "/metrics", *ROUTES])
def test_by_default_no_origin_is_allowed(path: str) -> None:
    client = client_with()
    for answer in (client.get(path, headers={"Origin": FRIEND}), preflight(client, FRIEND, path)):
        assert not allowed(answer)
        assert "Origin" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize("origin", [FRIEND, OTHER])
@pytest.mark.parametrize("path", ROUTES)
def test_an_allowed_origin_may_read(friendly: FlaskClient, path: str, origin: str) -> None:
    answer = friendly.get(path, headers={"Origin": origin})
    assert allowed(answer) == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(ANSWER_HEADERS),
    }
    assert "Origin" in answer.headers["Vary"]


def test_pictures_and_problems_are_answers_too(friendly: FlaskClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    for body, status in ((file.getvalue(), 200), (b"no photo", 415)):
        answer = friendly.post(
            "/predict?format=png", **form(body), headers={"Origin": FRIEND, "X-Request-ID": "a"}
        )
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert answer.headers["X-Request-ID"] == "a"
        assert set(answer.headers["Vary"].split(", ")) == {"Origin", "Accept"}


@pytest.mark.parametrize("origin", STRANGERS)
def test_any_other_origin_gets_nothing(friendly: FlaskClient, origin: str) -> None:
    for answer in (
        friendly.get("/models", headers={"Origin": origin}),
        preflight(friendly, origin),
    ):
        assert not allowed(answer)
        assert "Origin" in answer.headers["Vary"]


def test_who_names_no_origin_is_told_that_it_matters(friendly: FlaskClient) -> None:
    answer = friendly.get("/models")
    assert not allowed(answer)
    assert answer.headers["Vary"] == "Origin"


def test_a_preflight_learns_methods_and_headers(friendly: FlaskClient) -> None:
    answer = preflight(friendly, FRIEND)
    assert (answer.status_code, answer.data) == (204, b"")
    found = allowed(answer)
    assert found["Access-Control-Allow-Origin"] == FRIEND
    assert found["Access-Control-Allow-Methods"] == "GET, OPTIONS, POST"
    assert found["Access-Control-Allow-Headers"].split(", ") == list(REQUEST_HEADERS)
    assert {"X-Request-ID", "Authorization", "X-API-Key", "Content-Type"} < set(REQUEST_HEADERS)
    assert found["Access-Control-Max-Age"] == "600"
    reading = allowed(preflight(friendly, FRIEND, "/models"))
    assert reading["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"


def test_options_without_a_question_is_no_preflight(friendly: FlaskClient) -> None:
    answer = friendly.options("/predict", headers={"Origin": FRIEND})
    assert answer.headers["Allow"] == "GET, OPTIONS, POST"
    assert "Access-Control-Allow-Methods" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/metrics", "/favicon.ico", "/none"])
def test_pages_and_figures_are_for_no_other_origin(friendly: FlaskClient, path: str) -> None:
    assert not allowed(friendly.get(path, headers={"Origin": FRIEND}))
    assert not allowed(preflight(friendly, FRIEND, path))


@pytest.mark.parametrize("origin", ["https://anyone.example", "null"])
def test_a_star_is_everyone_alike(origin: str) -> None:
    client = client_with("*")
    answer = client.get("/models", headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in answer.headers
    assert preflight(client, origin).headers["Access-Control-Allow-Origin"] == "*"


def test_cookies_are_never_asked_for(friendly: FlaskClient) -> None:
    for client in (friendly, client_with("*")):
        for answer in (
            client.get("/models", headers={"Origin": FRIEND}),
            preflight(client, FRIEND),
        ):
            assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "photos.example",
        "https://photos.example/",
        "https://photos.example/a",
        "https://PHOTOS.example",
        "https://photos.example:443",
        "http://a.example:80",
        "https://a.example:0",
        "https://*.example",
        "https://user@photos.example",
        "https://",
        "ftp://a.example",
        "null",
    ],
)
def test_a_setting_that_no_browser_could_match_is_refused(tmp_path: Path, origin: str) -> None:
    path = tmp_path / "attrai.ini"
    path.write_text(f"[cors]\norigins = {FRIEND}, {origin}\n")
    with pytest.raises(SettingsError, match=r"\[cors\] origins"):
        load(path, Settings)


def test_origins_are_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "attrai.ini"
    path.write_text(f"[cors]\norigins = {FRIEND}, http://[::1]:8080, http://10.0.0.1\n")
    origins = load(path, Settings).cors.origins
    assert origins == (FRIEND, "http://[::1]:8080", "http://10.0.0.1")
