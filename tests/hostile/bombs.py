"""Photos that are made to cost: small or many-pieced files that ask for much time or memory."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random

import cv2
import numpy as np
from PIL import Image

from pipeline.settings import PhotoSettings
from tests.hostile.seeds import synthetic
from tests.pipeline.pictures import PNG_END, chunk, encode, resized

LARGEST = PhotoSettings().max_bytes - 10_000
VAST = (7040, 7040)
"""Just within the pixels that are accepted."""


def _base(kind: str) -> bytes:
    return encode(Image.fromarray(synthetic()), kind)


def _in_png(chunks: bytes) -> bytes:
    png = _base("PNG")
    return png[:33] + chunks + png[33:]


def _in_jpeg(segments: bytes) -> bytes:
    jpeg = _base("JPEG")
    return jpeg[:2] + segments + jpeg[2:]


def _in_webp(chunks: bytes) -> bytes:
    body = _base("WEBP")[8:] + chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _fill(part: bytes) -> bytes:
    return part * (LARGEST // len(part))


def many_scans(count: int, size: tuple[int, int] = VAST) -> bytes:
    """A progressive JPEG whose last scan, 75 bytes, comes `count` times more."""
    jpeg = encode(Image.new("L", size, 128), "JPEG", progressive=True)
    return jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * count + jpeg[-2:]


def _inflated(size: int) -> bytes:
    return b"name\0\0" + zlib.compress(bytes(size), 9)


def _itxt(size: int) -> bytes:
    return chunk(b"iTXt", b"name\0\1\0\0\0" + zlib.compress(bytes(size), 9))


def _exif(entries: int, count: int, kind: int = 4, following: int = 8) -> bytes:
    """A directory of tags that all claim the same `count` values, and that leads back to itself."""
    tags = b"".join(struct.pack("<HHII", tag, kind, count, 8) for tag in range(entries))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + tags + struct.pack("<I", following)
    return head + bytes(min(count * 4, LARGEST - len(head)))


def _exif_in_jpeg(exif: bytes) -> bytes:
    parts = [exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
    return _in_jpeg(
        b"".join(
            b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts
        )
    )


def _flat_png(mode: str) -> bytes:
    return encode(Image.new(mode, VAST), "PNG")


def _wide_png() -> bytes:
    return cv2.imencode(".png", np.full((*VAST, 4), 40_000, np.uint16))[1].tobytes()


def _noisy_jpeg() -> bytes:
    """As many coefficients as 16 MB hold, progressive."""
    dice = np.random.default_rng(0)
    noise = dice.integers(0, 256, (*VAST, 3), np.uint8)
    return encode(Image.fromarray(noise), "JPEG", quality=35, progressive=True)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("zeros"), bytes(10_000_000), zipfile.ZIP_DEFLATED)
    return file.getvalue()


COSTLY: dict[str, Callable[[], bytes]] = {
    "a PNG of a million empty chunks": lambda: _in_png(_fill(chunk(b"abCd", b""))),
    "a PNG of a million empty IDATs": lambda: _in_png(_fill(chunk(b"IDAT", b""))),
    "a million chunks behind the pixels": lambda: (
        _base("PNG").removesuffix(PNG_END) + _fill(chunk(b"abCd", b"")) + PNG_END
    ),
    "a JPEG of four million segments": lambda: _in_jpeg(_fill(b"\xff\xe5\0\2")),
    "a JPEG of a million comments": lambda: _in_jpeg(_fill(b"\xff\xfe\0\x09comment")),
    "a JPEG of filling": lambda: _in_jpeg(_fill(b"\xff")),
    "a JPEG of junk": lambda: _in_jpeg(b"\xff\xfe\0\2" + _fill(b"\0")),
    "a JPEG of restarts": lambda: _in_jpeg(_fill(b"\xff\xd0")),
    "a JPEG that ends before it begins": lambda: _in_jpeg(b"\xff\xd9" + _fill(b"\xff\xfe\0\2")),
    "a JPEG of 200,000 scans": lambda: many_scans(200_000),
    "a JPEG of 90 scans": lambda: many_scans(80),
    "a WebP of two million chunks": lambda: _in_webp(_fill(b"ABCD\0\0\0\0")),
    "an iCCP that inflates to 100 MB": lambda: _in_png(chunk(b"iCCP", _inflated(100_000_000))),
    "240 iCCPs of a megabyte": lambda: _in_png(chunk(b"iCCP", _inflated(1_000_000)) * 240),
    "a zTXt that inflates to 100 MB": lambda: _in_png(chunk(b"zTXt", _inflated(100_000_000))),
    "240 zTXts of a megabyte": lambda: _in_png(chunk(b"zTXt", _inflated(1_000_000)) * 240),
    "an iTXt that inflates to 100 MB": lambda: _in_png(_itxt(100_000_000)),
    "EXIF of 65,535 tags": lambda: _in_png(chunk(b"eXIf", _exif(65_535, 1))),
    "EXIF of 65,535 tags of 15 MB": lambda: _in_png(chunk(b"eXIf", _exif(65_535, 3_500_000))),
    "EXIF in 240 segments": lambda: _exif_in_jpeg(_exif(65_535, 3_500_000)),
    "EXIF that is its own end": lambda: _exif_in_jpeg(_exif(4000, 1)),
    "a colour profile in 250 segments": lambda: _in_jpeg(
        b"".join(
            b"\xff\xe2\xff\xfeICC_PROFILE\0" + bytes([n, 255]) + bytes(65_518) for n in range(250)
        )
    ),
    "a PNG of 50 megapixels": lambda: _flat_png("RGB"),
    "a PNG of 50 clear megapixels": lambda: _flat_png("RGBA"),
    "a PNG of 50 clear megapixels of 16 bits": _wide_png,
    "a PNG that claims 65,535 x 65,535": lambda: resized(_base("PNG"), 65_535, 65_535),
    "a PNG that claims 50 megapixels": lambda: resized(_base("PNG"), *VAST),
    "a JPEG of 50 megapixels of noise": _noisy_jpeg,
    "a JPEG that claims 50 megapixels": lambda: resized(_base("JPEG"), *VAST),
    "a WebP of 50 megapixels": lambda: encode(Image.new("RGB", VAST), "lossless WebP", quality=0),
    "a WebP that claims 16,383 x 16,383": lambda: resized(_base("WEBP"), 16_383, 16_383),
}

_HTML = b"<html><script>alert(1)</script></html>"
_PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "a JPEG and a zip": lambda: _base("JPEG") + _zip(),
    "a PNG and a zip": lambda: _base("PNG") + _zip(),
    "a WebP and a zip": lambda: _in_webp(b"") + _zip(),
    "a JPEG and a page": lambda: _in_jpeg(
        b"\xff\xfe" + struct.pack(">H", len(_HTML) + 2) + _HTML
    ),
    "a PNG and a page": lambda: _in_png(chunk(b"tEXt", b"Comment\0" + _HTML)),
    "a JPEG and a PDF": lambda: _in_jpeg(b"\xff\xfe" + struct.pack(">H", len(_PDF) + 2) + _PDF),
    "a PNG and a JPEG": lambda: _base("PNG") + _base("JPEG"),
    "a JPEG and a PNG": lambda: _base("JPEG") + _base("PNG"),
    "a WebP with a PNG in it": lambda: _in_webp(
        b"PNG " + struct.pack("<I", len(_base("PNG"))) + _base("PNG")
    ),
    "a GIF that goes on as a JPEG": lambda: b"GIF89a" + _base("JPEG"),
    "a BMP that goes on as a PNG": lambda: b"BM" + _base("PNG"),
    "a PNG's magic on a JPEG": lambda: _base("PNG")[:8] + _base("JPEG"),
    "a JPEG's magic on a PNG": lambda: b"\xff\xd8\xff\xe0" + _base("PNG"),
    "a RIFF that is a film": lambda: b"RIFF\xff\xff\0\0AVI LIST" + _base("WEBP"),
    "an EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%stdin) run",
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/>',
}  # fmt: skip


_SMALL: tuple[Callable[[Random], bytes], ...] = (
    lambda dice: dice.choice(list(POLYGLOTS.values()))(),
    lambda dice: _in_png(chunk(b"iCCP", _inflated(2_000_000)) * dice.randrange(1, 4)),
    lambda _: _in_png(chunk(b"zTXt", _inflated(2_000_000))),
    lambda _: _in_png(_itxt(2_000_000)),
    lambda dice: _in_png(chunk(b"eXIf", _exif(dice.randrange(500), dice.randrange(10_000)))),
    lambda dice: _exif_in_jpeg(
        _exif(dice.randrange(500), dice.randrange(40_000), dice.randrange(14))
    ),
    lambda dice: _exif_in_jpeg(_exif(dice.randrange(9), 1, 4, dice.randrange(100))),
    lambda dice: _in_webp(b"EXIF\0\0\0\0" * dice.randrange(1000)),
    lambda dice: _in_png(chunk(b"IDAT", b"") * dice.randrange(300)),
    lambda dice: _in_png(chunk(b"acTL", struct.pack(">II", dice.choice((0, 1, 2**31)), 0))),
    lambda dice: many_scans(dice.randrange(120), (320, 320)),
)


def small(dice: Random) -> bytes:
    """One of those that are quick to make."""
    return dice.choice(_SMALL)(dice)
