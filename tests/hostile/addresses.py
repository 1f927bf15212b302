# ruff: noqa: RUF001 - characters that look like others are what this is about
"""Where nobody may send the service, and in how many spellings one can try."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

PUBLIC, PUBLIC6 = "93.184.216.34", "2606:2800:220:1::34"
"""Where a sound photo can be had in the world of the tests, and trouble too."""
RESOLVER = "9.9.9.53"

# The IANA registries of special-purpose addresses, and what else is not global unicast.
BLOCKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001:1::/32",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]

METADATA = ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]"]
"""Where clouds hand credentials to their machines."""

NAMES: dict[str, list[list[str]]] = {
    "photos.example": [[PUBLIC]],
    "photos6.example": [[PUBLIC6]],
    "loopback.example": [["127.0.0.1"]],
    "loopback6.example": [["::1"]],
    "private.example": [["10.0.0.1"]],
    "unique-local.example": [["fd00::1"]],
    "link-local.example": [["169.254.169.254"]],
    "any.example": [["0.0.0.0"]],
    "any6.example": [["::"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
    "six-to-four.example": [["2002:7f00:1::"]],
    "teredo.example": [["2001:0:7f00:1::1"]],
    "multicast.example": [["224.0.0.1"]],
    "carrier.example": [["100.64.0.1"]],
    "mixed.example": [[PUBLIC, "10.0.0.1"]],
    "mixed6.example": [[PUBLIC, "::1"]],
    "last.example": [[PUBLIC, PUBLIC6, "fe80::1"]],
    "alias.example": [["CNAME localhost", "127.0.0.1"]],
    "rebinding.example": [[PUBLIC], ["127.0.0.1"]],
    "rebinding-to-metadata.example": [[PUBLIC], ["169.254.169.254"]],
    "rebinding-to-ipv6.example": [[PUBLIC], ["::1"]],
}
"""What the world's DNS says at the first look-up, at the second, and so on."""
REBINDING = [name for name in NAMES if name.startswith("rebinding")]
ASTRAY = [name for name in NAMES if not name.startswith(("photos", "rebinding"))]

UNUSUAL = [
    "http://photos.example@127.0.0.1/", "http://127.0.0.1@photos.example/",
    "http://a:b@photos.example/", "http://photos.example%40127.0.0.1/",
    "http://photos.example:22/", "http://photos.example:6379/", "http://photos.example:0/",
    "http://photos.example:65616/", "http://photos.example:8O/", "https://photos.example:8443/",
    "ftp://photos.example/", "file:///etc/passwd", "gopher://photos.example:80/_GET",
    "dict://photos.example:80/", "data:image/png;base64,AAAA", "unix:///run/attrai/uwsgi.sock",
    "http+unix://%2Frun%2Fattrai%2Fuwsgi.sock/", "//photos.example/", "photos.example/a.jpg",
    "http:/photos.example/", "http:photos.example/", "http:///photos.example/", "http://",
    "http://photos.example/\r\nHost: 127.0.0.1", "http://photos.example\r\n/",
    "http://photos.example/ HTTP/1.1\r\nX: y", "http://photos.example/\0", "http://photos.example\t/",
    "http://photos.example\\@127.0.0.1/", "http://127.0.0.1\\.photos.example/",
    "http://127.0.0.1#.photos.example/",
    "http://127.0.0.1?.photos.example/", "http://127.0.0.1%00.photos.example/",
    "http://127.0.0.1%2f.photos.example/", "http://127。0。0。1/", "http://127．0．0．1/",
    "http://127｡0｡0｡1/", "http://①②⑦.⓪.⓪.①/", "http://１２７.0.0.1/", "http://١٢٧.٠.٠.١/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://loca\u00adlhost/", "http://loca\u200blhost/", "http://ｌocalhost/",
    "http://faß.example/", "http://photos.example\u2024/", "http://photos\u3002example/",
    "http://photos.example℀@127.0.0.1/", "http://[fe80::1%25lo]/", "http://[fe80::1%lo]/",
    "http://[::1%25251]/", "http://[::ffff:127.0.0.1%25lo]/", "http://[127.0.0.1]/",
    "http://[::1].photos.example/", "http://[v1.127.0.0.1]/", "http://::1/", "http://[::1/",
    "http://localhost/", "http://LOCALHOST./", "http://0/", "http://127.1/", "http://0x7f.1/",
    "http://0177.1/", "http://127.0.0.0x1/", "http://127.0.0.1./", "http://127.0.0.1../",
    "http://127.00.0.1/", "http://%31%32%37.0.0.1/", "http://photos.example/" + "a" * 3000,
]  # fmt: skip


def _four(address: IPv4Address) -> Iterator[str]:
    """One IPv4 address as it, and what would lead to it, can be written."""
    number, parts = int(address), str(address).split(".")
    yield str(address)
    yield f"{address}."
    yield str(number)
    yield hex(number)
    yield f"0{number:011o}"
    yield ".".join(f"0x{int(part):02x}" for part in parts)
    yield ".".join(f"0{int(part):03o}" for part in parts)
    yield f"{parts[0]}.{number & 0xFFFFFF}"
    yield f"{parts[0]}.{parts[1]}.{number & 0xFFFF}"
    for six in (
        f"::ffff:{address}",
        f"::{address}",
        f"::ffff:0:{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
        f"2001:0:{number >> 16:x}:{number & 0xFFFF:x}::1",
        f"2001:0:5db8:d822:0:0:{~number >> 16 & 0xFFFF:x}:{~number & 0xFFFF:x}",
        f"fe80::5efe:{address}",
    ):
        yield f"[{six}]"


def _six(address: IPv6Address) -> Iterator[str]:
    yield f"[{address}]"
    yield f"[{address.exploded}]"
    yield f"[{address.exploded.upper()}]"


def hosts() -> list[str]:
    """The first, the last and a middle address of every block, in every spelling."""
    found: list[str] = []
    for block in map(ip_network, BLOCKS):
        middle = block.network_address + block.num_addresses // 2
        for address in (block.network_address, middle, block.broadcast_address):
            found += _four(address) if isinstance(address, IPv4Address) else _six(address)
    return list(dict.fromkeys([*found, *METADATA]))
