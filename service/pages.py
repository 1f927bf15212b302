"""The page at /: a few files, read once, that a browser may keep but nobody may add to."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flask import Flask, Response, abort, request

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
ICON = "icon.svg"

MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# blob: is a photo that the browser holds already.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file of the page, as it is sent."""

    body: bytes
    media_type: str

    @cached_property
    def digest(self) -> str:
        """What changes when the file does, in 16 hexadecimal digits."""
        return hashlib.sha256(self.body).hexdigest()[:16]

    @cached_property
    def zipped(self) -> bytes:
        """The same under gzip, a third of it."""
        return gzip.compress(self.body, mtime=0)


def add_pages(app: Flask) -> None:
    """Serve the page at / and its files at /static/<version>/<name>.

    The version is one digest of all files: they name each other by relative paths, and so a page
    never gets files of two versions. Raises OSError where the files cannot be read.
    """
    assets = _read_assets(STATIC)
    digests = "".join(f"{name} {asset.digest}\n" for name, asset in sorted(assets.items()))
    version = hashlib.sha256(digests.encode()).hexdigest()[:16]
    index = assets.pop(INDEX)
    page = Asset(index.body.replace(b"{version}", version.encode()), index.media_type)

    @app.get("/")
    def page_at_root() -> Response:
        response = _send(page, "no-cache")
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.get("/favicon.ico")
    def page_icon() -> Response:
        """For what is no page of ours but shown in a window too, as a picture or JSON."""
        return _send(assets[ICON], "public, max-age=86400")

    @app.get("/static/<asked>/<name>")
    def page_asset(asked: str, name: str) -> Response:
        if name not in assets:
            abort(404)
        # While workers are replaced, an older one may be asked for a newer version's file.
        return _send(assets[name], FOREVER if asked == version else "no-cache")


def _read_assets(folder: Path) -> dict[str, Asset]:
    files = (file for file in folder.iterdir() if file.suffix in MEDIA_TYPES)
    return {file.name: Asset(file.read_bytes(), MEDIA_TYPES[file.suffix]) for file in files}


def _send(asset: Asset, cache_control: str) -> Response:
    zipped = request.accept_encodings["gzip"] > 0
    response = Response(asset.zipped if zipped else asset.body, mimetype=asset.media_type)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.headers["Cache-Control"] = cache_control
    response.headers["X-Content-Type-Options"] = "nosniff"
    etag = f"{asset.digest}-gzip" if zipped else asset.digest
    if request.if_match and not request.if_match.contains(etag):
        abort(412)
    response.set_etag(etag)
    if request.if_none_match.contains_weak(etag):
        response.status_code = 304
    return response
