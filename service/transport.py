"""HTTP over a socket that goes to given addresses only, where no wait outlasts a deadline."""

from __future__ import annotations

import functools
import http.client
import io
import socket
import ssl
import time
from typing import TYPE_CHECKING, cast

from service.addresses import Address, Target

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_MAX_ATTEMPTS = 4  # a name with a thousand addresses must not make a port scanner of the service
_MAX_HEAD = 16 * 1024  # email.parser, which http.client trusts, takes time that grows as its square


class Deadline:
    """The moment at which all waiting ends."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, more than none. Raises TimeoutError when it has come."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Response(http.client.HTTPResponse):
    """An answer with a head of bounded size."""

    def begin(self) -> None:
        file = self.fp
        self.fp = cast(io.BufferedReader, _Head(file))
        try:
            super().begin()
        finally:
            self.fp = file


class _Head:
    """The lines at the beginning of a file; there are not too many of them."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._left = _MAX_HEAD

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise http.client.HTTPException("the head is too long")
        return line

    def close(self) -> None:
        self._file.close()


class Connection(http.client.HTTPConnection):
    """A connection to one of the addresses given, and to no other."""

    response_class = _Response

    def __init__(self, target: Target, addresses: list[Address], deadline: Deadline) -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._addresses = addresses
        self._deadline = deadline

    def connect(self) -> None:
        """Reach the host, and speak TLS where the url is https."""
        sock = _connect(self._addresses, self._target.port, self._deadline)
        if self._target.scheme == "https":
            sock = _start_tls(sock, self._target.host, self._deadline)
        self.sock = _TimedSocket(sock, self._deadline)


def _connect(addresses: list[Address], port: int, deadline: Deadline) -> socket.socket:
    """Try the addresses in turn, each for its share of the time that is left."""
    failure = OSError("the host has no address")
    attempts = addresses[:_MAX_ATTEMPTS]
    for done, address in enumerate(attempts):
        timeout = deadline.left() / (len(attempts) - done)
        try:
            return _dial(address, port, timeout)
        except OSError as error:
            failure = error
    raise failure


def _dial(address: Address, port: int, timeout: float) -> socket.socket:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect((str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


def _start_tls(sock: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
    try:
        sock.settimeout(deadline.left())
        return _tls_context().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


@functools.cache  # reading the system's certificates takes 20 ms
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class _TimedSocket:
    """As much of a socket as http.client needs; no wait outlasts the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: ReadableBuffer) -> None:
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))

    def close(self) -> None:
        self._sock.close()


class _TimedReader(io.RawIOBase):
    """What the socket receives; a host that drips gets less time for every drop."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._sock.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
