"""GET /predict?url= for real: a photo host on loopback, allowed by a setting."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.deploy.conftest import Server, start


class PhotoHost(BaseHTTPRequestHandler):
    """Serves one photo, and leads astray."""

    photo: ClassVar[bytes]
    astray: ClassVar[dict[str, str]] = {
        "/private": "http://10.0.0.1/photo.jpg",
        "/metadata": "http://169.254.169.254/latest/",
        "/moved": "/photo.jpg",
        "/circle": "/circle",
    }

    def do_GET(self) -> None:
        if target := self.astray.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
        elif self.path == "/photo.jpg":
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.photo)))
            self.end_headers()
            self.wfile.write(self.photo)
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def host(photo: bytes) -> Iterator[str]:
    PhotoHost.photo = photo
    with HTTPServer(("127.0.0.1", 0), PhotoHost) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, host: str) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("url")
    config = folder / "attrai.ini"
    config.write_text(
        f"[fetch]\nallowed_networks = 127.0.0.1/32\nports = 80, 443, {host.rpartition(':')[2]}\n"
    )
    running = start(folder, "WORKERS=1", config=config)
    yield running
    running.stop(signal.SIGKILL)


def ask(server: Server, url: str) -> dict[str, Any]:
    command = ["curl", "-sG", "--data-urlencode", f"url={url}", f"{server.url}/predict"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True).stdout)
    return answer


@pytest.mark.parametrize("path", ["/photo.jpg", "/moved"])
def test_a_photo_behind_a_url_is_rated(server: Server, host: str, path: str) -> None:
    assert len(ask(server, host + path)["faces"]) == 1


@pytest.mark.parametrize(
    ("path", "status"), [("/private", 400), ("/metadata", 400), ("/circle", 400), ("/gone", 502)]
)
def test_what_leads_astray_is_refused(server: Server, host: str, path: str, status: int) -> None:
    answer = ask(server, host + path)
    assert answer["status"] == status
    assert len(ask(server, host + "/photo.jpg")["faces"]) == 1


def test_loopback_is_refused_unless_a_setting_allows_it(server: Server, host: str) -> None:
    port = host.rpartition(":")[2]
    assert ask(server, f"http://127.0.0.2:{port}/photo.jpg")["status"] == 400


def test_the_configuration_is_checked_at_start(tmp_path: Path) -> None:
    config = tmp_path / "attrai.ini"
    config.write_text("[photo]\nmax_byte = 5\n")
    with pytest.raises(AssertionError, match="max_byte"):
        start(tmp_path, "WORKERS=1", config=config)
