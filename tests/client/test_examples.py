"""The README's programs, each run as it stands there, where its language is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.client.conftest import Front

SECTION = (ROOT / "README.md").read_text().split("## From a program\n")[1].split("\n## ")[0]
PROGRAMS = dict(re.findall(r"```(\w+)\n(.*?)```", SECTION, re.S))
SERVER = "http://127.0.0.1:4444"


@pytest.fixture
def folder(photo: bytes, tmp_path: Path) -> Path:
    (tmp_path / "photo.jpg").write_bytes(photo)
    return tmp_path


def write(folder: Path, name: str, language: str, server: Front) -> None:
    program = PROGRAMS[language]
    assert program.count(SERVER) == 1
    (folder / name).write_text(program.replace(SERVER, server.url))


def run(folder: Path, *command: str, status: int = 0) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def test_there_is_a_program_in_each_language() -> None:
    assert list(PROGRAMS) == ["python", "js", "go"]


def test_python(folder: Path, server: Front) -> None:
    shutil.copy(ROOT / "client" / "attrai.py", folder)
    write(folder, "example.py", "python", server)
    said = run(folder, sys.executable, "example.py")
    assert re.fullmatch(r"\d+\.\d Box\(x=\d+, y=\d+, width=\d+, height=\d+\)\n", said)
    assert (folder / "rated.png").read_bytes().startswith(b"\x89PNG")
    (folder / "photo.jpg").write_bytes(b"no photo")
    assert run(folder, sys.executable, "example.py").startswith("415 ")


def test_javascript(folder: Path, server: Front) -> None:
    node = tool("node")
    write(folder, "example.mjs", "js", server)
    said = run(folder, node, "example.mjs")
    assert re.fullmatch(r"\d+(\.\d)? \{ x: \d+, y: \d+, width: \d+, height: \d+ \}\n", said)
    (folder / "photo.jpg").write_bytes(b"no photo")
    assert "415 " in run(folder, node, "example.mjs", status=1)


def test_go(folder: Path, server: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tool("go")
    write(folder, "example.go", "go", server)
    # What it builds and keeps stays in the test's folder.
    monkeypatch.setenv("GOCACHE", str(folder / "cache"))
    monkeypatch.setenv("GOPATH", str(folder / "go"))
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    said = run(folder, go, "run", "example.go")
    assert re.fullmatch(r"\d+(\.\d)? \{\d+ \d+ \d+ \d+\}\n", said)
    (folder / "photo.jpg").write_bytes(b"no photo")
    assert "415 " in run(folder, go, "run", "example.go", status=1)
