"""The contract against the service, both ways: each route is described, each answer as it says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from PIL import Image
from werkzeug.test import TestResponse

from pipeline.settings import ROOT, PhotoSettings
from service import requests
from service.application import create_app
from service.errors import FetchFailed, FetchTimedOut, UrlRefused
from service.kinds import NGINX, problem_kinds
from service.openapi import describe_service
from service.options import NAMES
from service.problems import STATUS, URN, kind_of
from service.settings import Settings
from service.version import read_version
from tests.service.forms import as_json, form, parts
from tests.service.stubs import CROWDED, stub_predictor

PAGES = {"/", "/favicon.ico", "/static/<asked>/<name>", "/docs"}
"""Pages for people and their files: no part of the contract."""
IMPLIED = {"HEAD", "OPTIONS"}
"""Answered wherever OpenAPI need not say so; tests/service/test_negotiation.py has them."""

DOCUMENT = describe_service(Settings(), ["resnet34-2"])


@pytest.fixture(scope="module")
def quick() -> Flask:
    return create_app(Settings(), stub_predictor(Settings()))


def closed(schema: Any) -> Any:
    """The schema without room for members that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tighter = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        tighter.setdefault("additionalProperties", False)
    return tighter


def validator(schema: Any) -> Draft202012Validator:
    components = {"schemas": closed(DOCUMENT["components"]["schemas"])}
    return Draft202012Validator({**closed(schema), "components": components})


def resolved(value: dict[str, Any]) -> Any:
    found: Any = value
    if "$ref" in value:
        found = DOCUMENT
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return found


def hold_to_contract(answer: TestResponse, path: str, method: str) -> None:
    """Fail unless the contract lists this answer: its status, media type, headers and body."""
    listed = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in listed, answer.text
    described = resolved(listed[str(answer.status_code)])
    kind = answer.mimetype or "none"
    assert kind in described["content"]
    schema = described["content"][kind]["schema"]
    body = json.loads(answer.text) if kind.endswith("json") else None
    if body is not None and path != "/openapi.json":
        validator(schema).validate(body)
    for name, reference in described["headers"].items():
        header = resolved(reference)
        value = answer.headers.get(name)
        if value is None:
            assert not header.get("required"), name
        elif "content" in header:
            validator(header["content"]["application/json"]["schema"]).validate(json.loads(value))
        else:
            typed = int(value) if header["schema"].get("type") == "integer" else value
            validator(header["schema"]).validate(typed)


def test_the_document_is_openapi_3_1(quick: Flask) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    schemathesis.openapi.from_wsgi("/openapi.json", quick).validate()
    assert DOCUMENT["openapi"] == "3.1.0"
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    named = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(DOCUMENT)))
    there = {f"{kind}/{name}" for kind, names in DOCUMENT["components"].items() for name in names}
    assert named <= there
    # 404 and 405 of what is no route, what nginx says of no route in particular, and 401 of a
    # server that asks for keys (test_auth.py).
    spare = {f"responses/{status}" for status in (401, 405, 501, 505)}
    assert there - named == spare


def test_every_route_is_described_and_nothing_else(quick: Flask) -> None:
    routes = {
        (rule.rule, method)
        for rule in quick.url_map.iter_rules()
        if rule.rule not in PAGES
        for method in (rule.methods or set()) - IMPLIED
    }
    described = {
        (path, method.upper())
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert described == routes
    assert {rule.rule for rule in quick.url_map.iter_rules()} >= PAGES


def test_operations_have_names_of_their_own() -> None:
    items = [item for path in DOCUMENT["paths"].values() for item in path.values()]
    names = [item["operationId"] for item in items if isinstance(item, dict)]
    assert len(set(names)) == len(names) == 7


def test_the_options_are_those_that_are_read() -> None:
    parameters = set(DOCUMENT["components"]["parameters"]) - {"RequestId"}
    schemas = DOCUMENT["components"]["schemas"]
    assert parameters == set(NAMES)
    for body in ("PhotoForm", "PhotoJson"):
        assert set(schemas[body]["properties"]) == {"image", *NAMES}


def test_every_error_is_listed_with_its_status() -> None:
    kinds = problem_kinds()
    for error, status in STATUS.items():
        assert kind_of(error) in kinds[status.value]
    for item in DOCUMENT["paths"].values():
        for operation in (item[method] for method in ("get", "post") if method in item):
            assert {"400", "429", "500", "502", "503", "504"} < set(operation["responses"])
    for response in DOCUMENT["components"]["responses"].values():
        assert set(response["content"]) == {"application/problem+json"}


def test_nginx_says_what_the_document_says_of_it() -> None:
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    said = re.findall(r'"type": "' + URN + r'([a-z-]+)", "title": "[^"]+", "status": (\d+)', text)
    found: dict[int, set[str]] = {}
    for kind, status in said:
        found.setdefault(int(status), set()).add(kind)
    # What it does not write itself is the service's own.
    for status in (404, 405, 500):
        assert found.pop(status) <= set(problem_kinds()[status])
    assert found == {status: set(kinds) for status, kinds in NGINX.items()}


def test_the_limits_are_this_servers() -> None:
    limits = PhotoSettings(max_bytes=12_345, max_pixels=67_890, min_side=21)
    document = describe_service(Settings(photo=limits), ["a", "b"])
    text = document["paths"]["/predict"]["post"]["description"]
    assert all(figure in text for figure in ("12,345 bytes", "67,890 pixels", "at least 21"))
    schemas = document["components"]["schemas"]
    assert "12,345" in schemas["PhotoForm"]["properties"]["image"]["description"]
    assert schemas["Size"]["properties"]["width"]["minimum"] == 21
    assert schemas["PhotoJson"]["properties"]["model"]["enum"] == ["a", "b"]
    assert document["components"]["parameters"]["model"]["schema"]["enum"] == ["a", "b"]


def test_the_document_is_served_as_it_is(quick: Flask) -> None:
    answer = quick.test_client().get("/openapi.json")
    assert answer.mimetype == "application/json"
    assert answer.json == DOCUMENT
    assert answer.json["info"]["version"] == read_version()


def image(format_: str, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, format_)
    return file.getvalue()


GOOD = image("PNG", (64, 48))
POSTS: dict[str, tuple[int, dict[str, Any]]] = {
    "a form": (200, form(GOOD)),
    "a form with options": (200, form(GOOD, max_faces="1", min_confidence="0.5", format="json")),
    "a raw JPEG": (200, {"data": image("JPEG", (64, 48)), "content_type": "image/jpeg"}),
    "a raw WebP": (200, {"data": image("WEBP", (40, 40)), "content_type": "image/webp"}),
    "octets": (200, {"data": GOOD, "content_type": "application/octet-stream"}),
    "octets of no type": (200, {"data": GOOD}),
    "JSON": (200, as_json(GOOD, model="resnet34-2", max_faces=2, min_confidence=0.25)),
    "JSON, a whole number as a float": (200, as_json(GOOD, max_faces=2.0)),
    "no face": (200, form(image("PNG", (20, 20)))),
    "a picture": (200, form(GOOD, format="png")),
    "a JPEG picture": (200, form(GOOD, format="jpeg")),
    "a WebP picture": (200, {**form(GOOD), "headers": {"Accept": "image/webp"}}),
    "a picture of a crowd": (200, form(image("PNG", (CROWDED, 40)), format="webp")),
    "a name for the request": (200, {**form(GOOD), "headers": {"X-Request-ID": "Trace-1"}}),
    "a bad name for it": (200, {**form(GOOD), "headers": {"X-Request-ID": "a b"}}),
    "nothing": (400, {}),
    "an empty form": (400, parts()),
    "a form without a boundary": (400, {"data": b"x", "content_type": "multipart/form-data"}),
    "a text field": (400, parts(("image", None, "text"))),
    "two photos": (400, parts(("image", "a", GOOD), ("image", "b", GOOD))),
    "an empty file": (400, form(b"")),
    "no JSON": (400, {"data": b"{", "content_type": "application/json"}),
    "JSON that is no object": (400, {"json": [1]}),
    "JSON without a photo": (400, {"json": {"format": "png"}}),
    "no base64": (400, {"json": {"image": "!"}}),
    "max_faces of none": (400, as_json(GOOD, max_faces=0)),
    "max_faces in halves": (400, as_json(GOOD, max_faces=1.5)),
    "an unknown option": (400, as_json(GOOD, colour="red")),
    "an unknown format": (400, form(GOOD, format="gif")),
    "an url": (400, form(GOOD, url="https://example.com/")),
    "an unknown model": (404, form(GOOD, model="none")),
    "nothing acceptable": (406, {**form(GOOD), "headers": {"Accept": "text/html"}}),
    "a body that is too large": (413, {"data": bytes(23_000_000), "content_type": "image/png"}),
    "a photo that is too large": (413, {"data": bytes(16_777_217), "content_type": "image/png"}),
    "more parts than a form may have": (413, parts(*[("a", None, "b")] * 1001)),
    "text": (415, {"data": b"hello", "content_type": "text/plain"}),
    "text that is said to be a photo": (415, {"data": b"hello", "content_type": "image/png"}),
    "half a photo": (422, {"data": GOOD[:60], "content_type": "image/png"}),
    "a small photo": (422, form(image("PNG", (8, 8)))),
}


@pytest.mark.parametrize(("status", "sent"), POSTS.values(), ids=POSTS)
def test_a_post_is_answered_as_the_contract_says(
    quick: Flask, status: int, sent: dict[str, Any]
) -> None:
    answer = quick.test_client().post("/predict", **sent)
    assert answer.status_code == status, answer.text
    hold_to_contract(answer, "/predict", "POST")


@pytest.mark.parametrize(
    ("status", "outcome", "query"),
    [
        (200, GOOD, {"url": "https://example.com/a.png"}),
        (200, GOOD, {"url": "https://example.com/a.png", "format": "webp"}),
        (400, GOOD, {}),
        (400, GOOD, {"url": ""}),
        (400, GOOD, {"url": "https://example.com/a.png", "max_faces": "all"}),
        (400, UrlRefused("no"), {"url": "https://example.com/a.png"}),
        (404, GOOD, {"url": "https://example.com/a.png", "model": "none"}),
        (415, b"<html>", {"url": "https://example.com/a.png"}),
        (422, GOOD[:50], {"url": "https://example.com/a.png"}),
        (502, FetchFailed("no"), {"url": "https://example.com/a.png"}),
        (504, FetchTimedOut("no"), {"url": "https://example.com/a.png"}),
        (500, ZeroDivisionError(), {"url": "https://example.com/a.png"}),
    ],
)
def test_a_photo_at_an_url_is_answered_as_the_contract_says(
    quick: Flask,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    outcome: bytes | Exception,
    query: dict[str, str],
) -> None:
    def fetch(*_: Any) -> bytes:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(requests, "fetch", fetch)
    answer = quick.test_client().get("/predict", query_string=query)
    assert answer.status_code == status
    hold_to_contract(answer, "/predict", "GET")


@pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if path != "/predict"])
@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/openmetrics-text"])
def test_what_is_only_read_is_answered_as_the_contract_says(
    client: FlaskClient, path: str, accept: str
) -> None:
    answer = client.get(path, headers={"Accept": accept})
    assert answer.status_code == 200
    hold_to_contract(answer, path, "GET")


def test_a_worker_that_is_not_ready_says_when_to_ask_again() -> None:
    predictor = stub_predictor(Settings())
    predictor.ready = False
    answer = create_app(Settings(), predictor).test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    hold_to_contract(answer, "/readyz", "GET")


@pytest.mark.parametrize("format_", ["json", "png"])
def test_the_real_models_answer_as_the_contract_says(
    client: FlaskClient, encoded: Callable[[str], bytes], format_: str
) -> None:
    answer = client.post("/predict", **form(encoded("WEBP"), format=format_))
    assert answer.status_code == 200
    hold_to_contract(answer, "/predict", "POST")
