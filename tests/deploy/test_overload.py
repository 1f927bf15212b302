"""A server that is asked for more than it has: too many requests, too slow ones."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from pipeline.types import Pixels
from tests.deploy.client import Answer, Client, Dripping, Load
from tests.deploy.machine import Machine
from tests.deploy.provision import bounds, until

Figure = Callable[[str, str], None]
Scale = Callable[[int, int], int]
CLIENTS = 8
SLOW = 200


class Pace:
    """Lets requests go at a rate a second, however long each of them takes."""

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            turn = self._next = max(self._next + self._step, time.monotonic() - 1)
        time.sleep(max(turn - time.monotonic(), 0))


@pytest.fixture(scope="module")
def costly(astronaut: Pixels) -> bytes:
    """A photo that takes its time, so that these clients can ask for more than the server has."""
    file = io.BytesIO()
    Image.fromarray(np.tile(astronaut, (2, 2, 1))).save(file, "JPEG")
    return file.getvalue()


def test_twice_the_load_is_half_answered_and_half_turned_away(
    machine: Machine, costly: bytes, scale: Scale, figure: Figure
) -> None:
    in_flight, _ = bounds(machine)
    clients = [Client(machine, source=f"127.0.1.{number + 1}") for number in range(CLIENTS)]
    with Load(lambda number: clients[number].ask("/predict", costly), clients=CLIENTS) as load:
        load.wait_for(10)  # until all workers are there
        load.answers.clear()
        start = time.monotonic()
        load.wait_for(scale(30, 500))
        capacity = len(load.answers) / (time.monotonic() - start)
    assert set(load.statuses) == {200}

    pace = Pace(2 * capacity)

    def ask(number: int) -> Answer:
        pace.wait()
        return clients[number % CLIENTS].ask("/predict", costly)

    start = time.monotonic()
    with Load(ask, clients=2 * in_flight, most=scale(200, 3000)) as load:
        pass
    rate = load.statuses[200] / (time.monotonic() - start)
    assert set(load.statuses) == {200, 429}
    turned_away = [answer for answer in load.answers if answer.status == 429]
    assert all(answer.headers["Retry-After"] == "1" for answer in turned_away)
    kinds = {answer.problem["type"].rpartition(":")[2] for answer in turned_away}
    assert kinds <= {"server-full", "too-many-requests"}
    # At most so many are before one: its wait is bounded, whatever is offered.
    bound = in_flight / capacity
    p99, refusal = load.percentile(0.99), load.percentile(0.99, 429)
    assert p99 < 4 * bound
    assert refusal < p99
    figure(
        "twice the load",
        f"capacity {capacity:.1f}/s; {load.statuses[200]} answered at {rate:.1f}/s with p99 "
        f"{p99:.1f} s ({in_flight} in flight: {bound:.1f} s), {load.statuses[429]} x 429 with p99 "
        f"{refusal * 1000:.0f} ms, nothing else",
    )


HEADS = {
    "the body": b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
    b"Content-Length: 10000000\r\n\r\n",
    "the header": b"GET /predict?url=",
}


@pytest.mark.parametrize("what", HEADS)
def test_clients_that_send_slowly_keep_nobody_waiting(
    machine: Machine, client: Client, face: bytes, figure: Figure, what: str
) -> None:
    alone = [client.ask("/predict", face) for _ in range(10)]
    with Dripping(client, SLOW, HEADS[what]) as slow:
        time.sleep(2)
        answers = [client.ask("/predict", face) for _ in range(10)]
        assert slow.dropped == 0
    assert {answer.status for answer in [*alone, *answers]} == {200}
    before, after = (sorted(a.seconds for a in each)[5] * 1000 for each in (alone, answers))
    figure(f"{SLOW} clients that drip {what}", f"median {before:.0f} ms alone, {after:.0f} ms")


def test_clients_that_read_slowly_keep_nobody_waiting(
    machine: Machine, client: Client, photo: bytes, face: bytes
) -> None:
    head = b"POST /predict?format=png HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
    sockets = []
    try:
        # More than one client may have in flight, were the unread answers in flight.
        for _ in range(20):
            connection = client.connect()
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(photo) + photo)
            assert connection.recv(12) == b"HTTP/1.1 200"
            sockets.append(connection)
        assert client.ask("/predict", face).status == 200
    finally:
        for connection in sockets:
            connection.close()


def test_one_client_cannot_hold_all_connections(client: Client, face: bytes) -> None:
    with Dripping(client, 280, HEADS["the body"]) as slow:
        until(lambda: slow.answered() == 280 - 256)
        answer = client.ask("/predict", face)
        assert answer.status == 429
        assert answer.problem["type"] == "urn:attrai:problem:too-many-requests"
        other = Client(client.machine, source="127.0.0.77")
        assert other.ask("/predict", face).status == 200
    until(lambda: client.ask("/predict", face).status == 200)
