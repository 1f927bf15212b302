"""Servers on loopback for the page's tests: the service itself, and a site with photos."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from pipeline.predictor import Predictor
from service.application import create_app
from service.fetch import FetchSettings
from service.keyfile import AuthSettings
from service.keys import add_key
from service.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@dataclass
class Server:
    """The service, with a front that can be told to refuse the next photos."""

    app: WSGIApplication
    guarded: WSGIApplication
    """The same, where `key` is asked for."""
    key: str
    url: str = ""
    asked: list[str] = field(default_factory=list)
    refusals: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    locked: bool = False
    # A worker of uWSGI's has one thread too.
    turn: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        self.asked.clear()
        self.refusals.clear()
        self.locked = False

    def refuse(self, status: str, times: int = 1, **headers: str) -> None:
        """Answer the next requests to /predict with `status`, as nginx would: without JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals += [(status, named)] * times

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/predict":
            return self.app(environ, start)
        self.asked.append(environ["QUERY_STRING"])
        status = ""
        headers: dict[str, str] = {}
        if self.refusals:
            status, headers = self.refusals.pop(0)
        if status:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(status, [("Content-Type", "text/html"), *headers.items()])
            return [b"<h1>refused</h1>"]
        with self.turn:
            return (self.guarded if self.locked else self.app)(environ, start)

    @classmethod
    @contextmanager
    def serving(cls, predictor: Predictor, photo_port: int, keys: Path) -> Iterator[Server]:
        """Serve; the file `keys` is made, and a key in it."""
        fetch = FetchSettings(ports=(80, 443, photo_port), allowed_networks=("127.0.0.1/32",))
        key = add_key(keys, "page")
        guarded = Settings(fetch=fetch, auth=AuthSettings(str(keys)))
        app = create_app(Settings(fetch=fetch), predictor)
        front = cls(app, create_app(guarded, predictor), key)
        server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet)
        server.daemon_threads = True  # type: ignore[attr-defined]
        front.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield front
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class PhotoHost:
    """A site that a photo can be fetched from."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def serving(cls, photos: dict[str, bytes]) -> Iterator[PhotoHost]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = photos.get(self.path.partition("?")[0])
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield cls(server.server_port)
            server.shutdown()
            thread.join()
