"""The dashboard and the alert rules, held against what a real server exposes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse

from pipeline.settings import ROOT
from service.keyfile import digest_of, make_key
from tests.deploy.conftest import Server, start

Seen = dict[str, list[dict[str, str]]]

DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
GROUPS = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
# What Prometheus itself adds to every sample.
ADDED = {"instance", "job"}
REASONS = (b"server", b"client", b"client")


def scrape(server: Server) -> str:
    with urllib.request.urlopen(server.url + "/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(answer.read().decode())


def values(server: Server, name: str) -> dict[str, float]:
    """The samples of a name by the values of their labels."""
    return {
        " ".join(sample.labels.values()): sample.value
        for family in parse(scrape(server))
        for sample in family.samples
        if sample.name == name
    }


KEY = make_key()


def post(server: Server, photo: bytes) -> None:
    request = urllib.request.Request(server.url + "/predict?format=png", data=photo)
    request.add_header("Content-Type", "image/jpeg")
    request.add_header("X-API-Key", KEY)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watching")


@pytest.fixture(scope="module")
def watched(folder: Path, photo: bytes) -> Iterator[Server]:
    """A server of one worker that has rated a photo, and to which nginx may report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTRAI_REJECTED", str(folder / "rejected.sock"))
        (folder / "keys").write_text(f"watcher {digest_of(KEY)}\n")
        config = folder / "attrai.ini"
        config.write_text(f"[auth]\nkeys_file = {folder / 'keys'}\n")
        running = start(folder, "WORKERS=1", f"METRICS={folder / 'metrics'}", config=config)
    try:
        post(running, photo)
        yield running
    finally:
        running.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def seen(watched: Server) -> Seen:
    """Labels of every sample that is exposed, by its name."""
    found: Seen = {}
    for family in parse(scrape(watched)):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def expressions() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    notes = [note["expr"] for note in DASHBOARD["annotations"]["list"]]
    return [*panels, *notes, *(rule["expr"] for rule in RULES)]


def parsed(expression: str) -> promql_parser.Expr:
    """The expression as Grafana sends it, its variables filled in."""
    filled = expression.replace("$instance", "web-1:80")
    return promql_parser.parse(re.sub(r"\$__(rate_)?(interval|range)", "5m", filled))


def nodes(expression: str) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(parsed(expression), found.append)
    return found


def labels_of(node: promql_parser.Expr) -> set[str]:
    """Labels that an aggregation or a match names."""
    modifier = getattr(node, "modifier", None)
    matching = getattr(modifier, "matching", None)
    return set(getattr(modifier, "labels", None) or getattr(matching, "labels", None) or ())


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_exists(expression: str, seen: Seen) -> None:
    selected: list[str] = []
    for node in nodes(expression):
        if not isinstance(node, promql_parser.VectorSelector):
            continue
        assert node.name
        if node.name == "up":
            continue
        assert node.name in seen, f"{node.name} is not exposed"
        selected.append(node.name)
        known = set().union(*seen[node.name]) | ADDED
        for matcher in node.matchers.matchers:
            assert matcher.name in known, f"{node.name} has no label {matcher.name}"
            if matcher.name in ADDED or matcher.name == "status":
                continue
            offered = {labels.get(matcher.name) for labels in seen[node.name]}
            accepted = set(matcher.value.split("|"))
            assert accepted & offered, f"{node.name} is never {matcher.name}={matcher.value}"
    known = set().union(*(labels for name in selected for labels in seen[name])) | ADDED
    for node in nodes(expression):
        assert labels_of(node) <= known


def test_a_wrong_name_or_label_would_be_seen(seen: Seen) -> None:
    for wrong in ("sum(attrai_nothing_total)", 'rate(attrai_photos_total{route="/"}[5m])'):
        with pytest.raises(AssertionError):
            test_every_metric_and_label_exists(wrong, seen)
    with pytest.raises(AssertionError):
        test_every_metric_and_label_exists("sum by (nothing) (attrai_photos_total)", seen)
    with pytest.raises(ValueError, match="unclosed"):
        parsed("sum(attrai_photos_total")


def test_everything_that_is_exposed_is_looked_at(seen: Seen) -> None:
    shown = {
        re.sub("_(bucket|sum|count)$", "", node.name or "")
        for expression in expressions()
        for node in nodes(expression)
        if isinstance(node, promql_parser.VectorSelector)
    }
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in seen} <= shown


def test_counters_are_only_looked_at_by_their_rate(seen: Seen) -> None:
    for expression in expressions():
        counters = re.findall(r"(\w+)\((attrai_\w+_(?:total|bucket|sum|count))\b", expression)
        assert {function for function, _ in counters} <= {"rate", "increase"}
        assert len(counters) == len(
            re.findall(r"attrai_\w+_(?:total|bucket|sum|count)\b", expression)
        )


def test_the_rules_are_as_prometheus_reads_them() -> None:
    assert [set(group) for group in GROUPS] == [{"name", "rules"}]
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) >= 8
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch("Attrai[A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        summary = rule["annotations"]["summary"]
        assert summary.endswith(".")
        used = re.findall(r"\{\{ *(.*?) *\}\}", summary)
        assert set(used) <= {
            "$labels.instance",
            "$value",
            "$value | humanize",
            "$value | humanize1024",
            "$value | humanizePercentage",
        }
        assert str(promql_parser.parse(rule["expr"]))


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["title"] == "AttrAI"
    assert "id" not in DASHBOARD
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        for source in (panel, *panel["targets"]):
            assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def stats(server: Server) -> dict[str, Any]:
    path = Path(os.environ.get("TMPDIR") or "/tmp") / f"attrai-{server.port}.stats"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        document = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    return dict(document)


def wait_for(server: Server, name: str, labels: str, value: float) -> None:
    """A worker that is being replaced answers late, or not at all."""
    for _ in range(300):
        with suppress(OSError, http.client.HTTPException):
            if values(server, name).get(labels) == value:
                return
        time.sleep(0.1)
    assert values(server, name) == {labels: value}


def report(folder: Path, *reasons: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nginx:
        nginx.connect(str(folder / "rejected.sock"))
        for reason in reasons:
            nginx.send(b"<190>Nov 21 15:00:00 attrai: an-id reason=" + reason)


def test_counts_outlive_a_worker_and_a_reload_and_end_with_the_server(
    watched: Server, folder: Path, photo: bytes
) -> None:
    report(folder, *REASONS)
    wait_for(watched, "attrai_rejected_total", "client", 2)
    photos = values(watched, "attrai_photos_total")
    starts = values(watched, "attrai_worker_starts_total")[""]
    files = {path.name for path in (folder / "metrics").iterdir()}

    (pid,) = (worker["pid"] for worker in stats(watched)["workers"])
    os.kill(pid, signal.SIGKILL)
    wait_for(watched, "attrai_worker_starts_total", "", starts + 1)
    assert values(watched, "attrai_photos_total") == photos
    report(folder, b"client")
    wait_for(watched, "attrai_rejected_total", "client", 3)

    os.kill(stats(watched)["pid"], signal.SIGHUP)
    wait_for(watched, "attrai_worker_starts_total", "", starts + 2)
    post(watched, photo)
    assert sum(values(watched, "attrai_photos_total").values()) == sum(photos.values()) + 1
    report(folder, b"server")
    wait_for(watched, "attrai_rejected_total", "server", 2)
    assert {path.name for path in (folder / "metrics").iterdir()} == files

    again = start(folder, "WORKERS=1", f"METRICS={folder / 'metrics'}")
    try:
        assert set(values(again, "attrai_photos_total").values()) == {0}
        assert set(values(again, "attrai_rejected_total").values()) == {0}
        assert values(again, "attrai_worker_starts_total") == {"": 1}
    finally:
        again.stop(signal.SIGKILL)


def test_the_workers_are_seen(server: Server) -> None:
    states = values(server, "attrai_workers")
    assert set(states) == {"idle", "busy", "cheap"}
    assert sum(states.values()) == os.cpu_count()
    assert states["idle"] >= 1
    assert values(server, "attrai_workers_max") == {"": os.cpu_count()}
    assert abs(values(server, "attrai_start_time_seconds")[""] - time.time()) < 24 * 3600
