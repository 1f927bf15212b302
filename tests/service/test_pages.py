"""The page at /: its files, how they are sent and kept, and what they may do."""

from __future__ import annotations

import gzip
import re

import pytest
from flask.testing import FlaskClient

from service.pages import FOREVER, MEDIA_TYPES, STATIC, _read_assets

FILES = sorted(_read_assets(STATIC))


def page(client: FlaskClient) -> str:
    return client.get("/").text


def version(client: FlaskClient) -> str:
    (found,) = set(re.findall(r'"static/([0-9a-f]{16})/', page(client)))
    return str(found)


def test_the_page_is_html_and_is_asked_for_anew(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "{version}" not in answer.text


def test_the_page_may_run_and_ask_for_nothing_but_the_services_own(client: FlaskClient) -> None:
    headers = client.get("/").headers
    policy = dict(
        directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; ")
    )
    assert policy.pop("img-src") == "'self' blob:"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert {policy.pop(kind) for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy.pop("form-action") == "'self'"
    assert set(policy) == {"default-src", "base-uri", "frame-ancestors", "trusted-types"}
    assert set(policy.values()) == {"'none'"}
    assert headers["Referrer-Policy"] == "no-referrer"


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    for name in FILES:
        text = (STATIC / name).read_text()
        hosts = set(re.findall(r"https?://([\w.-]+)", text))
        assert hosts <= {"www.w3.org", "example.com"}, name  # a namespace, and an example
        assert "innerHTML" not in text
    html = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", html))


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_each_file_has_its_type_and_is_kept_for_good(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{version(client)}/{name}")
    assert answer.status_code == 200
    assert answer.mimetype == MEDIA_TYPES[(STATIC / name).suffix]
    assert answer.headers["Cache-Control"] == FOREVER
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.data == (STATIC / name).read_bytes()


def test_the_page_and_its_modules_name_only_files_that_there_are(client: FlaskClient) -> None:
    named = set(re.findall(rf'"static/{version(client)}/([^"]+)"', page(client)))
    for name in FILES:
        if name.endswith(".js"):
            named |= set(re.findall(r'from "\./([^"]+)"', (STATIC / name).read_text()))
    assert named == set(FILES) - {"index.html"}


def test_a_window_without_a_page_gets_the_icon_too(client: FlaskClient) -> None:
    answer = client.get("/favicon.ico")
    assert answer.mimetype == "image/svg+xml"
    assert answer.data == (STATIC / "icon.svg").read_bytes()


def test_another_versions_address_is_answered_but_not_kept(client: FlaskClient) -> None:
    answer = client.get("/static/0123456789abcdef/main.js")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/main.js",
        "/static/x/none.js",
        "/static/x/index.html",
        "/static/x/../pages.py",
        "/static/x/..%2fpages.py",
        "/static/x/%2e%2e/pages.py",
    ],
)
def test_there_is_nothing_else(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("name", ["", "main.js"])
def test_what_a_browser_holds_is_not_sent_again(
    client: FlaskClient, name: str, encoding: str
) -> None:
    path = f"/static/{version(client)}/{name}" if name else "/"
    accept = {"Accept-Encoding": encoding}
    etag = client.get(path, headers=accept).headers["ETag"]
    answer = client.get(path, headers={**accept, "If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.data == b""
    assert answer.headers["ETag"] == etag
    assert client.get(path, headers={**accept, "If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_must_be_another_is_a_problem(client: FlaskClient, method: str) -> None:
    etag = client.get("/").headers["ETag"]
    for wanted in ('"other"', f"W/{etag}"):
        answer = client.open("/", method=method, headers={"If-Match": wanted})
        assert (answer.status_code, answer.mimetype) == (412, "application/problem+json")
        assert "ETag" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
    for wanted in (etag, f'"other", {etag}', "*"):
        answer = client.open("/", method=method, headers={"If-Match": wanted})
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
    both = {"If-Match": etag, "If-None-Match": etag}
    assert client.open("/", method=method, headers=both).status_code == 304


def test_a_file_comes_under_gzip_to_those_who_take_it(client: FlaskClient) -> None:
    path = f"/static/{version(client)}/page.css"
    plain = client.get(path)
    zipped = client.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    assert plain.vary.to_header() == zipped.vary.to_header() == "Accept-Encoding"
    refusing = client.get(path, headers={"Accept-Encoding": "gzip;q=0, *"})
    assert "Content-Encoding" not in refusing.headers


@pytest.mark.parametrize("name", ["", "main.js"])
def test_head_tells_what_get_would(client: FlaskClient, name: str) -> None:
    path = f"/static/{version(client)}/{name}" if name else "/"
    get, head = client.get(path), client.head(path)
    assert head.status_code == 200
    assert head.data == b""
    for header in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
        assert head.headers[header] == get.headers[header]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_page_is_only_for_reading(client: FlaskClient, method: str) -> None:
    for path in ("/", "/static/x/main.js"):
        answer = client.open(path, method=method)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_the_page_is_small(client: FlaskClient) -> None:
    paths = ["/", *(f"/static/{version(client)}/{n}" for n in FILES if n != "index.html")]
    sizes = [len(client.get(path, headers={"Accept-Encoding": "gzip"}).data) for path in paths]
    assert sum(sizes) <= 40_000
