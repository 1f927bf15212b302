"""?url= end to end: what must not be visited is not, watched on the wire.

The service runs in a network where every address has a route, with a real resolver and no mock; a
packet socket sees what leaves it. tests/service/test_fetch.py has the cases one by one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import ROOT
from tests.hostile.addresses import ASTRAY, METADATA, PUBLIC, PUBLIC6, REBINDING, UNUSUAL, hosts
from tests.service.test_fetch import HOSTS_REFUSED, URLS_REFUSED

Figure = Callable[[str, str], None]
TROUBLE = {
    "endless": 413, "chunks": 413, "huge": 413, "drip/HTTP": 504,
    "drip/HTTP%2F1.1%20200%20OK%0D%0A%0D%0A": 504, "silent": 504, "long": 502, "two": 502,
    "negative": 502, "gzip": 502, "nested": 502, "headers": 502, "cookies": 502,
}  # fmt: skip

ENTER = """
set -e
for name in resolv.conf nsswitch.conf hosts; do mount --bind "$0/$name" "/etc/$name"; done
exec "$@"
"""


@dataclass(frozen=True)
class Seen:
    """An answer, and what went over the wire for it."""

    sent: list[str]
    """Packets to anywhere but the public host and the resolver."""
    known: int
    asked: list[str]
    """Names that were looked up for it."""
    strange: list[str]
    """Names that nobody mentioned, looked up until now."""
    seconds: float
    status: int = 0
    document: Any = None


class World:
    """The process in its namespace."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, url: str) -> Seen:
        """GET /predict?url=..."""
        return self._tell({"url": url})

    def connect(self, address: str, port: int = 80) -> Seen:
        """A connection attempt past all guards."""
        return self._tell({"connect": [address, port]})

    def _tell(self, request: dict[str, Any]) -> Seen:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Seen(**json.loads(self._process.stdout.readline()))


def obstacle() -> str | None:
    """Why there can be no such network here; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a network of its own needs root on Linux"
    if not (shutil.which("unshare") and shutil.which("ip")):
        return "a network of its own needs unshare and ip"
    probe = "ip link add out type veth peer name end && mount --bind /etc/hosts /etc/hosts"
    command = ["unshare", "--net", "--mount", "sh", "-c", probe]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"no network of its own: {done.stderr.strip()}" if done.returncode else None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if reason := obstacle():
        pytest.skip(reason)
    etc: Path = tmp_path_factory.mktemp("etc")
    (etc / "resolv.conf").write_text("nameserver 9.9.9.53\noptions timeout:1 attempts:1\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    enter = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", ENTER, str(etc)]
    with (
        (etc / "log").open("w") as log,
        subprocess.Popen(
            [*enter, sys.executable, "-m", "tests.hostile.world"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (etc / "log").read_text()
        yield World(process)
        process.kill()


def refused(seen: Seen) -> bool:
    """Refused as an address, with not one packet to it."""
    kind = "urn:attrai:problem:url-refused"
    return (seen.status, seen.sent) == (400, []) and seen.document["type"] == kind


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1",
                                     "100.64.0.1", "0.0.0.0", "::1", "fd00::1", "64:ff9b::7f00:1",
                                     "2002:7f00:1::1"])  # fmt: skip
def test_the_watch_sees_what_goes_astray(world: World, address: str) -> None:
    seen = world.connect(address)
    assert any(to.endswith(" 80") for to in seen.sent), seen


@pytest.mark.parametrize(
    "url",
    [f"http://{PUBLIC}/", f"http://[{PUBLIC6}]/", "http://photos.example/",
     "http://photos6.example/", "http://photos.example#@127.0.0.1:22/",
     "http://photos.example/redirect/http:%2F%2Fphotos6.example%2F"],
)  # fmt: skip
def test_a_public_photo_is_rated(world: World, url: str) -> None:
    seen = world.ask(url)
    assert (seen.status, seen.sent) == (200, [])
    assert len(seen.document["faces"]) == 1
    assert seen.known > 0


def test_no_spelling_of_a_special_address_is_visited(world: World, figure: Figure) -> None:
    table = hosts()
    assert len(table) >= 60
    answers = {host: world.ask(f"http://{host}/photo.jpg") for host in table}
    assert {host: seen for host, seen in answers.items() if not refused(seen)} == {}
    assert {host: seen for host, seen in answers.items() if seen.asked or seen.known} == {}
    figure("?url= of special addresses", f"{len(table)} spellings, all refused, 0 packets")


@pytest.mark.parametrize("url", UNUSUAL)
def test_no_unusual_url_is_visited(world: World, url: str) -> None:
    seen = world.ask(url)
    assert refused(seen), seen
    assert seen.known == 0


def test_the_cases_of_the_unit_tests_hold_end_to_end(world: World, figure: Figure) -> None:
    # Two names among them are unknown here: they get as far as the resolver, and no further.
    sound = [url for url in URLS_REFUSED if (url and url.isprintable()) or url.isascii()]
    urls = [*filter(None, sound), *(f"http://{host}/" for host in HOSTS_REFUSED.split())]
    answers = {url: world.ask(url) for url in urls}
    assert {url: seen for url, seen in answers.items() if seen.sent} == {}
    assert {
        url: seen.status for url, seen in answers.items() if seen.status not in (400, 502)
    } == {}
    unknown = {url for url, seen in answers.items() if seen.status == 502}
    assert all("does not resolve" in answers[url].document["detail"] for url in unknown), unknown
    figure("?url= of the unit tests' table", f"{len(urls)} urls, all refused, 0 packets")


@pytest.mark.parametrize("name", ASTRAY)
def test_a_name_that_leads_astray_is_refused(world: World, name: str) -> None:
    seen = world.ask(f"http://{name}/photo.jpg")
    assert refused(seen), seen
    assert name in seen.asked


@pytest.mark.parametrize("name", REBINDING)
def test_a_name_that_changes_its_mind_is_caught(world: World, name: str) -> None:
    """First public, then not: the address that was checked is the one that is visited."""
    seen = world.ask(f"http://{name}/photo.jpg")
    assert (seen.status, seen.sent) == (200, [])
    assert refused(world.ask(f"http://{name}/redirect/http:%2F%2F{name}%2F"))


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1/", "//127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://2130706433/",
     "http://private.example/", "http://photos.example:22/", "file:///etc/passwd", "http://a@b/",
     "gopher://photos.example/", *(f"http://{host}/" for host in METADATA)],
)  # fmt: skip
def test_a_redirect_astray_is_refused(world: World, location: str) -> None:
    path = location.replace("%", "%25").replace("/", "%2F")
    seen = world.ask(f"http://photos.example/redirect/{path}")
    assert refused(seen), seen
    assert seen.known > 0
    twice = f"http://photos.example/redirect/{path}".replace("%", "%25").replace("/", "%2F")
    assert refused(world.ask(f"http://photos.example/redirect/{twice}"))


@pytest.mark.parametrize(("path", "status"), TROUBLE.items())
def test_a_host_that_means_trouble_is_left(world: World, path: str, status: int) -> None:
    seen = world.ask(f"http://photos.example/{path}")
    assert (seen.status, seen.sent) == (status, []), seen
    assert seen.document["type"].startswith("urn:attrai:problem:")
    assert seen.seconds < 10, "its deadline is one second"
    assert world.ask("http://photos.example/").status == 200


def test_the_service_calls_nobody_of_its_own_accord(world: World) -> None:
    """No library of it reports home, either: all names looked up so far were in some url."""
    time.sleep(2)
    assert world.ask("http://photos.example/").strange == []
