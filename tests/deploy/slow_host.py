"""A host of photos that answers when the test lets it: how a request is kept in a worker."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

from tests.deploy.machine import Machine

PORT = 8099
URL = f"/predict?url=http://127.0.0.1:{PORT}/photo.jpg"


class _Server(ThreadingHTTPServer):
    host: SlowHost


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        cast(_Server, self.server).host.answer(self)

    def log_message(self, *_: Any) -> None:
        pass


class SlowHost:
    """Serves one photo inside a machine; while it is held, whoever asks has to wait."""

    def __init__(self, machine: Machine, photo: bytes) -> None:
        self._photo = photo
        self._free = threading.Event()
        self._free.set()
        self._lock = threading.Lock()
        self.waiting = 0
        """Requests that wait for the photo now."""
        self._server = _Server(("127.0.0.1", PORT), _Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = machine.listen(PORT)
        self._server.host = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def hold(self) -> None:
        """Let everybody wait from now on."""
        self._free.clear()

    def release(self) -> None:
        """Answer those who wait, and all that come."""
        self._free.set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, in its own time."""
        with self._lock:
            self.waiting += 1
        self._free.wait()
        with self._lock:
            self.waiting -= 1
        try:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(self._photo)))
            handler.end_headers()
            handler.wfile.write(self._photo)
        except OSError:
            pass  # who asked was killed meanwhile

    def __enter__(self) -> SlowHost:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
