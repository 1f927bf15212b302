"""Who may ask: nobody needs a key by default, everybody does where there is a file of them."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from pipeline.errors import SettingsError
from service.application import create_app
from service.auth import GUARDED
from service.check import LOCAL_CHECK
from service.cors import CorsSettings
from service.keyfile import AuthSettings, make_key
from service.keys import add_key, revoke_key
from service.logs import log, log_to
from service.openapi import describe_service
from service.settings import Settings
from tests.service.forms import form
from tests.service.stubs import stub_predictor

OPEN = ("/", "/models", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/favicon.ico")
ORIGIN = "https://photos.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.touch()
    return file


@pytest.fixture
def key(path: Path) -> str:
    return add_key(path, "phone")


@pytest.fixture
def guarded(path: Path) -> Callable[..., Flask]:
    def make(rate: int = 0) -> Flask:
        auth = AuthSettings(str(path), rate)
        settings = Settings(auth=auth, cors=CorsSettings((ORIGIN,)))
        return create_app(settings, stub_predictor(settings))

    return make


@pytest.fixture
def client(guarded: Callable[..., Flask]) -> FlaskClient:
    return guarded().test_client()


def small() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


PHOTO = small()


def rate(client: FlaskClient, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/predict", **form(PHOTO), headers=named)


def refused(answer: TestResponse, status: int, kind: str) -> str:
    """The challenge of an answer that is such a problem."""
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    said = json.loads(answer.text)
    assert said["type"] == f"urn:attrai:problem:{kind}"
    assert list(said) == ["type", "title", "status", "detail", "instance", "request_id"]
    return answer.headers.get("WWW-Authenticate", "")


def test_nobody_is_asked_for_a_key_by_default() -> None:
    settings = Settings()
    client = create_app(settings, stub_predictor(settings)).test_client()
    assert rate(client).status_code == 200
    assert rate(client, Authorization="Bearer whatever").status_code == 200


def test_a_key_opens_in_either_header(client: FlaskClient, key: str) -> None:
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key} "},
        {"X_API_Key": key},
        {"Authorization": "Basic YTpi", "X_API_Key": key},
        {"Authorization": f"Bearer {key}", "X_API_Key": key},
    ):
        assert rate(client, **headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": ""}])
def test_no_key_is_a_401_that_says_how_to_bring_one(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert refused(rate(client, **headers), 401, "missing-key") == 'Bearer realm="attrai"'


@pytest.mark.parametrize(
    "offered",
    ["", "x", "a b", "attrai_", "\u00e9", "a,b", "x" * 5000, '"quoted"', "None", "*", "\udce9"],
)
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_what_is_no_key_is_a_401(client: FlaskClient, key: str, header: str, offered: str) -> None:
    # As a server decodes it, be it what it will.
    value = offered.encode("utf-8", "surrogateescape").decode("latin-1")
    name = "HTTP_" + header.upper().replace("-", "_")
    environ = {name: f"Bearer {value}" if header == "Authorization" else value}
    answer = client.post("/predict", **form(PHOTO), environ_base=environ)
    challenge = refused(answer, 401, "invalid-key")
    assert challenge == 'Bearer realm="attrai", error="invalid_token"'


def test_other_keys_are_a_401(client: FlaskClient, key: str, path: Path) -> None:
    for other in (make_key(), key[:-1], key + "A", key.upper(), path.read_text().split()[1]):
        refused(rate(client, X_API_Key=other), 401, "invalid-key")


def test_two_keys_at_once_are_a_400(client: FlaskClient, key: str) -> None:
    answer = rate(client, Authorization=f"Bearer {key}", X_API_Key=make_key())
    challenge = refused(answer, 400, "ambiguous-key")
    assert challenge == 'Bearer realm="attrai", error="invalid_request"'


def test_a_get_takes_a_key_too(client: FlaskClient, key: str) -> None:
    refused(client.get("/predict?url=https://photos.example/a.jpg"), 401, "missing-key")
    answer = client.get("/predict", headers={"X-API-Key": key})
    assert answer.json is not None
    assert answer.json["type"].endswith("missing-photo")


def test_all_routes_but_the_guarded_are_open(client: FlaskClient) -> None:
    for route in OPEN:
        assert client.get(route).status_code == 200, route
    rules = {rule.rule for rule in client.application.url_map.iter_rules()}
    assert rules - {*OPEN, "/static/<asked>/<name>"} == set(GUARDED)
    found = re.search(r'src="(static/[^"]+)"', client.get("/").text)
    assert found is not None
    assert client.get(f"/{found[1]}").status_code == 200


def test_what_is_no_route_or_method_is_told_so_without_a_key(client: FlaskClient) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.put("/predict").status_code == 405
    assert client.head("/predict").status_code == 405


def test_a_preflight_needs_no_key_and_a_refusal_may_be_read(client: FlaskClient) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = client.options("/predict", headers=asked)
    assert preflight.status_code == 204
    allowed = preflight.headers["Access-Control-Allow-Headers"]
    assert {"Authorization", "X-API-Key"} <= set(allowed.split(", "))
    answer = rate(client, Origin=ORIGIN)
    assert refused(answer, 401, "missing-key")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_a_key_is_made_and_revoked_while_it_serves(client: FlaskClient, path: Path) -> None:
    made = add_key(path, "late")
    assert rate(client, X_API_Key=made).status_code == 200
    revoke_key(path, "late")
    refused(rate(client, X_API_Key=made), 401, "invalid-key")


def test_without_its_file_it_lets_nobody_in(client: FlaskClient, path: Path, key: str) -> None:
    assert rate(client, X_API_Key=key).status_code == 200
    text = path.read_text()
    for harm in (path.unlink, lambda: path.write_text("?")):
        harm()
        answer = rate(client, X_API_Key=key)
        refused(answer, 503, "keys-unavailable")
        assert answer.headers["Retry-After"] == "2"
        assert str(path) not in answer.text
    path.write_text(text)
    assert rate(client, X_API_Key=key).status_code == 200


@pytest.mark.parametrize("content", [None, "phone secret-itself\n"])
def test_it_does_not_start_without_a_good_file(path: Path, content: str | None) -> None:
    path.unlink()
    if content:
        path.write_text(content)
    settings = Settings(auth=AuthSettings(str(path)))
    with pytest.raises(SettingsError, match=r"\[auth\] keys_file: cannot read the keys") as failure:
        create_app(settings, stub_predictor(settings))
    assert "secret-itself" not in str(failure.value)


def test_a_file_without_keys_lets_nobody_in(client: FlaskClient) -> None:
    refused(rate(client, X_API_Key=make_key()), 401, "invalid-key")


def test_a_key_is_good_for_its_rate(guarded: Callable[..., Flask], path: Path) -> None:
    keys = {name: add_key(path, name, each) for name, each in (("a", 2), ("b", None), ("c", 0))}
    client = guarded(rate=3).test_client()
    for name, most in (("a", 2), ("b", 3), ("c", 9)):
        answers = [rate(client, X_API_Key=keys[name]) for _ in range(min(most + 1, 9))]
        assert [answer.status_code for answer in answers[:most]] == [200] * most
        if name == "c":
            continue
        assert refused(answers[-1], 429, "rate-exceeded") == ""
        assert f"{most} requests a minute" in answers[-1].text
        assert 60 / most - 10 < int(answers[-1].headers["Retry-After"]) <= 60 / most


def test_the_own_check_needs_no_key_and_no_client_can_pose_as_it(client: FlaskClient) -> None:
    environ = {LOCAL_CHECK: "1"}
    assert client.post("/predict", **form(PHOTO), environ_base=environ).status_code == 200
    for name in (LOCAL_CHECK, LOCAL_CHECK.replace("_", "-"), f"HTTP-{LOCAL_CHECK}"):
        answer = client.post("/predict", **form(PHOTO), headers={name: "1"})
        refused(answer, 401, "missing-key")


def test_the_body_is_read_so_that_its_sender_sees_the_answer(client: FlaskClient) -> None:
    body = io.BytesIO(bytes(3_000_000))
    refused(
        client.post("/predict", input_stream=body, headers={"Content-Length": "3000000"}),
        401,
        "missing-key",
    )
    assert body.read() == b""


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    handlers = log.handlers
    written = io.StringIO()
    yield written
    log.handlers = handlers
    log.setLevel(logging.INFO)


def test_the_name_is_in_the_log_and_the_key_is_not(
    client: FlaskClient, key: str, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to(stream)

    def fail(*_: Any) -> Any:
        raise RuntimeError(key)

    wrong = make_key()
    rate(client, X_API_Key=key)
    rate(client, Authorization=f"Bearer {wrong}")
    rate(client, Authorization=f"Bearer {key}", X_API_Key=wrong)
    monkeypatch.setattr("service.application.figures", fail)
    rate(client, Authorization=f"Bearer {key}")
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    seen = [(line["status"], line.get("key")) for line in lines if line["event"] == "request"]
    assert seen == [(200, "phone"), (401, None), (400, None), (500, "phone")]
    for secret in (key, wrong, key.removeprefix("attrai_")[:12]):
        assert secret not in text


def test_no_value_of_ours_shows_a_key(client: FlaskClient, key: str) -> None:
    seen: list[str] = []

    @client.application.after_request
    def look(response: Any) -> Any:
        from flask import g

        seen.append(repr(vars(g)) if hasattr(g, "__dict__") else repr(list(g)))
        return response

    rate(client, X_API_Key=key)
    assert seen
    assert key not in "".join(seen)


def test_requests_are_counted_by_the_name_of_their_key(
    guarded: Callable[..., Flask], path: Path
) -> None:
    keys = {name: add_key(path, name, 2) for name in ("a", "b")}
    client = guarded().test_client()
    for _ in range(3):
        rate(client, X_API_Key=keys["a"])
    client.post("/predict", headers={"X-API-Key": keys["b"]})
    rate(client, X_API_Key=make_key())
    rate(client)
    lines = [
        line for line in client.get("/metrics").text.splitlines() if "attrai_key_requests_t" in line
    ]
    assert lines == [
        "# HELP attrai_key_requests_total Requests that brought an API key, by its name and the "
        "answer's status.",
        "# TYPE attrai_key_requests_total counter",
        'attrai_key_requests_total{key="a",status="200"} 2.0',
        'attrai_key_requests_total{key="a",status="429"} 1.0',
        'attrai_key_requests_total{key="b",status="400"} 1.0',
    ]


def test_the_contract_tells_of_keys_where_they_are_asked_for(path: Path) -> None:
    document = describe_service(Settings(auth=AuthSettings(str(path))), ["resnet34-2"])
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "bearer": "http",
        "header": "apiKey",
    }
    for route, item in document["paths"].items():
        for operation in (item[method] for method in ("get", "post") if method in item):
            guarded = route in GUARDED
            assert ("401" in operation["responses"]) == guarded
            assert operation.get("security") == (
                [{"bearer": []}, {"header": []}] if guarded else None
            )
    for operation in describe_service(Settings(), ["resnet34-2"])["paths"]["/predict"].values():
        assert "security" not in operation
    assert "securitySchemes" not in describe_service(Settings(), [])["components"]


def test_answers_are_those_of_the_contract(
    guarded: Callable[..., Flask], path: Path, client: FlaskClient
) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    limited = add_key(path, "limited", 1)
    contract = schemathesis.openapi.from_wsgi("/openapi.json", guarded())
    contract.validate()
    operation = contract["/predict"]["POST"]
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        ({"X-API-Key": "wrong"}, 401),
        ({"X-API-Key": "one", "Authorization": "Bearer two"}, 400),
        ({"X-API-Key": limited}, 200),
        ({"X-API-Key": limited}, 429),
    ]
    for headers, status in asked:
        case = operation.Case(headers=headers, body=PHOTO, media_type="image/png")
        answer = case.call()
        assert answer.status_code == status
        case.validate_response(answer)


def test_the_page_of_the_contract_brings_a_key_in_its_commands(client: FlaskClient) -> None:
    page = client.get("/docs").text
    assert page.count("It takes an API key") == 2
    commands = re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.S)
    with_key = [text for text in commands if "$ATTRAI_KEY" in text]
    assert with_key == [text for text in commands if "/predict" in text]
    settings = Settings()
    plain = create_app(settings, stub_predictor(settings)).test_client().get("/docs").text
    assert "ATTRAI_KEY" not in plain
    assert "API key, as" not in plain
