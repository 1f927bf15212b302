"""`python -m service.check`: what start, reload and the installer go by."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from service import check
from tests.conftest import SCORER

FACE = json.dumps({"faces": [{"score": 6.5}]}).encode()
NO_FACE = json.dumps({"faces": []}).encode()
PROBLEM = json.dumps({"detail": "the models are gone"}).encode()


def run(*arguments: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.check", *arguments],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_this_release_rates_a_face() -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert "rates a face: 1 found" in done.stdout
    assert done.stdout.count("\n") == 1


def test_it_leaves_the_servers_sockets_and_counts_alone(tmp_path: Path) -> None:
    stats, rejected = tmp_path / "stats", tmp_path / "rejected"
    stats.touch()
    done = run(
        ATTRAI_STATS=str(stats),
        ATTRAI_REJECTED=str(rejected),
        PROMETHEUS_MULTIPROC_DIR=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [stats]


def test_settings_that_cannot_be_fail_it_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "attrai.ini"
    config.write_text("[photo]\nmax_byte = 5\n")
    done = run(ATTRAI_CONFIG=str(config))
    assert done.returncode == 1
    assert done.stderr.startswith("check failed: [photo] has no setting 'max_byte'")
    assert done.stderr.count("\n") == 1


def test_a_corrupt_model_fails_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(ROOT / "models" / "mtcnn", models / "mtcnn")
    shutil.copytree(ROOT / "models" / SCORER, models / SCORER)
    (models / SCORER / "int8.onnx").write_bytes(b"no graph")
    config = tmp_path / "attrai.ini"
    config.write_text(f"[engine]\nmodels_dir = {models}\n")
    done = run(ATTRAI_CONFIG=str(config))
    assert done.returncode == 1
    assert "is not the file its card describes" in done.stderr


@pytest.mark.parametrize(
    ("broken", "text", "said"),
    [
        ("service/application.py", "raise RuntimeError('unfinished')", "RuntimeError: unfinished"),
        ("service/application.py", "def create_app(", "SyntaxError"),
        ("deploy/uwsgi.ini", "[uwsgi]\nstrict = true\nno-such = 1\n", "no-such"),
    ],
)
def test_a_broken_release_fails_it(tmp_path: Path, broken: str, text: str, said: str) -> None:
    for name in ("pipeline", "service", "deploy"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    (tmp_path / broken).write_text(text)
    done = run(root=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr


Answers = list[tuple[int, bytes]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Answers], Path]]:
    """Answers requests in uWSGI's protocol with what the test gives, and notes what came."""
    threads: list[threading.Thread] = []

    def start(answers: Answers) -> Path:
        path = tmp_path / "uwsgi.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_answer_all, args=(listener, answers))
        thread.start()
        threads.append(thread)
        return path

    yield start
    for thread in threads:
        thread.join(timeout=30)


def _answer_all(listener: socket.socket, answers: Answers) -> None:
    with listener:
        for status, body in answers:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                _, size, _ = struct.unpack("<BHB", stream.read(4))
                names = _variables(stream.read(size))
                assert stream.read(int(names["CONTENT_LENGTH"] or 0)) in (b"", check._photo())
                if status:
                    connection.sendall(b"HTTP/1.1 %d X\r\n\r\n" % status + body)


def _variables(block: bytes) -> dict[str, str]:
    texts = []
    while block:
        (size,) = struct.unpack_from("<H", block)
        texts.append(block[2 : 2 + size].decode())
        block = block[2 + size :]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def test_it_waits_for_a_server_that_warms_up(serve: Callable[[Answers], Path]) -> None:
    path = serve([(0, b""), (503, PROBLEM), (200, FACE)])
    assert check.main(["--socket", str(path), "--timeout", "20"]) == 0


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, PROBLEM, "status 500: the models are gone"),
        (200, NO_FACE, "no face was found"),
        (200, b"<html>", "an answer that is none"),
    ],
)
def test_a_server_that_rates_no_face_fails_it(
    serve: Callable[[Answers], Path],
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    said: str,
) -> None:
    assert check.main(["--socket", str(serve([(status, body)]))]) == 1
    assert said in capsys.readouterr().err


def test_a_server_that_never_comes_fails_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(["--socket", str(tmp_path / "none"), "--timeout", "0.3"]) == 1
    assert "nothing listens there" in capsys.readouterr().err


def test_a_server_that_has_ended_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    monkeypatch.setenv("MAINPID", str(ended.pid))
    assert check.main(["--socket", str(tmp_path / "none"), "--timeout", "60"]) == 1
    assert "has ended" in capsys.readouterr().err


def test_draining_closes_the_socket_to_newcomers(serve: Callable[[Answers], Path]) -> None:
    path = serve([(200, b"{}")])
    assert check.main(["--socket", str(path), "--drain"]) == 0
    assert not path.exists()
    with pytest.raises(SystemExit):
        check.main(["--drain"])
