"""Encoded pictures for the tests of the decoder, sound and damaged."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from pipeline.settings import PhotoSettings
from pipeline.types import Pixels

SETTINGS = PhotoSettings()
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
ENCODINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"format": "JPEG"},
    "progressive JPEG": {"format": "JPEG", "progressive": True},
    "PNG": {"format": "PNG"},
    "WebP": {"format": "WEBP"},
    "lossless WebP": {"format": "WEBP", "lossless": True},
}
THREE = ("JPEG", "PNG", "WebP")


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file of one of ENCODINGS, or of another format of Pillow's."""
    file = io.BytesIO()
    image.save(file, **{**ENCODINGS.get(kind, {"format": kind}), **options})
    return file.getvalue()


def by_pillow(data: bytes, mode: str = "RGB") -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert(mode), np.uint8)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "a maker of cameras"
    tags[ExifTags.Base.Orientation] = orientation
    return tags.tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def resized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG, PNG or lossy WebP whose header claims another size."""
    if data.startswith(b"\x89PNG"):
        header = chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29])
        return data[:8] + header + data[33:]
    if data.startswith(b"RIFF"):
        at, size = data.index(b"\x9d\x01\x2a") + 3, struct.pack("<HH", width, height)
    else:
        at, size = data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width)
    return data[:at] + size + data[at + 4 :]


def with_sound_checksums(png: bytes) -> bytes:
    """A damaged PNG with its checksums made good, so that the damage reaches the decoder."""
    repaired, at = png[:8], 8
    while (end := at + 8 + int.from_bytes(png[at : at + 4], "big")) + 4 <= len(png):
        repaired += chunk(png[at + 4 : at + 8], png[at + 8 : end])
        at = end + 4
    return repaired + png[at:]


def psnr(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return cv2.PSNR(one, other)


@contextmanager
def no_warning() -> Iterator[None]:
    """Nothing may warn within; an error for a warning could be taken for damage and hidden."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [str(warning.message) for warning in caught] == []
