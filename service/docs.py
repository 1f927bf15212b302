"""The contract for people: /docs, one page made of the same document as /openapi.json.

It needs nothing from any other host and runs no script; its style is within it, and allowed by
digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.kinds import problem_kinds
from service.openapi import Document
from service.pages import STATIC
from service.responses import json_response

TEMPLATES = Path(__file__).parent / "templates"
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ratePhoto": (
        ("A file of a form, as a browser sends it", "curl -F image=@photo.jpg {root}predict"),
        (
            "The photo itself",
            "curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg {root}predict",
        ),
        (
            "Base64 within JSON; only the largest face",
            'echo "{{\\"image\\": \\"$(base64 -w0 photo.jpg)\\", \\"max_faces\\": 1}}" |\n'
            "  curl -H 'Content-Type: application/json' --data-binary @- {root}predict",
        ),
        (
            "The photo with boxes and scores, its figures in a header",
            "curl -F image=@photo.jpg '{root}predict?format=png' -o rated.png -D headers.txt",
        ),
        (
            "The same, chosen by Accept",
            "curl -F image=@photo.jpg -H 'Accept: image/webp' {root}predict -o rated.webp",
        ),
    ),
    "ratePhotoAtUrl": (
        ("A photo on a public host", "curl '{root}predict?url=https://example.com/photo.jpg'"),
    ),
    "listModels": (("", "curl {root}models"),),
    "checkHealth": (("", "curl {root}healthz"),),
    "checkReadiness": (("", "curl {root}readyz"),),
    "scrapeMetrics": (("", "curl {root}metrics"),),
    "readContract": (("", "curl {root}openapi.json"),),
}
"""Commands by operation, each with a few words on it; `{root}` is the server's address."""


@dataclass(frozen=True)
class Field:
    """A parameter of a request, or a member of a value."""

    name: str
    kind: str
    required: bool
    text: str
    place: str = ""


@dataclass(frozen=True)
class Operation:
    """A method of a route, as the page shows it."""

    id: str
    method: str
    path: str
    tag: str
    summary: str
    text: str
    fields: tuple[Field, ...]
    bodies: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, str], ...]
    headers: tuple[str, ...]
    problems: tuple[str, ...]
    key: bool
    examples: tuple[tuple[str, str], ...]


def add_docs(app: Flask, document: Document) -> None:
    """Serve `document` at /openapi.json, and a page made of it at /docs."""
    contract = json.dumps(document)
    # The page's own colours and type, then what only this page needs.
    style = "".join(
        file.read_text(encoding="utf-8") for file in (STATIC / "page.css", TEMPLATES / "docs.css")
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("docs.html")
    operations = tuple(_operations(document))
    schemas = {
        name: (schema, tuple(_members(schema)))
        for name, schema in document["components"]["schemas"].items()
    }

    @app.get("/openapi.json")
    def openapi() -> Response:
        return json_response(json.loads(contract))

    @app.get("/docs")
    def docs() -> Response:
        page = template.render(
            info=document["info"],
            tags=document["tags"],
            operations=operations,
            schemas=schemas,
            problems=problem_kinds(),
            root=_root(),
            style=style,
        )
        response = Response(page, mimetype="text/html")
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _root() -> str:
    """The server's address, as the client named it."""
    host = request.headers.get("Host", "")
    # Not url_root, which would have a name in Unicode, and fails where that cannot be.
    known = host if _HOST.fullmatch(host) else "localhost"
    return f"{request.scheme}://{known}{request.script_root}/"


def _operations(document: Document) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in ("post", "get"):
            if method not in item:
                continue
            operation = item[method]
            given = [*operation.get("parameters", ()), *item.get("parameters", ())]
            body = operation.get("requestBody", {"content": {}})["content"]
            success = operation["responses"]["200"]
            yield Operation(
                id=operation["operationId"],
                method=method.upper(),
                path=path,
                tag=operation["tags"][0],
                summary=operation["summary"],
                text=operation.get("description", ""),
                fields=tuple(_field(_resolve(document, parameter)) for parameter in given),
                bodies=tuple(_contents(body)),
                answers=tuple(_contents(success["content"])),
                headers=tuple(success["headers"]),
                problems=tuple(code for code in operation["responses"] if code != "200"),
                key="security" in operation,
                examples=tuple(_examples(operation)),
            )


def _examples(operation: Document) -> Iterator[tuple[str, str]]:
    """The commands of an operation; where it takes a key, with one."""
    for words, command in EXAMPLES[operation["operationId"]]:
        if "security" in operation:
            command = command.replace("curl ", 'curl -H "Authorization: Bearer $ATTRAI_KEY" ')
        yield words, command


def _resolve(document: Document, value: Document) -> Document:
    """What a reference stands for; any other value is itself."""
    if "$ref" not in value:
        return value
    found: Any = document
    for step in value["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _field(parameter: Document) -> Field:
    return Field(
        parameter["name"],
        kind_of_value(parameter["schema"]),
        parameter.get("required", False),
        parameter["description"],
        parameter["in"],
    )


def _members(schema: Document) -> Iterator[Field]:
    for name, member in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        yield Field(name, kind_of_value(member), required, member.get("description", ""))


def _contents(content: Document) -> Iterator[tuple[str, str]]:
    """Media types, each with the name of its schema or nothing."""
    for media_type, described in content.items():
        yield media_type, described["schema"].get("$ref", "").rpartition("/")[2]


def kind_of_value(schema: Document) -> str:
    """A schema in a few words: `integer, 0 or more`; the name of what it refers to."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(schema["enum"])
    kind = schema["type"]
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if words == "array":
        words = f"array of {kind_of_value(schema['items'])}"
    if "contentEncoding" in schema:
        words += f", {schema['contentEncoding']}"
    if "contentMediaType" in schema:
        words = "file"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        words += f", {low} or more" if high is None else f", {low} to {high}"
    return words
