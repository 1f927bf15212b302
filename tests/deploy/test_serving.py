"""`make run` for real: uWSGI with the production ini, on loopback, asked with curl."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.deploy.conftest import Server, start


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Path:
    file = tmp_path_factory.mktemp("photos") / "photo.jpg"
    file.write_bytes(photo)
    return file


def curl(server: Server, *arguments: str) -> str:
    command = ["curl", "--silent", "--show-error", "--max-time", "30", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_photo_is_rated(server: Server, photo_file: Path) -> None:
    answer = json.loads(curl(server, "-F", f"image=@{photo_file}", f"{server.url}/predict"))
    assert len(answer["faces"]) == 1


def test_the_line_of_a_request_holds_no_url(server: Server) -> None:
    curl(server, f"{server.url}/predict?url=http://10.0.0.1/private-photo.jpg")
    log = server.log.read_text()
    assert "private-photo" not in log
    line = json.loads([line for line in log.splitlines() if '"status": 400' in line][-1])
    assert line["path"] == "/predict"
    assert line["ms"] >= 0


def test_an_upload_of_50_megabytes_gets_its_answer(
    server: Server, tmp_path: Path, photo_file: Path
) -> None:
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(50_000_000)
    answer = json.loads(curl(server, "-F", f"image=@{huge}", f"{server.url}/predict"))
    assert answer["status"] == 413
    answer = json.loads(curl(server, "-F", f"image=@{photo_file}", f"{server.url}/predict"))
    assert len(answer["faces"]) == 1


def test_curl_need_not_wait_before_it_sends_a_large_photo(server: Server, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(3_000_000))
    seen = curl(server, "-v", "--stderr", "-", "-F", f"image=@{large}", f"{server.url}/predict")
    assert "100 Continue" in seen


def test_the_load_test_counts_what_comes_back(server: Server, photo_file: Path) -> None:
    script = ROOT / "scripts" / "load_test.sh"
    done = subprocess.run(
        [script, "12", "3", f"{server.url}/predict", photo_file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 requests in" in done.stdout
    assert "requests/s" in done.stdout
    assert "p50" in done.stdout
    assert "p99" in done.stdout
    assert "status 200: 12" in done.stdout
    failing = subprocess.run(
        [script, "4", "2", f"{server.url}/nowhere", "-"], capture_output=True, text=True
    )
    assert failing.returncode == 1
    assert "status 404: 4" in failing.stdout


def workers(server: Server) -> list[dict[str, object]]:
    """What uwsgitop would show."""
    stats = Path(os.environ.get("TMPDIR") or "/tmp") / f"attrai-{server.port}.stats"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stats))
        document = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    found: list[dict[str, object]] = document["workers"]
    return found


def test_uwsgi_runs_the_production_settings(server: Server) -> None:
    assert len(workers(server)) == os.cpu_count()
    assert sum(worker["status"] != "cheap" for worker in workers(server)) >= 1


def test_a_second_one_on_the_port_says_so_and_leaves_the_first_alone(server: Server) -> None:
    metrics = server.log.parent / "metrics"
    before = set(metrics.glob("*.db"))
    command = ["make", "--no-print-directory", "run", f"PORT={server.port}", f"METRICS={metrics}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"something serves on 127.0.0.1:{server.port} already" in done.stderr
    assert "Traceback" not in done.stderr
    assert before
    assert before <= set(metrics.glob("*.db"))
    assert workers(server)


def test_ctrl_c_stops_it_cleanly(tmp_path: Path) -> None:
    running = start(tmp_path, "WORKERS=1")
    running.stop(signal.SIGINT)
    assert running.get("/healthz") == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(running.process.pid, 0)
    assert "Traceback" not in running.log.read_text()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", running.port))


def test_sigterm_lets_a_request_finish(tmp_path: Path, photo_file: Path) -> None:
    running = start(tmp_path, "WORKERS=2")
    command = ["curl", "-s", "-F", f"image=@{photo_file}", f"{running.url}/predict?format=png"]
    with subprocess.Popen([*command, "-o", "-"], stdout=subprocess.PIPE) as client:
        time.sleep(0.03)
        os.kill(running.process.pid, signal.SIGTERM)
        assert client.stdout is not None
        picture = client.stdout.read()
    assert picture.startswith(b"\x89PNG")
    running.process.wait(timeout=30)
