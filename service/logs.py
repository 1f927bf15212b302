"""One line an event: JSON for the journal, plain words for a person at a terminal.

Neither the photo, nor its name, nor its url is ever in the journal: of a request it gets what is
listed here, of an error of ours where it came up and its type, and not its message, which may quote
anything. Of a client's address it gets so much as tells networks apart.
"""

from __future__ import annotations

import errno
import json
import logging
import time
import traceback
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, TextIO

from flask import Flask, Response, g, has_request_context, request

from service.metrics import method, route

log = logging.getLogger("attrai")

ROUTINE = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds by machines: their good answers are counted, and would bury the rest."""


def log_to(stream: TextIO) -> None:
    """Write the service's lines to `stream`, in plain words if that is a terminal."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_PlainFormatter() if stream.isatty() else _JsonFormatter())
    log.handlers = [handler]
    log.setLevel(logging.INFO)


def log_start(version: str, engine: str, models: list[dict[str, str]], worker: int) -> None:
    """One line that says what serves from now on."""
    names = ", ".join(model["name"] for model in models)
    fields = {"version": version, "engine": engine, "models": models, "worker": worker}
    words = f"AttrAI {version}, worker {worker}: {names} on {engine}"
    log.info("started", extra={"fields": fields, "words": words})


def log_requests(app: Flask) -> None:
    """Log every request of `app`, whose `g.start` must be set, when it has been answered."""

    @app.after_request
    def finish(response: Response) -> Response:
        if response.status_code >= 400 or route() not in ROUTINE:
            fields = _fields(response, (time.perf_counter() - g.start) * 1000)
            level = logging.WARNING if response.status_code >= 500 else logging.INFO
            log.log(level, "request", extra={"fields": fields, "words": _words(fields)})
        return response


def _fields(response: Response, ms: float) -> dict[str, Any]:
    fields = {
        "method": method(),
        "path": route(),
        "status": response.status_code,
        "ms": round(ms, 1),
        "bytes_in": request.content_length or 0,
        "bytes_out": response.calculate_content_length() or 0,
        "client": network(request.remote_addr),
    }
    if "key_name" in g:
        fields["key"] = g.key_name
    if "faces" in g:
        stages = {stage: round(ms, 1) for stage, ms in g.stages_ms.items()}
        fields |= {"faces": g.faces, "scorer": g.scorer, "stages_ms": stages}
    return fields


def _words(fields: dict[str, Any]) -> str:
    faces = f", {fields['faces']} faces" if "faces" in fields else ""
    return f"{fields['method']} {fields['path']} {fields['status']} in {fields['ms']:.0f} ms{faces}"


def network(address: str | None) -> str | None:
    """The network that an address is in, /24 or /48; None for what is no address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed.packed, 48), strict=False))
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed.packed, 24), strict=False))


class _JsonFormatter(logging.Formatter):
    """A record as one line of JSON, a traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if has_request_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            line["traceback"] = _traceback(record.exc_info[1])
        return json.dumps(line)


class _PlainFormatter(logging.Formatter):
    """What a person wants to read of a record."""

    def format(self, record: logging.LogRecord) -> str:
        text: str = getattr(record, "words", None) or record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def _traceback(error: BaseException) -> str:
    """Frames and type of an exception, and of those that led to it, the first first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{_traceback(cause)}\nwhich led to\n" if cause else ""
    kind = type(error).__qualname__
    if isinstance(error, OSError):
        kind += f" {errno.errorcode.get(error.errno or 0, '')}"
    return before + "".join(traceback.format_tb(error.__traceback__)) + kind.rstrip()
