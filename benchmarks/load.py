"""A closed loop: so many clients, each of which waits for its answer before it asks again."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

TIMEOUT = 120
BOUNDARY = "attrai-benchmark"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


@dataclass
class Answers:
    """What came back of one run, or of several."""

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    """Of each answer that was a 200."""
    failed: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0


def request(photo: bytes, *, form: bool, query: str = "") -> bytes:
    """An HTTP request that POSTs a photo, as a form's field `image` or as the body itself."""
    kind = "image/jpeg"
    if form:
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        head = (
            f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
            'Content-Disposition: form-data; name="image"; filename="photo.jpg"\r\n\r\n'
        )
        photo = head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
    lines = (
        f"POST /predict{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(photo)}\r\n\r\n"
    )
    return lines.encode() + photo


class Client:
    """One client with a connection that it keeps. Each has an address of its own on loopback."""

    def __init__(self, port: int, number: int = 1) -> None:
        self._target = ("127.0.0.1", port)
        self._source = (f"127.0.1.{number}", 0)
        self._socket: socket.socket | None = None

    def ask(self, question: bytes) -> tuple[int, bytes]:
        """Send a request; the answer's status and body.

        Raises OSError where nobody answers, or the answer breaks off or tells no length.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._target, TIMEOUT, self._source)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.sendall(question)
            status, body, keep = self._receive(self._socket)
        except OSError:
            self.close()
            raise
        if not keep:
            self.close()
        return status, body

    def close(self) -> None:
        """Hang up; the next question dials again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self, connection: socket.socket) -> tuple[int, bytes, bool]:
        data, end = b"", -1
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += _more(connection)
        head, length = data[:end], LENGTH.search(data, 0, end)
        if not length:
            raise OSError(f"an answer without a length: {head[:200]!r}")
        parts, missing = [data[end + 4 :]], int(length[1]) - (len(data) - end - 4)
        while missing > 0:
            parts.append(_more(connection))
            missing -= len(parts[-1])
        keep = b"connection: close" not in head.lower() and head.startswith(b"HTTP/1.1")
        return int(head.split()[1]), b"".join(parts), keep


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError("the answer breaks off")
    return data


def closed_loop(
    port: int, questions: Sequence[bytes], *, clients: int, seconds: float, least: int = 1
) -> Answers:
    """Ask for so many seconds, and at least so many times a client, going round the questions.

    What is under way at the end is waited for, and counts.
    """
    answers, lock = Answers(), threading.Lock()
    start = time.perf_counter()

    def run(number: int) -> None:
        client, asked = Client(port, number + 1), 0
        while asked < least or time.perf_counter() - start < seconds:
            # A tour of the photos that no two clients begin at the same one
            question = questions[(number + asked) % len(questions)]
            begin, status = time.perf_counter(), 0
            try:
                status, _ = client.ask(question)
            except OSError:
                time.sleep(0.05)
            taken = (time.perf_counter() - begin) * 1000
            asked += 1
            with lock:
                if status == 200:
                    answers.milliseconds.append(taken)
                else:
                    answers.failed += 1
        client.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.seconds = time.perf_counter() - start
    return answers


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` of them do not exceed; nan of none."""
    ordered = sorted(values)
    place = max(0, -(-len(ordered) * percent // 100) - 1)
    return ordered[int(place)] if ordered else float("nan")
