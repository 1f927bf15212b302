"""The photos that everybody gets: those of a folder, or made from scikit-image's astronaut."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from pipeline.types import Pixels

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
NOISE = 3.0
"""Standard deviation of a camera's noise, in levels: without it, enlarged photos decode and encode
faster than real ones."""
FACE = (slice(20, 220), slice(120, 320))
"""Where the astronaut's face is."""


@dataclass(frozen=True)
class TestPhoto:
    """An encoded photo."""

    __test__ = False  # pytest collects nothing here

    name: str
    data: bytes
    width: int
    height: int

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6


def chosen(folder: Path | None, *, quick: bool) -> list[TestPhoto]:
    """The photos of a folder, or made ones where none is named; fewer if it must be quick.

    Raises ValueError if the folder holds no photo.
    """
    most = 3 if quick else 10
    if folder:
        return _read(folder, most)
    sizes = (0.5, 12.0) if quick else (0.2, 0.5, 1.0, 2.0, 5.0, 12.0)
    crowds = ((3, 2, 1.0),) if quick else ((3, 2, 1.0), (6, 4, 4.0))
    portraits = [(f"one face, {size:g} MP", _portrait(size)) for size in sizes]
    many = [(f"{x * y} faces, {size:g} MP", _crowd(x, y, size)) for x, y, size in crowds]
    return [_encoded(name, pixels) for name, pixels in portraits + many]


def varied(count: int, largest: int, seed: int = 7) -> Iterator[bytes]:
    """Photos of many sizes and formats, with several faces or none; the same for the same seed.

    The first 40 have sides of nearly `largest` pixels: what a runtime takes for them it may keep,
    and what is left to see is whether anything grows without end.
    """
    draw = np.random.default_rng(seed)
    portrait = Image.fromarray(_astronaut())
    for number in range(count):
        least = largest - 50 if number < 40 else 32
        width, height = (int(side) for side in draw.integers(least, largest, 2))
        picture = Image.new("RGB", (width, height), tuple(draw.integers(0, 256, 3).tolist()))
        for _ in range(int(draw.integers(0, 5))):
            side = int(draw.integers(24, max(width, height) + 24))
            at = (int(draw.integers(-side // 2, width)), int(draw.integers(-side // 2, height)))
            picture.paste(portrait.resize((side, side)), at)
        file = io.BytesIO()
        picture.save(file, ("JPEG", "PNG", "WEBP")[int(draw.integers(3))])
        yield file.getvalue()


def _read(folder: Path, most: int) -> list[TestPhoto]:
    """At most so many photos of a folder, evenly spread over their sizes in bytes."""
    files = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    files.sort(key=lambda path: (path.stat().st_size, path))
    if not files:
        raise ValueError(f"there is no JPEG, PNG or WebP in {folder}")
    places = sorted({round(place) for place in np.linspace(0, len(files) - 1, most)})
    photos = []
    for path in (files[place] for place in places):
        with Image.open(path) as image:
            photos.append(TestPhoto(path.name, path.read_bytes(), *image.size))
    return photos


def _astronaut() -> Pixels:
    """NASA's portrait of Eileen Collins, public domain: 512 x 512 pixels, one face."""
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def _portrait(megapixels: float) -> Pixels:
    """One face in a photo of 4:3: the astronaut before what is left and right of her."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    middle = Image.fromarray(_astronaut()).resize((height, height), Image.Resampling.BICUBIC)
    background = middle.resize((width, height))
    page = Image.blend(background, Image.new("RGB", background.size, "gray"), 0.8)
    page.paste(middle, ((width - height) // 2, 0))
    return np.asarray(page)


def _crowd(columns: int, rows: int, megapixels: float) -> Pixels:
    """The astronaut's face in columns and rows, each a little darker or lighter."""
    side = round((megapixels * 1e6 / (columns * rows)) ** 0.5)
    face = Image.fromarray(_astronaut()[FACE]).resize((side, side), Image.Resampling.BICUBIC)
    light = np.random.default_rng(7).uniform(0.8, 1, (rows, columns))
    tiles = np.tile(np.asarray(face), (rows, columns, 1))
    lit = tiles * np.kron(light, np.ones((side, side)))[..., None]
    return np.asarray(lit, np.uint8)


def _encoded(name: str, pixels: Pixels) -> TestPhoto:
    noise = np.random.default_rng(1).normal(0, NOISE, pixels.shape).astype(np.float32)
    file = io.BytesIO()
    noisy = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(file, "JPEG", quality=90)
    return TestPhoto(name, file.getvalue(), pixels.shape[1], pixels.shape[0])
