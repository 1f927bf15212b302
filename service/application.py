"""The Flask application: routes, and what every answer carries."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response, current_app, g, request

from pipeline.predictor import Predictor, load_predictor
from service.auth import require_keys
from service.cors import allow_origins
from service.docs import add_docs
from service.errors import NotReady
from service.logs import log_requests, log_start, log_to
from service.metrics import Metrics, ServedModel
from service.openapi import describe_service
from service.pages import add_pages
from service.problems import handle_problems
from service.rejections import Rejections
from service.requests import max_body, read_to_the_end, read_upload
from service.responses import figures, json_response, picture_response
from service.settings import Settings, load_settings
from service.version import read_version
from service.workers import share_counts, worker_number

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(
    settings: Settings | None = None,
    predictor: Predictor | None = None,
    rejections: Rejections | None = None,
) -> Flask:
    """The service, with its models loaded and warm.

    Raises SettingsError and ModelError, so that a worker that cannot serve does not start.
    """
    log_to(sys.stdout)
    settings = settings or load_settings()
    metrics = Metrics(share_counts())
    if rejections is not None:
        rejections.report_to(metrics.count_rejection)
    if predictor is None:
        predictor = load_predictor(settings)
        predictor.warm_up()
    app = Flask("attrai", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body(settings.photo.max_bytes)
    # A path with // is not found, as any other wrong one; a redirect would be no problem document.
    app.url_map.merge_slashes = False
    # First, so that every line and every problem has the id.
    app.before_request(_begin)
    log_requests(app)
    metrics.measure(app)
    app.after_request(_mark)
    read_to_the_end(app)
    allow_origins(app, settings.cors)
    app.before_request(_tell_methods)
    require_keys(app, settings.auth)
    handle_problems(app)
    _add_routes(app, settings, predictor, metrics)
    contract = describe_service(settings, [model.scorer for model in _served(predictor)])
    add_docs(app, contract)
    add_pages(app)
    _start_worker(settings, predictor, metrics)
    return app


def _served(predictor: Predictor) -> list[ServedModel]:
    detector = predictor.detector.name
    return [
        ServedModel(detector, name, model.sha256(model.file("served")))
        for name, model in predictor.models.items()
        if name != detector
    ]


def _start_worker(settings: Settings, predictor: Predictor, metrics: Metrics) -> None:
    models = _served(predictor)
    metrics.start_worker(models)
    described = [{"name": model.scorer, "sha256": model.sha256} for model in models]
    log_start(read_version(), predictor.detector.engine, described, worker_number())


def _add_routes(app: Flask, settings: Settings, predictor: Predictor, metrics: Metrics) -> None:
    @app.route("/predict", methods=["GET", "POST"])
    def predict() -> Response:
        stages_ms: dict[str, float] = {}
        with _timed(stages_ms, "receive"):
            upload = read_upload(request, settings)
        options = upload.options
        prediction = predictor.predict(
            upload.data,
            model=options.model,
            max_faces=options.max_faces,
            min_confidence=options.min_confidence,
        )
        stages_ms |= prediction.timing_ms
        result = figures(prediction, predictor.detector.name, g.request_id)
        if options.format == "json":
            response = json_response(result)
        else:
            with _timed(stages_ms, "encode"):
                picture = predictor.picture(upload.data, prediction, options.format)
            response = picture_response(picture, options.format, result)
        g.faces, g.scorer, g.stages_ms = len(prediction.faces), prediction.scorer.name, stages_ms
        metrics.count_photo(g.scorer, g.faces, stages_ms)
        return response

    # HEAD would have to download and rate a photo to say what GET does.
    for rule in app.url_map.iter_rules("predict"):
        (rule.methods or set()).discard("HEAD")

    @app.get("/metrics", endpoint="metrics")
    def scrape() -> Response:
        text, media_type = metrics.exposition(request.headers.get("Accept", ""))
        return Response(text, headers={"Content-Type": media_type})

    @app.get("/healthz")
    def healthz() -> Response:
        return json_response({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> Response:
        if not predictor.ready:
            raise NotReady("this worker has not rated a face yet")
        return json_response({"status": "ready"})

    @app.get("/models")
    def models() -> Response:
        cards = [model.card for model in predictor.models.values()]
        return json_response({"default": settings.scorer.model, "models": cards})


@contextmanager
def _timed(stages_ms: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    stages_ms[stage] = (time.perf_counter() - start) * 1000


def _begin() -> None:
    g.start = time.perf_counter()
    offered = request.headers.get("X-Request-ID", "")
    g.request_id = offered if REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


def _tell_methods() -> Response | None:
    """Answer OPTIONS, at every route, with the methods that there are."""
    if request.method != "OPTIONS" or request.url_rule is None:
        return None
    response = current_app.make_default_options_response()
    response.status_code = 204
    response.headers["Allow"] = ", ".join(sorted(response.allow))
    del response.headers["Content-Type"]
    return response


def _mark(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Answers about photos above all. Only the page's files may be kept, and say so themselves.
    response.headers.setdefault("Cache-Control", "no-store")
    if request.path == "/predict":
        response.vary.add("Accept")
    return response
