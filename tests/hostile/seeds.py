"""Sound photos of every kind that is read, for others to damage."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageCms

from pipeline.types import Pixels
from tests.pipeline.pictures import PNG_END, chunk, encode, exif

_PASSES = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
           (1, 2, 0, 1))  # fmt: skip


def synthetic(width: int = 48, height: int = 40) -> Pixels:
    """A picture of nothing: ramps, an edge and some noise."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 32, (height, width))
    planes = (x * 255 // width, y * 255 // height, noise + 200 * (x > y))
    return np.stack(planes, axis=2).astype(np.uint8)


def interlaced(pixels: Pixels) -> bytes:
    """A PNG in Adam7's seven passes, which neither Pillow nor OpenCV writes."""
    rows = [
        b"\0" + row.tobytes()
        for top, down, left, right in _PASSES
        for row in pixels[top::down, left::right]
    ]
    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    data = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + header + data + PNG_END


def _wide(pixels: Pixels, channels: int) -> bytes:
    """A PNG of 16 bits a sample."""
    planes = np.dstack([pixels, pixels[:, :, :1]]).astype(np.uint16)[:, :, :channels] * 257
    return cv2.imencode(".png", planes)[1].tobytes()


def seeds(pixels: Pixels) -> dict[str, bytes]:
    """The picture (H x W x 3, RGB) as a file of each kind, by the kind's name."""
    image = Image.fromarray(pixels)
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    marked = {"exif": exif(6), "icc_profile": profile}
    frames = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    palette = image.quantize(16)
    return {
        "jpeg": encode(image, "JPEG"),
        "jpeg 4:4:4": encode(image, "JPEG", subsampling="4:4:4", quality=95),
        "jpeg progressive": encode(image, "JPEG", progressive=True),
        "jpeg grey": encode(image.convert("L"), "JPEG"),
        "jpeg cmyk": encode(image.convert("CMYK"), "JPEG"),
        "jpeg cmyk progressive": encode(image.convert("CMYK"), "JPEG", progressive=True),
        "jpeg restarts": encode(image, "JPEG", restart_marker_blocks=2),
        "jpeg marked": encode(image, "JPEG", comment=b"a comment", **marked),
        "mpo": encode(image, "MPO", **frames),
        "png": encode(image, "PNG"),
        "png marked": encode(image, "PNG", **marked),
        "png alpha": encode(clear, "PNG"),
        "png grey alpha": encode(clear.convert("LA"), "PNG"),
        "png palette": encode(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "png one bit": encode(image.convert("1"), "PNG"),
        "png 16 bit": _wide(pixels, 3),
        "png 16 bit alpha": _wide(pixels, 4),
        "png 16 bit grey": _wide(pixels, 1),
        "png interlaced": interlaced(pixels),
        "apng": encode(image, "PNG", **frames),
        "webp": encode(image, "WEBP"),
        "webp lossless": encode(image, "WEBP", lossless=True),
        "webp alpha": encode(clear, "WEBP"),
        "webp marked": encode(image, "WEBP", **marked),
        "webp animated": encode(image, "WEBP", **frames),
    }
