"""Errors as RFC 9457 problems: the one place that knows which error has which HTTP status."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, InternalServerError

from pipeline import errors as pipeline
from pipeline.errors import AttraiError
from service import errors as service

STATUS: dict[type[AttraiError], HTTPStatus] = {
    pipeline.EmptyPhoto: HTTPStatus.BAD_REQUEST,
    pipeline.UnknownImageType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    pipeline.PhotoTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    pipeline.PhotoTooSmall: HTTPStatus.UNPROCESSABLE_ENTITY,
    pipeline.UndecodablePhoto: HTTPStatus.UNPROCESSABLE_ENTITY,
    pipeline.UnknownModel: HTTPStatus.NOT_FOUND,
    service.MissingPhoto: HTTPStatus.BAD_REQUEST,
    service.BadOption: HTTPStatus.BAD_REQUEST,
    service.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    service.UnsupportedBody: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    service.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    service.UrlRefused: HTTPStatus.BAD_REQUEST,
    service.FetchFailed: HTTPStatus.BAD_GATEWAY,
    service.FetchTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    service.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    service.MissingKey: HTTPStatus.UNAUTHORIZED,
    service.InvalidKey: HTTPStatus.UNAUTHORIZED,
    service.AmbiguousKey: HTTPStatus.BAD_REQUEST,
    service.RateExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    service.KeysUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every error that a request can end in; any other is a fault of ours, and a 500."""
MEDIA_TYPE = "application/problem+json"
URN = "urn:attrai:problem:"
RETRY_AFTER = "2"
"""Seconds until a worker that is starting may be asked again; nginx says the same."""
CHALLENGES: dict[type[AttraiError], str] = {
    service.MissingKey: 'Bearer realm="attrai"',
    service.InvalidKey: 'Bearer realm="attrai", error="invalid_token"',
    service.AmbiguousKey: 'Bearer realm="attrai", error="invalid_request"',
}
"""Errors whose answer says in WWW-Authenticate what to bring (RFC 6750)."""
PHRASES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Body too large"}
"""Where the standard library's phrase, which kinds are made of, is another from Python 3.13 on."""


def handle_problems(app: Flask) -> None:
    """Answer every error of `app` with a problem, and none with a traceback."""
    app.register_error_handler(AttraiError, _of_error)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_fault)


def problem(status: HTTPStatus, kind: str, title: str, detail: str) -> Response:
    """This request's answer; `kind` tells a program what `title` tells a person."""
    body = {
        "type": URN + kind,
        "title": title,
        "status": status.value,
        "detail": detail,
        "instance": request.path,
        "request_id": g.request_id,
    }
    return Response(json.dumps(body) + "\n", status=status.value, mimetype=MEDIA_TYPE)


def kind_of(error: type[AttraiError]) -> str:
    """What the `type` of this error's problem ends in: its name, in lower case, with hyphens."""
    return "-".join(_words(error)).lower()


def _of_error(error: AttraiError) -> Response:
    status = STATUS.get(type(error))
    if status is None:
        return _of_fault(error)
    title = " ".join(_words(type(error))).capitalize()
    response = problem(status, kind_of(type(error)), title, str(error))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, service.RateExceeded):
        response.headers["Retry-After"] = str(error.seconds)
    if type(error) in CHALLENGES:
        response.headers["WWW-Authenticate"] = CHALLENGES[type(error)]
    return response


def _words(error: type[AttraiError]) -> list[str]:
    return re.findall("[A-Z][a-z0-9]*", error.__name__)


def _of_http(error: HTTPException) -> Response:
    """Werkzeug's own: no such route, wrong method, a body that ends early."""
    status = HTTPStatus(error.code or 500)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _of_fault(error)
    title = PHRASES.get(status, status.phrase)
    kind = title.lower().replace(" ", "-")
    detail = error.description or status.description
    if status is HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.path}; photos go to /predict"
    response = problem(status, kind, title, detail)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = ", ".join(sorted(value.split(", ")))
        elif name == "Retry-After":
            response.headers[name] = value
    return response


def _of_fault(error: Exception) -> Response:
    original = error.original_exception if isinstance(error, InternalServerError) else error
    current_app.logger.error("request %s failed", g.request_id, exc_info=original or error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        "Internal error",
        "something went wrong on our side; the log has more under this request_id",
    )
