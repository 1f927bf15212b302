"""uWSGI's side of the metrics: how workers share their counts, and what it knows of each of them.

Every worker writes its counts to files of its own, named by its number and not by its process, so
that the next process of that number goes on counting; a scrape of any worker adds all files up.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

try:
    import uwsgi
except ModuleNotFoundError:  # the tests, and Flask's own server
    uwsgi = None

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder of the files; it must be empty when the server starts."""
STATES = ("idle", "busy", "cheap")


def share_counts() -> Path | None:
    """Let all metrics made from now on count in files, where several workers are to be added up.

    Returns the folder of the files, or None where one process counts for itself.
    """
    if uwsgi is None:
        return None
    folder = os.environ.get(FOLDER)
    if not folder:
        logging.getLogger("attrai").warning("%s is not set: each worker counts alone", FOLDER)
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    number = uwsgi.worker_id
    values.ValueClass = values.MultiProcessValue(number)  # type: ignore[no-untyped-call]
    return Path(folder)


def worker_number() -> int:
    """This worker's number, from 1; 0 without uWSGI."""
    return 0 if uwsgi is None else int(uwsgi.worker_id())


class WorkersCollector(Collector):
    """What uWSGI knows of its workers at the moment of a scrape."""

    def __init__(self, workers: Callable[[], Iterable[dict[str, Any]]], me: int, since: float):
        self._workers = workers
        self._me = me
        self._since = since

    def collect(self) -> Iterable[Metric]:
        """Workers by state, the most there may be, their memory, and when the server started."""
        workers = list(self._workers())
        states = Counter(self._state(worker) for worker in workers)
        by_state = GaugeMetricFamily(
            "attrai_workers", "Workers by state; cheap ones wait to be needed.", labels=["state"]
        )
        for state in STATES:
            by_state.add_metric([state], states[state])
        yield by_state
        most = GaugeMetricFamily("attrai_workers_max", "Workers that there may be.")
        most.add_metric([], len(workers))
        yield most
        memory = GaugeMetricFamily(
            "attrai_worker_resident_memory_bytes",
            "Memory of a worker after its last request.",
            labels=["worker"],
        )
        for worker in workers:
            if self._state(worker) != "cheap":
                memory.add_metric([str(worker["id"])], worker["rss"])
        yield memory
        start = GaugeMetricFamily(
            "attrai_start_time_seconds", "When the server was started or reloaded, in Unix time."
        )
        start.add_metric([], self._since)
        yield start

    def _state(self, worker: dict[str, Any]) -> str:
        state = worker["status"].decode()
        # The scrape itself must not look like work: one worker alone would never be seen idle.
        if worker["id"] == self._me:
            return "idle"
        return state if state in STATES else "busy"


def workers_collector() -> WorkersCollector | None:
    """The collector for this server; None without uWSGI."""
    if uwsgi is None:
        return None
    return WorkersCollector(uwsgi.workers, worker_number(), uwsgi.started_on)
