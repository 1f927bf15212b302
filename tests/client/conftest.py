"""The service on loopback, behind a front that can be told to turn requests away."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Refusal = tuple[str, dict[str, str], bytes]


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@dataclass
class Front:
    """The service, its address, what it was asked, and how the next requests are refused."""

    app: WSGIApplication
    port: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """Requests wait for it."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    """A worker of uWSGI's has one thread too."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self, status: str, body: bytes = b"", **headers: str) -> None:
        """Answer the next request that nothing is planned for with this."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals.append((status, named, body))

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        self.asked.append({name: value for name, value in environ.items() if name.isupper()})
        self.hold.wait(60)
        if not self.refusals:
            with self.turn:
                return self.app(environ, start)
        status, headers, body = self.refusals.pop(0)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(status, list(headers.items()))
        return [body]


@contextmanager
def serving(app: WSGIApplication) -> Iterator[Front]:
    """Serve `app` on loopback until the block ends."""
    front = Front(app)
    front.hold.set()
    server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet)
    front.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield front
    finally:
        front.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def _served(app: Flask) -> Iterator[Front]:
    with serving(app.wsgi_app) as front:
        yield front


@pytest.fixture
def server(_served: Front) -> Front:
    """The service with the real models, with nothing left of the test before."""
    _served.asked.clear()
    _served.refusals.clear()
    _served.hold.set()
    return _served


@pytest.fixture
def waits() -> list[float]:
    """What a client slept, in seconds, if it was given `waits.append` to sleep with."""
    return []
