"""The body of a form: its fields and its files."""

from __future__ import annotations

from dataclasses import dataclass, field

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from service.errors import BodyTooLarge, MissingPhoto

MOST_PARTS = 100


@dataclass(frozen=True)
class Form:
    """What a form holds, in the order in which it came."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    """Name and text of every part that is no file."""
    files: list[tuple[str, bytes]] = field(default_factory=list)
    """Name of the field, and what the file holds."""


def parse_form(body: bytes, boundary: str) -> Form:
    """The parts of a multipart/form-data body (RFC 7578), all of it in memory.

    Raises MissingPhoto for a body that is none or breaks off, BodyTooLarge for one that has more
    than MOST_PARTS or than eight headers of 4 kB in a part.
    """
    form = Form()
    segment: MultipartSegment | None = None
    content = b""
    try:
        # The names of files come in any charset, and are not wanted.
        with PushMultipartParser(
            boundary, max_segment_count=MOST_PARTS, header_charset="latin-1"
        ) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment, content = event, b""
                elif event is not None:
                    content += event
                elif segment is not None:
                    _add(form, segment, content)
    except ParserLimitReached as error:
        raise BodyTooLarge(f"the form has more than a photo needs: {error}") from error
    except MultipartError as error:
        # Its further arguments may quote what was sent.
        raise MissingPhoto(f"no photo: the form is broken: {error.args[0]}") from error
    return form


def _add(form: Form, segment: MultipartSegment, content: bytes) -> None:
    name = (segment.name or "").encode("latin-1").decode("utf-8", "replace")
    if segment.filename is None:
        form.fields.append((name, content.decode("utf-8", "replace")))
    else:
        form.files.append((name, content))
