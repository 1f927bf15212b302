"""The Flask application: routes, and what every answer carries."""

from __future__ import annotations

import re
import uuid

from flask import Flask, Response, g, request

from pipeline.predictor import Predictor, load_predictor
from service.errors import NotReady
from service.logs import log_requests
from service.problems import handle_problems
from service.requests import PhotoRequest, max_body, read_upload
from service.responses import figures, json_response, picture_response
from service.settings import Settings, load_settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(settings: Settings | None = None, predictor: Predictor | None = None) -> Flask:
    """The service, with its models loaded and warm.

    Raises SettingsError and ModelError, so that a worker that cannot serve does not start.
    """
    settings = settings or load_settings()
    if predictor is None:
        predictor = load_predictor(settings)
        predictor.warm_up()
    app = Flask("attrai", static_folder=None)
    app.request_class = PhotoRequest
    app.config["MAX_CONTENT_LENGTH"] = max_body(settings.photo.max_bytes)
    # First, so that every line and every problem has the id.
    app.before_request(_take_request_id)
    log_requests(app)
    app.after_request(_mark)
    handle_problems(app)
    _add_routes(app, settings, predictor)
    return app


def _add_routes(app: Flask, settings: Settings, predictor: Predictor) -> None:
    @app.route("/predict", methods=["GET", "POST"])
    def predict() -> Response:
        upload = read_upload(request, settings)
        options = upload.options
        prediction = predictor.predict(
            upload.data,
            model=options.model,
            max_faces=options.max_faces,
            min_confidence=options.min_confidence,
        )
        g.faces = len(prediction.faces)
        result = figures(prediction, predictor.detector.name, g.request_id)
        if options.format == "json":
            response = json_response(result)
        else:
            picture = predictor.picture(upload.data, prediction, options.format)
            response = picture_response(picture, options.format, result)
        response.headers["Cache-Control"] = "no-store"
        return response

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


def _take_request_id() -> None:
    offered = request.headers.get("X-Request-ID", "")
    g.request_id = offered if REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


def _mark(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.path == "/predict":
        response.vary.add("Accept")
    return response
