"""Writes a trained network as a model: graphs that serve, its master, and a card.

    python -m training export runs/resnet34-2 --crops runs/both --out models/resnet34-2 --lean

`int8.onnx` serves on CPUs, `fp32.onnx` is the same graph unquantised, `program.pt2` is a
torch.export program for engines that take one, `master.safetensors` holds the weights in float16.
Each is checked against PyTorch on real crops, and nothing is written unless all of them pass.
`--lean` keeps what the service needs: the int8 graph and the master.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from pipeline.crops import View
from pipeline.network import RatingNet, SpreadLaw
from pipeline.types import Pixels
from training.cards import own_words, read_facts, write_card
from training.crop_set import CropSet
from training.forms import Folded, ScoresAlone, rater_of, save_fp32, save_master, save_program
from training.quantize import FITTED, quantize
from training.ratings import hold_out, parts
from training.recipe import Recipe

CHECKED = 256
"""Crops, at most, that each form is checked on."""
TOLERANCE = {"fp32.onnx": 0.002, "program.pt2": 0.002, "int8.onnx": 0.4}
"""How far, in points, scores may lie from PyTorch's on any crop of the check."""
LEAN = ("int8.onnx", "master.safetensors")


def check(path: Path, crops: Pixels, expected: Pixels) -> None:
    """Print how far the scores of a form are from PyTorch's; stop if that is too far."""
    rater = rater_of(path)
    batches = np.array_split(crops, -(-len(crops) // 16))
    drift = np.abs(np.concatenate([rater(batch) for batch in batches]) - expected)
    print(f"{path.name}: mean drift {drift.mean():.4f}, largest {drift.max():.4f} of a point")
    if not drift.max() <= TOLERANCE[path.name]:  # so that no number is too far, too
        raise SystemExit(f"{path.name} strays by more than {TOLERANCE[path.name]}")


def rate_all(net: RatingNet, crops: Pixels) -> Any:
    """PyTorch's scores of crops (n, size, size, 3), float32 (n,)."""
    with torch.inference_mode():
        batches = np.array_split(crops, -(-len(crops) // 16))
        return np.concatenate([net(torch.from_numpy(batch))[0].numpy() for batch in batches])


def load_run(folder: Path, gain: float | None = None) -> tuple[RatingNet, Recipe, dict[str, str]]:
    """The network that a run left behind, its recipe, and what else it tells.

    `gain` outranks the run's own factor of the spread.
    """
    weights = folder / "weights.safetensors"
    with safe_open(weights, "pt") as file:
        told: dict[str, str] = file.metadata()
    recipe = Recipe.from_json(told["recipe"])
    law = SpreadLaw(recipe.label_spread, gain or json.loads(told["spread_gain"]))
    net = RatingNet(recipe.base, law).eval()
    net.load_state_dict(load_file(weights))
    return net, recipe, told


def export(net: RatingNet, recipe: Recipe, crops: CropSet, out: Path) -> None:
    """Write every form of the network to `out`, each checked. Raises SystemExit for one astray."""
    save_master(net, out / "master.safetensors")
    # What is served is the float16 master, so that both engines run the same weights.
    net.load_master(load_file(out / "master.safetensors"))
    folded = Folded(net)
    served = folded if recipe.loss == "distribution" else ScoresAlone(folded)
    training, shown = (
        crops.seen(rows, recipe.size) for rows in calibration_and_check(crops, recipe)
    )
    expected = rate_all(net, shown)
    save_fp32(served, out / "fp32.onnx", recipe.size)
    check(out / "fp32.onnx", shown, expected)
    save_program(served, out / "program.pt2", recipe.size)
    check(out / "program.pt2", shown, expected)
    quantize(out / "fp32.onnx", out / "int8.onnx", training)
    check(out / "int8.onnx", shown, expected)


def calibration_and_check(crops: CropSet, recipe: Recipe) -> tuple[list[int], list[int]]:
    """Crops of the training part for the quantiser, and others to check on."""
    part, _ = parts(crops.examples, recipe.protocol, recipe.sets)
    training, validation = hold_out(crops.examples, part, recipe.validation, recipe.seed)
    # In no order: the quantiser takes the first ones, which are to be of every set and group.
    drawn = [int(i) for i in np.random.default_rng(recipe.seed).permutation(training)]
    # Without a validation part, crops that at least the quantiser has not seen.
    others = validation or drawn[len(drawn) // 2 :]
    return drawn[: len(drawn) // 2][:FITTED], others[:: -(-len(others) // CHECKED)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("run", type=Path, help="what `train` wrote")
    parser.add_argument("--crops", type=Path, required=True, help="what `dataset` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument(
        "--facts", type=Path, help="JSON with the card's words: title, licence, limits, …"
    )
    parser.add_argument(
        "--spread-of", type=Path, metavar="RUN",
        help="a run of the same recipe whose held-out part measured the spread",
    )  # fmt: skip
    parser.add_argument("--lean", action="store_true", help=f"only {' and '.join(LEAN)}")


def main(options: argparse.Namespace) -> None:
    """Export, check, and write the card."""
    out: Path = options.out
    try:
        gain = load_run(options.spread_of)[0].spread.gain if options.spread_of else None
        net, recipe, told = load_run(options.run, gain)
        crops = CropSet.open(options.crops)
        rows, _ = parts(crops.examples, recipe.protocol, recipe.sets)
        facts = read_facts(options.facts) if options.facts else {}
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        export(net, recipe, crops, Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(Path(folder).iterdir()):
            if not options.lean or file.name in LEAN:
                shutil.copyfile(file, out / file.name)
            else:
                # One of an earlier export would be of other weights.
                (out / file.name).unlink(missing_ok=True)
    learnt = [crops.examples[row] for row in rows]
    law = {"spread": asdict(net.spread)} if recipe.loss == "distribution" else {}
    write_card(
        out,
        {
            "kind": "scorer",
            "init": told["init"],
            **own_words(recipe.base, learnt),
            **facts,
            "served": "int8.onnx",
            "master": "master.safetensors",
            "view": asdict(View(crops.context, recipe.size)),
            "recipe": json.loads(recipe.to_json()),
            "sets": sorted({example.source for example in learnt}),
            **law,
        },
    )
