"""A client of AttrAI: `Client("http://127.0.0.1:4444").rate("photo.jpg").faces[0].score`.

This one file is all of it, and needs nothing but Python 3.11 or newer: copy it where you want it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Literal
from urllib.parse import quote, urlencode, urlsplit

__all__ = [
    "AttraiError",
    "Box",
    "Client",
    "Face",
    "Photo",
    "Picture",
    "Point",
    "Prediction",
    "Problem",
    "Unreachable",
]

Photo = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""A file's path, the file's content, or a file that is open for reading bytes."""
Format = Literal["png", "jpeg", "webp"]

RETRIED = (429, 503)
"""Statuses that say: not now. The photo was not looked at, and may be sent again."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright photo."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Point:
    """A place in pixels of the upright photo; may lie outside of it."""

    x: int
    y: int


@dataclass(frozen=True)
class Face:
    """A face and its rating: `score` is 1 to 10, `confidence` (that it is a face) 0 to 1.

    `spread` is the expected standard deviation of the score's error, in points, if the model can
    tell. `landmarks` has left_eye, right_eye, nose, mouth_left, mouth_right, as the viewer sees
    them.
    """

    box: Box
    confidence: float
    landmarks: Mapping[str, Point]
    score: float
    spread: float | None


@dataclass(frozen=True)
class Prediction:
    """What was found in a photo of `width` x `height` pixels, the largest face first."""

    faces: tuple[Face, ...]
    width: int
    height: int
    request_id: str
    detector: str
    scorer: str
    sha256: str
    """Of the scorer's file."""
    timing_ms: Mapping[str, float]
    """Milliseconds by stage."""


@dataclass(frozen=True)
class Picture:
    """The photo with boxes and scores: an image file, as `media_type` says."""

    data: bytes
    media_type: str
    request_id: str
    prediction: Prediction | None
    """None where the faces are too many for it to travel along."""


@dataclass(frozen=True)
class Problem:
    """An error as the server tells it (RFC 9457); `type` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class AttraiError(Exception):
    """The server answered with an error: `problem` has all that it said, `status` is 400 to 599."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def kind(self) -> str:
        """The last word of the problem's `type`, as `photo-too-small`."""
        return self.problem.type.rpartition(":")[2]


class Unreachable(Exception):
    """No answer, or none that is AttrAI's: the cause says why. The last try's, if there were more.

    After a timeout in the midst of a request, the server may have rated the photo all the same.
    """


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """One server. May be shared by threads: every request has a connection of its own."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:4444",
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        max_wait: float = 20.0,
        context: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`url` is the server's, a path before its routes included; `key` is for one that asks.

        `timeout` is in seconds, for each try: to connect, and from one byte to the next. A request
        is made again up to `retries` times when it was turned away (429, 503) or found no
        connection: after Retry-After where the server says it, else after half a second, twice
        that, and so on, with some chance in it; never after more than `max_wait` seconds: if the
        server asks for more, its refusal is raised at once. `context` is for a TLS server whose
        certificate is not a public one.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"{url!r} has more than a host, a port and a path")
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._retries = retries
        self._max_wait = max_wait
        self._context = context
        self._sleep = sleep

    def rate(
        self,
        photo: Photo,
        *,
        model: str | None = None,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        request_id: str | None = None,
    ) -> Prediction:
        """Rate every face in a photo: no face is a success.

        Raises AttraiError for what the server refuses, Unreachable, and OSError for a file that
        cannot be read.
        """
        options = _options("json", model, max_faces, min_confidence)
        return _prediction(_document(self._post(photo, options, request_id)))

    def rate_url(
        self,
        url: str,
        *,
        model: str | None = None,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        request_id: str | None = None,
    ) -> Prediction:
        """Rate a photo that the server downloads, from a public host. Raises as `rate` does."""
        options = _options("json", model, max_faces, min_confidence)
        query = urlencode({"url": url, **options}, quote_via=quote)
        return _prediction(_document(self._ask("GET", f"/predict?{query}", None, request_id)))

    def picture(
        self,
        photo: Photo,
        format: Format = "png",  # noqa: A002
        *,
        model: str | None = None,
        max_faces: int | None = None,
        min_confidence: float | None = None,
        request_id: str | None = None,
    ) -> Picture:
        """The photo with boxes and scores drawn on it. Raises as `rate` does."""
        answer = self._post(photo, _options(format, model, max_faces, min_confidence), request_id)
        figures = answer.headers["X-Attrai-Result"]
        return Picture(
            answer.body,
            answer.headers.get_content_type(),
            answer.headers.get("X-Request-ID", ""),
            _prediction(_parse(figures.encode("latin-1"))) if figures else None,
        )

    def models(self) -> dict[str, Any]:
        """What is served: `default`, the name of a scorer, and `models`, a list of cards."""
        return _document(self._ask("GET", "/models", None, None))

    def ready(self) -> bool:
        """Whether the server rates photos now; asked once. Raises Unreachable."""
        return self._try("GET", "/readyz", None, {}).status == 200

    def _post(self, photo: Photo, options: Mapping[str, str], request_id: str | None) -> _Answer:
        return self._ask("POST", f"/predict?{urlencode(options)}", _read(photo), request_id)

    def _ask(self, method: str, path: str, body: bytes | None, request_id: str | None) -> _Answer:
        headers = {"X-Request-ID": request_id} if request_id else {}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
        for tries_left in range(self._retries, -1, -1):
            backoff = 0.5 * 2 ** (self._retries - tries_left)
            wait = min(backoff, self._max_wait) * random.uniform(0.5, 1)  # noqa: S311
            try:
                answer = self._try(method, path, body, headers)
            except Unreachable as error:
                # Rating a photo twice does no harm. But after a timeout the server may still be at
                # it: another try would only add to what it has to do.
                if not isinstance(error.__cause__, ConnectionError | socket.gaierror):
                    raise
                if not tries_left:
                    raise
            else:
                if answer.status == 200:
                    return answer
                if (asked := _retry_after(answer)) is not None:
                    wait = asked
                if answer.status not in RETRIED or not tries_left or wait > self._max_wait:
                    raise AttraiError(_problem(answer))
            self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _try(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> _Answer:
        if self._key is not None:
            headers = {**headers, "Authorization": f"Bearer {self._key}"}
        connection = self._connection()
        try:
            connection.connect()
            # A server may answer before it has read all, as nginx does when it is full.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._base + path, body, dict(headers))
            response = connection.getresponse()
            return _Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"no answer from {self._host}: {error or type(error).__name__}"
            ) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=self._context
        )


def _options(
    format_: str, model: str | None, max_faces: int | None, min_confidence: float | None
) -> dict[str, str]:
    given = {"model": model, "max_faces": max_faces, "min_confidence": min_confidence}
    return {"format": format_} | {
        name: str(value) for name, value in given.items() if value is not None
    }


def _read(photo: Photo) -> bytes:
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str | os.PathLike):
        with open(photo, "rb") as file:  # noqa: PTH123
            return file.read()
    return photo.read()


def _retry_after(answer: _Answer) -> float | None:
    """Seconds; None for a header that is not there, or a date."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Unreachable("the answer is not AttrAI's: it is no JSON") from error
    if not isinstance(document, dict):
        raise Unreachable("the answer is not AttrAI's: it is no JSON object")
    return document


def _document(answer: _Answer) -> dict[str, Any]:
    return _parse(answer.body)


def _problem(answer: _Answer) -> Problem:
    """What the server says of an error, or the little that is known of another program's answer."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    return Problem(
        type=str(said.get("type", "about:blank")),
        title=str(said.get("title", http.client.responses.get(answer.status, "Error"))),
        status=answer.status,
        detail=str(said.get("detail", _hint(answer))),
        instance=str(said.get("instance", "")),
        request_id=str(said.get("request_id", answer.headers.get("X-Request-ID", ""))),
    )


def _hint(answer: _Answer) -> str:
    if location := answer.headers.get("Location"):
        return f"the server is elsewhere: {location}"
    return "the server said no more"


def _prediction(said: Mapping[str, Any]) -> Prediction:
    try:
        model = said["model"]
        return Prediction(
            faces=tuple(_face(face) for face in said["faces"]),
            width=said["image"]["width"],
            height=said["image"]["height"],
            request_id=said["request_id"],
            detector=model["detector"],
            scorer=model["scorer"],
            sha256=model["sha256"],
            timing_ms=said["timing_ms"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable("the answer is not AttrAI's: it lacks what it should have") from error


def _face(said: Mapping[str, Any]) -> Face:
    box = said["box"]
    return Face(
        box=Box(box["x"], box["y"], box["width"], box["height"]),
        confidence=said["confidence"],
        landmarks={name: Point(*point) for name, point in said["landmarks"].items()},
        score=said["score"],
        spread=said["spread"],
    )
