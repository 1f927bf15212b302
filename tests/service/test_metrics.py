"""/metrics: what is counted, by which labels, and how several workers add up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import values
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from pipeline.predictor import Predictor
from service.application import create_app
from service.metrics import Metrics, ServedModel
from service.settings import Settings
from service.workers import WorkersCollector
from tests.conftest import SCORER
from tests.service.forms import form


@pytest.fixture
def app(predictor: Predictor) -> Flask:
    """A service that has yet to count anything."""
    return create_app(Settings(), predictor)


def scrape(client: FlaskClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return read(client.get("/metrics").text)


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of an exposition by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_requests_are_counted_by_route_method_and_status(client: FlaskClient, photo: bytes) -> None:
    client.post("/predict", **form(photo))
    client.post("/predict?format=gif", **form(photo))
    client.get("/healthz")
    client.get("/healthz")
    seen = scrape(client)
    name = "attrai_requests_total"
    assert seen[key(name, route="/predict", method="POST", status="200")] == 1
    assert seen[key(name, route="/predict", method="POST", status="400")] == 1
    assert seen[key(name, route="/healthz", method="GET", status="200")] == 2
    assert seen[key("attrai_request_duration_seconds_count", route="/predict")] == 2
    assert seen[key("attrai_request_duration_seconds_sum", route="/predict")] > 0


def test_photos_faces_and_stages_are_counted(client: FlaskClient, photo: bytes) -> None:
    client.post("/predict", **form(photo))
    client.post("/predict?format=png", **form(photo))
    client.post("/predict", **form(b"no photo"))
    seen = scrape(client)
    assert seen[key("attrai_photos_total", scorer=SCORER)] == 2
    assert seen[key("attrai_faces_total", scorer=SCORER)] == 2
    assert seen[key("attrai_photo_faces_bucket", le="0.0")] == 0
    assert seen[key("attrai_photo_faces_bucket", le="1.0")] == 2
    count = "attrai_stage_duration_seconds_count"
    for stage in ("receive", "decode", "detect", "score"):
        assert seen[key(count, stage=stage)] == 2
    assert seen[key(count, stage="encode")] == 1


def test_strangers_cannot_make_series(client: FlaskClient) -> None:
    client.get("/nowhere")
    client.open("/predict", method="BREW")
    before = set(scrape(client))
    for number in range(20):
        client.get(f"/{number}?url=https://example.com/{number}", headers={"Host": f"h{number}"})
        client.open("/predict", method=f"BREW{number}")
    after = scrape(client)
    # The scrapes count themselves.
    assert {sample for sample in set(after) - before if ("route", "/metrics") not in sample[1]} == (
        set()
    )
    name = "attrai_requests_total"
    assert after[key(name, route="other", method="GET", status="404")] == 21
    assert after[key(name, route="other", method="other", status="405")] == 21


def test_a_request_is_in_flight_until_it_is_answered(
    app: Flask, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[float] = []

    def fail(*_: Any) -> Any:
        during.append(scrape(app.test_client())[key("attrai_requests_in_flight")])
        raise RuntimeError

    client = app.test_client()
    monkeypatch.setattr("service.application.figures", fail)
    assert client.post("/predict", **form(photo)).status_code == 500
    assert during == [1]
    assert scrape(client)[key("attrai_requests_in_flight")] == 0


def test_what_serves_is_told(client: FlaskClient, predictor: Predictor) -> None:
    seen = scrape(client)
    sha256 = predictor.models[SCORER].card["files"]["int8.onnx"]["sha256"]
    model = {"detector": "mtcnn", "scorer": SCORER, "sha256": sha256}
    assert seen[key("attrai_model_info", **model)] == 1
    (build,) = (dict(labels) for name, labels in seen if name == "attrai_build_info")
    assert re.fullmatch(r"\d+\.\d+\.\d+", build["version"])


def test_rejections_have_two_reasons() -> None:
    metrics = Metrics()
    for reason in ("server", "client", "client", "weather", ""):
        metrics.count_rejection(reason)
    seen = read(metrics.exposition("")[0].decode())
    rejected = {labels: value for (name, labels), value in seen.items() if "rejected" in name}
    assert rejected == {
        frozenset({("reason", "server")}): 1,
        frozenset({("reason", "client")}): 2,
    }


def test_names_follow_the_conventions(client: FlaskClient) -> None:
    for family in parse(client.get("/metrics").text):
        if family.name.endswith("_created"):
            continue
        assert re.fullmatch(r"attrai(_[a-z]+)+", family.name)
        assert re.match(r"[A-Z].*\.$", family.documentation), family.name
        # The parser takes the _total off a counter's name.
        assert family.type in ("counter", "gauge", "histogram")
        assert not re.search("milli|_ms|minutes|kilo|mega", family.name)


def test_the_format_is_prometheus_own_unless_openmetrics_is_asked_for(client: FlaskClient) -> None:
    plain = client.get("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.headers["Cache-Control"] == "no-store"
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    answer = client.get("/metrics", headers=accept)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = parse_openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"attrai_requests", "attrai_photos"}


@pytest.mark.parametrize("version", ["1.x", '"1.0.0"', "1..0", "x", "1" * 5000])
@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_a_version_that_is_none_is_no_fault_of_ours(
    client: FlaskClient, kind: str, version: str
) -> None:
    answer = client.get("/metrics", headers={"Accept": f"{kind};version={version}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


MODEL = ServedModel("mtcnn", "some-scorer", "0" * 64)
Worker = Callable[[int], Metrics]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Starts a process of a worker's number, as far as the counts can tell."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    def start(number: int) -> Metrics:
        kind = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]
        monkeypatch.setattr(values, "ValueClass", kind)
        metrics = Metrics(tmp_path)
        metrics.start_worker([MODEL])
        return metrics

    yield start
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def shared(metrics: Metrics, name: str, **labels: str) -> float:
    return read(metrics.exposition("")[0].decode())[key(name, **labels)]


def test_a_scrape_of_one_worker_tells_of_all(worker: Worker) -> None:
    one, two = worker(1), worker(2)
    one.count_photo("some-scorer", 3, {"decode": 4.0, "detect": 20.0})
    two.count_photo("some-scorer", 2, {"decode": 8.0})
    for metrics in (one, two):
        assert shared(metrics, "attrai_photos_total", scorer="some-scorer") == 2
        assert shared(metrics, "attrai_faces_total", scorer="some-scorer") == 5
        stages = "attrai_stage_duration_seconds"
        assert shared(metrics, f"{stages}_sum", stage="decode") == pytest.approx(0.012)
        assert shared(metrics, f"{stages}_bucket", stage="decode", le="0.005") == 1
        assert shared(metrics, "attrai_worker_starts_total") == 2
        assert shared(metrics, "attrai_build_info", **_build(metrics)) == 1


def _build(metrics: Metrics) -> dict[str, str]:
    seen = read(metrics.exposition("")[0].decode())
    (build,) = (dict(labels) for name, labels in seen if name == "attrai_build_info")
    return build


def test_a_worker_that_starts_again_goes_on_counting(worker: Worker, tmp_path: Path) -> None:
    worker(1).count_rejection("server")
    again = worker(1)
    again.count_rejection("server")
    assert shared(again, "attrai_rejected_total", reason="server") == 2
    files = {path.name for path in tmp_path.iterdir()}
    for _ in range(5):
        worker(1)
    assert {path.name for path in tmp_path.iterdir()} == files


def test_a_request_that_dies_with_its_worker_is_lost_and_no_longer_in_flight(
    worker: Worker,
) -> None:
    first, neighbour = worker(1), worker(2)
    app = Flask("doomed")

    @app.get("/")
    def die() -> str:
        # As a scrape of the neighbour would see it; then the process is gone.
        assert shared(neighbour, "attrai_requests_in_flight") == 1
        worker(1)
        assert shared(neighbour, "attrai_requests_in_flight") == 0
        assert shared(neighbour, "attrai_requests_lost_total") == 1
        return "never sent"

    first.measure(app)
    app.before_request_funcs[None].insert(0, _start_clock)
    assert app.test_client().get("/").status_code == 200


def _start_clock() -> None:
    from flask import g

    g.start = 0.0


def test_workers_are_counted_by_state() -> None:
    def uwsgi(number: int, status: bytes) -> dict[str, Any]:
        return {"id": number, "status": status, "rss": number << 20}

    listed = [
        uwsgi(1, b"busy"),
        uwsgi(2, b"busy"),
        uwsgi(3, b"idle"),
        uwsgi(4, b"sig10"),
        uwsgi(0, b"cheap"),
        uwsgi(0, b"cheap"),
    ]
    collector = WorkersCollector(lambda: listed, me=1, since=1000.0)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in collector.collect()
        for sample in family.samples
    }
    # The first is busy with the scrape only.
    assert found[("attrai_workers", "idle")] == 2
    assert found[("attrai_workers", "busy")] == 2
    assert found[("attrai_workers", "cheap")] == 2
    assert found[("attrai_workers_max",)] == 6
    assert found[("attrai_start_time_seconds",)] == 1000
    memory = {key[1]: value for key, value in found.items() if "memory" in key[0]}
    assert memory == {str(number): number << 20 for number in (1, 2, 3, 4)}
