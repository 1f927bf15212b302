"""Cuts the faces of rated photos with the pipeline that serves, once, for all that follows.

In a folder of crops, `served.npy` holds them just as the service cuts them, `wide.npy` with more
around them for the augmentation to move in, and `index.json` says whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from pipeline.crops import crop
from pipeline.detector import fastest_detector
from pipeline.errors import PhotoError
from pipeline.models import Model
from pipeline.photo import read_photo
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Box, Pixels
from training.doubles import fingerprint
from training.ratings import Example
from training.views import VIEW, WIDE


@dataclass(frozen=True)
class Sight:
    """What a rated photo turned out to be."""

    example: Example
    problem: str
    """Why it could not be read; empty if it could."""
    faces: int = 0
    side: float = 0.0
    """Longer side of the largest face's box, in pixels of the photo as it was decoded."""
    missing: bool = False
    """Whether there is no such file."""
    fingerprint: bytes = b""
    """The whole photo's, of `doubles.fingerprint`."""


def middle(pixels: Pixels) -> Box:
    """Where a portrait's face is, when no detector says so."""
    height, width = pixels.shape[:2]
    side = min(height, width) / VIEW.context
    return Box((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)


def cut(examples: list[Example], out: Path) -> list[Sight]:
    """Write the crops of every photo that can be read to `out`; says what was seen in each.

    A photo without a face found is cut around its middle: a protocol may not lose its hard cases.
    """
    out.mkdir(parents=True, exist_ok=True)
    # Crops of a cut that stops half-way must not pass for those of the last one.
    (out / "index.json").unlink(missing_ok=True)
    model = Model.open(ROOT / "models" / "mtcnn")
    detector = fastest_detector(model, DetectorSettings(), threads=2)
    served, wide = (
        open_memmap(out / f"{name}.npy", "w+", np.uint8, (len(examples), view.size, view.size, 3))
        for name, view in (("served", VIEW), ("wide", WIDE))
    )
    sights: list[Sight] = []
    row = 0
    for example in tqdm(examples, unit="photo", desc="crops", disable=None):
        try:
            pixels = read_photo(example.image.read_bytes(), PhotoSettings()).pixels
        except FileNotFoundError:
            sights.append(Sight(example, "there is no such file", missing=True))
            continue
        except OSError as error:
            sights.append(Sight(example, error.strerror or "cannot be read"))
            continue
        except PhotoError as error:
            sights.append(Sight(example, str(error)))
            continue
        faces = detector.detect(pixels)
        box = faces[0].box if faces else middle(pixels)
        served[row] = crop(pixels, box, VIEW)
        wide[row] = crop(pixels, box, WIDE)
        row += 1
        side = max(box.width, box.height) if faces else 0.0
        sights.append(Sight(example, "", len(faces), side, fingerprint=fingerprint(pixels)))
    served.flush()
    wide.flush()
    _write_index(out, (sight.example for sight in sights if not sight.problem))
    return sights


def _write_index(out: Path, examples: Iterable[Example]) -> None:
    rows = [{**asdict(example), "image": example.image.name} for example in examples]
    index = {"context": VIEW.context, "examples": rows}
    (out / "index.json").write_text(json.dumps(index), encoding="utf-8")
