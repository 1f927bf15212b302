"""Processes that a benchmark starts, with all that they start: their memory, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import ROOT

PATIENCE = 4
"""Seconds that a server has to end by itself."""


@dataclass(frozen=True)
class Command:
    """A program to start, and what it finds in its environment beside ours."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Memory:
    """Of a process, or of several together; in bytes."""

    rss: int
    pss: int
    """Shared pages counted in parts: what it costs to have one more."""

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss)


@dataclass(frozen=True)
class _Process:
    """A process and when it was started, for numbers come again."""

    pid: int
    started: str


@contextmanager
def running(commands: Sequence[Command], log: Path) -> Iterator[list[int]]:
    """Start programs, give their pids, and at the end end them and all that they started."""
    started: list[subprocess.Popen[bytes]] = []
    with log.open("ab") as out:
        try:
            for command in commands:
                process = subprocess.Popen(
                    [str(argument) for argument in command.arguments],
                    cwd=ROOT,
                    env={**os.environ, **command.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
                started.append(process)
            yield [process.pid for process in started]
        finally:
            for process in reversed(started):
                _end(process)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for process in found:  # grows as it goes
        found += children.get(process, [])
    return found


def memory(pid: int) -> Memory:
    """A process's memory now; none of one that has gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        fields = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
        return Memory(int(fields["Rss"]) * 1024, int(fields["Pss"]) * 1024)
    return Memory(0, 0)


def processor_seconds(pids: Sequence[int]) -> float:
    """Of all cores, that servers and all that they started have used so far."""
    ticks = 0
    for process in (p for pid in pids for p in tree(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def worker(pids: Sequence[int]) -> int:
    """Of servers and all that they started, the process with the most memory: it has the models."""
    return max((p for pid in pids for p in tree(pid)), key=lambda process: memory(process).rss)


def whole(pids: Sequence[int]) -> Memory:
    """The memory of servers and all that they started."""
    return sum((memory(p) for pid in pids for p in tree(pid)), Memory(0, 0))


def _end(process: subprocess.Popen[bytes]) -> None:
    family = [_Process(pid, _started(pid)) for pid in tree(process.pid)]
    process.send_signal(signal.SIGINT)
    _wait_for(family, process, PATIENCE)
    for one in family:
        if _alive(one):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
    _wait_for(family, process, 10)


def _wait_for(family: Sequence[_Process], first: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while any(map(_alive, family)) and time.monotonic() < until:
        time.sleep(0.02)
    first.poll()


def _started(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" for one that has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""


def _alive(process: _Process) -> bool:
    return process.started != "" and _started(process.pid) == process.started
