"""The README's commands, run as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.deploy.conftest import Server

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Path:
    """A folder where a reader would type: the repository's files, and a photo."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("pipeline", "models", "scripts", ".venv", "attrai.ini"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "photos").mkdir()
    for file in (folder / "photo.jpg", folder / "photos" / "photo.jpg"):
        file.write_bytes(photo)
    return folder


def run(command: str, folder: Path, server: Server) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.replace("127.0.0.1:4444", server.url[7:])],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_commands() -> None:
    assert len(BLOCKS) >= 9


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.strip().startswith(("curl", "echo"))]
)
def test_what_the_readme_asks_is_answered(block: str, desk: Path, server: Server) -> None:
    shutil.rmtree(desk / "rated", ignore_errors=True)
    answer = run(block.replace("curl ", "curl --silent --show-error "), desk, server)
    if "-o " in block:
        picture = desk / re.findall(r"-o (\S+)", block)[0]
        assert picture.read_bytes()[:4] in (b"\x89PNG", b"RIFF")
    for line in answer.splitlines():
        document = json.loads(line)
        if "example.com" in block:
            # Whether that host can be reached is not ours to promise.
            assert {"faces", "status"} & set(document)
        else:
            assert "detail" not in document
    assert answer or "-o " in block


@pytest.mark.parametrize("block", [block for block in BLOCKS if "pipeline" in block])
def test_the_command_line(block: str, desk: Path, server: Server) -> None:
    assert "photo.jpg: " in run(block, desk, server)
    (rated,) = json.loads((desk / "figures.json").read_text())
    assert len(rated["faces"]) == 1
    assert (desk / "rated" / "photo-rated.jpg").exists()
    assert "photo.jpg,1," in (desk / "figures.csv").read_text()


@pytest.mark.parametrize("block", [block for block in BLOCKS if "load_test" in block])
def test_the_load_test(block: str, desk: Path, server: Server) -> None:
    assert "status 200: 20" in run(block, desk, server)
