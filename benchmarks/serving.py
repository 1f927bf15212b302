"""Over HTTP: every server in turn, at one worker and at two, in several rounds."""

from __future__ import annotations

import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import Answers, Client, closed_loop, percentile, request
from benchmarks.photos import TestPhoto
from benchmarks.processes import Memory, memory, processor_seconds, running, whole, worker
from benchmarks.stacks import OURS, USUAL, Stack
from benchmarks.timing import interleaved
from pipeline.predictor import load_predictor
from pipeline.settings import PipelineSettings

CLIENTS = (1, 4, 16)
START_TIMEOUT = 180
NO_MEMORY = Memory(0, 0)


@dataclass(frozen=True)
class Served:
    """A server that runs, and answers."""

    port: int
    pids: list[int]
    start: float
    """Seconds from its start to its first answer."""
    first: dict[str, Any]
    """That answer."""


@dataclass
class ServerCase:
    """A server with a number of workers: what all its turns together came to."""

    name: str
    workers: int
    starts: list[float] = field(default_factory=list)
    """Seconds from nothing to the first answer."""
    rates: dict[int, list[float]] = field(default_factory=dict)
    """Answers a second by clients, one a turn."""
    times: dict[int, list[float]] = field(default_factory=dict)
    """Milliseconds of every answer, by clients."""
    processor: list[float] = field(default_factory=list)
    """Milliseconds of all cores for an answer, one a turn and number of clients."""
    failed: int = 0
    worker: Memory = NO_MEMORY
    """The largest process, as found at the end of the last turn."""
    all: Memory = NO_MEMORY
    """Every process of the server."""
    answer: dict[str, Any] = field(default_factory=dict)
    """To the first photo."""
    problem: str = ""
    """Why there are no figures."""

    @property
    def rate(self) -> float:
        """Answers a second where that is highest: the median of the turns."""
        return max((statistics.median(rates) for rates in self.rates.values()), default=0.0)

    def percentile(self, clients: int, percent: float) -> float:
        """Milliseconds."""
        return percentile(self.times.get(clients, []), percent)


@dataclass(frozen=True)
class OverheadCase:
    """What a server adds to the pipeline itself, one photo at a time; median milliseconds."""

    photo: str
    format: str
    alone: float
    direct: float
    """Through uWSGI and Flask."""
    nginx: float | None
    """Through nginx, uWSGI and Flask, as deployed."""

    @property
    def direct_adds(self) -> float:
        """As a share of the pipeline's own time."""
        return self.direct / self.alone - 1

    @property
    def nginx_adds(self) -> float | None:
        """The same; None where nginx is not installed."""
        return self.nginx and self.nginx / self.alone - 1


@contextmanager
def served(stack: Stack, workers: int, photo: TestPhoto) -> Iterator[Served]:
    """Start a server in a folder of its own, wait for its first answer, and end it afterwards.

    Raises RuntimeError, with the end of its log, if it gives none.
    """
    with tempfile.TemporaryDirectory(prefix="attrai-bench-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        log, question = folder / "log", request(photo.data, form=stack.form)
        commands, begin = stack.commands(port, _free_port(), workers, folder), time.monotonic()
        with running(commands, log) as pids:
            client, said = Client(port), ""
            while time.monotonic() - begin < START_TIMEOUT and all(_runs(pid) for pid in pids):
                try:
                    status, body = client.ask(question)
                except OSError as error:
                    status, body = 0, str(error).encode()
                if status == 200:
                    client.close()
                    start = time.monotonic() - begin
                    yield Served(port, pids, start, json.loads(body))
                    return
                said = f"{status} {body[:200]!r}"
                time.sleep(0.02)
            end = log.read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{stack.name} gives no answer: {said}\n{end}")


def server_cases(
    servers: Sequence[Stack],
    photos: Sequence[TestPhoto],
    *,
    quick: bool,
    tell: Callable[[str], None],
) -> list[ServerCase]:
    """Each server that runs here, at one worker and at two, in turn and in rounds.

    If it must be quick, only ours and the usual stack get two workers.
    """
    rounds, seconds, clients = (1, 1.0, (1, 4)) if quick else (3, 2.0, CLIENTS)
    cases = {(s.name, w): ServerCase(s.name, w, problem=s.needs) for w in (1, 2) for s in servers}
    for number in range(rounds):
        for stack in servers:
            for workers in (1, 2):  # next to one another, for the machine changes by the minute
                case = cases[stack.name, workers]
                if case.problem or (quick and workers > 1 and stack.name not in (OURS, USUAL)):
                    continue
                tell(f"round {number + 1} of {rounds}: {stack.name}, workers: {workers}")
                try:
                    _turn(case, stack, photos, seconds, clients)
                except RuntimeError as error:
                    case.problem = str(error)
                    tell(case.problem)
    return list(cases.values())


def _turn(
    case: ServerCase,
    stack: Stack,
    photos: Sequence[TestPhoto],
    seconds: float,
    clients: Sequence[int],
) -> None:
    questions = [request(photo.data, form=stack.form) for photo in photos]
    with served(stack, case.workers, photos[0]) as server:
        case.starts.append(server.start)
        case.answer = server.first
        # As long again as the first answer took: then the last worker is there, too
        warming = max(server.start, 2.0) if case.workers > 1 else 1.0
        closed_loop(server.port, questions, clients=4, seconds=warming, least=len(photos))
        for count in clients:
            before = processor_seconds(server.pids)
            answers = closed_loop(server.port, questions, clients=count, seconds=seconds)
            _add(case, count, answers, processor_seconds(server.pids) - before)
        case.worker, case.all = memory(worker(server.pids)), whole(server.pids)


def _add(case: ServerCase, clients: int, answers: Answers, used: float) -> None:
    if answers.milliseconds:
        case.processor.append(used * 1000 / len(answers.milliseconds))
    case.rates.setdefault(clients, []).append(answers.rate)
    case.times.setdefault(clients, []).extend(answers.milliseconds)
    case.failed += answers.failed


def overhead_cases(
    direct: Stack, nginx: Stack, photos: Sequence[TestPhoto], *, quick: bool
) -> Iterator[OverheadCase]:
    """Our pipeline in this process and over HTTP, in turn, with one client and one worker."""
    rounds = 2 if quick else 6
    predictor = load_predictor(PipelineSettings())
    with served(direct, 1, photos[0]) as near, _perhaps(nginx, photos[0]) as far:
        for photo in photos:
            for format_ in ("json", "png"):
                ports = {"direct": near.port} | ({"nginx": far.port} if far else {})
                calls: dict[str, Callable[[], object]] = {
                    name: _asker(port, photo.data, format_) for name, port in ports.items()
                }

                def alone(data: bytes = photo.data, picture: bool = format_ == "png") -> None:
                    prediction = predictor.predict(data)
                    if picture:
                        predictor.picture(data, prediction, "png")

                found = interleaved({"alone": alone, **calls}, rounds, burst=5)
                yield OverheadCase(
                    photo.name, format_, found["alone"], found["direct"], found.get("nginx")
                )


@contextmanager
def _perhaps(stack: Stack, photo: TestPhoto) -> Iterator[Served | None]:
    if stack.needs:
        yield None
        return
    with served(stack, 1, photo) as server:
        yield server


def _asker(port: int, photo: bytes, format_: str) -> Callable[[], None]:
    client, question = Client(port), request(photo, form=True, query=f"?format={format_}")

    def ask() -> None:
        status, body = client.ask(question)
        if status != 200:
            raise RuntimeError(f"{status}: {body[:200]!r}")

    return ask


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
