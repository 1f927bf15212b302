"""Request bodies as clients send them."""

from __future__ import annotations

import base64
from typing import Any

BOUNDARY = "attrai-test-boundary"


def form(photo: bytes, **fields: str) -> dict[str, Any]:
    """Arguments of a multipart POST, as `curl -F image=@photo.jpg -F name=value` sends it."""
    return parts(("image", "photo.jpg", photo), *((name, None, v) for name, v in fields.items()))


def parts(*fields: tuple[str, str | None, bytes | str]) -> dict[str, Any]:
    """The same of any (name, file name or None, content).

    Made by hand: Werkzeug's test client would spool it to a file of its own.
    """
    body = bytearray()
    for name, file, content in fields:
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += f'; filename="{file}"\r\nContent-Type: image/jpeg'.encode() if file else b""
        body += (
            b"\r\n\r\n" + (content if isinstance(content, bytes) else content.encode()) + b"\r\n"
        )
    body += f"--{BOUNDARY}--\r\n".encode()
    return {"data": bytes(body), "content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def as_json(photo: bytes, **fields: Any) -> dict[str, Any]:
    """Arguments of a POST with the photo as base64 in JSON."""
    return {"json": {"image": base64.b64encode(photo).decode(), **fields}}
