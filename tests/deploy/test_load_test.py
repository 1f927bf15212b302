"""scripts/load_test.sh against a host that turns away what is too much for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import ROOT
from scripts.open_loop import Outcome, report

SCRIPT = ROOT / "scripts" / "load_test.sh"


@dataclass
class Behaviour:
    """How the host answers, and what it has seen."""

    places: int = 1000
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "1"})
    cut: bool = False
    arrivals: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


Host = Callable[[Behaviour], AbstractContextManager[str]]


@contextmanager
def serve(behaviour: Behaviour) -> Iterator[str]:
    """The host's URL."""
    free = threading.Semaphore(behaviour.places)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour.arrivals.append(time.monotonic())
            behaviour.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            if free.acquire(blocking=False):
                time.sleep(behaviour.pause)
                free.release()
                self.answer(200, {})
            else:
                self.answer(429, behaviour.headers)

        do_POST = do_GET  # noqa: N815

        def answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "3", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"a" if behaviour.cut else b"abc")

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 200

    with ExitStack() as stack:
        server = stack.enter_context(Server(("127.0.0.1", 0), Handler))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield f"http://127.0.0.1:{server.server_port}/predict"


def load(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def steady(url: str, *arguments: str | Path, rate: int = 50) -> tuple[int, str]:
    return load("--rate", str(rate), "--seconds", "1", url, *(arguments or ("-",)))


def test_a_steady_load_is_sent_as_asked(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8 a photo")
    behaviour = Behaviour()
    with serve(behaviour) as url:
        status, said = steady(url, photo)
    assert status in (0, 3)
    assert re.search(
        r"^50 requests in [\d.]+ s: [\d.]+ requests/s, [\d.]+ answered 200$", said, re.M
    )
    assert re.search(r"^status 200: 50 \(p50 \d+ ms, p95 \d+ ms, p99 \d+ ms\)$", said, re.M)
    assert "with Retry-After: 0 of 0" in said
    assert all(photo.read_bytes() in body for body in behaviour.bodies)
    assert behaviour.bodies[0].count(b'name="image"') == 1


def test_a_photo_may_have_any_name(tmp_path: Path) -> None:
    photo = tmp_path / 'a, b; "c" \\ä.jpg'
    photo.write_bytes(b"\xff\xd8 a photo")
    behaviour = Behaviour()
    with serve(behaviour) as url:
        status, said = load("4", "2", url, photo)
    assert status == 0, said
    assert all(photo.read_bytes() in body for body in behaviour.bodies)


def test_requests_start_on_schedule_whatever_the_answers_take() -> None:
    behaviour = Behaviour(pause=2.0)
    with serve(behaviour) as url:
        status, said = steady(url, rate=20)
    assert status in (0, 3)
    # None was answered before the last one came: a loop that waits would have sent one.
    assert len(behaviour.arrivals) == 20
    assert max(behaviour.arrivals) - min(behaviour.arrivals) < 2.0 + 1.0
    (most,) = re.findall(r"^at most (\d+) in flight$", said, re.M)
    assert int(most) >= 15


def test_what_was_turned_away_is_told_apart() -> None:
    with serve(Behaviour(places=2, pause=0.5)) as url:
        status, said = steady(url)
    assert status in (0, 3)
    counts = {code: int(n) for code, n in re.findall(r"^status (\d+): (\d+) \(p50", said, re.M)}
    assert set(counts) == {"200", "429"}
    assert sum(counts.values()) == 50
    assert counts["429"] > counts["200"] > 0
    assert f"with Retry-After: {counts['429']} of {counts['429']}" in said
    (slow,) = re.findall(r"status 200: .*p50 (\d+) ms", said)
    assert int(slow) >= 500


def test_the_exit_status_says_when_admission_is_not_as_promised() -> None:
    with serve(Behaviour(places=1, pause=0.5, headers={})) as url:
        status, said = steady(url)
    assert status == 1
    assert re.search(r"with Retry-After: 0 of [1-9]", said)


def test_an_answer_that_breaks_off_is_none() -> None:
    with serve(Behaviour(cut=True)) as url:
        status, said = steady(url)
    assert status == 1
    assert "no answer: 50" in said
    with serve(Behaviour()) as url:
        gone = url
    status, said = steady(gone)
    assert status == 1
    assert "no answer: 50" in said


def test_a_load_that_this_machine_could_not_keep_up_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = [Outcome(200, False, 0.001 * ms, 0.0) for ms in range(1, 100)]
    assert report(good, 10.0, 3) == 0
    assert "status 200: 99 (p50 50 ms, p95 95 ms, p99 99 ms)" in capsys.readouterr().out
    late = [Outcome(200, False, 0.2, 0.08)] * 2
    assert report(good + late, 10.0, 3) == 3
    assert "started over 50 ms late: 2, the latest by 80 ms" in capsys.readouterr().out
    # What went wrong outranks that.
    assert report([*good, *late, Outcome(503, True, 0.1, 0.0)], 10.0, 3) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "5"],
        ["--seconds", "5"],
        ["--rate", "0", "--seconds", "5"],
        ["--rate", "0.0", "--seconds", "5"],
        ["--rate", "fast", "--seconds", "5"],
        ["--rate"],
        ["--pace", "5"],
        ["--rate", "5", "--seconds", "1", "ftp://127.0.0.1/", "-"],
        ["--rate", "5", "--seconds", "1", "http://127.0.0.1/", "/no/such/photo"],
        ["many"],
        ["5", "0"],
        ["5", "1", "http://127.0.0.1/", "/no/such/photo"],
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str]) -> None:
    status, said = load(*arguments)
    assert status == 2
    assert said.startswith("load_test.sh: ")


def test_times_are_read_right_where_a_comma_is_the_decimal_point(tmp_path: Path) -> None:
    if not shutil.which("localedef"):
        pytest.skip("no localedef to make a locale with")
    made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
    if subprocess.run(made, capture_output=True).returncode > 1:  # 1 is for warnings
        pytest.skip("no locales to make one of")
    with serve(Behaviour(pause=0.1)) as url:
        status, said = load("3", "1", url, LOCPATH=str(tmp_path), LC_ALL="de_DE.UTF-8")
    assert status == 0
    (median,) = re.findall(r"^p50 (\d+) ms", said, re.M)
    assert int(median) >= 100


def test_help_says_what_the_exit_status_means() -> None:
    status, said = load("--help")
    assert status == 0
    for words in ("--rate N --seconds S", "COUNT [CONCURRENCY", "exit status", "Retry-After"):
        assert words in said
    assert "set -e" not in said
