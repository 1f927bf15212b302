"""One line a request: JSON for the journal, plain words for a person at a terminal.

Neither the photo nor its url is ever in it.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from flask import Flask, Response, g, request

log = logging.getLogger("attrai.request")


def log_requests(app: Flask) -> None:
    """Log every request of `app` on standard output when it has been answered."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    line = _plain if sys.stdout.isatty() else _json

    @app.before_request
    def start() -> None:
        g.start = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        log.info(line(response, (time.perf_counter() - g.start) * 1000))
        return response


def _plain(response: Response, ms: float) -> str:
    faces = f", {g.faces} faces" if "faces" in g else ""
    return f"{request.method} {request.path} {response.status_code} in {ms:.0f} ms{faces}"


def _json(response: Response, ms: float) -> str:
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "request_id": g.request_id,
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "ms": round(ms, 1),
    }
    if "faces" in g:
        line["faces"] = g.faces
    return json.dumps(line)
