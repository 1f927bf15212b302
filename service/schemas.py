"""What is said in the contract: the values of requests and answers as JSON Schema, 2020-12."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.types import LANDMARKS
from service.options import MEDIA_TYPES
from service.problems import URN
from service.responses import MAX_RESULT, RESULT_HEADER

Schema = dict[str, Any]

REQUEST_ID = "^[A-Za-z0-9._-]{1,64}$"
SHA256 = "^[0-9a-f]{64}$"


def ref(name: str, kind: str = "schemas") -> Schema:
    """A reference to a component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def option_schemas(scorers: Iterable[str]) -> dict[str, Schema]:
    """The options that a caller may give, `scorers` being the values of `model`."""
    return {
        "format": {
            "type": "string",
            "enum": list(MEDIA_TYPES),
            "description": "The answer: figures, or the photo with boxes and scores drawn on it. "
            "It outranks the Accept header.",
        },
        "model": {
            "type": "string",
            "enum": list(scorers),
            "description": "The scorer; else the default one of /models.",
        },
        "max_faces": {
            "type": "integer",
            "minimum": 1,
            "maximum": 999_999_999,
            "description": "Rate the largest so many faces; else all.",
        },
        "min_confidence": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "Leave out faces that the detector is less sure of.",
        },
    }


def photo_schemas(options: dict[str, Schema], max_bytes: int) -> dict[str, Schema]:
    """The bodies that hold a photo of up to `max_bytes` beside its options."""
    limit = f"A JPEG, PNG or WebP of up to {max_bytes:,} bytes"
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    encoded = {"type": "string", "contentEncoding": "base64", "minLength": 1}
    return {
        "PhotoForm": {
            "description": "A photo as a file of a form. An option is here or in the query.",
            "type": "object",
            "required": ["image"],
            "properties": {"image": {**binary, "description": limit + "."}, **options},
            "additionalProperties": False,
        },
        "PhotoJson": {
            "description": "A photo within JSON. An option is here or in the query.",
            "type": "object",
            "required": ["image"],
            "properties": {
                "image": {
                    **encoded,
                    "description": f"{limit}, in base64; a data: URL, and white space, will do.",
                },
                **options,
            },
            "additionalProperties": False,
        },
    }


def answer_schemas(min_side: int) -> dict[str, Schema]:
    """What comes back, errors included; photos have sides of at least `min_side` pixels."""
    whole = {"type": "integer"}
    length = {"type": "integer", "minimum": 0}
    side = {"type": "integer", "minimum": min_side}
    name = {"type": "string", "minLength": 1}
    sha256 = {"type": "string", "pattern": SHA256}
    request_id = {
        "type": "string",
        "pattern": REQUEST_ID,
        "description": "Your X-Request-ID if it fits this pattern, else a new one.",
    }
    return {
        "Prediction": _object(
            "What was found in a photo. No face is a success.",
            request_id=request_id,
            model=ref("Served"),
            image=ref("Size"),
            faces={
                "type": "array",
                "items": ref("Face"),
                "description": "The largest first.",
            },
            timing_ms=ref("Timing"),
        ),
        "Served": _object(
            "What rated the photo.",
            detector=name,
            scorer=name,
            sha256={**sha256, "description": "Of the scorer's file."},
        ),
        "Size": _object(
            "The upright photo at its full size, in pixels.",
            width=side,
            height=side,
        ),
        "Face": _object(
            "A face and its rating.",
            box=ref("Box"),
            confidence={
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "How sure the detector is that it is a face.",
            },
            landmarks=ref("Landmarks"),
            score={
                "type": "number",
                "minimum": 1,
                "maximum": 10,
                "description": "What a panel of people is expected to say on average. "
                "It is no measure of a person.",
            },
            spread={
                "type": ["number", "null"],
                "minimum": 0,
                "description": "Expected standard deviation of the score's error, in points; "
                "null from a model that was not trained to tell it.",
            },
        ),
        "Box": _object(
            "A rectangle in pixels of the upright photo, clipped to it.",
            x={**length, "description": "Its left edge."},
            y={**length, "description": "Its upper edge."},
            width=length,
            height=length,
        ),
        "Landmarks": _object(
            "Five points; left is the viewer's left.",
            **{landmark: ref("Point") for landmark in LANDMARKS},
        ),
        "Point": {
            "description": "x and y in pixels of the upright photo; may lie outside of it.",
            "type": "array",
            "prefixItems": [whole, whole],
            "items": False,
            "minItems": 2,
        },
        "Timing": _object(
            "Milliseconds by stage.",
            **{stage: {"type": "number", "minimum": 0} for stage in ("decode", "detect", "score")},
        ),
        "Models": _object(
            "What is served.",
            default={**name, "description": "The scorer that rates unless another is named."},
            models={"type": "array", "items": ref("Model"), "minItems": 2},
        ),
        "Model": {
            **_object(
                "A model's card: what it is, where it comes from, how well it does. "
                "Cards hold more than is listed here.",
                name=name,
                kind={"type": "string", "enum": ["detector", "scorer"]},
                title=name,
                source=name,
                licence=name,
                files={
                    "type": "object",
                    "additionalProperties": ref("ModelFile"),
                    "minProperties": 1,
                },
            ),
            "additionalProperties": True,
        },
        "ModelFile": _object("A file of a model.", bytes=length, sha256=sha256),
        "Health": _object("The process answers.", status={"const": "ok"}),
        "Readiness": _object("This worker has rated a face.", status={"const": "ready"}),
        "Problem": _object(
            "An error, as RFC 9457 has it.",
            type={
                "type": "string",
                "pattern": f"^{URN}[a-z]+(-[a-z]+)*$",
                "description": "Which error, for programs.",
            },
            title={**name, "description": "Which error, for people."},
            status={"type": "integer", "minimum": 400, "maximum": 599},
            detail={**name, "description": "What is wrong, and what would be right."},
            instance={"type": "string", "description": "The path that was asked for."},
            request_id=request_id,
        ),
    }


def answer_headers() -> dict[str, Schema]:
    """The headers that answers have; which ones: openapi.py."""
    return {
        "X-Request-ID": {
            "description": "This request's name, in the log too.",
            "required": True,
            "schema": {"type": "string", "pattern": REQUEST_ID},
        },
        "Cache-Control": {
            "description": "Answers are not to be kept.",
            "schema": {"const": "no-store"},
        },
        "Vary": {"description": "Accept.", "schema": {"type": "string"}},
        "Retry-After": {
            "description": "Seconds to wait before the next try.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": {
            "description": "Where a key is what is wrong: how to bring one (RFC 6750).",
            "schema": {"type": "string", "pattern": '^Bearer realm="attrai"'},
        },
        RESULT_HEADER: {
            "description": "With a picture: its figures, unless they take more than "
            f"{MAX_RESULT:,} bytes.",
            "content": {"application/json": {"schema": ref("Prediction")}},
        },
    }


def _object(description: str, **properties: Schema) -> Schema:
    """An object that has all of `properties`; later releases may add some."""
    return {
        "description": description,
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }
