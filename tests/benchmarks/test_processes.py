"""What a benchmark starts is measured and ended with all that it has started itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.processes import Command, memory, processor_seconds, running, tree, whole, worker

CHILD = "import time; held = bytearray(50_000_000); print('child', flush=True); time.sleep(60)"
STUBBORN = f"""
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.run([sys.executable, "-c", {CHILD!r}])
"""


def test_a_server_that_ignores_its_end_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.processes.PATIENCE", 0.2)
    log = tmp_path / "log"
    with running([Command([sys.executable, "-c", STUBBORN], {})], log) as pids:
        deadline = time.monotonic() + 30
        while "child" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent, child = tree(pids[0])
        assert parent == pids[0]
        assert worker(pids) == child
        assert memory(child).rss > 50_000_000
        assert memory(child).rss >= memory(child).pss > 0
        assert whole(pids).rss > memory(child).rss
        assert processor_seconds(pids) > 0
    assert gone(parent)
    assert gone(child)
    assert not Path(f"/proc/{parent}").exists()  # reaped, for it is ours


def test_programs_find_the_environment_that_they_are_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    say = Command([sys.executable, "-c", "import os; print(os.environ['SAY'])"], {"SAY": "this"})
    with running([say], log):
        deadline = time.monotonic() + 30
        while not log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert log.read_text() == "this\n"


def test_a_process_that_has_gone_has_no_memory() -> None:
    assert memory(2**22 + 1).rss == 0


def gone(pid: int) -> bool:
    """Ended; who is to reap it may take a moment."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
