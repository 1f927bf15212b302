"""What a file is made of, counted before anybody reads it.

Pillow takes a turn of Python for each segment of a header, libjpeg a pass over all pixels for each
scan: without these limits a file of less than 16 MB keeps a core busy for seconds, or for hours.
"""

from __future__ import annotations

import re

from pipeline.errors import UndecodablePhoto

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"

_MAX_SEGMENTS = 2_000
"""A JPEG of 16 MB in full segments has 256."""
_MAX_JUNK = 64 * 1024
"""Bytes of a JPEG's header between its segments; there should be none."""
_MAX_SCANS = 100
"""A progressive JPEG has about ten."""
_MAX_SCANNED = 1_000_000_000
"""Pixels times scans: 20 of the largest photo, 83 of one of 12 megapixels."""
_MAX_IDATS = 10_000
"""Encoders write 4 kB and more into each."""
_MAX_CHUNKS = 256
"""Of all other kinds together; each can hold a megabyte that it takes time to inflate."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""What begins a segment; not what is stuffed into a scan, restarts it, or fills a gap."""
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_ARITHMETIC = (b"\xff\xc9", b"\xff\xca", b"\xff\xcb", b"\xff\xcd", b"\xff\xce", b"\xff\xcf")
"""Frames in arithmetic coding (ITU-T T.81, B.1.1.3). No browser shows them, and a scan of one takes
more than twice as long."""
_FRAMES = (b"IDAT", b"fdAT", b"fcTL")


def count_scans(data: bytes) -> int:
    """How many scans a JPEG has; 0 of anything else.

    Raises UndecodablePhoto for a JPEG or PNG of more parts than a photo has, and for a JPEG in
    arithmetic coding.
    """
    if data.startswith(PNG):
        _check_png(data)
    return _check_jpeg(data) if data.startswith(JPEG) else 0


def check_work(scans: int, pixels: int) -> None:
    """Raise UndecodablePhoto if so many scans of so many pixels take too long."""
    if scans > 1 and scans * pixels > _MAX_SCANNED:
        raise UndecodablePhoto(f"the photo has {scans} scans, too many for {pixels} pixels")


def _check_png(data: bytes) -> None:
    at, frames, others = len(PNG), 0, 0
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] in _FRAMES:
            frames += 1
        else:
            others += 1
        if frames > _MAX_IDATS or others > _MAX_CHUNKS:
            raise UndecodablePhoto("the photo is in more chunks than a PNG has")
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _check_jpeg(data: bytes) -> int:
    at, segments, junk, scans = 2, 0, 0, 0
    while found := _MARKER.search(data, at):
        marker = found[0]
        if scans == 0:
            junk += found.start() - at
        at = found.end()
        segments += 1
        # Pillow reads on behind an end that comes before any scan.
        if marker == _END_OF_IMAGE and scans:
            break
        if marker in _ARITHMETIC:
            raise UndecodablePhoto("the photo is a JPEG in arithmetic coding; send it in Huffman's")
        scans += marker == _START_OF_SCAN
        if segments > _MAX_SEGMENTS or scans > _MAX_SCANS or junk > _MAX_JUNK:
            raise UndecodablePhoto("the photo is in more segments or scans than a JPEG has")
        if marker not in (_END_OF_IMAGE, JPEG[:2]):
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans
