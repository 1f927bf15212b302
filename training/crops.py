"""Cuts the faces of a rated photo set with the pipeline that serves, once, for all that follows.

    python -m training.crops ../shared/data/scut-fbp5500 --out runs/scut

writes `served.npy`, the crops just as the service cuts them, `wide.npy`, with more around them
for the augmentation to move in, and `index.json`. A photo without a face found is cut around its
middle and counted: a protocol may not lose its hard cases.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from pipeline import crops
from pipeline.detector import OnnxDetector
from pipeline.models import Model
from pipeline.photo import read_photo
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Box, Pixels
from training.ratings import read_scut

WIDE_SIZE = 288
WIDE_CONTEXT = crops.CONTEXT * WIDE_SIZE / crops.SIZE


def middle(pixels: Pixels) -> Box:
    """Where a portrait's face is, when no detector says so."""
    height, width = pixels.shape[:2]
    side = min(height, width) / crops.CONTEXT
    return Box((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)


def main() -> None:
    """Cut every photo of a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with ratings.csv and images/")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    examples = read_scut(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    detector = OnnxDetector(Model.open(ROOT / "models" / "mtcnn"), DetectorSettings(), threads=2)
    arrays = {
        name: open_memmap(
            arguments.out / f"{name}.npy", "w+", np.uint8, (len(examples), size, size, 3)
        )
        for name, size in (("served", crops.SIZE), ("wide", WIDE_SIZE))
    }
    faceless = 0
    for row, example in enumerate(tqdm(examples, unit="photo", desc="crops", disable=None)):
        pixels = read_photo(example.image.read_bytes(), PhotoSettings()).pixels
        faces = detector.detect(pixels)
        faceless += not faces
        box = faces[0].box if faces else middle(pixels)
        arrays["served"][row] = crops.crop(pixels, box)
        arrays["wide"][row] = crops.crop(pixels, box, WIDE_CONTEXT, WIDE_SIZE)
    for array in arrays.values():
        array.flush()
    index = [{**asdict(example), "image": example.image.name} for example in examples]
    (arguments.out / "index.json").write_text(json.dumps(index), encoding="utf-8")
    print(f"{len(examples)} photos, {faceless} without a face found (cut around the middle)")


if __name__ == "__main__":
    main()
