"""The workshop's command line: its commands, and how they are asked for."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import training.__main__
from pipeline.settings import ROOT
from training.__main__ import COMMANDS, main

NAMES = ("dataset", "train", "export", "evaluate", "try")


@pytest.mark.parametrize("given", [[], ["traim"], ["--out", "x"], ["", "train"]], ids=" ".join)
def test_an_unknown_command_is_answered_with_those_there_are(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(given)
    assert exit_.value.code == 2
    printed = capsys.readouterr().out
    assert re.findall(r"^  (\w+)  ", printed, re.M) == list(COMMANDS) == list(NAMES)


@pytest.mark.parametrize("given", ["-h", "--help"])
def test_to_ask_for_help_is_no_mistake(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([given])
    assert exit_.value.code == 0
    assert training.__main__.__doc__ is not None
    assert training.__main__.__doc__ in capsys.readouterr().out


@pytest.mark.parametrize("command", NAMES)
def test_every_command_says_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: python -m training {command} ")
    assert f"python -m training {command} " in printed.split("usage:")[1].split("\n\n", 1)[1]
    assert "--out OUT" in printed


@pytest.mark.parametrize("command", NAMES)
def test_a_command_without_what_it_needs_is_wrong_usage(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command])
    assert exit_.value.code == 2
    assert "the following arguments are required" in capsys.readouterr().err


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "training"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert "python -m training COMMAND" in done.stdout
