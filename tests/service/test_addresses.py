from ipaddress import ip_address

import pytest

from service.addresses import is_public, parse_url
from service.errors import UrlRefused

PUBLIC = """
    1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 168.63.129.15 172.15.0.1 172.32.0.1
    191.255.255.255 192.0.1.1 192.167.1.1 198.17.255.255 223.255.255.255
    2001:200::1 2001:4860:4860::8888 2606:2800:220:1::1 2a00:1450:4001:81b::200e 3ffe:ffff::1
"""

NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254
    168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.192
    192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808
    64:ff9b:1::808:808 100::1 100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1
    2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 2620:4f:8000::1
    3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "base", "asked_for"),
    [
        ("http://example.org", "", "http://example.org/"),
        ("HTTPS://EXAMPLE.org.:443/A?b=c#d", "", "https://example.org/A?b=c"),
        ("http://example.org:443?q", "", "http://example.org:443/?q"),
        ("http://example.org:/", "", "http://example.org/"),
        ("http://xn--mnchen-3ya.example/ü%20?ß", "", "http://xn--mnchen-3ya.example/%C3%BC%20?%C3%9F"),
        ("http://8.8.8.8/", "", "http://8.8.8.8/"),
        ("http://[2606:0::1]:443/", "", "http://[2606::1]:443/"),
        ("../c", "http://example.org/a/b", "http://example.org/c"),
        ("?c", "http://example.org:443/a?b", "http://example.org:443/a?c"),
        ("//other.example/a", "https://example.org/", "https://other.example/a"),
    ],
)  # fmt: skip
def test_url(url: str, base: str, asked_for: str) -> None:
    assert parse_url(url, (80, 443), base).url == asked_for


def test_a_relative_url_needs_a_base() -> None:
    with pytest.raises(UrlRefused, match="http"):
        parse_url("/a", (80,))
