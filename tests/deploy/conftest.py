"""A real server for the tests of this folder, and who asks the machine that boots."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from pipeline.settings import ROOT
from tests.deploy.client import Client
from tests.deploy.machine import Machine


@dataclass(frozen=True)
class Server:
    """A running `make run`."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return 0

    def stop(self, number: int) -> int:
        """Signal the server as a terminal would, to the whole group; its exit status."""
        os.killpg(self.process.pid, number)
        return self.process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, *choices: str, config: Path = ROOT / "attrai.ini") -> Server:
    """Run `make run` with those choices, and wait until it has rated a face."""
    port, log = free_port(), folder / "server.log"
    places = (f"PORT={port}", f"METRICS={folder / 'metrics'}")
    command = ["make", "--no-print-directory", "run", *places, *choices]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "ATTRAI_CONFIG": str(config)},
        )
    server = Server(port, process, log)
    for _ in range(300):
        if server.get("/readyz") == 200:
            return server
        if process.poll() is not None:
            break
        time.sleep(0.1)
    if process.poll() is None:
        server.stop(signal.SIGKILL)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("serving"))
    yield running
    if running.process.poll() is None:
        running.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def client(machine: Machine) -> Client:
    """A client at 127.0.0.1."""
    return Client(machine)


@pytest.fixture(scope="session")
def face(photo: bytes) -> bytes:
    """A JPEG of one face, as small and quick as one can be."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(photo)) as picture:
        picture.crop((150, 30, 300, 210)).resize((75, 90)).save(file, "JPEG")
    return file.getvalue()
