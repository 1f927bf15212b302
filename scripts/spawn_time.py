#!/usr/bin/env python3
"""Measures the spawn of a worker until its first answer: what a request waits for when the load
grows by one worker, or when one has died.

    .venv/bin/python scripts/spawn_time.py [TIMES]

Starts the server of this checkout with one worker, kills that worker TIMES times (5), and asks at
once for docs/astronaut.jpg to be rated; beside it, the same request to a worker that is warm.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(port: int, stats: Path) -> Iterator[None]:
    """The checkout's server with one worker; its log is shown where it does not start."""
    environment = {
        **os.environ,
        "ATTRAI_HTTP": f"127.0.0.1:{port}",
        "ATTRAI_STATS": str(stats),
        "ATTRAI_WORKERS": "1",
        "ATTRAI_PYTHON": sys.executable,
    }
    program, ini = Path(sys.executable).with_name("uwsgi"), ROOT / "deploy" / "uwsgi.ini"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            [program, "--ini", ini], env=environment, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 60
            while not stats.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(log.read().decode())
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def worker(stats: Path) -> int:
    """The process of the only worker."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stats))
        document: dict[str, Any] = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    return int(document["workers"][0]["pid"])


def rate(port: int) -> float:
    """Seconds until the photo has been rated."""
    photo = (ROOT / "docs" / "astronaut.jpg").read_bytes()
    start = time.perf_counter()
    question = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", photo, {"Content-Type": "image/jpeg"}
    )
    with urllib.request.urlopen(question, timeout=60) as answer:  # noqa: S310
        answer.read()
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print a line each for a new worker and a warm one."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    spawned, warm = [], []
    with tempfile.TemporaryDirectory() as folder:
        port, stats = free_port(), Path(folder) / "stats"
        with server(port, stats):
            rate(port)
            for _ in range(times):
                os.kill(worker(stats), signal.SIGKILL)
                spawned.append(rate(port))
                warm.append(rate(port))
                time.sleep(2)  # uWSGI holds back a worker that dies again at once
    for name, seconds in (("a new worker", spawned), ("a warm worker", warm)):
        middle = statistics.median(seconds)
        print(f"{name}: median {middle:.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
