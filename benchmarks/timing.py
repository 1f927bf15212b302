"""Times of calls that take turns, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int, burst: int = 1
) -> dict[str, float]:
    """The median of each call's milliseconds over so many rounds.

    In each round every call is made once, every other round in reverse; one more round before them
    warms up and does not count. With a `burst` every turn is so many calls, after one that does
    not count: of calls that run in different processes, each else finds the caches as another left
    them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for name in order:
        calls[name]()
    for _ in range(rounds):
        for name in order:
            if burst > 1:
                calls[name]()
            for _ in range(burst):
                start = time.perf_counter()
                calls[name]()
                times[name].append((time.perf_counter() - start) * 1000)
        order.reverse()
    return {name: statistics.median(taken) for name, taken in times.items()}
