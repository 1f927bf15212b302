"""The service in a network of its own, where every packet that leaves it is seen.

Started by test_addresses.py in a namespace of network and mounts. All addresses have a route: what
is public leads to a host that does as its path says, the rest to a wire with nobody at its end.
Reads a line of JSON for each request, {"url": ...} or {"connect": [address, port]}; writes what was
answered, and every packet to where there is neither the public host nor the resolver.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote

from service.application import create_app
from service.fetch import FetchSettings
from service.settings import Settings
from tests.hostile.addresses import NAMES, PUBLIC, PUBLIC6, RESOLVER
from tests.hostile.dns import NameServer
from tests.hostile.fuzzer import seed_photo

_NETWORK = f"""
set -e
ip link set lo up
ip link add out type veth peer name end
ip link set out address 02:00:00:00:00:01 up
ip link set end up
ip address add {PUBLIC}/32 dev lo
ip address add {RESOLVER}/32 dev lo
ip -6 address add {PUBLIC6}/128 dev lo nodad
ip address add 198.51.100.2/24 dev out
ip -6 address add 2001:db8::2/64 dev out nodad
ip neigh add 198.51.100.1 lladdr 02:00:00:00:00:02 dev out
ip -6 neigh add 2001:db8::1 lladdr 02:00:00:00:00:02 dev out
ip route add default via 198.51.100.1
ip -6 route add default via 2001:db8::1
"""
_ANY_PROTOCOL = 3
_KNOWN = {ip_address(address) for address in (PUBLIC, PUBLIC6, RESOLVER)}


class _Watch:
    """What leaves on any interface, from the wire's point of view."""

    def __init__(self) -> None:
        kind = socket.htons(_ANY_PROTOCOL)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024 * 1024)
        self._socket.setblocking(False)

    def packets(self) -> list[str]:
        """Where TCP and UDP were sent since the last call, and by which protocol and port."""
        seen = []
        with suppress(BlockingIOError):
            while True:
                packet, (_, _, direction, *_) = self._socket.recvfrom(65536)
                if direction == socket.PACKET_OUTGOING and (found := _destination(packet)):
                    seen.append(found)
        return seen


def _destination(packet: bytes) -> str | None:
    if packet[0] >> 4 == 4:
        protocol, address, at = packet[9], packet[16:20], (packet[0] & 15) * 4
    else:
        protocol, address, at = packet[6], packet[24:40], 40
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None  # the kernel's own, of neighbours and groups
    (port,) = struct.unpack_from(">H", packet, at + 2)
    return f"{ip_address(address)} {port}"


class _Host(BaseHTTPRequestHandler):
    """Does as the path says: /redirect/<location>, or one of these."""

    photo = seed_photo()
    bomb = gzip.compress(bytes(50_000_000))

    def do_GET(self) -> None:
        command, _, rest = self.path[1:].partition("/")
        with suppress(OSError):
            getattr(self, f"_{command}", self._photo)(unquote(rest))

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _photo(self, _: str) -> None:
        self._send(200, self.photo, Content_Length=str(len(self.photo)))

    def _redirect(self, location: str) -> None:
        self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: " + location.encode() + b"\r\n\r\n")

    def _endless(self, _: str) -> None:
        self._send(200)
        while True:
            self.wfile.write(bytes(65536))

    def _chunks(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    def _drip(self, start: str) -> None:
        self.wfile.write(start.encode())
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def _long(self, _: str) -> None:
        self._send(200, self.photo, Content_Length=str(len(self.photo) + 1))

    def _huge(self, _: str) -> None:
        self._send(200, self.photo, Content_Length="99999999999")

    def _two(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nphotos")

    def _negative(self, _: str) -> None:
        self._send(200, self.photo, Content_Length="-1")

    def _gzip(self, _: str) -> None:
        self._send(200, self.bomb, Content_Encoding="gzip", Content_Length=str(len(self.bomb)))

    def _nested(self, _: str) -> None:
        self._send(200, self.bomb, Transfer_Encoding="gzip, chunked")

    def _silent(self, _: str) -> None:
        time.sleep(30)

    def _headers(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X: " + b"y" * 1000 + b"\r\n")

    def _cookies(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


class _Host6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def main() -> None:
    """Build the world, then answer what comes on stdin until it ends."""
    subprocess.run(["sh", "-c", _NETWORK], check=True)
    out, sys.stdout = sys.stdout, sys.stderr  # the service logs there
    resolver = NameServer(RESOLVER, NAMES)
    for host in (ThreadingHTTPServer((PUBLIC, 80), _Host), _Host6((PUBLIC6, 80), _Host)):
        host.daemon_threads = True
        threading.Thread(target=host.serve_forever, daemon=True).start()
    client = create_app(Settings(fetch=FetchSettings(timeout=1))).test_client()
    watch, strange = _Watch(), set[str]()
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        resolver.forget()
        watch.packets()
        found: dict[str, Any] = {}
        start = time.monotonic()
        if "connect" in request:
            with suppress(OSError):
                socket.create_connection(request["connect"], timeout=0.1).close()
        else:
            url = quote(request["url"].encode("utf-8", "surrogatepass"), safe="")
            answer = client.get(f"/predict?url={url}")
            found = {"status": answer.status_code, "document": json.loads(answer.text)}
        seen = watch.packets()
        found["seconds"] = time.monotonic() - start
        found["sent"] = [to for to in seen if ip_address(to.split()[0]) not in _KNOWN]
        found["known"] = len(seen) - len(found["sent"])
        asked, told = set(resolver.asked), json.dumps(request).lower()
        found["asked"] = sorted(name for name in asked if name in told or name in NAMES)
        strange |= asked - set(found["asked"])
        found["strange"] = sorted(strange)
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
