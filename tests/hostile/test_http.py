"""HTTP as no honest client speaks it, to nginx before the service and to `make run`.

Whatever is sent, the answer is the client's fault or none at all, nobody is deceived about where a
request ends, and the next photo is rated.
"""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import SOAK
from tests.deploy.conftest import start
from tests.deploy.machine import Machine
from tests.deploy.provision import cursor, journal, until
from tests.hostile.fuzzer import seed_photo
from tests.hostile.raw import BODIES, INNER, LENIENT, ODD, SMUGGLED, UNENDING, get, marked, post

Figure = Callable[[str, str], None]
STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")


@dataclass(frozen=True)
class Door:
    """A way to the service: what opens a connection, and what reads the service's log."""

    name: str
    connect: Callable[[], socket.socket]
    log: Callable[[], str]

    def tell(self, raw: bytes, patience: float = 0.3, *, last: bool = False) -> list[int]:
        """The statuses of all that is answered, until nothing comes any more; [] for a close.

        `last` closes our side behind `raw`.
        """
        with self.connect() as connection:
            connection.settimeout(20)
            answer = bytearray()
            try:
                connection.sendall(raw)
                if last:
                    connection.shutdown(socket.SHUT_WR)
                while block := connection.recv(65536):
                    answer += block
                    if not answer.endswith(b"100 Continue\r\n\r\n"):
                        connection.settimeout(patience)
            except TimeoutError:
                assert answer, "neither an answer nor a close"
            except ConnectionError:
                pass  # closed while more was on its way
        return [int(status) for status in STATUS.findall(answer) if status != b"100"]

    def rates(self) -> bool:
        """Whether the service still rates a photo."""
        photo = seed_photo()
        headers = b"Connection: close\r\nContent-Length: %d" % len(photo)
        return self.tell(post(headers, photo), patience=20) == [200]


@pytest.fixture(scope="module", params=["nginx", "make run"])
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    if request.param == "nginx":
        machine: Machine = request.getfixturevalue("machine")
        mark = cursor(machine)
        door = Door(
            "nginx",
            lambda: machine.connect(80, timeout=20),
            lambda: journal(machine, "--after-cursor", mark),
        )
        yield door
        hold(door)
        return
    server = start(tmp_path_factory.mktemp("router"), "WORKERS=1")
    door = Door(
        "make run",
        lambda: socket.create_connection(("127.0.0.1", server.port), 20),
        server.log.read_text,
    )
    yield door
    try:
        hold(door)
    finally:
        server.stop(signal.SIGKILL)


def hold(door: Door) -> None:
    """After all of it: the service rates a photo, and no worker died or was at fault."""
    assert door.rates()
    log = door.log()
    assert '"outer"' in log
    assert "Traceback" not in log
    assert "DAMN" not in log, "uWSGI's word for a worker that died"
    assert "HARAKIRI" not in log
    assert not re.search(r'"status": 5', log)


@pytest.fixture(autouse=True)
def lives_on(door: Door) -> Iterator[None]:
    """The service answers the next client."""
    yield
    assert door.tell(get(b"/healthz", b"Connection: close"), patience=20) == [200]


def faults(statuses: list[int]) -> bool:
    """Answered once, by a refusal; or closed without a word."""
    return len(statuses) <= 1 and all(400 <= status < 500 for status in statuses)


@pytest.mark.parametrize("name", SMUGGLED)
def test_no_request_is_smuggled(door: Door, name: str) -> None:
    raw, inner = marked(SMUGGLED[name], list(SMUGGLED).index(name))
    statuses = door.tell(raw)
    assert len(statuses) <= 1, statuses
    assert all(status < 500 or status in (501, 505) for status in statuses), statuses
    assert f'"{inner}"' not in door.log(), "the service saw a request that was a body"


def test_what_counts_as_two_requests_gets_two_answers(door: Door) -> None:
    raw, inner = marked(LENIENT, 9999)
    statuses = door.tell(raw)
    assert statuses in ([411, 404], [411], [400], []), statuses
    assert (f'"{inner}"' in door.log()) == (len(statuses) == 2), "none is hidden from its client"


def test_the_log_would_show_what_was_smuggled(door: Door) -> None:
    assert door.tell(INNER.replace(b"inner", b"plain")) == [404]
    until(lambda: '"plain"' in door.log(), 10)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_is_the_clients_fault(door: Door, name: str) -> None:
    raw, inner = marked(ODD[name], 1000 + list(ODD).index(name))
    statuses = door.tell(raw, last=name in UNENDING)
    assert len(statuses) <= 1, statuses
    assert all(400 <= status < 500 or status in (501, 505) for status in statuses), statuses
    assert f'"{inner}"' not in door.log()


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_the_clients_fault(door: Door, name: str) -> None:
    kind, body = BODIES[name]
    headers = b"Connection: close\r\nContent-Type: %b\r\nContent-Length: %d" % (kind, len(body))
    assert faults(door.tell(post(headers, body), patience=20))


def test_a_pipeline_is_answered_in_order(door: Door) -> None:
    once = get(b"/nowhere") + get(b"/healthz")
    statuses = door.tell(once * 20 + get(b"/healthz", b"Connection: close"), patience=5)
    # uWSGI's own server takes the first of a pipeline and drops the rest; it must not mix them up.
    assert statuses == ([404, 200] * 20 + [200])[: len(statuses)]
    assert len(statuses) == 41 or door.name == "make run"


def test_a_hundred_headers_are_welcome(door: Door) -> None:
    lines = b"\r\n".join(b"X-%d: y" % number for number in range(100))
    assert door.tell(get(b"/healthz", lines)) == [200]


def test_a_body_that_breaks_off_is_no_request(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(post(b"Content-Length: 100000", b"\xff\xd8"))
    with door.connect() as connection:
        connection.sendall(b"GET /inner HTTP/1.1\r\nX-Request-ID: broken\r\nHost: ")
    assert door.rates()
    assert '"broken"' not in door.log()


@pytest.mark.skipif(not SOAK, reason="takes as long as the server's patience; ATTRAI_SOAK=1 waits")
@pytest.mark.parametrize("raw", [post(b"Content-Length: 1000", b"x"), b"GET /nowhere HT"])
def test_who_stops_sending_is_let_go(door: Door, raw: bytes) -> None:
    with door.connect() as connection:
        connection.settimeout(60)
        begun = time.monotonic()
        connection.sendall(raw)
        try:
            answer = connection.recv(65536)
        except ConnectionError:
            answer = b""
    assert time.monotonic() - begun < 40
    assert not STATUS.findall(answer) or int(STATUS.findall(answer)[0]) < 500


def test_how_many_there_are(door: Door, figure: Figure) -> None:
    assert len(SMUGGLED) >= 30
    count = len(SMUGGLED) + len(ODD) + len(BODIES)
    figure(f"requests against {door.name}", f"{count}, 0 smuggled, no 5xx of the service")
