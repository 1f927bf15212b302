"""A photo and its options out of a request: multipart, raw body, JSON base64, or GET ?url=."""

from __future__ import annotations

import base64
import binascii
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask, Request, Response
from flask import request as current
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from service.errors import BadOption, BodyTooLarge, MissingPhoto, UnsupportedBody
from service.fetch import fetch
from service.forms import Form, parse_form
from service.options import Options, merge, parse_options
from service.settings import Settings

OVERHEAD = 64 * 1024
"""Bytes that a body may have beside its photo: part headers, option fields, JSON."""
DISCARDED = 64 * 1024 * 1024
"""Bytes of the longest body that is read to its end when nobody wants it."""
BLOCK = 256 * 1024
"""Bytes to read at once. uWSGI holds as many once more."""
COMMAS = 1000
"""The most that a JSON body may have; base64 has none. Each may add a value of 70 bytes."""
WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True)
class Upload:
    """An encoded photo with what its sender wants to know of it."""

    data: bytes
    options: Options


def max_body(max_bytes: int) -> int:
    """Bytes of the largest body that holds a photo of `max_bytes`: base64 takes a third more."""
    return -(-max_bytes // 3) * 4 + OVERHEAD


def read_upload(request: Request, settings: Settings) -> Upload:
    """The photo of a GET or POST, and its options.

    Raises the children of RequestError and FetchError, each with a detail that helps.
    """
    if request.method == "POST":
        data, values = _read_body(request, settings.photo.max_bytes)
        if "url" in values:
            raise BadOption("url goes with GET; a POST brings the photo itself")
        return Upload(data, parse_options(values, request.accept_mimetypes))
    values = merge(_query(request))
    url = values.pop("url", None)
    # Options first: a wrong one should not cost the photo's host a download.
    options = parse_options(values, request.accept_mimetypes)
    if not url:
        raise MissingPhoto("no photo: GET takes ?url=https://...; or POST the photo itself")
    return Upload(fetch(url, settings.fetch, settings.photo.max_bytes), options)


def _read_body(request: Request, max_bytes: int) -> tuple[bytes, dict[str, Any]]:
    if (request.content_length or 0) > max_body(max_bytes):
        raise BodyTooLarge(
            f"the body has {request.content_length} bytes; photos of up to {max_bytes} are accepted"
        )
    query = _query(request)
    kind = request.mimetype
    if kind == "multipart/form-data":
        return _read_form(request, query)
    if kind == "application/json":
        return _read_json(request, query)
    if not kind or kind == "application/octet-stream" or kind.startswith("image/"):
        return _read_raw(request), merge(query)
    raise UnsupportedBody(
        f"a body of type {kind} carries no photo; send multipart/form-data with a field 'image',"
        " the photo itself as image/jpeg, image/png or image/webp, or JSON with its base64"
    )


def _query(request: Request) -> list[tuple[str, str]]:
    try:
        return list(request.args.items(multi=True))
    except UnicodeDecodeError:
        raise BadOption("the query is not UTF-8; write what is not ASCII as %XX") from None


def _read_all(request: Request) -> bytes:
    """The body. A few large reads: each small one costs as much as parsing a form."""
    size = min(request.content_length or 0, BLOCK)
    blocks = []
    while block := request.stream.read(size):
        blocks.append(block)
    return b"".join(blocks)


def _read_raw(request: Request) -> bytes:
    data = _read_all(request)
    if not data:
        raise MissingPhoto("no photo: the body is empty" + _hint(request))
    return data


def _read_form(request: Request, query: list[tuple[str, str]]) -> tuple[bytes, dict[str, Any]]:
    boundary = request.mimetype_params.get("boundary")
    if not boundary:
        raise MissingPhoto("no photo: the form's Content-Type names no boundary")
    body = _read_all(request)
    form = parse_form(body, boundary) if body else Form()
    options = merge([*query, *form.fields])
    photos = [content for name, content in form.files if name == "image"]
    if "image" in options:
        raise MissingPhoto("the field 'image' holds text, not a file; with curl: -F image=@FILE")
    if not photos:
        raise MissingPhoto("no photo: the form has no file in a field 'image'" + _hint(request))
    if len(photos) > 1:
        raise BadOption("image is given more than once; send one photo a request")
    if len(form.files) > 1:
        raise BadOption("the form has other files than the one in 'image'; send one photo")
    return photos[0], options


def _read_json(request: Request, query: list[tuple[str, str]]) -> tuple[bytes, dict[str, Any]]:
    document = _parse_json(_read_all(request))
    if not isinstance(document, dict):
        raise MissingPhoto("no photo: the body must be a JSON object with the photo in 'image'")
    image = document.pop("image", None)
    if not isinstance(image, str) or not image:
        raise MissingPhoto("no photo: 'image' must hold the photo as base64 text")
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        # Not split and joined: a piece of text takes 50 bytes, and there may be millions.
        text = image.encode("ascii").translate(None, WHITE_SPACE)
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadOption(f"image is not valid base64: {error}") from error
    return data, merge([*query, *document.items()])


def _parse_json(body: bytes) -> Any:
    """The value that `body` holds; None for what is no JSON, or has very many parts."""
    if body.count(b",") > COMMAS:
        return None
    try:
        return json.loads(body, object_pairs_hook=merge)
    except (ValueError, RecursionError):
        return None


def _hint(request: Request) -> str:
    if "Transfer-Encoding" in request.headers and request.content_length is None:
        return "; it came in chunks, and a Content-Length is needed here"
    return ""


def read_to_the_end(app: Flask) -> None:
    """Let no answer of `app` leave a body half read: whoever still sends would not get to see it.

    The kernel takes a close with bytes unread for an error; nginx, while it sends, makes a 502 of
    the answer then.
    """

    @app.after_request
    def discard(response: Response) -> Response:
        current.max_content_length = DISCARDED
        # The sender may have gone, or have announced more than anybody reads.
        with suppress(OSError, BadRequest, RequestEntityTooLarge):
            while current.stream.read(BLOCK):
                pass
        return response
