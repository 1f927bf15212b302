"""The guarded download behind ?url=: it goes to public hosts only, and takes no more than it must.

Each hop looks its host up once, checks every address, and connects to a checked one. All waiting,
redirects included, ends at one deadline.
"""

from __future__ import annotations

import functools
import http.client
import io
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, cast

from pipeline.errors import AttraiError, PhotoTooLarge, SettingsError
from pipeline.settings import setting
from service.addresses import Address, Target, is_public, parse_url
from service.errors import FetchFailed, FetchTimedOut, UrlRefused

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_ATTEMPTS = 4  # a name with a thousand addresses must not make a port scanner of the service
_MAX_HEAD = 16 * 1024  # email.parser, which http.client trusts, takes time that grows as its square
_BLOCK = 64 * 1024


@dataclass(frozen=True)
class FetchSettings:
    """`[fetch]`: what GET /predict?url= may download."""

    enabled: bool = setting(True, "whether photos are downloaded for ?url= at all")
    ports: tuple[int, ...] = setting(
        (80, 443), "ports that may be fetched from, comma-separated", low=1, high=65535
    )
    timeout: float = setting(
        5.0, "seconds for the whole download, redirects included", low=0.1, high=60
    )
    max_redirects: int = setting(3, "redirects that are followed", low=0, high=10)
    allowed_networks: tuple[str, ...] = setting(
        (),
        "networks (CIDR) that may be fetched from although they are not global, "
        "e.g. an intranet photo store",
    )

    def __post_init__(self) -> None:
        for network in self.allowed_networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise SettingsError(f"[fetch] allowed_networks: {error}") from error


def fetch(url: str, settings: FetchSettings, max_bytes: int) -> bytes:
    """Download the photo at `url`.

    Raises UrlRefused for an address that must not be visited, FetchFailed and FetchTimedOut for a
    host that does not deliver, PhotoTooLarge for more than `max_bytes`.
    """
    if not settings.enabled:
        raise UrlRefused("downloads are switched off here; send the photo itself")
    deadline = _Deadline(settings.timeout)
    target = parse_url(url, settings.ports)
    for _ in range(settings.max_redirects + 1):
        with _answer(target, settings, deadline) as response:
            if response.status not in _REDIRECTS:
                return _read_photo(response, max_bytes)
            target = _redirect(target, response, settings.ports)
    raise UrlRefused(f"the url redirects more than {settings.max_redirects} times")


class _Deadline:
    """The moment at which all waiting ends."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, more than none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@contextmanager
def _answer(
    target: Target, settings: FetchSettings, deadline: _Deadline
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET, its body yet to be read; all that goes wrong until then gets a name."""
    headers = {
        "Host": target.authority,
        "User-Agent": "attrai",
        "Accept": "image/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    try:
        addresses = _resolve(target, settings, deadline)
        with closing(_Connection(target, addresses, deadline)) as connection:
            connection.request("GET", target.path, headers=headers)
            with connection.getresponse() as response:
                yield response
    except AttraiError:
        raise
    except TimeoutError as error:
        raise FetchTimedOut(f"the host took more than {settings.timeout:g} s") from error
    except ssl.SSLError as error:
        raise FetchFailed("the host offers no TLS connection that can be trusted") from error
    except OSError as error:
        raise FetchFailed("the connection to the host failed") from error
    except Exception as error:  # what http.client and email raise at odd headers is not all named
        raise FetchFailed("the host's answer breaks off, or is not HTTP") from error


def _resolve(target: Target, settings: FetchSettings, deadline: _Deadline) -> list[Address]:
    """The target's addresses, all of which may be visited."""
    networks = [ip_network(network) for network in settings.allowed_networks]
    addresses = [target.address] if target.address else _look_up(target, deadline)
    for address in addresses:
        if not is_public(address) and not any(address in network for network in networks):
            raise UrlRefused("the host resolves to an address that is not public")
    return addresses


def _look_up(target: Target, deadline: _Deadline) -> list[Address]:
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(ip_address(entry[4][0]) for entry in found)))
        except Exception as error:
            answers.put(error)

    try:
        # getaddrinfo knows no timeout: the thread is left behind until the resolver gives up.
        threading.Thread(target=ask, name="fetch-lookup", daemon=True).start()
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    except RuntimeError as error:
        raise FetchFailed("the host cannot be looked up at the moment") from error
    if isinstance(answer, Exception):
        raise FetchFailed("the host's name does not resolve") from answer
    return answer


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


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses given, and to no other."""

    response_class = _Response

    def __init__(self, target: Target, addresses: list[Address], deadline: _Deadline) -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._addresses = addresses
        self._deadline = deadline

    def connect(self) -> None:
        sock = _connect(self._addresses, self._target.port, self._deadline)
        if self._target.scheme == "https":
            sock = _start_tls(sock, self._target.host, self._deadline)
        self.sock = _TimedSocket(sock, self._deadline)


def _connect(addresses: list[Address], port: int, deadline: _Deadline) -> socket.socket:
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


def _start_tls(sock: socket.socket, host: str, deadline: _Deadline) -> ssl.SSLSocket:
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

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
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

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
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


def _redirect(target: Target, response: http.client.HTTPResponse, ports: tuple[int, ...]) -> Target:
    location = response.headers.get("Location")
    if not location:
        raise FetchFailed("the host redirects to nowhere")
    # http.client reads headers as Latin-1; whoever sends more than ASCII sends UTF-8.
    following = parse_url(location.encode("latin-1").decode("utf-8"), ports, target.url)
    if (target.scheme, following.scheme) == ("https", "http"):
        raise UrlRefused("the url redirects from https to http")
    return following


def _read_photo(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if response.status != 200:
        raise FetchFailed(f"the host answered with status {response.status}")
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity" or ("Transfer-Encoding" in response.headers and not response.chunked):
        raise FetchFailed("the host sent the photo compressed, which was not asked for")
    length = _content_length(response)
    body = bytearray()
    while max(len(body), length or 0) <= max_bytes and (block := response.read1(_BLOCK)):
        body += block
    if max(len(body), length or 0) > max_bytes:
        raise PhotoTooLarge(f"the photo behind the url has more than {max_bytes} bytes")
    if length is not None and len(body) != length:
        raise FetchFailed("the photo is shorter than the host announced")
    if not body:
        raise FetchFailed("the host's answer is empty")
    return bytes(body)


def _content_length(response: http.client.HTTPResponse) -> int | None:
    """What the host announced; None where the body bears its own end."""
    values = set(response.headers.get_all("Content-Length", []))
    if response.chunked or not values:
        return None
    value = values.pop()
    if values or not re.fullmatch("[0-9]{1,18}", value):
        raise FetchFailed("the host's Content-Length is malformed")
    return int(value)
