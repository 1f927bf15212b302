"""Rates a folder of new photos with two models side by side.

    python -m training try FOLDER --models models/resnet34-1 models/resnet34-2 --out runs/try

Prints a line a face and how much the models agree, and writes a page with every face, those on
which they differ most first. Photos are only read; the page holds their faces, so keep it to
yourself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline.__main__ import find_photos
from pipeline.crops import crop
from pipeline.detector import fastest_detector
from pipeline.errors import ModelError, PhotoError
from pipeline.models import Model
from pipeline.photo import read_photo
from pipeline.scorer import OnnxScorer
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Pixels, Rating
from training.pages import Page
from training.views import VIEW


@dataclass(frozen=True, eq=False)
class Pair:
    """One face and what each of the two models says of it."""

    photo: str
    face: int
    crop: Pixels
    ratings: tuple[Rating, Rating]

    @property
    def difference(self) -> float:
        """The second model's score less the first's, in points."""
        return self.ratings[1].score - self.ratings[0].score


def rate_both(folder: Path, scorers: tuple[OnnxScorer, OnnxScorer]) -> Iterator[Pair]:
    """Every face of every photo below the folder; photos that cannot be read are named."""
    model = Model.open(ROOT / "models" / "mtcnn")
    detector = fastest_detector(model, DetectorSettings(), threads=2)
    for path, place in tqdm(list(find_photos([folder])), unit="photo", disable=None):
        # A name that is not UTF-8 could be written nowhere.
        name = str(place).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            pixels = read_photo(path.read_bytes(), PhotoSettings()).pixels
        except (OSError, PhotoError) as error:
            tqdm.write(f"{name}: {error}")
            continue
        faces = detector.detect(pixels)
        if not faces:
            tqdm.write(f"{name}: no face")
            continue
        first, second = (scorer.rate(pixels, faces) for scorer in scorers)
        for number, (face, *ratings) in enumerate(zip(faces, first, second, strict=True), start=1):
            yield Pair(name, number, crop(pixels, face.box, VIEW), (ratings[0], ratings[1]))


def told(rating: Rating) -> str:
    """A rating as people read it: `6.4 ± 0.5`."""
    spread = "" if rating.spread is None else f" ± {rating.spread:.1f}"
    return f"{rating.score:.1f}{spread}"


def summary(pairs: list[Pair], names: list[str]) -> list[str]:
    """How much the two models agree, in a few lines."""
    first, second = (np.array([pair.ratings[i].score for pair in pairs]) for i in (0, 1))
    lines = [
        f"{names[i]}: mean {scores.mean():.2f}, from {scores.min():.1f} to {scores.max():.1f}"
        for i, scores in enumerate((first, second))
    ]
    apart = second - first
    side = "higher" if apart.mean() > 0 else "lower"
    lines.append(
        f"{len(pairs)} face{'s' * (len(pairs) != 1)}; on average {np.abs(apart).mean():.2f} of a"
        f" point apart, {names[1]} {abs(apart.mean()):.2f} {side}"
    )
    if len(pairs) > 2 and first.std() > 0 and second.std() > 0:
        lines.append(f"correlation {np.corrcoef(first, second)[0, 1]:.3f}")
    return lines


def page_of(pairs: list[Pair], names: list[str]) -> Page:
    """The page: the summary, then every face, the greatest difference first."""
    page = Page(f"{names[0]} and {names[1]} side by side")
    page.bullets(summary(pairs, names))
    ordered = sorted(pairs, key=lambda pair: -abs(pair.difference))
    page.faces(
        (pair.crop, f"{told(pair.ratings[0])} | {told(pair.ratings[1])}, {pair.photo}")
        for pair in ordered
    )
    return page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("photos", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--models", type=Path, nargs=2, required=True, metavar="MODEL", help="two model folders"
    )
    parser.add_argument("--out", type=Path, help="a folder for the page")


def main(options: argparse.Namespace) -> None:
    """Rate, print and write the page."""
    try:
        models = [Model.open(folder) for folder in options.models]
        scorers = [OnnxScorer(model, batch_size=16, threads=2) for model in models]
    except ModelError as error:
        raise SystemExit(str(error)) from error
    names = [model.name for model in models]
    pairs = []
    for pair in rate_both(options.photos, (scorers[0], scorers[1])):
        first, second = map(told, pair.ratings)
        tqdm.write(f"{pair.photo}, face {pair.face}: {first} | {second}  ({pair.difference:+.1f})")
        pairs.append(pair)
    if not pairs:
        raise SystemExit(f"there is no face in the photos of {options.photos}")
    print(*summary(pairs, names), sep="\n")
    if options.out:
        page_of(pairs, names).write(options.out / "report.html")
        print(f"{options.out / 'report.html'} shows them all")
