"""The guarded download behind ?url=: it goes to public hosts only, and takes no more than it must.

Each hop looks its host up once, checks every address, and connects to a checked one. All waiting,
redirects included, ends at one deadline.
"""

from __future__ import annotations

import http.client
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from pipeline.errors import AttraiError, PhotoTooLarge, SettingsError
from pipeline.settings import setting
from service.addresses import Address, Target, is_public, parse_url
from service.errors import FetchFailed, FetchTimedOut, UrlRefused
from service.transport import Connection, Deadline

_REDIRECTS = (301, 302, 303, 307, 308)
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
    deadline = Deadline(settings.timeout)
    target = parse_url(url, settings.ports)
    for _ in range(settings.max_redirects + 1):
        with _answer(target, settings, deadline) as response:
            if response.status not in _REDIRECTS:
                return _read_photo(response, max_bytes)
            target = _redirect(target, response, settings.ports)
    raise UrlRefused(f"the url redirects more than {settings.max_redirects} times")


@contextmanager
def _answer(
    target: Target, settings: FetchSettings, deadline: Deadline
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
        with closing(Connection(target, addresses, deadline)) as connection:
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


def _resolve(target: Target, settings: FetchSettings, deadline: Deadline) -> list[Address]:
    """The target's addresses, all of which may be visited."""
    networks = [ip_network(network) for network in settings.allowed_networks]
    addresses = [target.address] if target.address else _look_up(target, deadline)
    for address in addresses:
        if not is_public(address) and not any(address in network for network in networks):
            raise UrlRefused("the host resolves to an address that is not public")
    return addresses


def _look_up(target: Target, deadline: Deadline) -> list[Address]:
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
