"""Photo + rated faces -> the picture that shows them, as an array or as an encoded image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipeline.settings import RenderSettings
from pipeline.types import Box, Pixels, RatedFace

Colour = tuple[int, int, int]
"""sRGB, each channel in 0..255."""

Rectangles = npt.NDArray[np.int64]
"""Rectangles in pixels: int64, shape (n, 4), each x1, y1, x2, y2 with x2 and y2 exclusive."""

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

# Viridis: lightness rises evenly with the score, for colour-blind readers and in grey prints too.
_SCORES = (1.0, 3.25, 5.5, 7.75, 10.0)
_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))

_LEGIBLE_FONT = 15  # its digits are 10 pixels high


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
    return BLACK if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else WHITE


def style_for(width: int, height: int, boxes: Sequence[Box]) -> Style:
    """The sizes that suit a picture of `width` x `height` pixels with these faces in it."""
    side = (width * height) ** 0.5
    # Small faces get smaller labels, lest a crowd disappears behind its scores.
    wanted = 0.3 * float(np.median([box.width for box in boxes])) if boxes else 0.0
    font = max(_LEGIBLE_FONT, np.clip(wanted, 0.018 * side, 0.03 * side))
    # The widest label, 10.0, is not quite 3 font sizes wide and 1.5 high.
    font = max(1, min(font, width / 3, height / 1.5))
    line = max(2, round(side / 400))
    return Style(font=int(font), line=line, halo=max(1, line // 3))


def place_labels(
    boxes: Rectangles, sizes: Sequence[tuple[int, int]], width: int, height: int
) -> Rectangles:
    """Find room for a label at each of `boxes` in a picture of `width` x `height` pixels.

    `sizes` are the labels' (width, height), none larger than the picture. Returns the labels'
    rectangles in the order of `boxes`, shape (n, 4), all inside the picture. A label lies where it
    covers the least of the labels before it, then the least of the other boxes.
    """
    placed = np.empty((0, 4), np.int64)
    for index, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        spots = _spots(box, size, width, height)
        on_labels = _overlap(spots, placed)
        on_boxes = _overlap(spots, np.delete(boxes, index, axis=0))
        best = np.lexsort((on_boxes, on_labels))[0]  # stable: the first spot of the best
        placed = np.vstack((placed, spots[best]))
    return placed


def _spots(
    box: npt.NDArray[np.int64], size: tuple[int, int], width: int, height: int
) -> Rectangles:
    """Where a label may go at a box, best first, shape (n, 4): around it, else within it."""
    w, h = size
    left, top, right, bottom = (int(edge) for edge in box)
    middle = (left + right - w) // 2
    around = [(x, y) for y in (top - h, bottom) for x in (left, right - w, middle)]
    beside = [(x, y) for x in (right, left - w) for y in (top, bottom - h)]
    within = [(x, y) for y in (top, bottom - h) for x in (left, right - w)]
    fits = [(x, y) for x, y in around if 0 <= y <= height - h]
    fits += [(x, y) for x, y in beside if 0 <= x <= width - w]
    corners = np.clip(np.array(fits + within), 0, (width - w, height - h))
    return np.hstack((corners, corners + size))


def _overlap(spots: Rectangles, others: Rectangles) -> npt.NDArray[np.int64]:
    """How many pixels of `others` each spot covers, shape (len(spots),)."""
    low = np.maximum(spots[:, None, :2], others[None, :, :2])
    high = np.minimum(spots[:, None, 2:], others[None, :, 2:])
    covered: npt.NDArray[np.int64] = np.maximum(high - low, 0).prod(axis=2).sum(axis=1)
    return covered


def annotate(pixels: Pixels, faces: Sequence[RatedFace]) -> Pixels:
    """Draw each face's box and score; the colour follows the score.

    `pixels` is RGB uint8, shape (height, width, 3), and stays as it is; the faces are in its
    pixels. Returns a new array of the same shape and type.
    """
    canvas = pixels.copy()
    if not faces:
        return canvas
    height, width = canvas.shape[:2]
    # The largest first: the box of a face in front of another is drawn over the other's.
    faces = sorted(faces, key=lambda rated: rated.face.box.area, reverse=True)
    boxes = [rated.face.box for rated in faces]
    style = style_for(width, height, boxes)
    corners = np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes])
    edges = np.clip(np.rint(corners), 0, (width, height, width, height)).astype(np.int64)
    labels = [_label(rated.rating.score, style) for rated in faces]
    spots = place_labels(edges, [(label.width, label.height) for label in labels], width, height)
    for edge, rated in zip(edges, faces, strict=True):
        _draw_box(canvas, edge, colour_for(rated.rating.score), style)
    for (x1, y1, x2, y2), label in zip(spots, labels, strict=True):
        canvas[y1:y2, x1:x2] = np.asarray(label)
    return canvas


def _label(score: float, style: Style) -> Image.Image:
    """The score on its colour, framed like its box."""
    colour = colour_for(score)
    ink = ink_for(colour)
    text = f"{score:.1f}"
    font = ImageFont.load_default(style.font)
    left, _, right, _ = font.getbbox(text)
    _, top, _, bottom = font.getbbox("0")
    pad = style.halo + max(1, round(0.25 * style.font))
    size = (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad)
    label = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(label)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=ink, width=style.halo)
    draw.text((pad - left, pad - top), text, fill=ink, font=font)
    return label


def _draw_box(canvas: Pixels, edges: npt.NDArray[np.int64], colour: Colour, style: Style) -> None:
    """Draw a line within a box's edges, between halos that set it off from any background."""
    x1, y1, x2, y2 = (int(edge) for edge in edges)
    line = max(1, min(style.line, (x2 - x1) // 8, (y2 - y1) // 8))
    halo = min(style.halo, line)
    for outside, inside, paint in ((halo, line + halo, ink_for(colour)), (0, line, colour)):
        rows = slice(max(0, y1 - outside), y2 + outside)
        columns = slice(max(0, x1 - outside), x2 + outside)
        canvas[rows.start : y1 + inside, columns] = paint
        canvas[y2 - inside : rows.stop, columns] = paint
        canvas[rows, columns.start : x1 + inside] = paint
        canvas[rows, x2 - inside : columns.stop] = paint


def encode(pixels: Pixels, format: str, settings: RenderSettings) -> bytes:
    """Encode RGB uint8 pixels, shape (height, width, 3), as a 'png', 'jpeg' or 'webp' image.

    Raises ValueError for another format.
    """
    parameters = {
        "png": (cv2.IMWRITE_PNG_COMPRESSION, settings.png_compression),
        "jpeg": (cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality),
        "webp": (cv2.IMWRITE_WEBP_QUALITY, settings.webp_quality),
    }
    if format not in parameters:
        raise ValueError(f"format must be one of {', '.join(parameters)}, not {format!r}")
    done, encoded = cv2.imencode(
        f".{format}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), parameters[format]
    )
    if not done:
        raise ValueError(f"a {format} image cannot hold {pixels.shape[1]}x{pixels.shape[0]} pixels")
    return encoded.tobytes()
