"""The load of the benchmark, against a server of Python's own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import Client, closed_loop, percentile, request


@dataclass
class Server:
    """What it was asked."""

    port: int = 0
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    clients: Counter[str] = field(default_factory=Counter)
    connections: set[tuple[str, int]] = field(default_factory=set)
    status: int = 200
    wait: float = 0.0


@pytest.fixture
def server() -> Iterator[Server]:
    seen = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.bodies.append((self.headers["Content-Type"], body))
            seen.clients[self.client_address[0]] += 1
            seen.connections.add(self.client_address)
            time.sleep(seen.wait)
            self.send_response(seen.status)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"yes")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        seen.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield seen
        listening.shutdown()
        thread.join()


def test_a_client_keeps_its_connection_and_reads_the_answer(server: Server) -> None:
    client = Client(server.port)
    for _ in range(3):
        assert client.ask(request(b"photo", form=False)) == (200, b"yes")
    client.close()
    assert len(server.connections) == 1
    assert server.bodies[0] == ("image/jpeg", b"photo")


def test_a_form_holds_the_photo_as_its_image(server: Server) -> None:
    client = Client(server.port)
    client.ask(request(b"\xff\xd8\r\n--photo", form=True))
    client.close()
    kind, body = server.bodies[0]
    parser = BytesParser(EmailMessage, policy=policy.HTTP)
    form = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    (part,) = form.iter_parts()
    assert part.get_param("name", header="content-disposition") == "image"
    assert part.get_payload(decode=True) == b"\xff\xd8\r\n--photo"


def test_as_many_clients_as_asked_for_each_with_its_own_address(server: Server) -> None:
    server.wait = 0.01
    questions = [request(photo, form=False) for photo in (b"a", b"b", b"c")]
    answers = closed_loop(server.port, questions, clients=4, seconds=0.1, least=3)
    assert len(server.clients) == len(server.connections) == 4
    assert min(server.clients.values()) >= 3
    assert len(answers.milliseconds) == len(server.bodies)
    assert {body for _, body in server.bodies} == {b"a", b"b", b"c"}
    assert min(answers.milliseconds) >= 10
    assert answers.failed == 0
    assert answers.rate == pytest.approx(len(server.bodies) / answers.seconds)


def test_other_answers_than_200_are_failures(server: Server) -> None:
    server.status = 500
    answers = closed_loop(server.port, [request(b"", form=False)], clients=1, seconds=0)
    assert (answers.failed, answers.milliseconds) == (1, [])


def test_percentiles_are_answers_that_were_given() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, p) for p in (50, 95, 99)] == [50, 95, 99]
    assert percentile([7.0], 99) == 7
