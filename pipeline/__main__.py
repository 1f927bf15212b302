"""The pipeline from the command line.

    python -m pipeline PHOTO|FOLDER … [--json [OUT] | --csv [OUT]] [--render DIR]

Rates every face of every photo; folders are searched for JPEG, PNG and WebP files. Prints a line
a face, or JSON or CSV. Exit status 1 if a photo could not be read.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from pipeline.errors import AttraiError, PhotoError
from pipeline.predictor import Prediction, Predictor, load_predictor
from pipeline.report import report
from pipeline.settings import ROOT, PipelineSettings, load

FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
COLUMNS = ("file", "face", "x", "y", "width", "height", "confidence", "score")


def find_photos(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Each photo with its place below the path that led to it."""
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in FORMATS and file.is_file():
                yield file, file.relative_to(path)


def render(
    predictor: Predictor, data: bytes, prediction: Prediction, place: Path, taken: set[Path]
) -> None:
    """Write the picture to `place` in the photo's own format, beside what this run wrote before."""
    format_ = FORMATS.get(place.suffix.lower(), "png")
    suffix = place.suffix if place.suffix.lower() in FORMATS else ".png"
    target, count = place.with_name(f"{place.stem}-rated{suffix}"), 1
    while target in taken:
        count += 1
        target = place.with_name(f"{place.stem}-rated-{count}{suffix}")
    taken.add(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(predictor.picture(data, prediction, format_))


def lines(file: str, faces: list[dict[str, Any]]) -> Iterator[str]:
    """What a person reads of one photo."""
    if not faces:
        yield f"{file}: no face"
    for face in faces:
        box = face["box"]
        yield (
            f"{file}: {face['score']:.1f}  at x {box['x']}, y {box['y']},"
            f" {box['width']} x {box['height']}  (confidence {face['confidence']:.4f})"
        )


def rows(file: str, faces: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """CSV rows after COLUMNS: one a face; a photo without any has one row, of face 0."""
    if not faces:
        yield (file, 0, *[""] * 6)
    for number, face in enumerate(faces, start=1):
        yield (file, number, *face["box"].values(), face["confidence"], face["score"])


@contextmanager
def opened(out: str) -> Iterator[TextIO]:
    """The file `out` to write to; `-` is standard output."""
    if out == "-":
        yield sys.stdout
    else:
        with Path(out).open("w", encoding="utf-8", newline="") as file:
            yield file


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Rate every face of every photo, from 1 to 10.",
        epilog="Exit status: 0 all rated, 1 a photo could not be read, 2 wrong usage.",
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO|FOLDER")
    form = parser.add_mutually_exclusive_group()
    for name in ("json", "csv"):
        form.add_argument(
            f"--{name}", nargs="?", const="-", metavar="OUT",
            help=f"write {name.upper()} to OUT, or to standard output",
        )  # fmt: skip
    parser.add_argument("--render", type=Path, metavar="DIR", help="write pictures with scores")
    parser.add_argument("--config", type=Path, default=ROOT / "attrai.ini", help="the settings")
    parsed = parser.parse_args(arguments)
    for out in filter(None, (parsed.json, parsed.csv)):
        if Path(out).suffix.lower() in FORMATS or Path(out).is_dir():
            parser.error(f"{out} would be overwritten with figures; name the photos first")
    return parsed


def main(arguments: list[str] | None = None) -> int:
    """Rate what the command line names; the exit status."""
    options = parse(arguments)
    try:
        predictor = load_predictor(load(options.config, PipelineSettings, others=True))
    except AttraiError as error:
        print(error, file=sys.stderr)
        return 2
    photos = list(find_photos(options.photos))
    failures = 0
    results: list[dict[str, Any]] = []
    taken: set[Path] = set()
    for path, place in tqdm(photos, unit="photo", disable=None if len(photos) > 1 else True):
        try:
            data = path.read_bytes()
            prediction = predictor.predict(data)
            if options.render:
                render(predictor, data, prediction, options.render / place, taken)
        except (PhotoError, OSError) as error:
            failures += 1
            tqdm.write(f"{path}: {_reason(error)}", file=sys.stderr)
            continue
        result = {"file": str(path), **report(prediction)}
        results.append(result)
        if not (options.json or options.csv):
            for line in lines(result["file"], result["faces"]):
                tqdm.write(line)
    if options.json:
        with opened(options.json) as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    if options.csv:
        with opened(options.csv) as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for result in results:
                writer.writerows(rows(result["file"], result["faces"]))
    return 1 if failures else 0


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


if __name__ == "__main__":
    sys.exit(main())
