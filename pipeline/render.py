"""Photo + rated faces -> the picture that shows them, as an array or as an encoded image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import PhotoTooLarge
from pipeline.png import MAX_SIDE, write_png
from pipeline.settings import RenderSettings
from pipeline.types import Box, Pixels, RatedFace

Colour = tuple[int, int, int]
"""sRGB, each channel in 0..255."""

Integers = npt.NDArray[np.int64]
"""A rectangle in pixels is x1, y1, x2, y2 with x2 and y2 exclusive; n of them have shape (n, 4)."""

# Viridis: lightness rises evenly with the score, for colour-blind readers and in grey prints too.
_SCORES = (1.0, 3.25, 5.5, 7.75, 10.0)
_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))

_MAX_SIDES = {"png": MAX_SIDE, "jpeg": 65_500, "webp": 16_383}
"""In pixels, by the formats that there are."""


@dataclass(frozen=True)
class Style:
    """Sizes in pixels that suit one picture: of the font, of a box's line and of its halo."""

    font: int
    line: int
    halo: int


def colour_for(score: float) -> Colour:
    """The colour of a score in 1..10; a score outside takes that of the nearer end."""
    red, green, blue = (
        round(float(np.interp(score, _SCORES, channel))) for channel in zip(*_VIRIDIS, strict=True)
    )
    return red, green, blue


def ink_for(colour: Colour) -> Colour:
    """Black or white, whichever contrasts more with `colour` after WCAG: always 4.5:1 or better."""
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    black_contrast, white_contrast = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    return (0, 0, 0) if black_contrast >= white_contrast else (255, 255, 255)


def style_for(width: int, height: int, boxes: Sequence[Box]) -> Style:
    """The sizes that suit a picture of `width` x `height` pixels with these faces in it."""
    side = (width * height) ** 0.5
    # Small faces get smaller labels, lest a crowd disappears behind its scores.
    wanted = 0.3 * float(np.median([box.width for box in boxes])) if boxes else 0.0
    font = max(15, min(max(wanted, 0.018 * side), 0.03 * side))  # at 15, digits are 10 pixels high
    font = min(font, width / 3, height / 1.5)  # so that the widest label, 10.0, fits
    line = min(max(2, round(side / 300)), width // 8, height // 8)
    return Style(font=max(1, int(font)), line=max(1, line), halo=max(1, line // 3))


def place_labels(
    boxes: Integers, sizes: Sequence[tuple[int, int]], width: int, height: int, overhang: int = 0
) -> Integers:
    """Find room for a label at each of `boxes`, shape (n, 4), in a picture of `width` x `height`.

    `sizes` are the labels' (width, height), none larger than the picture. A label stands out
    `overhang` pixels from the edges of its box that it is aligned with. It lies where it covers
    the least of the labels before it, then the least of the other boxes. Returns the labels'
    rectangles in the order of `boxes`, shape (n, 4), all inside the picture.
    """
    placed = np.empty((0, 4), np.int64)
    for index, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        spots = _spots(box, size, (width, height), overhang)
        on_labels = _overlap(spots, placed)
        on_boxes = _overlap(spots, np.delete(boxes, index, axis=0))
        best = np.lexsort((on_boxes, on_labels))[0]  # stable: of equals, the first
        placed = np.vstack((placed, spots[best]))
    return placed


def _spots(box: Integers, size: tuple[int, int], area: tuple[int, int], overhang: int) -> Integers:
    """Where a label may go at a box, best first, shape (n, 4): around it, else within it."""
    (w, h), (width, height) = size, area
    x1, y1, x2, y2 = (int(edge) for edge in box)
    left, right = x1 - overhang, x2 + overhang - w
    top, bottom = y1 - overhang, y2 + overhang - h
    around = [(x, y) for y in (y1 - h, y2) for x in (left, right, (left + right) // 2)]
    beside = [(x, y) for x in (x2, x1 - w) for y in (top, bottom)]
    within = [(x, y) for y in (top, bottom) for x in (left, right)]
    fits = [(x, y) for x, y in around if 0 <= y <= height - h]
    fits += [(x, y) for x, y in beside if 0 <= x <= width - w]
    corners = np.clip(np.array(fits + within), 0, (width - w, height - h))
    return np.hstack((corners, corners + size))


def _overlap(spots: Integers, others: Integers) -> Integers:
    """How many pixels of `others` each spot covers, shape (len(spots),)."""
    low = np.maximum(spots[:, None, :2], others[None, :, :2])
    high = np.minimum(spots[:, None, 2:], others[None, :, 2:])
    covered: Integers = np.maximum(high - low, 0).prod(axis=2).sum(axis=1)
    return covered


def annotate(pixels: Pixels, faces: Sequence[RatedFace]) -> Pixels:
    """Draw each face's box and score; the colour follows the score.

    `pixels` is RGB uint8, shape (height, width, 3), and stays as it is; the faces are in its
    pixels. Returns a new array of the same shape and type.
    """
    canvas = pixels.copy()
    draw(canvas, faces)
    return canvas


def draw(canvas: Pixels, faces: Sequence[RatedFace]) -> None:
    """Draw what `annotate` draws on the pixels themselves, which must be writable."""
    if not faces:
        return
    height, width = canvas.shape[:2]
    # The largest first, so that a small face's box is not hidden by that of a large one.
    faces = sorted(faces, key=lambda rated: rated.face.box.area, reverse=True)
    boxes = [rated.face.box for rated in faces]
    scores = [rated.rating.score for rated in faces]
    style = style_for(width, height, boxes)
    corners = np.rint([(box.x1, box.y1, box.x2, box.y2) for box in boxes])
    edges = np.clip(corners, 0, (width, height, width, height)).astype(np.int64)
    font = ImageFont.load_default(style.font)
    labels = [_label(score, font, style) for score in scores]
    spots = place_labels(edges, [label.size for label in labels], width, height, style.halo)
    for edge, score in zip(edges, scores, strict=True):
        _draw_box(canvas, edge, colour_for(score), style)
    for (x1, y1, x2, y2), label in zip(spots, labels, strict=True):
        canvas[y1:y2, x1:x2] = np.asarray(label)


def _label(
    score: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, style: Style
) -> Image.Image:
    """The score on its colour, with a halo for a frame."""
    text, colour = f"{score:.1f}", colour_for(score)
    ink = ink_for(colour)
    pad = style.halo + max(1, round(0.25 * style.font))
    digit = font.getbbox("0")
    width = round(font.getbbox(text)[2]) + 2 * pad
    height = round(digit[3] - digit[1]) + 2 * pad
    label = Image.new("RGB", (width, height), colour)
    pen = ImageDraw.Draw(label)
    pen.rectangle((0, 0, width - 1, height - 1), outline=ink, width=style.halo)
    bolder = 0.02 * style.font  # the font's only weight is thin on a colour
    pen.text((width / 2, height - pad), text, ink, font, anchor="ms", stroke_width=bolder)
    return label


def _draw_box(canvas: Pixels, box: Integers, colour: Colour, style: Style) -> None:
    """Draw a line just within a box, between halos that set it off from any background."""
    x1, y1, x2, y2 = (int(edge) for edge in box)
    line = max(1, min(style.line, (x2 - x1) // 8, (y2 - y1) // 8))
    halo = min(style.halo, line)
    for outside, inside, paint in ((halo, line + halo, ink_for(colour)), (0, line, colour)):
        left, top = max(0, x1 - outside), max(0, y1 - outside)
        right, bottom = x2 + outside, y2 + outside
        canvas[top : y1 + inside, left:right] = paint
        canvas[max(0, y2 - inside) : bottom, left:right] = paint
        canvas[top:bottom, left : x1 + inside] = paint
        canvas[top:bottom, max(0, x2 - inside) : right] = paint


def encode(pixels: Pixels, format: str, settings: RenderSettings) -> bytes:  # noqa: A002
    """Encode RGB uint8 pixels, shape (height, width, 3), as a 'png', 'jpeg' or 'webp' image.

    Raises ValueError for another format, and PhotoTooLarge for a picture with more pixels in a
    row or a column than the format allows: 16383 in WebP, 65500 in JPEG, a million in PNG.
    """
    if format not in _MAX_SIDES:
        raise ValueError(f"format must be one of {', '.join(_MAX_SIDES)}, not {format!r}")
    height, width = pixels.shape[:2]
    if max(width, height) > _MAX_SIDES[format]:
        raise PhotoTooLarge(f"{format} cannot hold {width} x {height} pixels; ask for another")
    if format == "png":
        return write_png(pixels, settings.png_compression)
    if format == "webp":
        file = io.BytesIO()
        # Method 4, the usual one, takes twice the time for 3 % of the size; and seven times it, of
        # the largest photos.
        Image.fromarray(pixels).save(file, "WEBP", quality=settings.webp_quality, method=2)
        return file.getvalue()
    # Not simplejpeg, which is no faster than this and takes its coarser transform.
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpeg", bgr, (cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality))
    return encoded.tobytes()
