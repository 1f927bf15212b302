"""The page at /docs: all of the contract, nothing from elsewhere, and commands that work."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import EnvironBuilder, run_wsgi_app

from service.application import create_app
from service.docs import EXAMPLES
from service.kinds import problem_kinds
from service.openapi import describe_service
from service.settings import Settings
from tests.client.conftest import Front, serving
from tests.service.stubs import stub_predictor

DOCUMENT = describe_service(Settings(), ["resnet34-2"])


@pytest.fixture(scope="module")
def quick() -> Flask:
    return create_app(Settings(), stub_predictor(Settings()))


@pytest.fixture(scope="module")
def page(quick: Flask) -> str:
    answer = quick.test_client().get("/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    return answer.text


def test_it_has_all_of_the_contract(page: str) -> None:
    ids = set(re.findall(r'id="([^"]+)"', page))
    for path, item in DOCUMENT["paths"].items():
        assert f">{path}<" in page
        assert {item[method]["operationId"] for method in ("get", "post") if method in item} <= ids
    assert set(DOCUMENT["components"]["schemas"]) <= ids
    for status, kinds in problem_kinds().items():
        assert f"problem-{status}" in ids
        assert all(f"<code>{kind}</code>" in page for kind in kinds)
    for name in DOCUMENT["components"]["parameters"]:
        assert f"<code>{'X-Request-ID' if name == 'RequestId' else name}</code>" in page


def test_its_links_lead_somewhere(page: str, quick: Flask) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'(?:href|src)="([^"]+)"', page))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    pages = {link for link in links if not link.startswith("#")}
    assert pages == {"./", "openapi.json", "favicon.ico"}
    for link in pages:
        assert quick.test_client().get("/" + link.removeprefix("./")).status_code == 200


def test_it_may_load_nothing_but_the_icon_and_runs_no_script(page: str, quick: Flask) -> None:
    headers = quick.test_client().get("/docs").headers
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy.pop("style-src") == f"'sha256-{digest}'"
    assert policy.pop("img-src") == "'self'"
    assert set(policy) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set(policy.values()) == {"'none'"}
    assert not re.search(r"<script|<link rel=\"stylesheet|\sstyle=|\son\w+=|@import|url\(", page)
    hosts = set(re.findall(r"https?://([\w.:-]+)", page))
    assert hosts <= {"localhost", "example.com", "127.0.0.1"}


def test_what_a_request_says_of_the_host_is_text(quick: Flask) -> None:
    for host in ('a"><script>', "<b>", "a b", "a'b", "$(id)", "`id`"):
        answer = quick.test_client().get("/docs", headers={"Host": host})
        assert answer.status_code == 400 or f"http://{host}/" not in answer.text


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("xn--bcher-kva.example:8000", "xn--bcher-kva.example:8000"),
        ("xn--ls8h.example", "xn--ls8h.example"),  # a name that Python's IDNA does not know
        ("my_host", "my_host"),
        ("[::1]:4444", "[::1]:4444"),
        ("xn--", "xn--"),
        ("a b", "localhost"),
        ("", "localhost"),
    ],
)
def test_commands_go_to_the_host_that_was_asked(quick: Flask, host: str, named: str) -> None:
    asked = {**EnvironBuilder("/docs").get_environ(), "HTTP_HOST": host}
    # Not by the test client, which would read the host itself.
    body, status, _ = run_wsgi_app(quick, asked)
    assert status == "200 OK"
    assert f"curl http://{named}/models<" in b"".join(body).decode()


@pytest.fixture(scope="module")
def server(quick: Flask) -> Iterator[Front]:
    with serving(quick.wsgi_app) as front:
        yield front


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.jpg")
    return tmp_path


def commands(client: FlaskClient, root: str) -> list[str]:
    page = client.get("/docs", base_url=root).text
    return [html.unescape(text) for text in re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.S)]


def test_each_command_does_what_it_says(quick: Flask, server: Front, folder: Path) -> None:
    found = commands(quick.test_client(), server.url)
    assert len(found) == sum(map(len, EXAMPLES.values())) == 11
    for command in found:
        if "example.com" in command:
            continue  # it would leave this machine
        failing = command.replace("curl ", "curl -sS --fail --noproxy '*' ")
        ran = subprocess.run(
            ["bash", "-c", failing], cwd=folder, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        assert "-o " in command or ran.stdout.strip(), command
    for format_ in ("PNG", "WEBP"):
        with Image.open(folder / f"rated.{format_.lower()}") as picture:
            assert (picture.format, picture.size) == (format_, (64, 48))
    assert "X-Attrai-Result: {" in (folder / "headers.txt").read_text()
    assert {asked["PATH_INFO"] for asked in server.asked} == set(DOCUMENT["paths"])
