"""The pipeline from the command line.

    python -m pipeline PHOTO|FOLDER … [--json [OUT] | --csv [OUT]] [--render DIR]

Rates every face of every photo; folders are searched for JPEG, PNG and WebP files. Prints a line
a face, or JSON or CSV. Exit status 1 if a photo could not be read.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from pipeline.errors import AttraiError, PhotoError
from pipeline.predictor import Prediction, Predictor, load_predictor
from pipeline.report import report
from pipeline.settings import ROOT, PipelineSettings, load

FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
COLUMNS = ("file", "face", "x", "y", "width", "height", "confidence", "score", "spread")


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
    """Write the picture to `place` in the photo's own format, over nothing that is `taken`."""
    format_ = FORMATS.get(place.suffix.lower(), "png")
    suffix = place.suffix if place.suffix.lower() in FORMATS else ".png"
    target, count = place.with_name(f"{place.stem}-rated{suffix}"), 1
    while target.resolve() in taken:
        count += 1
        target = place.with_name(f"{place.stem}-rated-{count}{suffix}")
    taken.add(target.resolve())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(predictor.picture(data, prediction, format_))


def lines(file: str, faces: list[dict[str, Any]]) -> Iterator[str]:
    """What a person reads of one photo."""
    if not faces:
        yield f"{file}: no face"
    for face in faces:
        box = face["box"]
        spread = "" if face["spread"] is None else f" ± {face['spread']:.1f}"
        yield (
            f"{file}: {face['score']:.1f}{spread}  at x {box['x']}, y {box['y']},"
            f" {box['width']} x {box['height']}  (confidence {face['confidence']:.4f})"
        )


def rows(file: str, faces: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """CSV rows after COLUMNS: one a face; a photo without any has one row, of face 0."""
    if not faces:
        yield (file, 0, *[""] * 7)
    for number, face in enumerate(faces, start=1):
        yield (file, number, *face["box"].values(), *(face[name] for name in COLUMNS[6:]))


def opened(out: str | None) -> AbstractContextManager[TextIO]:
    """The file `out` to write to; `-` is standard output, None nowhere."""
    if out is None:
        return nullcontext(io.StringIO())
    if out == "-":
        return nullcontext(sys.stdout)
    return Path(out).open("w", encoding="utf-8", newline="")


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
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Rate what the command line names; the exit status."""
    options = parse(arguments)
    photos = list(find_photos(options.photos))
    out: str | None = options.json or options.csv
    taken = {path.resolve() for path, _ in photos}
    if out and (Path(out).resolve() in taken or Path(out).suffix.lower() in FORMATS):
        print(f"{out} is a photo and would be overwritten; name the photos first", file=sys.stderr)
        return 2
    try:
        predictor = load_predictor(load(options.config, PipelineSettings, others=True))
        # Opened before the work, which would else be lost to a wrong name.
        with opened(out) as file:
            results = list(rate(predictor, photos, options.render, taken, aloud=out is None))
            if options.json:
                json.dump([result for result in results if result], file, indent=1)
                file.write("\n")
            elif options.csv:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for result in filter(None, results):
                    writer.writerows(rows(result["file"], result["faces"]))
    except (AttraiError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(results) else 1


def rate(
    predictor: Predictor,
    photos: list[tuple[Path, Path]],
    folder: Path | None,
    taken: set[Path],
    *,
    aloud: bool,
) -> Iterator[dict[str, Any] | None]:
    """Each photo's report; None for one that could not be read, with a line that says why."""
    for path, place in tqdm(photos, unit="photo", disable=None if len(photos) > 1 else True):
        # A name that is not UTF-8 could be written nowhere.
        name = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            data = path.read_bytes()
            prediction = predictor.predict(data)
            if folder:
                render(predictor, data, prediction, folder / place, taken)
        except (PhotoError, OSError) as error:
            tqdm.write(f"{name}: {_reason(error)}", file=sys.stderr)
            yield None
            continue
        result = {"file": name, **report(prediction)}
        if aloud:
            for line in lines(name, result["faces"]):
                tqdm.write(line)
        yield result


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


if __name__ == "__main__":
    sys.exit(main())
