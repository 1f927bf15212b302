"""API keys at a server of two workers: made and revoked while it serves, rated across both."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.deploy.altered import CONFIG, Altered
from tests.deploy.client import JPEG, Client
from tests.deploy.conftest import Server, start
from tests.deploy.machine import Machine
from tests.deploy.provision import journal, until

KEY_LINE = re.compile(r"attrai_[A-Za-z0-9_-]{43}")


def keys(*arguments: str, config: Path) -> str:
    """What `python -m service.keys` prints, as who runs the server would call it."""
    done = subprocess.run(
        [sys.executable, "-m", "service.keys", *arguments],
        cwd=ROOT,
        env={**os.environ, "ATTRAI_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "keys").touch()
    config = folder / "attrai.ini"
    config.write_text(f"[auth]\nkeys_file = {folder / 'keys'}\n")
    return config


@pytest.fixture(scope="module")
def guarded(config: Path) -> Iterator[Server]:
    running = start(config.parent, "WORKERS=2", config=config)
    yield running
    if running.process.poll() is None:
        running.stop(signal.SIGKILL)


def answered(server: Server) -> dict[int, int]:
    """How many requests each worker that runs has answered, by its process."""
    stats = Path(os.environ.get("TMPDIR") or "/tmp") / f"attrai-{server.port}.stats"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stats))
        document = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    return {
        worker["pid"]: worker["requests"]
        for worker in document["workers"]
        if worker["status"] in ("idle", "busy")
    }


def ask(server: Server, face: bytes, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        server.url + "/predict", face, {"Content-Type": "image/jpeg", **named}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def ask_many(server: Server, face: bytes, *keys: str) -> list[int]:
    """The statuses of requests with those keys, four at a time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda key: ask(server, face, X_API_Key=key), keys))


def ask_both_workers(server: Server, face: bytes, key: str, company: str) -> set[int]:
    """The statuses of requests with a key, among others that keep both workers at work."""
    statuses: set[int] = set()

    def both() -> bool:
        before = answered(server)
        # For longer than a second: so long all workers are busy before one more is begun.
        statuses.update(ask_many(server, face, *[company, key] * 100)[1::2])
        now = answered(server)
        return sum(count > before.get(pid, 0) for pid, count in now.items()) == 2

    until(both)
    return statuses


def test_a_key_is_made_and_revoked_while_the_server_runs(
    guarded: Server, config: Path, face: bytes
) -> None:
    assert ask(guarded, face) == 401
    assert guarded.get("/") == guarded.get("/models") == guarded.get("/openapi.json") == 200
    made = keys("add", "phone", config=config)
    assert KEY_LINE.fullmatch(made)
    assert ask(guarded, face, Authorization=f"Bearer {made}") == 200
    company = keys("add", "company", config=config)
    assert ask_both_workers(guarded, face, made, company) == {200}
    assert keys("list", config=config).split() == ["phone", "company"]
    keys("revoke", "phone", config=config)
    assert ask_both_workers(guarded, face, made, company) == {401}
    text = guarded.log.read_text()
    assert '"key": "phone"' in text
    assert made not in text


def test_a_rate_holds_across_workers(guarded: Server, config: Path, face: bytes) -> None:
    company = keys("add", "busy", config=config)
    spent: list[Counter[int]] = []

    def both_took_part() -> bool:
        made = keys("add", f"slow-{len(spent)}", "--rate=12", config=config)
        assert ask_both_workers(guarded, face, company, company) == {200}
        before, began = answered(guarded), time.monotonic()
        spent.append(Counter(ask_many(guarded, face, *[company, made] * 30)[1::2]))
        minutes = (time.monotonic() - began) / 60
        assert set(spent[-1]) == {200, 429}
        # As many as the bucket held, and what it got meanwhile.
        assert 12 <= spent[-1][200] <= 12 + 12 * minutes + 1
        now = answered(guarded)
        return sum(now.get(pid, 0) > count for pid, count in before.items()) == 2

    until(both_took_part, 120)
    with urllib.request.urlopen(guarded.url + "/metrics", timeout=30) as answer:
        figures = answer.read().decode()
    for status, count in spent[0].items():
        assert f'attrai_key_requests_total{{key="slow-0",status="{status}"}} {count}.0' in figures


def test_a_large_photo_without_a_key_gets_its_401(guarded: Server) -> None:
    assert ask(guarded, bytes(15_000_000)) == 401


@pytest.mark.parametrize("name", ["ATTRAI_CHECK", "ATTRAI-CHECK", "HTTP_ATTRAI_CHECK"])
def test_no_header_poses_as_the_own_check(guarded: Server, face: bytes, name: str) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=30) as connection:
        head = f"POST /predict HTTP/1.0\r\n{name}: 1\r\nContent-Length: {len(face)}\r\n\r\n"
        connection.sendall(head.encode() + face)
        assert b" 401 " in connection.recv(100)


def test_a_server_does_not_start_without_its_file_of_keys(tmp_path: Path) -> None:
    config = tmp_path / "attrai.ini"
    config.write_text(f"[auth]\nkeys_file = {tmp_path / 'none'}\n")
    with pytest.raises(AssertionError, match="keys_file: cannot read the keys"):
        start(tmp_path, "WORKERS=1", config=config)


def test_keys_behind_nginx_and_systemd(machine: Machine, face: bytes) -> None:
    """As docs/operations.md says it, with the checks of start and reload, and no trace of a key."""
    command = ["/opt/attrai/current/venv/bin/python3", "-m", "service.keys"]

    def run(*arguments: str) -> str:
        line = " ".join([*command, *arguments, "--file", "/etc/attrai/keys"])
        return machine.run("sh", "-c", f"cd /opt/attrai/current && {line}").stdout.strip()

    client = Client(machine)
    machine.run("install", "-m", "640", "-g", "www-data", "/dev/null", "/etc/attrai/keys")
    made = run("add", "phone", "--rate", "100")
    settings = (machine.root / CONFIG).read_text()
    locked = settings.replace("keys_file =", "keys_file = /etc/attrai/keys")
    assert locked != settings
    try:
        with Altered(machine, locked):
            refused = client.ask("/predict", face)
            assert refused.problem["type"] == "urn:attrai:problem:missing-key"
            assert refused.headers["WWW-Authenticate"] == 'Bearer realm="attrai"'
            for name, value in (("Authorization", f"Bearer {made}"), ("X-API-Key", made)):
                assert client.ask("/predict", face, {**JPEG, name: value}).status == 200
            posing = {**JPEG, "ATTRAI_CHECK": "1", "ATTRAI-CHECK": "1"}
            assert client.ask("/predict", face, posing).status == 401
            machine.run("systemctl", "reload", "attrai")
            machine.run("/opt/attrai/current/deploy/chain_reload.sh")
            run("revoke", "phone")
            late = run("add", "late", "--rate", "1")
            with_key = {**JPEG, "X-API-Key": late}
            until(lambda: client.ask("/predict", face, with_key).status == 200)
            limited = client.ask("/predict", face, with_key)
            assert limited.problem["type"] == "urn:attrai:problem:rate-exceeded"
            assert 1 <= int(limited.headers["Retry-After"]) <= 60
            assert len(limited.headers.get_all("Retry-After", [])) == 1
            assert client.ask("/predict", face, {**JPEG, "X-API-Key": made}).status == 401
            folder = machine.file("/var/log/nginx")
            logs = "".join(file.read_text() for file in folder.iterdir()) + journal(machine)
            assert '"key": "late"' in logs
            assert made not in logs
            assert late not in logs
    finally:
        machine.run("rm", "/etc/attrai/keys")
    assert client.ask("/predict", face).status == 200
