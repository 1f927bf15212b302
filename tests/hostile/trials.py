"""Photos handed, one by one, to a process of which nothing is expected but that it lives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from pipeline.settings import ROOT


@dataclass(frozen=True)
class Outcome:
    """What became of one photo."""

    trial: dict[str, Any]
    outcome: str | int
    """The status of POST /predict; of the decoder "photo", or its error's name."""
    cpu: float
    wall: float
    """Seconds."""
    peak: int
    resident: int
    """The process's memory in KiB: the most that it ever had, and what it has."""
    detail: str = ""
    type: str = ""
    faces: int = 0
    bytes: int = 0


class Victim:
    """The process, and another when it did not survive. `with` ends it."""

    def __enter__(self) -> Victim:
        self._start()
        return self

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.decoding"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def attempt(self, **trial: Any) -> Outcome:
        """What becomes of one photo. Raises AssertionError if the process does not survive it."""
        ask, answers = self._pipes()
        try:
            ask.write(json.dumps(trial) + "\n")
            ask.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            self._end()
            self._start()
            raise AssertionError(f"{trial} ended the process with {code}")
        return Outcome(trial, **json.loads(line))

    def attempt_all(self, trials: Iterable[dict[str, Any]]) -> list[Outcome]:
        """Each in its turn, all in the one process."""
        return [self.attempt(**trial) for trial in trials]

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout
