"""Bytes to an upright RGB photo, within limits. Nothing is decoded that the header rules out."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from pipeline.anatomy import JPEG, PNG, check_work, count_scans
from pipeline.errors import (
    EmptyPhoto,
    PhotoTooLarge,
    PhotoTooSmall,
    UndecodablePhoto,
    UnknownImageType,
)
from pipeline.settings import PhotoSettings
from pipeline.shrinking import shrink
from pipeline.types import Photo, Pixels

FORMATS = ("JPEG", "PNG", "WEBP")
JPEGS = ("JPEG", "MPO")
"""Phones put a second picture into a JPEG, which Pillow calls MPO; the first is the photo."""
ORIENTATION_TAG = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True)
class _Header:
    """A photo whose header has been read and accepted, and no pixel decoded."""

    data: bytes
    image: Image.Image
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        width, height = self.image.size
        return (height, width) if self.orientation in SIDEWAYS else (width, height)


def read_photo(data: bytes, settings: PhotoSettings) -> Photo:
    """Decode a JPEG, PNG or WebP to the size at which the models work.

    A larger photo comes out with a long side of `settings.working_side`, a smaller one as it is.
    Raises one of PhotoError's children, whose message says what is wrong with the photo.
    """
    header = _read_header(data, settings)
    width, height = header.upright_size
    scale = min(1.0, settings.working_side / max(width, height))
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = _decode(header, target)
    if pixels.shape[1::-1] != target:
        pixels = shrink(pixels, *target)
    return Photo(pixels, width, height)


def read_full(data: bytes, settings: PhotoSettings) -> Pixels:
    """Decode a photo to all of its pixels, upright. Raises as `read_photo` does."""
    header = _read_header(data, settings)
    return _decode(header, header.upright_size)


def _read_header(data: bytes, settings: PhotoSettings) -> _Header:
    if not data:
        raise EmptyPhoto("the photo is empty: 0 bytes")
    if len(data) > settings.max_bytes:
        raise PhotoTooLarge(
            f"the photo has {len(data)} bytes; at most {settings.max_bytes} are accepted"
        )
    scans = count_scans(data)
    image = _open(data, settings.max_pixels)
    if getattr(image, "is_animated", False) and image.format not in JPEGS:
        raise UnknownImageType(f"the photo is an animated {image.format}; send a still picture")
    width, height = image.size
    if width * height > settings.max_pixels:
        raise PhotoTooLarge(
            f"the photo is {width} x {height} pixels; at most {settings.max_pixels} are accepted"
        )
    if min(width, height) < settings.min_side:
        raise PhotoTooSmall(
            f"the photo is {width} x {height} pixels;"
            f" each side must have at least {settings.min_side}"
        )
    check_work(scans, width * height)
    return _Header(data, image, _orientation(image))


def _open(data: bytes, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Anything else that Pillow has to say of a header, its decoder will say again.
            warnings.simplefilter("ignore", UserWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoTooLarge(
            f"the photo has too many pixels; at most {max_pixels} are accepted"
        ) from error
    except UnidentifiedImageError as error:
        if _looks_readable(data):
            raise UndecodablePhoto("the photo's header is damaged or cut short") from error
        raise UnknownImageType("the photo is not a JPEG, PNG or WebP") from error
    except Exception as error:  # Pillow's readers raise whatever a damaged header leads them to
        raise UndecodablePhoto(f"the photo's header cannot be read: {error}") from error


def _looks_readable(data: bytes) -> bool:
    return data.startswith((PNG, JPEG)) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _orientation(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if image.format == "PNG" and "exif" not in image.info:
                image.load()  # it may be behind the pixels
            # Not getexif(), which goes by XMP and by text too: no browser would show it so.
            exif = Image.Exif()
            exif.load(image.info.get("exif", b""))
            orientation = exif.get(ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF is no reason to refuse a photo that decodes
        return 1
    return orientation if orientation in range(1, 9) else 1


def _decode(header: _Header, target: tuple[int, int]) -> Pixels:
    """The upright picture, at least as large as `target` (width, height) on both sides."""
    if header.orientation in SIDEWAYS:
        target = target[::-1]
    pixels = _decode_jpeg(header, target)
    if pixels is None:
        pixels = _decode_any(header, target)
    return _upright(pixels, header.orientation)


def _decode_jpeg(header: _Header, target: tuple[int, int]) -> Pixels | None:
    """libjpeg-turbo without a detour, at the smallest of its scales; None if it has a complaint.

    Its complaints range from harmless to fatal; Pillow tells one from the other.
    """
    if header.image.format not in JPEGS or header.image.mode not in ("RGB", "L"):
        return None
    width, height = header.image.size
    # Its other scales, of eighths, are slower than to decode more and shrink that.
    sizes = [(-(-width // part), -(-height // part)) for part in (8, 4, 2, 1)]
    width, height = next(size for size in sizes if size[0] >= target[0] and size[1] >= target[1])
    try:
        return np.asarray(
            simplejpeg.decode_jpeg(header.data, "RGB", min_width=width, min_height=height),
            dtype=np.uint8,
        )
    except ValueError:
        return None


def _decode_any(header: _Header, target: tuple[int, int]) -> Pixels:
    image = header.image
    try:
        image.draft(None, target)
        image.load()
        return np.asarray(_to_rgb(image), dtype=np.uint8)
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, MemoryError, …
        raise UndecodablePhoto(f"the photo cannot be decoded: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip, not scale
        deep = np.asarray(image)
        grey = (deep >> 8).astype(np.uint8)
        grey[deep == image.info.get("transparency", -1)] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        # What a viewer on a white page would see; the colours under full transparency are junk.
        # Drawn onto the page, for each further copy of the largest photo would take 200 MB.
        clear = image if image.mode == "RGBA" else image.convert("RGBA")
        page = Image.new("RGB", image.size, "white")
        page.paste(clear, mask=clear)
        return page
    return image.convert("RGB")


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (JEITA CP-3451, tag 0x0112)."""
    if orientation in SIDEWAYS:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
