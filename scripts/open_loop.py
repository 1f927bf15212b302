"""An open-loop load: requests start on schedule, whatever the answers take.

For load_test.sh, which says what its exit status means. Each request has a connection of its own,
as strangers have, and none is tried again: an answer that is lost is lost. Python's standard
library is all that it needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import ssl
import sys
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 60
LATE = 0.05
LATE_SHARE = 0.01
BOUNDARY = "attrai-load-test-boundary"


@dataclass(frozen=True)
class Target:
    """Where requests go, and the bytes of one."""

    host: str
    port: int
    tls: bool
    request: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of a request. Times are in seconds; status 0 is no answer."""

    status: int
    retry_after: bool
    duration: float
    lateness: float


def parse_target(url: str, photo: str) -> Target:
    """The request for `url`: a POST of the file `photo` as a form, or a GET where that is `-`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is no http or https URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = f"Host: {parts.netloc}\r\nUser-Agent: attrai-load-test\r\nConnection: close\r\n"
    if photo == "-":
        request = f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
    else:
        body = (
            f"--{BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="image"; filename="photo"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        body += Path(photo).read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
        head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        head += f"Content-Length: {len(body)}\r\n"
        request = f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body
    tls = parts.scheme == "https"
    return Target(parts.hostname, parts.port or (443 if tls else 80), tls, request)


async def ask(target: Target) -> tuple[int, bool]:
    """Send the request; its status, and whether there was a Retry-After.

    Raises OSError and ValueError for an answer that breaks off or is none.
    """
    context = ssl.create_default_context() if target.tls else None
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    try:
        # Not waited for: a server that is full answers before it has read the photo.
        writer.write(target.request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in map(split, lines)}
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        else:
            await reader.read()
        return int(first.split()[1]), "retry-after" in headers
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError) as error:
        raise ValueError("the answer breaks off, or is not HTTP") from error
    finally:
        writer.close()


def split(line: str) -> tuple[str, str, str]:
    """A header line at its colon."""
    return line.partition(":")


class Load:
    """One run: it starts requests on schedule and keeps what became of them."""

    def __init__(self, target: Target, rate: float, seconds: float) -> None:
        self.outcomes: list[Outcome] = []
        self.most_in_flight = 0
        self._target = target
        self._rate = rate
        self._count = max(1, round(rate * seconds))
        self._in_flight = 0

    async def run(self) -> float:
        """Start every request when it is due, and wait for the answers; seconds it all took."""
        begin = time.monotonic()
        tasks = []
        for number in range(self._count):
            due = begin + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(due)))
        await asyncio.gather(*tasks)
        return time.monotonic() - begin

    async def _one(self, due: float) -> None:
        lateness = time.monotonic() - due
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        status, retry_after = 0, False
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            status, retry_after = await asyncio.wait_for(ask(self._target), TIMEOUT)
        self._in_flight -= 1
        self.outcomes.append(Outcome(status, retry_after, time.monotonic() - due, lateness))


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of `values` that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def report(outcomes: list[Outcome], seconds: float, most_in_flight: int) -> int:
    """Print what came back; the exit status."""
    statuses = Counter(outcome.status for outcome in outcomes)
    rates = f"{len(outcomes) / seconds:.1f} requests/s, {statuses[200] / seconds:.1f} answered 200"
    print(f"{len(outcomes)} requests in {seconds:.1f} s: {rates}")
    for status, count in sorted(statuses.items()):
        times = [outcome.duration * 1000 for outcome in outcomes if outcome.status == status]
        figures = ", ".join(f"p{p} {percentile(times, p):.0f} ms" for p in (50, 95, 99))
        print(f"{f'status {status}' if status else 'no answer'}: {count} ({figures})")
    full = [outcome for outcome in outcomes if outcome.status == 429]
    polite = sum(outcome.retry_after for outcome in full)
    print(f"with Retry-After: {polite} of {len(full)}")
    late = [outcome.lateness for outcome in outcomes if outcome.lateness > LATE]
    worst = max(outcome.lateness for outcome in outcomes) * 1000
    print(f"at most {most_in_flight} in flight")
    print(f"started over {LATE * 1000:.0f} ms late: {len(late)}, the latest by {worst:.0f} ms")
    if statuses[200] + polite != len(outcomes):
        return 1
    return 3 if len(late) > LATE_SHARE * len(outcomes) else 0


def main() -> int:
    """Rate, seconds, URL and photo from the command line."""
    rate, seconds, url, photo = sys.argv[1:]
    try:
        target = parse_target(url, photo)
        load = Load(target, float(rate), float(seconds))
    except (OSError, ValueError) as error:
        print(f"load_test.sh: {error}", file=sys.stderr)
        return 2
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection a request
    took = asyncio.run(load.run())
    return report(load.outcomes, took, load.most_in_flight)


if __name__ == "__main__":
    sys.exit(main())
