"""What the tests of training share: crops of two sets, weights to start from, tiny runs."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

import training.export
import training.train
from pipeline.types import Pixels
from training.crop_set import CropSet
from training.ratings import Example
from training.views import VIEW, WIDE

STUDIO, STREET = "studio", "street"
"""The sets of `crop_folder`: one with folds and a scale from 1 to 5, one without and to 10."""

Train = Callable[..., Path]


def call(command: Any, *arguments: str | Path) -> None:
    """Run a command of the workshop, a module, with a command line."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.main(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture(scope="package")
def one_thread() -> Iterator[None]:
    """Threads that wait for one another crawl on a machine that has more to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def scratch() -> Iterator[Path]:
    """A folder that goes with the tests: pytest keeps its own, and checkpoints are large."""
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        yield Path(folder)


@pytest.fixture(scope="package")
def crop_folder(scratch: Path, astronaut: Pixels) -> Path:
    """Crops of 40 and 20 photos, the astronaut's in a light that tells the rating."""
    rng = np.random.default_rng(1)
    examples, lights = [], []
    for source, count, highest in ((STUDIO, 40, 5.0), (STREET, 20, 10.0)):
        for number in range(count):
            light = rng.uniform(0.3, 1.1)
            lights.append(light)
            examples.append(
                Example(
                    Path(f"{source}-{number}.jpg"),
                    float(1 + 8 * light),
                    "AF" if number % 2 else "CM",
                    "test" if number % 5 == 0 else "train",
                    1 + number % 5 if source == STUDIO else 0,
                    source,
                    1.0,
                    highest,
                )
            )
    folder = scratch / "crops"
    folder.mkdir()
    for name, side in (("served", VIEW.size), ("wide", WIDE.size)):
        face = cv2.resize(astronaut[20:220, 120:320], (side, side)).astype(np.float32)
        noise = rng.normal(0, 4, (len(lights), 1, 1, 3))
        pictures = [(face * light + n).clip(0, 255) for light, n in zip(lights, noise, strict=True)]
        np.save(folder / f"{name}.npy", np.stack(pictures).astype(np.uint8))
    rows = [{**asdict(example), "image": example.image.name} for example in examples]
    index = {"context": VIEW.context, "examples": rows}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


@pytest.fixture(scope="package")
def crops(crop_folder: Path) -> CropSet:
    return CropSet.open(crop_folder)


@pytest.fixture(scope="package")
def init(scratch: Path) -> Callable[[str], Path]:
    """Random weights of a network without its head."""

    def write(base: str) -> Path:
        path = scratch / f"{base}.safetensors"
        if not path.exists():
            torch.manual_seed(2)
            state = get_model(base).state_dict()
            save_file({k: v for k, v in state.items() if not k.startswith("fc.")}, path)
        return path

    return write


@pytest.fixture(scope="package")
def train(scratch: Path, crop_folder: Path, init: Callable[[str], Path], one_thread: None) -> Train:
    """Train by the command line in a folder of that name; gives the folder."""

    def run(name: str, *options: str, base: str = "resnet18", crops: Path = crop_folder) -> Path:
        out = scratch / name
        small = ["--sizes", "32:2", "--batch", "8", "--validation", "0.25", "--ema", "0.5"]
        start = ["--base", base, "--init", str(init(base)), "--device", "cpu"]
        call(training.train, crops, "--out", out, *start, *small, *options)
        return out

    return run


@pytest.fixture(scope="package")
def tiny_run(train: Train) -> Path:
    """What a run of two epochs left behind."""
    return train("tiny-run")


@pytest.fixture(scope="package")
def tiny_model(tiny_run: Path, crop_folder: Path, scratch: Path) -> Path:
    """The tiny run in all forms, in a folder below one that was not there."""
    out, facts = scratch / "models" / "tiny-1", scratch / "facts.json"
    facts.write_text(json.dumps({"title": "A tiny scorer"}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.quantize.CALIBRATION", 16)
        call(training.export, tiny_run, "--crops", crop_folder, "--out", out, "--facts", facts)
    return out
