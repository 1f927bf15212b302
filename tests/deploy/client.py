"""Clients of a booted machine: one request, many at once, and those that are too slow."""

from __future__ import annotations

import http.client
import json
import math
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from types import TracebackType
from typing import Any

from tests.deploy.machine import Machine

JPEG = {"Content-Type": "image/jpeg"}


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the connection broke, with the reason as its body."""

    status: int
    headers: Message
    body: bytes
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def problem(self) -> dict[str, Any]:
        """The document, checked to be a problem of the service's shape that fits the answer."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        found = self.document
        names = ["type", "title", "status", "detail", "instance", "request_id"]
        assert list(found) == names
        assert found["type"].startswith("urn:attrai:problem:")
        assert found["status"] == self.status
        assert found["request_id"] == self.headers["X-Request-ID"]
        return found


class Client:
    """One address's requests to a server inside a machine."""

    def __init__(
        self, machine: Machine, source: str = "", host: str = "127.0.0.1", port: int = 80
    ) -> None:
        self.machine = machine
        self._where = (source, host, port)

    def connect(self, timeout: float = 60) -> socket.socket:
        source, host, port = self._where
        return self.machine.connect(port, timeout, host, source)

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        timeout: float = 60,
    ) -> Answer:
        """A GET, or with a body a POST of a JPEG, on a connection of its own."""
        start = time.monotonic()
        if headers is None:
            headers = JPEG if body is not None else {}
        connection = http.client.HTTPConnection("attrai.test")
        try:
            connection.sock = self.connect(timeout)
            verb = method or ("GET" if body is None else "POST")
            connection.request(verb, path, body, dict(headers))
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, Message(), repr(error).encode(), time.monotonic() - start)
        finally:
            connection.close()
        return Answer(response.status, response.headers, data, time.monotonic() - start)

    def send(self, raw: bytes, timeout: float = 60) -> Answer:
        """Bytes as they stand, and what is answered to them."""
        start = time.monotonic()
        with self.connect(timeout) as connection:
            connection.sendall(raw)
            response = http.client.HTTPResponse(connection)
            response.begin()
            body = response.read()
        return Answer(response.status, response.headers, body, time.monotonic() - start)


@dataclass
class Load:
    """Several clients that ask one request after the other until they are told to stop.

    with Load(ask, clients=4) as load:
        ...
    load.statuses
    """

    ask: Callable[[int], Answer]
    """Called with the number of the client."""
    clients: int = 4
    most: float = math.inf
    """Requests, after which the clients stop by themselves."""
    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._left = self.most
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            with self._lock:
                if self._left <= 0:
                    return
                self._left -= 1
            answer = self.ask(number)
            with self._lock:
                self.answers.append(answer)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None or math.isinf(self.most):
            self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests have been answered."""
        goal = len(self.answers) + count
        while len(self.answers) < goal and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.02)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def percentile(self, share: float, status: int = 200) -> float:
        """Seconds within which that share of the answers of a status came."""
        seconds = sorted(answer.seconds for answer in self.answers if answer.status == status)
        return seconds[max(math.ceil(len(seconds) * share) - 1, 0)] if seconds else math.nan


class Dripping:
    """Clients that send a request a byte a second, or take its answer so; `with` closes them."""

    def __init__(self, client: Client, count: int, head: bytes) -> None:
        self._sockets = [client.connect() for _ in range(count)]
        self._stop = threading.Event()
        for connection in self._sockets:
            connection.sendall(head)
        self._thread = threading.Thread(target=self._drip)

    def __enter__(self) -> Dripping:
        self._thread.start()
        return self

    def _drip(self) -> None:
        while not self._stop.wait(1):
            for connection in self._sockets:
                try:
                    connection.send(b"x")
                except OSError:
                    self.dropped += 1

    def answered(self) -> int:
        """How many of them have got an answer, or been cut off."""
        return len(select.select(self._sockets, [], [], 0)[0])

    dropped = 0
    """Bytes that could not be sent, for the server had closed."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self._sockets:
            connection.close()
