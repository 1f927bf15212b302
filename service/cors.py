"""Which web pages of other origins may use the service from a browser (CORS); by default none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Flask, Response, request

from pipeline.errors import SettingsError
from pipeline.settings import setting

ROUTES = ("/predict", "/models", "/healthz", "/readyz", "/openapi.json")
"""What pages may read. The figures of /metrics are for who runs the service."""
REQUEST_HEADERS = ("Accept", "Authorization", "Content-Type", "X-API-Key", "X-Request-ID")
ANSWER_HEADERS = ("Retry-After", "X-Attrai-Result", "X-Request-ID")
MAX_AGE = 600
"""Seconds for which a browser need not ask again."""

_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")


@dataclass(frozen=True)
class CorsSettings:
    """`[cors]`: the origins whose pages may ask."""

    origins: tuple[str, ...] = setting(
        (),
        "web origins whose pages may use the service, e.g. https://example.com, comma-separated; "
        "* for all",
    )

    def __post_init__(self) -> None:
        for origin in self.origins:
            # A browser leaves the default port out, and so an origin that has it never matches.
            default_port = origin.startswith("http://") and origin.endswith(":80")
            default_port |= origin.startswith("https://") and origin.endswith(":443")
            if origin != "*" and (default_port or not _ORIGIN.fullmatch(origin)):
                raise SettingsError(
                    f"[cors] origins: {origin!r} is no origin as a browser sends it: a scheme and a"
                    " host in lower case, a port if it is not the default, and no path; or *"
                )


def allow_origins(app: Flask, settings: CorsSettings) -> None:
    """Let pages of the allowed origins read answers of `app`, and ask with methods of its routes.

    No cookie is ever asked for: a page has to bring its user's key itself.
    """
    if not settings.origins:
        return
    everyone = "*" in settings.origins

    @app.after_request
    def allow(response: Response) -> Response:
        if request.path not in ROUTES:
            return response
        if not everyone:
            # Said to all, lest a cache give one origin's answer to another.
            response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not (everyone or origin in settings.origins):
            return response
        response.headers["Access-Control-Allow-Origin"] = "*" if everyone else origin
        response.headers["Access-Control-Expose-Headers"] = ", ".join(ANSWER_HEADERS)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
            response.headers["Access-Control-Allow-Headers"] = ", ".join(REQUEST_HEADERS)
            response.headers["Access-Control-Max-Age"] = str(MAX_AGE)
        return response
