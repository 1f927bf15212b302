"""How often a key may ask: a token bucket for each, one for all workers together.

A bucket of N tokens fills up within a minute, and every request takes one. Of it no more is kept
than the moment at which it will be full again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

try:
    import uwsgi
except ModuleNotFoundError:  # the tests, and Flask's own server
    uwsgi = None

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = "rates"
"""uWSGI's cache of that name, in deploy/uwsgi.ini: memory that its workers share."""
MINUTE = 60_000_000_000
"""In nanoseconds, as all that is reckoned here: whole numbers add up."""


class Store(Protocol):
    """Where it is kept when a bucket will be full."""

    def lock(self) -> AbstractContextManager[object]:
        """Keep all others from reading and writing meanwhile."""

    def read(self, name: str) -> int:
        """What was last written for a name, or 0."""

    def write(self, name: str, full: int) -> None:
        """Keep a moment."""


class Rates:
    """The buckets of all keys."""

    def __init__(self, store: Store, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._store = store
        self._clock = clock

    def take(self, name: str, rate: int) -> float:
        """Take a token of a bucket of `rate`; 0, or the seconds until there will be one."""
        token = MINUTE // rate
        with self._store.lock():
            now = self._clock()
            full = max(self._store.read(name), now)
            # The clock counts from the start of the machine, and is the same in all processes.
            lacking = full + token - now - MINUTE
            if lacking > 0:
                return lacking / 1e9
            self._store.write(name, full + token)
        return 0


class OwnStore:
    """For a process that serves alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full: dict[str, int] = {}

    def lock(self) -> AbstractContextManager[object]:
        """Keep this process's other threads out."""
        return self._lock

    def read(self, name: str) -> int:
        """What was last written for a name, or 0."""
        return self._full.get(name, 0)

    def write(self, name: str, full: int) -> None:
        """Keep a moment."""
        self._full[name] = full


class SharedStore:
    """For uWSGI's workers: its lock is freed when the worker that holds it is killed."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep the other workers out."""
        uwsgi.lock()
        try:
            yield
        finally:
            uwsgi.unlock()

    def read(self, name: str) -> int:
        """What was last written for a name, or 0."""
        return int.from_bytes(uwsgi.cache_get(name, CACHE) or b"", "big")

    def write(self, name: str, full: int) -> None:
        """Keep a moment."""
        uwsgi.cache_update(name, full.to_bytes(8, "big"), 0, CACHE)


def share_rates() -> Rates:
    """Buckets of all workers where there are several, else of this process."""
    if uwsgi is None:
        return Rates(OwnStore())
    # uWSGI says nothing of a cache that is not there.
    if not uwsgi.cache_update(".", b"\0", 0, CACHE):
        logging.getLogger("attrai").warning(
            "uWSGI has no cache %s: the rate of a key is that of each worker alone", CACHE
        )
        return Rates(OwnStore())
    return Rates(SharedStore())
