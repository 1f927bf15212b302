"""What the service counts for Prometheus. Every label has few values: none is taken as it comes."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.version import read_version
from service.workers import workers_collector

OTHER = "other"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
STAGES = ("receive", "decode", "detect", "score", "encode")
REASONS = ("server", "client")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
FACES = (0, 1, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True)
class ServedModel:
    """A pair that rates faces; the sha256 is that of the scorer's file."""

    detector: str
    scorer: str
    sha256: str


class Metrics:
    """The counts of this process, and the exposition of all workers'."""

    def __init__(self, folder: Path | None = None) -> None:
        """With a `folder`, the counts are files there, added up over all workers (workers.py)."""
        own = CollectorRegistry()
        self._requests = Counter(
            "attrai_requests",
            "Requests answered, by route, method and status.",
            ["route", "method", "status"],
            registry=own,
        )
        self._key_requests = Counter(
            "attrai_key_requests",
            "Requests that brought an API key, by its name and the answer's status.",
            ["key", "status"],
            registry=own,
        )
        self._duration = Histogram(
            "attrai_request_duration_seconds",
            "From a request's arrival at a worker until its answer was ready.",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self._stages = Histogram(
            "attrai_stage_duration_seconds",
            "Time by stage: receive (reading or downloading), decode, detect, score, encode.",
            ["stage"],
            buckets=SECONDS,
            registry=own,
        )
        self._photos = Counter("attrai_photos", "Photos rated.", ["scorer"], registry=own)
        self._faces = Counter("attrai_faces", "Faces found and rated.", ["scorer"], registry=own)
        self._faces_per_photo = Histogram(
            "attrai_photo_faces", "Faces of a photo.", buckets=FACES, registry=own
        )
        self._in_flight = Gauge(
            "attrai_requests_in_flight",
            "Requests that a worker is at, scrapes left out.",
            multiprocess_mode="livesum",
            registry=own,
        )
        self._lost = Counter(
            "attrai_requests_lost",
            "Requests whose worker was killed before it could answer.",
            registry=own,
        )
        self._starts = Counter(
            "attrai_worker_starts",
            "Starts of a worker: first ones, and those after it was cheap, old or dead.",
            registry=own,
        )
        self._rejected = Counter(
            "attrai_rejected",
            "Requests that nginx answered with 429: the server was full, or one client's share.",
            ["reason"],
            registry=own,
        )
        self._scraped = own
        if folder is not None:
            self._scraped = CollectorRegistry()
            MultiProcessCollector(self._scraped, str(folder))  # type: ignore[no-untyped-call]
        if (workers := workers_collector()) is not None:
            self._scraped.register(workers)
        # What has yet to happen is shown as 0, so that the first time counts as an increase.
        for stage in STAGES:
            self._stages.labels(stage)
        for reason in REASONS:
            self._rejected.labels(reason)

    def start_worker(self, models: Iterable[ServedModel]) -> None:
        """Begin to serve those models, where another process of this number may have left off."""
        served = tuple(models)
        self._scraped.register(_InfoCollector(served))
        for model in served:
            self._photos.labels(model.scorer)
            self._faces.labels(model.scorer)
        # A process that was killed could not take its request off the gauge.
        for metric in self._in_flight.collect():
            self._lost.inc(sum(sample.value for sample in metric.samples))
        self._in_flight.set(0)
        self._starts.inc()

    def count_photo(self, scorer: str, faces: int, stages_ms: Mapping[str, float]) -> None:
        """Count a photo that was rated, with the milliseconds of each stage."""
        self._photos.labels(scorer).inc()
        self._faces.labels(scorer).inc(faces)
        self._faces_per_photo.observe(faces)
        for stage, ms in stages_ms.items():
            self._stages.labels(stage).observe(ms / 1000)

    def count_rejection(self, reason: str) -> None:
        """Count a request that nginx turned away; a `reason` that is none of REASONS is dropped."""
        if reason in REASONS:
            self._rejected.labels(reason).inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, and its media type: Prometheus' own, or OpenMetrics on request."""
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, media_type = choose_encoder("")
        return encode(self._scraped), media_type

    def measure(self, app: Flask) -> None:
        """Count and time every request of `app`, whose `g.start` must be set."""

        @app.before_request
        def enter() -> None:
            if request.endpoint != "metrics":
                g.in_flight = True
                self._in_flight.inc()

        @app.after_request
        def finish(response: Response) -> Response:
            status = str(response.status_code)
            self._requests.labels(route(), method(), status).inc()
            if "key_name" in g:
                # As many as the file of keys has: an unknown key has no name.
                self._key_requests.labels(g.key_name, status).inc()
            self._duration.labels(route()).observe(time.perf_counter() - g.start)
            return response

        @app.teardown_request
        def leave(_: BaseException | None) -> None:
            if g.pop("in_flight", False):
                self._in_flight.dec()


def route() -> str:
    """The current request's route as the application knows it; what was asked for is no label."""
    return request.url_rule.rule if request.url_rule else OTHER


def method() -> str:
    """The current request's method, if it is a known one."""
    return request.method if request.method in METHODS else OTHER


class _InfoCollector(Collector):
    """What serves now. It is not kept with the counts, which outlive a release."""

    def __init__(self, models: tuple[ServedModel, ...]) -> None:
        self._models = models
        self._build = {"version": read_version(), "python": platform.python_version()}

    def collect(self) -> Iterable[Metric]:
        build = InfoMetricFamily("attrai_build", "Release that is running.")
        build.add_metric([], self._build)
        yield build
        model = InfoMetricFamily(
            "attrai_model", "Models that are served.", labels=["detector", "scorer", "sha256"]
        )
        for served in self._models:
            model.add_metric([served.detector, served.scorer, served.sha256], {})
        yield model
