"""What a caller may choose: the answer's format, the model, which faces."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MIMEAccept

from service.errors import BadOption, NotAcceptable

MEDIA_TYPES = {
    "json": "application/json",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
NAMES = ("format", "model", "max_faces", "min_confidence")
_CHARSET = re.compile(r"\s*;\s*charset=\"?utf-8\"?", re.IGNORECASE)
# Python reads more as a number: the digits of any script, 0_1, white space around it.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Options:
    """The choices of one request; None leaves it to the default."""

    format: str = "json"
    model: str | None = None
    max_faces: int | None = None
    min_confidence: float = 0.0


def parse_options(values: Mapping[str, Any], accept: MIMEAccept) -> Options:
    """Read the options among query, form or JSON `values`; `format` outranks the Accept header.

    Raises BadOption, which names the option, and NotAcceptable.
    """
    for name in values:
        if name not in NAMES:
            raise BadOption(f"there is no option {_short(name)}; there are: {', '.join(NAMES)}")
    return Options(
        format=_format(values["format"]) if "format" in values else _negotiate(accept),
        model=_text("model", values["model"]) if "model" in values else None,
        max_faces=_max_faces(values["max_faces"]) if "max_faces" in values else None,
        min_confidence=_min_confidence(values.get("min_confidence", 0)),
    )


def merge(sources: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Options of several sources as one mapping. Raises BadOption for one that comes twice."""
    merged: dict[str, Any] = {}
    for name, value in sources:
        if name in merged:
            raise BadOption(f"{_short(name)} is given more than once")
        merged[name] = value
    return merged


def _format(value: Any) -> str:
    if not isinstance(value, str) or value not in MEDIA_TYPES:
        raise BadOption(f"format must be one of {', '.join(MEDIA_TYPES)}, not {_short(value)}")
    return value


def _negotiate(accept: MIMEAccept) -> str:
    if not accept:
        return "json"
    # JSON has no charset, but many clients ask for one.
    ranges = MIMEAccept((_CHARSET.sub("", range_), quality) for range_, quality in accept)
    best = ranges.best_match(MEDIA_TYPES.values())
    for name, media_type in MEDIA_TYPES.items():
        if media_type == best:
            return name
    raise NotAcceptable(f"Accept must allow one of {', '.join(MEDIA_TYPES.values())}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        raise BadOption(f"{name} must be a name, not {_short(value)}")
    return value


def _max_faces(value: Any) -> int:
    # To JSON Schema, 2.0 is a whole number too.
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and 0 < len(text) < 10):
        raise BadOption(f"max_faces must be a whole number of at least 1, not {_short(value)}")
    if int(text) == 0:
        raise BadOption("max_faces must be at least 1; leave it out for all faces")
    return int(text)


def _min_confidence(value: Any) -> float:
    text = "" if isinstance(value, bool) else str(value)
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise BadOption(f"min_confidence must be a number from 0 to 1, not {_short(value)}")
    return float(text)


def _short(value: Any) -> str:
    # Whatever its sender makes of it, it is never written out in full.
    text = reprlib.repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
