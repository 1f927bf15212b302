"""The contract at /openapi.json: each route, what it takes, and every answer that it may give."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from service.kinds import problem_kinds
from service.options import MEDIA_TYPES
from service.problems import MEDIA_TYPE, URN
from service.responses import RESULT_HEADER
from service.schemas import answer_headers, answer_schemas, option_schemas, photo_schemas, ref
from service.settings import Settings
from service.version import read_version

Document = dict[str, Any]

DESCRIPTION = """\
Finds the faces in a photo and rates each from 1 to 10, as a panel of human raters would. The score
is an estimate of what they would say on average, and no measure of a person. Photos are never
stored. HEAD answers wherever GET does but at /predict, and OPTIONS everywhere."""

EVERYWHERE = (400, 414, 429, 431, 500, 502, 503, 504)
BODY = (408, 411, 413)
PHOTO = (404, 406, 413, 415, 422)
RETRIED = (429, 503)
"""Their answers say in Retry-After when to try again."""
CHALLENGED = (400, 401)
"""Their answers may say in WWW-Authenticate what key to bring."""
KEYS: Document = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, as Authorization: Bearer KEY.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
}


def describe_service(settings: Settings, scorers: Iterable[str]) -> Document:
    """The OpenAPI 3.1 document of a server with those settings, which serves those scorers."""
    options = option_schemas(scorers)
    keys: Document = {"securitySchemes": KEYS} if settings.auth.keys_file else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AttrAI",
            "version": read_version(),
            "summary": "Rates the faces in a photo from 1 to 10.",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [
            {"name": "photos", "description": "Rate a photo."},
            {"name": "service", "description": "What is served, and how it does."},
        ],
        "paths": {
            "/predict": _predict(settings, list(options), bool(keys)),
            "/models": _reading(
                "listModels", "What is served, with each model's card", _json("Models")
            ),
            "/healthz": _reading("checkHealth", "Whether the process answers", _json("Health")),
            "/readyz": _reading(
                "checkReadiness", "Whether this worker has rated a face", _json("Readiness")
            ),
            "/metrics": _reading(
                "scrapeMetrics",
                "Figures for Prometheus, added up over all workers",
                {
                    "text/plain": {"schema": {"type": "string"}},
                    "application/openmetrics-text": {"schema": {"type": "string"}},
                },
                403,
            ),
            "/openapi.json": _reading(
                "readContract",
                "This document",
                {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}},
            ),
        },
        "components": {
            "schemas": {
                **answer_schemas(settings.photo.min_side),
                **photo_schemas(options, settings.photo.max_bytes),
            },
            "parameters": {
                name: {"name": name, "in": "query", **_described(schema)}
                for name, schema in options.items()
            }
            | {"RequestId": _request_id()},
            "headers": answer_headers(),
            "responses": {
                str(status): _problem(status, kinds) for status, kinds in problem_kinds().items()
            },
            **keys,
        },
    }


def _predict(settings: Settings, options: list[str], keys: bool) -> Document:
    photo: Document = {"schema": {}}
    url = {
        "name": "url",
        "in": "query",
        "required": True,
        "description": "The photo's address: http or https, on a public host.",
        "schema": {"type": "string", "format": "uri", "minLength": 1},
    }
    parameters = [*(ref(option, "parameters") for option in options)]
    # Either of the two will do.
    guarded: Document = {"security": [{name: []} for name in KEYS]} if keys else {}
    refused = (401,) if keys else ()
    return {
        "parameters": [*parameters, ref("RequestId", "parameters")],
        "post": {
            "operationId": "ratePhoto",
            "tags": ["photos"],
            "summary": "Rate the faces in a photo",
            "description": f"A photo has up to {settings.photo.max_bytes:,} bytes and "
            f"{settings.photo.max_pixels:,} pixels, and sides of at least "
            f"{settings.photo.min_side}. Its bytes tell what it is, whatever they are said to be.",
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": ref("PhotoForm"),
                        "encoding": {"image": {"contentType": "image/jpeg, image/png, image/webp"}},
                    },
                    "image/jpeg": photo,
                    "image/png": photo,
                    "image/webp": photo,
                    "application/octet-stream": photo,
                    "application/json": {"schema": ref("PhotoJson")},
                },
            },
            "responses": {"200": _rated(), **_problems(*EVERYWHERE, *PHOTO, *BODY, *refused)},
            **guarded,
        },
        "get": {
            "operationId": "ratePhotoAtUrl",
            "tags": ["photos"],
            "summary": "Rate the faces in a photo that the service downloads",
            "description": "Public hosts only; redirects are followed under the same rules."
            if settings.fetch.enabled
            else "Switched off on this server: every answer is a problem.",
            "parameters": [url],
            "responses": {"200": _rated(), **_problems(*EVERYWHERE, *PHOTO, *refused)},
            **guarded,
        },
    }


def _rated() -> Document:
    pictures = [media_type for name, media_type in MEDIA_TYPES.items() if name != "json"]
    return {
        "description": "The figures; or the photo with boxes and scores drawn on it.",
        "headers": {
            **_marks("X-Request-ID", "Cache-Control", "Vary"),
            RESULT_HEADER: ref(RESULT_HEADER, "headers"),
        },
        "content": {
            "application/json": {"schema": ref("Prediction")},
            **{media_type: {"schema": {}} for media_type in pictures},
        },
    }


def _reading(operation: str, summary: str, content: Document, *problems: int) -> Document:
    """A route that is only read."""
    answer = {"description": summary, "headers": _marks("X-Request-ID", "Cache-Control")}
    return {
        "get": {
            "operationId": operation,
            "tags": ["service"],
            "summary": summary,
            "parameters": [ref("RequestId", "parameters")],
            "responses": {
                "200": {**answer, "content": content},
                **_problems(*EVERYWHERE, *problems),
            },
        }
    }


def _json(schema: str) -> Document:
    return {"application/json": {"schema": ref(schema)}}


def _problems(*statuses: int) -> Document:
    return {str(status): ref(str(status), "responses") for status in sorted(set(statuses))}


def _problem(status: int, kinds: tuple[str, ...]) -> Document:
    exact = {"type": {"enum": [URN + kind for kind in kinds]}, "status": {"const": status}}
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(kinds)}",
        "headers": _marks(
            "X-Request-ID",
            "Cache-Control",
            *(["Retry-After"] if status in RETRIED else []),
            *(["WWW-Authenticate"] if status in CHALLENGED else []),
        ),
        "content": {
            MEDIA_TYPE: {"schema": {"allOf": [ref("Problem"), {"properties": exact}]}},
        },
    }


def _marks(*headers: str) -> Document:
    return {header: ref(header, "headers") for header in headers}


def _described(schema: Document) -> Document:
    """A parameter's members, its description moved from its schema to where tools look for it."""
    bare = {key: value for key, value in schema.items() if key != "description"}
    return {"description": schema["description"], "schema": bare}


def _request_id() -> Document:
    return {
        "name": "X-Request-ID",
        "in": "header",
        "description": "A name for this request, of 1 to 64 of [A-Za-z0-9._-]; any other is "
        "replaced.",
        "schema": {"type": "string"},
    }
