"""Datagrams of nginx, counted by one worker at a time."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from service.rejections import Rejections, parse_reason

LISTENER = """
import sys, time
from pathlib import Path
from service.rejections import Rejections

rejections = Rejections()
rejections.listen(Path(sys.argv[1]))
rejections.report_to(lambda reason: print(reason, flush=True))
time.sleep(60)
"""
Listener = subprocess.Popen[str]
Start = Callable[[Path], Listener]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that prints the reasons it hears of at a socket."""
    running: list[Listener] = []

    def run(path: Path) -> Listener:
        command = [sys.executable, "-c", LISTENER, str(path)]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def send(path: Path, *datagrams: bytes) -> None:
    """Send as nginx does, as soon as somebody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for attempt in range(500):
            try:
                sender.connect(str(path))
                break
            except OSError:
                assert attempt < 499, "nobody listens"
                time.sleep(0.02)
        for datagram in datagrams:
            sender.send(datagram)


def hear(listener: Listener) -> str:
    assert listener.stdout is not None
    return listener.stdout.readline().strip()


LINE = b"<190>Nov 21 15:00:00 attrai: 203.0.113.9 POST /predict 429"


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (LINE + b" reason=server", "server"),
        (LINE + b" reason=client\n", "client"),
        (b"<190>nginx: GET /?a= reason=server HTTP/1.1 reason=client", "client"),
        (LINE + b" reason=", ""),
        (LINE + b" reason=server x", ""),
        (LINE, ""),
        (b"", ""),
        (b"\xff\xfe reason=\xff", ""),
    ],
)
def test_the_reason_is_the_last_word(datagram: bytes, reason: str) -> None:
    assert parse_reason(datagram) == reason


def test_datagrams_are_heard_by_owner_and_group_only(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "rejected.sock"
    listener = start(path)
    send(path, LINE + b" reason=server", LINE + b" reason=client")
    assert [hear(listener), hear(listener)] == ["server", "client"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_the_next_worker_takes_over_from_one_that_was_killed(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "rejected.sock"
    first = start(path)
    send(path, LINE + b" reason=server")
    assert hear(first) == "server"
    second = start(path)
    send(path, LINE + b" reason=server")
    assert hear(first) == "server"
    first.send_signal(signal.SIGKILL)
    first.wait()
    send(path, LINE + b" reason=client")
    assert hear(second) == "client"


def test_what_came_before_there_was_somebody_to_count_is_kept() -> None:
    rejections = Rejections()
    rejections._count("server")
    counted: list[str] = []
    rejections.report_to(counted.append)
    rejections._count("client")
    assert counted == ["server", "client"]


def test_without_the_sockets_folder_photos_are_rated_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rejections = Rejections()
    rejections.listen(tmp_path / "nowhere" / "rejected.sock")
    for _ in range(500):
        if "rejections are not counted" in caplog.text:
            break
        time.sleep(0.02)
    assert "rejections are not counted" in caplog.text
