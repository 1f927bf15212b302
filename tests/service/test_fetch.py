from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from pipeline.errors import AttraiError, PhotoTooLarge, SettingsError
from pipeline.settings import load
from service import transport
from service.errors import FetchFailed, FetchTimedOut, UrlRefused
from service.fetch import FetchSettings, fetch

PHOTO = bytes(range(256)) * 1000
PUBLIC = "93.184.216.34"
NOT_PUBLIC = "the host resolves to an address that is not public"


@dataclass
class Net:
    """What a fetch may see of the network: these names, and the loopback interface."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    detours: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)
    connects: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture(autouse=True)
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    """Let nothing leave this machine, and nothing be left behind."""
    net = Net()
    connect = socket.socket.connect

    def connect_here(sock: socket.socket, address: tuple[str, int]) -> None:
        net.connects.append(address)
        address = net.detours.get(address, address)
        if address[0] not in ("127.0.0.1", "::1"):
            raise OSError("unreachable")
        connect(sock, address)

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        net.lookups.append(host)
        if host not in net.names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        answers = net.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    threads, files = threading.active_count(), count_open_files()
    yield net
    for thread in threading.enumerate():
        if thread.name == "fetch-lookup":
            thread.join(10)
    assert threading.active_count() <= threads
    assert count_open_files() <= files


def count_open_files() -> int:
    table = Path("/proc/self/fd")
    return len(os.listdir(table)) if table.exists() else 0  # noqa: PTH208


class Server:
    """A host on the loopback interface that does what `answer` does to each connection."""

    def __init__(
        self,
        answer: Callable[[Server, socket.socket], None],
        tls: ssl.SSLContext | None = None,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> None:
        self.answer = answer
        self.tls = tls
        self.requests: list[str] = []
        self.sent = 0
        self.stopped = threading.Event()
        self.listener = socket.socket(family)
        self.listener.settimeout(0.02)
        self.listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        self.listener.listen()
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.stopped.is_set():
            with suppress(OSError):
                client, _ = self.listener.accept()
                client.settimeout(5)
                with self.secure(client) as stream:
                    self.answer(self, stream)

    def secure(self, client: socket.socket) -> socket.socket:
        if self.tls is None:
            return client
        try:
            return self.tls.wrap_socket(client, server_side=True)
        finally:
            client.close()

    def read_request(self, client: socket.socket) -> str:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            block = client.recv(4096)
            if not block:
                raise ConnectionError
            request += block
        self.requests.append(request.decode())
        return request.split()[1].decode()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(10)
        self.listener.close()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


Serve = Callable[..., Server]


@pytest.fixture
def serve(net: Net) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(*args: Any, **options: Any) -> Server:
        servers.append(Server(*args, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def reply(*headers: str, status: str = "200 OK", body: bytes = PHOTO) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return reply(f"Location: {location}", status=status, body=b"")


def sends(*parts: bytes) -> Callable[[Server, socket.socket], None]:
    """Answer every request with `parts`."""

    def answer(server: Server, client: socket.socket) -> None:
        server.read_request(client)
        for part in parts:
            client.sendall(part)

    return answer


def routes(**answers: bytes) -> Callable[[Server, socket.socket], None]:
    """Answer the request for /name with what `name` stands for."""

    def answer(server: Server, client: socket.socket) -> None:
        client.sendall(answers.get(server.read_request(client).strip("/"), b""))

    return answer


def repeats(start: bytes, drop: bytes, pause: float = 0) -> Callable[[Server, socket.socket], None]:
    """Send `start`, then `drop` for ever."""

    def answer(server: Server, client: socket.socket) -> None:
        server.read_request(client)
        client.sendall(start)
        while not server.stopped.wait(pause):
            client.sendall(drop)
            server.sent += len(drop)

    return answer


def stalls(start: bytes = b"") -> Callable[[Server, socket.socket], None]:
    """Send `start`, then nothing more."""

    def answer(server: Server, client: socket.socket) -> None:
        client.sendall(start)
        server.stopped.wait()

    return answer


def settings_for(*servers: Server, **options: Any) -> FetchSettings:
    options.setdefault("allowed_networks", ("127.0.0.1/32",))
    return FetchSettings(ports=tuple(server.port for server in servers), **options)


def get(server: Server, path: str = "/", max_bytes: int = 1_000_000, **options: Any) -> bytes:
    return fetch(server.url(path), settings_for(server, **options), max_bytes)


@contextmanager
def in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 3


# What is delivered


@pytest.mark.parametrize(
    "answer",
    [
        reply(f"Content-Length: {len(PHOTO)}"),
        reply(f"Content-Length: {len(PHOTO)}", f"content-length: {len(PHOTO)}"),
        reply(f"Content-Length: {len(PHOTO)}", "Content-Encoding: identity", body=PHOTO + b"more"),
        reply("Connection: close"),
        b"HTTP/1.0 200 OK\r\n\r\n" + PHOTO,
        b"HTTP/1.1 100 Continue\r\n\r\n" + reply(),
        reply("Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(PHOTO), PHOTO)),
        reply(
            "Transfer-Encoding: Chunked",
            body=b"".join(b"64;x=y\r\n%b\r\n" % PHOTO[i : i + 100] for i in range(0, 256_000, 100))
            + b"0\r\nTrailer: x\r\n\r\n",
        ),
    ],
)
def test_a_photo(serve: Serve, answer: bytes) -> None:
    assert get(serve(sends(answer))) == PHOTO


def test_a_photo_of_just_the_size_that_is_accepted(serve: Serve) -> None:
    assert get(serve(sends(reply())), max_bytes=len(PHOTO)) == PHOTO


def test_the_request(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = serve(sends(reply()))
    get(server, "/ü?a=b&c=%20#fragment")
    assert server.requests[0].split("\r\n") == [
        "GET /%C3%BC?a=b&c=%20 HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: attrai",
        "Accept: image/*",
        "Accept-Encoding: identity",
        "Connection: close",
        "",
        "",
    ]


def test_a_public_host_by_name(serve: Serve, net: Net) -> None:
    server = serve(sends(reply()))
    net.names["photos.example"] = [[PUBLIC]]
    net.detours[PUBLIC, 80] = ("127.0.0.1", server.port)
    assert fetch("http://Photos.Example./a", FetchSettings(), 1_000_000) == PHOTO
    assert "Host: photos.example\r\n" in server.requests[0]
    assert net.lookups == ["photos.example"]
    assert net.connects == [(PUBLIC, 80)]


def test_the_second_address_serves_where_the_first_does_not(serve: Serve, net: Net) -> None:
    server = serve(sends(reply()))
    net.names["photos.example"] = [["2606:2800:220:1::1", PUBLIC]]
    net.detours[PUBLIC, 80] = ("127.0.0.1", server.port)
    assert fetch("http://photos.example/", FetchSettings(), 1_000_000) == PHOTO
    assert net.connects == [("2606:2800:220:1::1", 80), (PUBLIC, 80)]


def test_a_host_with_a_thousand_addresses_is_tried_a_few_times(net: Net) -> None:
    net.names["many.example"] = [[f"8.8.{i // 250}.{i % 250}" for i in range(1000)]]
    with pytest.raises(FetchFailed):
        fetch("http://many.example/", FetchSettings(), 1000)
    assert len(net.connects) == 4


def test_ipv6(serve: Serve) -> None:
    try:
        server = serve(sends(reply()), family=socket.AF_INET6)
    except OSError:
        pytest.skip("there is no IPv6 here")
    settings = settings_for(server, allowed_networks=("::1/128",))
    assert fetch(server.url(host="[0:0::1]"), settings, 1_000_000) == PHOTO
    assert f"Host: [::1]:{server.port}\r\n" in server.requests[0]


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_three_redirects_are_followed(serve: Serve, status: int) -> None:
    server = serve(
        routes(
            **{
                "a": redirect("/b/c?d", status=f"{status} Go"),
                "b/c?d": redirect("e/ü", status=f"{status} Go"),
                "b/e/%C3%BC": redirect("../../f", status=f"{status} Go"),
                "f": reply(),
            }
        )
    )
    assert get(server, "/a") == PHOTO
    assert len(server.requests) == 4


def test_a_redirect_to_another_host(serve: Serve, net: Net) -> None:
    there = serve(sends(reply()))
    here = serve(sends(redirect(there.url(host="photos.example"))))
    net.names["photos.example"] = [["127.0.0.1"]]
    assert fetch(here.url(), settings_for(here, there), 1_000_000) == PHOTO
    assert f"Host: photos.example:{there.port}\r\n" in there.requests[0]


def test_the_fourth_redirect_is_refused(serve: Serve) -> None:
    server = serve(sends(redirect("/again")))
    with pytest.raises(UrlRefused, match="more than 3"):
        get(server)
    assert len(server.requests) == 4


def test_no_redirect_at_all(serve: Serve) -> None:
    server = serve(sends(redirect("/again")))
    with pytest.raises(UrlRefused, match="more than 0"):
        get(server, max_redirects=0)
    assert len(server.requests) == 1


def test_a_redirect_to_nowhere(serve: Serve) -> None:
    with pytest.raises(FetchFailed, match="nowhere"):
        get(serve(sends(reply(status="302 Found"))))


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "http://10.0.0.1:{port}/",
        "http://169.254.169.254:{port}/latest/meta-data/",
        "//127.0.0.2:{port}/",
        "http://internal.example:{port}/",
        "http://[::1]:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://127.0.0.1:1/",
        "https:///nowhere",
        "http://[::1",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
        "/a b",
        "/a\\b",
        "/" + "a" * 2048,
    ],
)
def test_a_redirect_is_checked_like_any_url(serve: Serve, net: Net, location: str) -> None:
    net.names["internal.example"] = [["10.0.0.1"]]

    def answer(server: Server, client: socket.socket) -> None:
        sends(redirect(location.format(port=server.port)))(server, client)

    server = serve(answer)
    with socket.socket() as watch:
        with suppress(OSError):  # where 127.0.0.2 is no address of this machine
            watch.bind(("127.0.0.2", server.port))
            watch.listen()
        with pytest.raises(UrlRefused):
            get(server)
        watch.setblocking(False)
        with pytest.raises(OSError):  # noqa: PT011 - nobody called
            watch.accept()
    assert net.connects == [("127.0.0.1", server.port)]


# Hosts that do not deliver


@pytest.mark.parametrize("status", [100, 199, 201, 204, 206, 300, 304, 400, 401, 404, 500, 503])
def test_any_other_status(serve: Serve, status: int) -> None:
    answer = reply("X-Secret: secret", status=f"{status} secret", body=b"secret")
    with pytest.raises(FetchFailed) as error:
        get(serve(sends(answer)))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"garbage\r\n\r\n",
        b"\x00\xff" * 50_000,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/7.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyy\r\n" * 90 + b"Y: " + b"z" * 16_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        reply('Content-Type: multipart/mixed; a="' + ";" * 60_000),
        reply('Content-Type: multipart/mixed; a="', *[" " + ";" * 60_000] * 20),
        reply("Content-Type: multipart/mixed; boundary*=a; boundary*0=b"),
        reply(body=b""),
        reply("Content-Length: 0", body=b""),
        reply("Content-Length: 0"),
        reply(f"Content-Length: {len(PHOTO) + 1}"),
        reply("Content-Length: -1"),
        reply("Content-Length: abc"),
        reply("Content-Length: "),
        reply("Content-Length: +5"),
        reply("Content-Length: 5, 5"),
        reply("Content-Length: " + "9" * 5000),
        reply("Content-Length: 5", "Content-Length: 6"),
        reply("Content-Encoding: gzip"),
        reply("Content-Encoding: br"),
        reply("Transfer-Encoding: gzip, chunked"),
        reply("Transfer-Encoding: chunked", body=b""),
        reply("Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        reply("Transfer-Encoding: chunked", body=b"5\r\nab"),
        reply("Transfer-Encoding: chunked", body=b"zz\r\nab\r\n0\r\n\r\n"),
        reply("Transfer-Encoding: chunked", body=b"-1\r\nab\r\n0\r\n\r\n"),
        reply("Transfer-Encoding: chunked", body=b"-ff\r\nab\r\n0\r\n\r\n"),
        reply("Transfer-Encoding: chunked", body=b"0" * 100_000),
    ],
)
def test_an_answer_that_is_none(serve: Serve, answer: bytes) -> None:
    with in_time(), pytest.raises(FetchFailed) as error:
        get(serve(sends(answer)))
    assert "\ufffd" not in str(error.value)


def test_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    settings = FetchSettings(ports=(port,), allowed_networks=("127.0.0.1/32",))
    with pytest.raises(FetchFailed, match="connection"):
        fetch(f"http://127.0.0.1:{port}/", settings, 1000)


def test_closed_without_a_word(serve: Serve) -> None:
    with pytest.raises(FetchFailed):
        get(serve(lambda server, client: None))


def test_an_unknown_name(net: Net) -> None:
    with pytest.raises(FetchFailed, match="resolve"):
        fetch("http://nobody.example/", FetchSettings(), 1000)
    assert net.connects == []


@pytest.mark.parametrize("failure", [UnicodeError("label too long"), MemoryError(), KeyError()])
def test_a_resolver_that_fails(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(FetchFailed):
        fetch("http://photos.example/", FetchSettings(), 1000)


def test_a_resolver_without_an_answer(net: Net) -> None:
    net.names["empty.example"] = [[]]
    with pytest.raises(FetchFailed):
        fetch("http://empty.example/", FetchSettings(), 1000)


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(FetchFailed):
        fetch("http://photos.example/", FetchSettings(), 1000)


# Photos that are too large


@pytest.mark.parametrize(
    "answer",
    [
        stalls(reply("Content-Length: 1000001", body=b"")),
        stalls(reply("Content-Length: 999999999999999999", body=b"")),
        repeats(reply(body=b""), b"x" * 100_000),
        repeats(reply("Content-Length: 1000001", body=b""), b"x" * 100_000),
        repeats(reply("Transfer-Encoding: chunked", body=b""), b"186a0\r\n%b\r\n" % bytes(100_000)),
        repeats(reply("Transfer-Encoding: chunked", body=b"-1\r\n"), bytes(100_000)),
        repeats(reply("Transfer-Encoding: chunked", body=b"ffffffffffffffff\r\n"), bytes(100_000)),
    ],
)
def test_too_large(serve: Serve, answer: Callable[[Server, socket.socket], None]) -> None:
    server = serve(answer)
    with in_time(), pytest.raises(PhotoTooLarge, match="1000000 bytes"):
        get(server, timeout=5)
    server.stop()
    assert server.sent < 20_000_000  # the rest lies in the buffers of the two sockets


def test_one_byte_too_many(serve: Serve) -> None:
    for answer in (reply(), reply(f"Content-Length: {len(PHOTO)}")):
        with pytest.raises(PhotoTooLarge):
            get(serve(sends(answer)), max_bytes=len(PHOTO) - 1)


# One deadline for everything


@pytest.mark.parametrize(
    "answer",
    [
        stalls(),
        stalls(b"HTTP/1.1 200 OK\r\nContent-"),
        stalls(reply("Content-Length: 1000000")),
        stalls(reply("Transfer-Encoding: chunked", body=b"5\r\n")),
        repeats(b"", b"H", 0.05),
        repeats(b"HTTP/1.1 200 OK\r\n", b"X", 0.05),
        repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.05),
        repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
        repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05),
        repeats(reply("Content-Length: 1000000"), b"x", 0.05),
        repeats(reply("Transfer-Encoding: chunked", body=b""), b"1\r\nx\r\n", 0.05),
        repeats(reply("Transfer-Encoding: chunked", body=b"0\r\n"), b"X: y\r\n"),
    ],
)
def test_a_slow_host(serve: Serve, answer: Callable[[Server, socket.socket], None]) -> None:
    with in_time(), pytest.raises(FetchTimedOut, match=r"0\.3 s"):
        get(serve(answer), timeout=0.3)


def test_redirects_share_the_deadline(serve: Serve) -> None:
    def answer(server: Server, client: socket.socket) -> None:
        server.read_request(client)
        server.stopped.wait(0.2)
        client.sendall(redirect("/again"))

    with in_time(), pytest.raises(FetchTimedOut):
        get(serve(answer), timeout=0.4, max_redirects=10)


@contextmanager
def full_queue() -> Iterator[int]:
    """The port of a listener that answers no further call."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


def test_a_connection_that_nobody_accepts() -> None:
    with full_queue() as port:
        settings = FetchSettings(ports=(port,), allowed_networks=("127.0.0.1/32",), timeout=0.3)
        with in_time(), pytest.raises(FetchTimedOut):
            fetch(f"http://127.0.0.1:{port}/", settings, 1000)


def test_a_dead_address_leaves_time_for_the_next(serve: Serve, net: Net) -> None:
    server = serve(sends(reply()))
    net.names["photos.example"] = [["1.1.1.1", PUBLIC]]
    net.detours[PUBLIC, 80] = ("127.0.0.1", server.port)
    with full_queue() as port:
        net.detours["1.1.1.1", 80] = ("127.0.0.1", port)
        assert fetch("http://photos.example/", FetchSettings(timeout=2), 1_000_000) == PHOTO
    assert net.connects == [("1.1.1.1", 80), (PUBLIC, 80)]


def test_a_slow_resolver(monkeypatch: pytest.MonkeyPatch, net: Net) -> None:
    release = threading.Event()

    def wait(*_: Any, **__: Any) -> list[Any]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    try:
        with in_time(), pytest.raises(FetchTimedOut):
            fetch("http://slow.example/", FetchSettings(timeout=0.3), 1000)
    finally:
        release.set()
    assert net.connects == []


# Urls that lead where the service must not go

HOSTS_REFUSED = """
    localhost LOCALHOST localhost. internal.example mixed.example mixed6.example mapped.example
    scoped.example metadata.google.internal
    0 0.0.0.0 127.0.0.1 127.0.0.1. 127.1 127.0.1 2130706433 017700000001 0x7f000001 0x7f.1
    0X7F.0.0.1 0177.0.0.1 0177.0x0.0.1 127.0.0.01 127.000.000.001 134744072 0x08080808 8.8.8
    8.8.8.8.8 256.8.8.8 8.8.8.0x8 example.0x 1e3.1 4294967297
    10.0.0.1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1
    100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1
    203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 0.0.0.1
    [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:8.8.8.8]
    [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::808:808] [64:ff9b:1::a00:1] [100::1]
    [2001::1] [2001:0:4136:e378::1] [2001:10::1] [2001:20::1] [2001:db8::1] [2002:7f00:1::]
    [2002:808:808::1] [3fff::1] [4000::1] [5f00::1] [fc00::1] [fd00:ec2::254] [fe80::1] [fec0::1]
    [ff02::1] [fe80::1%eth0] [fe80::1%25eth0] [::1%lo] [::1%251] [] [:] [1] [127.0.0.1] [v1.a]
    [::1]x x[::1] [::1][::1] [[::1]] [::1 ::1] ::1 [:::1] [12345::1] [::ffff:127.0.0.256]
    \uff11\uff12\uff17.0.0.1 ①②⑦.⓪.⓪.① 127。0。0。1 127\uff0e0\uff0e0\uff0e1
    ٣.0.0.1 ⓛocalhost lo\u00adcalhost loca\u200blhost
    \u212aelvin.example bücher.example xn--\ud800.example \u202eexample.org ℀.example ex℁mple.org
    %31%32%37.0.0.1 127%2e0.0.1 localhost%00.example.org exam!ple.org a..b .. . .example.org *
    -.-.0x7f ${jndi} {a} a,b a;b 'a' "a" <a> a|b a^b a`b ~ = & $ ( )
    user@8.8.8.8 user:password@8.8.8.8 @8.8.8.8 :@8.8.8.8 8.8.8.8@127.0.0.1 127.0.0.1@8.8.8.8
    8.8.8.8%40127.0.0.1 8.8.8.8:80@127.0.0.1:80 a@b@8.8.8.8
    8.8.8.8:22 8.8.8.8:0 8.8.8.8:8080 8.8.8.8:65536 8.8.8.8:99999 8.8.8.8:100000 8.8.8.8:-80
    8.8.8.8:+80 8.8.8.8:80a 8.8.8.8:8_0 8.8.8.8:٨٠ 8.8.8.8:80:80 8.8.8.8::80
    [2606::1]:22 [2606::1]:x
"""

URLS_REFUSED = [
    "",
    " ",
    "/",
    "//",
    "//8.8.8.8/",
    "?",
    "#",
    ":",
    "://8.8.8.8/",
    "8.8.8.8",
    "8.8.8.8/a.jpg",
    "8.8.8.8:80/a.jpg",
    "example.org/a.jpg",
    "http",
    "http:",
    "http:/",
    "http://",
    "http:///",
    "http:///8.8.8.8/",
    "http:////8.8.8.8/",
    "http:8.8.8.8/",
    "http:/8.8.8.8/",
    "http://:80/",
    "http://?a",
    "http://#8.8.8.8/",
    "http//8.8.8.8/",
    "h\u0442tp://8.8.8.8/",
    "http\uff1a//8.8.8.8/",
    "http://8.8.8.8\\@127.0.0.1/",
    "http:\\\\127.0.0.1/",
    "http://8.8.8.8/\\..",
    " http://8.8.8.8/",
    "http://8.8.8.8/ ",
    "http://8.8.8.8/a b",
    "http://8.8.8.8 /",
    "http://8.8.8.8\t/",
    "ht\ntp://8.8.8.8/",
    "http://8.8.8.8/\r\nHost: localhost",
    "http://8.8.8.8/\x00",
    "http://8.8.8.8/\x1b",
    "http://8.8.8.8/\x7f",
    "http://8.8.8.8/\x85",
    "http://8.8.8.8/\xa0",
    "http://8.8.8.8/\u2028",
    "http://8.8.8.8/\u3000",
    "http://8.8.8.8/\ud800",
    "http://8.8.8.8/?\udcff",
    "\x01http://8.8.8.8/",
    "http://8.8.8.8/" + "a" * 2048,
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 127 + "example/",
    "file:///etc/passwd",
    "file://8.8.8.8/etc/passwd",
    "ftp://8.8.8.8/",
    "gopher://8.8.8.8:80/",
    "dict://8.8.8.8:80/",
    "ldap://8.8.8.8:80/",
    "ws://8.8.8.8/",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "unix:/run/docker.sock",
    "jar:http://8.8.8.8!/",
    "view-source:http://8.8.8.8/",
    "http+unix://8.8.8.8/",
    "httpx://8.8.8.8/",
    "url:http://8.8.8.8/",
]


@pytest.mark.parametrize(
    "url", [*URLS_REFUSED, *(f"http://{host}/" for host in HOSTS_REFUSED.split())]
)
def test_refused(net: Net, url: str) -> None:
    net.names = {
        "localhost": [["127.0.0.1", "::1"]],
        "internal.example": [["10.0.0.1"]],
        "mixed.example": [[PUBLIC, "10.0.0.1"]],
        "mixed6.example": [[PUBLIC, "2606::1", "fd00::1"]],
        "mapped.example": [["::ffff:8.8.8.8"]],
        "scoped.example": [["fe80::1%eth0"]],
        "metadata.google.internal": [["169.254.169.254"]],
    }
    with pytest.raises(UrlRefused) as error:
        fetch(url, FetchSettings(), 1000)
    assert net.connects == []
    assert set(net.lookups) <= set(net.names)
    if net.lookups:
        assert str(error.value) == NOT_PUBLIC


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://user:secret@8.8.8.8/", "user name or password"),
        ("http://8.8.8.8:22/", "80, 443"),
        ("ftp://8.8.8.8/", "http:// or https://"),
        ("http://8.8.8.8/a b", "space"),
        ("http://bücher.example/", "xn--"),
        ("http://0x7f.1/", "malformed IP address"),
    ],
)
def test_the_reason_helps(url: str, reason: str) -> None:
    with pytest.raises(UrlRefused, match=reason) as error:
        fetch(url, FetchSettings(), 1000)
    assert "secret" not in str(error.value)


def test_the_name_is_looked_up_once(net: Net) -> None:
    net.names["rebind.example"] = [[PUBLIC], ["127.0.0.1"]]
    with pytest.raises(FetchFailed):
        fetch("http://rebind.example/", FetchSettings(), 1000)
    assert net.lookups == ["rebind.example"]
    assert net.connects == [(PUBLIC, 80)]


def test_each_hop_is_looked_up_and_checked(serve: Serve, net: Net) -> None:
    server = serve(sends(redirect("http://rebind.example/b")))
    net.names["rebind.example"] = [[PUBLIC], ["127.0.0.1"]]
    net.detours[PUBLIC, 80] = ("127.0.0.1", server.port)
    with pytest.raises(UrlRefused) as error:
        fetch("http://rebind.example/a", FetchSettings(), 1000)
    assert str(error.value) == NOT_PUBLIC
    assert net.lookups == ["rebind.example"] * 2
    assert net.connects == [(PUBLIC, 80)]


def test_an_allowed_network_allows_no_other(net: Net) -> None:
    settings = FetchSettings(allowed_networks=("10.1.0.0/16", "fd00::/64"))
    for host in ("10.1.2.3", "[fd00::1]"):
        with pytest.raises(FetchFailed):
            fetch(f"http://{host}/", settings, 1000)
    assert net.connects == [("10.1.2.3", 80), ("fd00::1", 80)]
    for host in ("10.2.0.1", "[fd00:0:0:1::1]", "[::ffff:10.1.2.3]", "127.0.0.1"):
        with pytest.raises(UrlRefused):
            fetch(f"http://{host}/", settings, 1000)
    assert len(net.connects) == 2


def test_switched_off(net: Net) -> None:
    with pytest.raises(UrlRefused, match="switched off"):
        fetch("http://8.8.8.8/", FetchSettings(enabled=False), 1000)
    assert net.connects == []


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for photos.example that only its own file vouches for."""
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "photos.pem"
    command = [openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=photos.example"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-addext", "subjectAltName=DNS:photos.example"]
    command += ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_suffix(".crt"), certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    transport._tls_context.cache_clear()
    yield
    transport._tls_context.cache_clear()


def get_tls(server: Server, net: Net, host: str = "photos.example", timeout: float = 5) -> bytes:
    net.names[host] = [["127.0.0.1"]]
    settings = settings_for(server, timeout=timeout)
    return fetch(server.url(host=host, scheme="https"), settings, 1_000_000)


@pytest.mark.usefixtures("trusted")
def test_tls(serve: Serve, net: Net, tls: ssl.SSLContext) -> None:
    names: list[str | None] = []
    tls.sni_callback = lambda _, name, __: names.append(name)
    server = serve(sends(reply()), tls=tls)
    assert get_tls(server, net) == PHOTO
    assert names == ["photos.example"]
    assert f"Host: photos.example:{server.port}\r\n" in server.requests[0]


def test_a_certificate_that_nobody_signed(serve: Serve, net: Net, tls: ssl.SSLContext) -> None:
    server = serve(sends(reply()), tls=tls)
    with pytest.raises(FetchFailed, match="TLS"):
        get_tls(server, net)
    assert server.requests == []


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another(serve: Serve, net: Net, tls: ssl.SSLContext, host: str) -> None:
    server = serve(sends(reply()), tls=tls)
    with pytest.raises(FetchFailed, match="TLS"):
        get_tls(server, net, host=host)
    assert server.requests == []


def test_no_tls_at_all(serve: Serve, net: Net) -> None:
    with pytest.raises(FetchFailed):
        get_tls(serve(lambda _, client: client.sendall(b"HTTP/1.1 200 OK\r\n\r\nphoto")), net)


@pytest.mark.usefixtures("trusted")
def test_from_https_to_http(serve: Serve, net: Net, tls: ssl.SSLContext) -> None:
    plain = serve(sends(reply()))
    server = serve(sends(redirect(plain.url())), tls=tls)
    net.names["photos.example"] = [["127.0.0.1"]]
    url = server.url(host="photos.example", scheme="https")
    with pytest.raises(UrlRefused, match="https to http"):
        fetch(url, settings_for(server, plain), 1_000_000)
    assert net.connects == [("127.0.0.1", server.port)]


def drips_a_handshake(server: Server, client: socket.socket) -> None:
    client.sendall(b"\x16\x03\x03\x40\x00")
    while not server.stopped.wait(0.05):
        client.sendall(b"\x02")


@pytest.mark.parametrize("answer", [stalls(), stalls(b"\x16\x03\x03\x40\x00"), drips_a_handshake])
def test_a_slow_handshake(
    serve: Serve, net: Net, answer: Callable[[Server, socket.socket], None]
) -> None:
    with in_time(), pytest.raises(FetchTimedOut):
        get_tls(serve(answer), net, timeout=0.3)


@pytest.mark.usefixtures("trusted")
def test_a_slow_host_over_tls(serve: Serve, net: Net, tls: ssl.SSLContext) -> None:
    for answer in (
        repeats(reply(), b"x", 0.05),
        repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.05),
    ):
        with in_time(), pytest.raises(FetchTimedOut):
            get_tls(serve(answer, tls=tls), net, timeout=0.3)


# Settings


@dataclass(frozen=True)
class Table:
    fetch: FetchSettings


def test_the_settings_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "attrai.ini"
    path.write_text("[fetch]\nenabled = no\nports = 80, 8080\nallowed_networks = 10.0.0.0/8, ::1\n")
    assert load(path, Table).fetch == FetchSettings(
        enabled=False, ports=(80, 8080), allowed_networks=("10.0.0.0/8", "::1")
    )


@pytest.mark.parametrize(
    "line",
    ["ports = 0", "ports = 65536", "timeout = 0", "timeout = nan", "max_redirects = -1",
     "allowed_networks = 10.0.0.1/8", "allowed_networks = intranet"],
)  # fmt: skip
def test_settings_that_cannot_be(tmp_path: Path, line: str) -> None:
    path = tmp_path / "attrai.ini"
    path.write_text(f"[fetch]\n{line}\n")
    with pytest.raises(SettingsError):
        load(path, Table)


def test_every_error_is_in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    for failure in (OSError("x"), ValueError("x"), TimeoutError(), ssl.SSLError("x")):

        def fail(*_: Any, failure: Exception = failure) -> None:
            raise failure

        monkeypatch.setattr(socket.socket, "connect", fail)
        with pytest.raises(AttraiError):
            fetch("http://8.8.8.8/", FetchSettings(), 1000)
