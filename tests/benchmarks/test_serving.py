"""The servers of the benchmark: ours and the usual stack run here, the others in its own venv."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from benchmarks.nginx import nginx, uwsgi_ini
from benchmarks.photos import TestPhoto, chosen
from benchmarks.processes import Command
from benchmarks.serving import served
from benchmarks.stacks import OURS, USUAL, Stack, stacks
from pipeline.predictor import Predictor
from pipeline.settings import ROOT
from tests.test_frame import pins

SERVERS = {stack.name: stack for stack in stacks()}


@pytest.fixture(scope="module")
def portrait() -> TestPhoto:
    return chosen(None, quick=True)[0]


@pytest.mark.parametrize("name", [OURS, USUAL])
def test_a_server_answers_as_the_pipeline_does_and_ends(
    name: str, portrait: TestPhoto, predictor: Predictor
) -> None:
    with served(SERVERS[name], 1, portrait) as server:
        (face,) = server.first["faces"]
        assert server.start > 0
        processes = [Path(f"/proc/{pid}") for pid in server.pids]
    (rated,) = predictor.predict(portrait.data).faces
    assert abs(face["score"] - rated.rating.score) < 0.3
    assert abs(face["box"]["x"] - rated.face.box.x1) <= 2
    assert not any(process.exists() for process in processes)


def test_a_server_that_does_not_start_is_told_with_its_log(portrait: TestPhoto) -> None:
    broken = Stack("broken", lambda *_: [Command(["sh", "-c", "echo no such luck; exit 1"], {})])
    with pytest.raises(RuntimeError, match="no such luck"), served(broken, 1, portrait):
        pass


def test_nginx_gets_the_deployed_site_but_for_its_places(tmp_path: Path) -> None:
    nginx(tmp_path, 1234, 5678)
    site = (tmp_path / "site.conf").read_text()
    assert re.findall(r"^ *listen (.*);", site, re.M) == ["127.0.0.1:1234", "127.0.0.1:5678"]
    written = (tmp_path / "nginx.conf").read_text() + site
    assert not re.findall(r"/(?:run|var)/", written.replace(str(tmp_path), ""))
    deployed = (ROOT / "deploy" / "nginx.conf").read_text().splitlines()
    changed = [line for line in site.splitlines() if line not in deployed]
    assert changed
    assert all("127.0.0.1" in line or str(tmp_path) in line for line in changed if line.strip()), (
        changed
    )


def test_uwsgi_gets_the_deployed_settings_but_for_its_places(tmp_path: Path) -> None:
    written = uwsgi_ini(tmp_path).read_text().splitlines()
    deployed = (ROOT / "deploy" / "uwsgi.ini").read_text().splitlines()
    changed = [line for line in written if line not in deployed]
    assert f"chdir = {ROOT}" in changed
    assert all(str(tmp_path) in line or line == f"chdir = {ROOT}" for line in changed)


def test_the_peers_lock_agrees_with_ours() -> None:
    peers, ours = pins("benchmarks/requirements.lock"), pins("requirements-dev.lock")
    wanted = (ROOT / "benchmarks" / "requirements.in").read_text().split()
    assert {re.split(r"\W", name)[0] for name in wanted} <= {re.split(r"\W", p)[0] for p in peers}
    assert {name: pin for name, pin in peers.items() if name in ours and pin - ours[name]} == {}
    text = (ROOT / "benchmarks" / "requirements.lock").read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


def test_every_peer_has_its_file() -> None:
    files = {path.stem for path in (ROOT / "benchmarks" / "peers").glob("*_app.py")}
    assert len(files) == len(SERVERS) - 2  # all but ours
    for name in files:
        assert importlib.util.find_spec(f"benchmarks.peers.{name}")
