"""JPEG, PNG and WebP files taken apart and put together, so that damage can be aimed."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Part:
    """A segment, chunk or what follows one; `length` and `crc` are written as they stand."""

    kind: bytes
    content: bytes
    length: int | None = None
    crc: int | None = None
    tail: bytes = b""

    def with_content(self, content: bytes) -> Part:
        """The same part with other content, its length and checksum made good."""
        return replace(self, content=content, length=None, crc=None)


def split(data: bytes) -> list[Part]:
    """The parts of a sound file."""
    if data.startswith(PNG):
        return _split_png(data)
    return _split_riff(data) if data.startswith(b"RIFF") else _split_jpeg(data)


def join(parts: list[Part], like: bytes) -> bytes:
    """The file that `parts` make, in the format of the file `like`."""
    if like.startswith(PNG):
        return PNG + b"".join(map(_png_chunk, parts))
    if like.startswith(b"RIFF"):
        body = b"WEBP" + b"".join(map(_riff_chunk, parts))
        return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body
    return b"\xff\xd8" + b"".join(map(_segment, parts))


def _split_png(data: bytes) -> list[Part]:
    parts, at = [], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : end]))
        at = end + 4
    return parts


def _png_chunk(part: Part) -> bytes:
    length = len(part.content) if part.length is None else part.length
    crc = zlib.crc32(part.kind + part.content) if part.crc is None else part.crc
    return struct.pack(">I", length) + part.kind + part.content + struct.pack(">I", crc)


def _split_riff(data: bytes) -> list[Part]:
    parts, at = [], 12
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append(Part(data[at : at + 4], data[at + 8 : end]))
        at = end + end % 2
    return parts


def _riff_chunk(part: Part) -> bytes:
    length = len(part.content) if part.length is None else part.length
    return part.kind + struct.pack("<I", length) + part.content + bytes(len(part.content) % 2)


def _split_jpeg(data: bytes) -> list[Part]:
    parts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xD9:
        kind = data[at : at + 2]
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        # What is compressed follows the start of a scan, up to the next marker.
        following = end
        while kind == b"\xff\xda" and following < len(data) - 1:
            if data[following] == 0xFF and data[following + 1] not in (0, *range(0xD0, 0xD8)):
                break
            following += 1
        parts.append(Part(kind, data[at + 4 : end], tail=data[end:following]))
        at = following
    return [*parts, Part(b"", data[at:])]


def _segment(part: Part) -> bytes:
    if not part.kind:
        return part.content
    length = len(part.content) + 2 if part.length is None else part.length
    return part.kind + struct.pack(">H", length & 0xFFFF) + part.content + part.tail
