"""Where a stranger may send the service: which urls are well-formed, which addresses public."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import quote, urljoin, urlsplit

from service.errors import UrlRefused

Address = IPv4Address | IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_URL = 2048
_MAX_NAME = 253
_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\]")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
# A resolver reads 0x7f.1 or 2130706433 as numbers, and so must not see them.
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

_GLOBAL_IPV6 = IPv6Network("2000::/3")
# What `is_global` lets pass, in one release of Python or another, although it is special in the
# IANA registries; whole blocks, without their exceptions.
_SPECIAL: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "100.64.0.0/10",  # carrier-grade NAT
        "168.63.129.16/32",  # looks public, yet serves Azure's machines their metadata
        "192.0.0.0/24",  # protocol assignments
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",  # AS112
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Whether `address` is global unicast, and none that merely wraps another address."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    return address.is_global and not any(address in block for block in _SPECIAL)


@dataclass(frozen=True)
class Target:
    """A well-formed url. Whether its address is public is yet to be seen."""

    scheme: str
    host: str
    address: Address | None  # what the host says, where it is no name
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The url, as it is asked for."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(url: str, ports: tuple[int, ...], base: str = "") -> Target:
    """Take `url` apart; where there is a `base`, it may be relative to that.

    Raises UrlRefused for all that is not plain http or https to one of the `ports`.
    """
    if len(url) > _MAX_URL:
        raise UrlRefused(f"the url is longer than {_MAX_URL} characters")
    if _FORBIDDEN.search(url):
        raise UrlRefused("the url holds a space, a control character or a backslash; encode it")
    try:
        parts = urlsplit(urljoin(base, url))
        path = quote(parts.path or "/", safe=string.punctuation)
        query = quote(parts.query, safe=string.punctuation)
    except ValueError:
        raise UrlRefused("the url is malformed") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise UrlRefused("the url must begin with http:// or https://")
    if "@" in parts.netloc:
        raise UrlRefused("the url must not hold a user name or password")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise UrlRefused("the url's host is missing or malformed; xn-- is for international names")
    port = int(authority["port"] or _DEFAULT_PORTS[parts.scheme])
    if port not in ports:
        raise UrlRefused(f"the url's port is none of those open here: {', '.join(map(str, ports))}")
    host, address = _parse_host(authority["host"])
    return Target(parts.scheme, host, address, port, f"{path}?{query}" if query else path)


def _parse_host(host: str) -> tuple[str, Address | None]:
    try:
        if host.startswith("["):
            ipv6 = IPv6Address(host[1:-1])
            return str(ipv6), ipv6
        name = host.lower().removesuffix(".")
        if _ENDS_IN_A_NUMBER.fullmatch(name):
            return name, IPv4Address(name)
    except ValueError:
        raise UrlRefused("the url's host is a malformed IP address") from None
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise UrlRefused("the url's host is malformed")
    return name, None
