"""One line a request: what is in it, and what never is."""

from __future__ import annotations

import base64
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

from pipeline.errors import AttraiError
from service import requests
from service.errors import FetchFailed
from service.logs import log, log_start, log_to, network
from tests.conftest import SCORER
from tests.service.forms import BOUNDARY, as_json, form, parts

Lines = Callable[[], list[dict[str, Any]]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the service writes meanwhile."""
    handlers = log.handlers
    written: io.StringIO = getattr(request, "param", io.StringIO)()
    log_to(written)
    yield written
    log.handlers = handlers


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_rated_photo_gets_one_line(client: FlaskClient, photo: bytes, lines: Lines) -> None:
    body = form(photo)
    address = {"REMOTE_ADDR": "203.0.113.77"}
    answer = client.post(
        "/predict?format=png", **body, headers={"X-Request-ID": "id-1"}, environ_base=address
    )
    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("ms") >= sum(stage for stage in line["stages_ms"].values()) - 1
    assert set(line.pop("stages_ms")) == {"receive", "decode", "detect", "score", "encode"}
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": "id-1",
        "method": "POST",
        "path": "/predict",
        "status": 200,
        "bytes_in": len(body["data"]),
        "bytes_out": len(answer.data),
        "client": "203.0.113.0/24",
        "faces": 1,
        "scorer": SCORER,
    }


def test_a_refused_request_gets_one_line_too(client: FlaskClient, lines: Lines) -> None:
    client.post("/predict", **form(b"no photo"))
    client.get("/no/such/place")
    client.open("/predict", method="BREW-A-COFFEE")
    seen = [(line["method"], line["path"], line["status"]) for line in lines()]
    assert seen == [("POST", "/predict", 415), ("GET", "other", 404), ("other", "other", 405)]
    assert all("faces" not in line and line["level"] == "info" for line in lines())


def test_probes_and_scrapes_are_logged_only_when_they_fail(
    client: FlaskClient, lines: Lines, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert lines() == []
    assert client.get("/models").status_code == 200

    def fail() -> Any:
        raise RuntimeError

    monkeypatch.setitem(app.view_functions, "metrics", fail)
    client.get("/metrics")
    assert [(line["event"], line.get("path")) for line in lines() if line["level"] != "error"] == [
        ("request", "/models"),
        ("request", "/metrics"),
    ]


SECRET = "holiday-with-anna"
BYTES = bytes(range(128, 256)) + b"JFIF-and-more"


@pytest.mark.parametrize("failure", ["none", "fetch", "fault"])
def test_neither_url_nor_name_nor_photo_is_ever_logged(
    client: FlaskClient,
    photo: bytes,
    stream: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
) -> None:
    """Whatever goes wrong, and even if an exception of ours says it aloud."""

    def fetch(url: str, *_: Any) -> bytes:
        if failure == "fetch":
            raise FetchFailed(f"{url} failed")
        return photo

    def fail(*_: Any) -> Any:
        raise KeyError(
            f"https://example.com/{SECRET}.jpg?{SECRET}",
            f"{SECRET}.jpg",
            BYTES,
            BYTES.decode("latin-1"),
            base64.b64encode(BYTES).decode(),
        )

    monkeypatch.setattr(requests, "fetch", fetch)
    if failure == "fault":
        monkeypatch.setattr("service.application.figures", fail)
    client.get("/predict", query_string={"url": f"https://example.com/{SECRET}.jpg"})
    client.get(f"/{SECRET}?{SECRET}={SECRET}")
    client.post("/predict", **parts(("image", f"{SECRET}.jpg", photo), ("model", None, SECRET)))
    client.post("/predict", **parts(("image", f"{SECRET}.jpg", photo)))
    client.post("/predict", **parts(("image", f"{SECRET}.jpg", BYTES)))
    client.post("/predict", **as_json(BYTES, model=SECRET))
    text = stream.getvalue()
    assert len(text.splitlines()) >= 6
    for secret in (SECRET, "JFIF", "example.com", r"\xff", "\\u00ff", "gIGCg4SF", BOUNDARY):
        assert secret not in text


def test_a_fault_of_ours_is_one_line_with_its_traceback(
    client: FlaskClient, photo: bytes, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        try:
            Path("/no/such/shelf").read_bytes()
        except OSError as error:
            raise RuntimeError("the shelf is empty") from error

    monkeypatch.setattr("service.application.figures", fail)
    client.post("/predict", **form(photo), headers={"X-Request-ID": "id-2"})
    fault, line = lines()
    assert fault["request_id"] == line["request_id"] == "id-2"
    assert fault["level"] == "error"
    assert "service/application.py" in fault["traceback"]
    assert "in fail" in fault["traceback"]
    assert "which led to" in fault["traceback"]
    assert "FileNotFoundError ENOENT" in fault["traceback"]
    assert fault["traceback"].endswith("RuntimeError")
    assert (line["level"], line["status"]) == ("warning", 500)


def test_the_start_is_one_line(lines: Lines) -> None:
    log_start("1.2.3", "onnx", [{"name": "some-scorer", "sha256": "ab"}], 2)
    (line,) = lines()
    del line["time"]
    assert line == {
        "level": "info",
        "event": "started",
        "version": "1.2.3",
        "engine": "onnx",
        "models": [{"name": "some-scorer", "sha256": "ab"}],
        "worker": 2,
    }


@pytest.mark.parametrize("stream", [Terminal], indirect=True)
def test_a_person_at_a_terminal_reads_words(
    client: FlaskClient, photo: bytes, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_start("1.2.3", "onnx", [{"name": "some-scorer", "sha256": "ab"}], 1)
    client.post("/predict", **form(photo))

    def fail(*_: Any) -> Any:
        raise AttraiError("out of order")

    monkeypatch.setattr("service.application.figures", fail)
    client.post("/predict", **form(photo))
    first, second, *rest = stream.getvalue().splitlines()
    assert first == "AttrAI 1.2.3, worker 1: some-scorer on onnx"
    assert re.fullmatch(r"POST /predict 200 in \d+ ms, 1 faces", second)
    assert "Traceback (most recent call last):" in rest
    assert re.fullmatch(r"POST /predict 500 in \d+ ms", rest[-1])


@pytest.mark.parametrize(
    ("address", "cut"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", None),
        (None, None),
        ("unix:", None),
    ],
)
def test_a_client_is_known_by_its_network_only(address: str | None, cut: str | None) -> None:
    assert network(address) == cut


def test_records_of_the_services_parts_go_the_same_way(lines: Lines) -> None:
    logging.getLogger("attrai.part").warning("%d of them", 3)
    (line,) = lines()
    assert (line["event"], line["level"]) == ("3 of them", "warning")
