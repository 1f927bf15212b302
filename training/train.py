"""Trains a scorer on a folder of crops; goes on where it was interrupted.

    python -m training train runs/both --init ../shared/data/init/resnet34.safetensors \\
        --out runs/resnet34-2

Curves: `tensorboard --logdir runs`. What is kept is the averaged weights after the last epoch: no
epoch is chosen by its figures. The validation part, cut from the training part, draws the curves
and measures the spread; the test part is not looked at.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.crop_set import CropSet, batches
from training.metrics import metrics
from training.ratings import hold_out, parts
from training.recipe import Recipe, as_text, parse_sets, parse_sizes, parse_threads
from training.run import TORCHVISION, Run, named, rate

ENOUGH = 30
"""Photos held out from which a spread is within about an eighth of what more would tell."""


class Bar:
    """A progress bar over the whole run; a batch counts by its pixels, so that the time is true."""

    def __init__(self, recipe: Recipe, steps: int, done: int) -> None:
        units = [steps * side**2 for side in recipe.epochs]
        self._bar = tqdm(
            total=sum(units),
            initial=sum(units[:done]),
            disable=None,
            bar_format="{l_bar}{bar}| {elapsed} gone, {remaining} left{postfix}",
        )

    def step(self, side: int, loss: float) -> None:
        """Move on by a batch."""
        self._bar.set_postfix(loss=f"{loss:.4f}", side=side, refresh=False)
        self._bar.update(side**2)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        tqdm.write(line)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def train(crops: CropSet, recipe: Recipe, init: Path, out: Path, device: torch.device) -> None:
    """Train by the recipe; leaves `weights.safetensors`, `checkpoint.pt` and curves in `out`.

    Raises ValueError for a protocol that the crops do not have, or that leaves nothing to train on.
    """
    part, _ = parts(crops.examples, recipe.protocol, recipe.sets)
    training, validation = hold_out(crops.examples, part, recipe.validation, recipe.seed)
    if not training:
        raise ValueError(f"under the protocol {recipe.protocol!r} there is nothing to train on")
    steps = math.ceil(len(training) / recipe.batch)
    run = Run(recipe, steps * len(recipe.epochs), init, device)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, digest = out / "checkpoint.pt", crops.digest
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if Recipe.from_json(saved["recipe"]) != recipe:
            raise SystemExit(f"{checkpoint} is of another recipe; choose another --out")
        # One that does not say is of an earlier version.
        if saved.get("crops", digest) != digest:
            raise SystemExit(f"{checkpoint} is of other crops; choose another --out")
        run.restore(saved["run"])
        print(f"goes on after epoch {run.epoch}")
    bar = Bar(recipe, steps, run.epoch)
    with SummaryWriter(str(out)) as curves:
        for epoch in range(run.epoch, len(recipe.epochs)):
            side = recipe.epochs[epoch]
            loss = run.train_epoch(batches(crops, training, recipe, epoch, side), bar)
            figures = validate(run, crops, validation, side)
            curves.add_scalar("loss", loss, run.epoch)
            curves.add_scalar("learning rate", run.schedule.get_last_lr()[0], run.epoch)
            for source, its in figures.items():
                for name, figure in its.items():
                    curves.add_scalar(f"validation {source}/{name}", figure, run.epoch)
            curves.flush()
            bar.say(f"epoch {run.epoch} of {len(recipe.epochs)}, {side} px: loss {loss:.4f}")
            for source, its in figures.items():
                bar.say(f"  {source}: {its}")
            partial = checkpoint.with_suffix(".part")
            state = {"run": run.state(), "recipe": recipe.to_json(), "crops": digest}
            torch.save(state, partial)
            partial.replace(checkpoint)
    bar.close()
    gain = spread_gain(run, crops, validation)
    keep(run.average.module, out, recipe, init, gain)
    print(f"{out / 'weights.safetensors'} is written")
    if recipe.loss == "distribution":
        print(f"its spread is multiplied by {gain:.3f}, as measured on {len(validation)} photos")
        if 0 < len(validation) < ENOUGH:
            print(f"fewer than {ENOUGH} tell little: a larger --validation holds out more of them")


def validate(
    run: Run, crops: CropSet, validation: list[int], side: int
) -> Mapping[str, dict[str, float]]:
    """The averaged weights' figures on the validation part, by set, in points."""
    if not validation:
        return {}
    scores, _ = rate(run.average.module, crops.seen(validation, side), run.device)
    sources = np.array([crops.examples[index].source for index in validation])
    rated = crops.scores[validation]
    return {
        str(source): metrics(scores[sources == source], rated[sources == source])
        for source in np.unique(sources)
    }


def spread_gain(run: Run, crops: CropSet, validation: list[int]) -> float:
    """What the spreads are multiplied with, to fit the errors on photos that were held out.

    The most likely one for normal errors: it makes the mean of (error / spread)² one.
    """
    if not validation or run.recipe.loss != "distribution":
        return 1.0
    side = run.recipe.size
    scores, spreads = rate(run.average.module, crops.seen(validation, side), run.device)
    return float(np.sqrt(np.mean(((scores - crops.scores[validation]) / spreads) ** 2)))


def keep(net: torch.nn.Module, out: Path, recipe: Recipe, init: Path, gain: float) -> None:
    """Write the weights, with what led to them."""
    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    told = {"recipe": recipe.to_json(), "init": named(init), "spread_gain": json.dumps(gain)}
    save_file(weights, out / "weights.safetensors", told)


def device_of(name: str) -> torch.device:
    """The device of that name. Raises ValueError for one that is not there."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # whichever way this torch was built
        raise ValueError(f"no device {name!r} can be used: {error}".split("\n")[0]) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("crops", type=Path, help="what `dataset` wrote")
    parser.add_argument(
        "--init", type=Path, required=True,
        help=f"weights to start from, as safetensors: a backbone's, or a model's master; or"
        f" {TORCHVISION}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="checkpoint, curves, weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--threads", type=parse_threads, help="of the CPU; all its cores by default"
    )
    for field in fields(Recipe):
        default = as_text(field.default)
        kind: Any = {"sizes": parse_sizes, "sets": parse_sets}.get(field.name, type(field.default))
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            default=field.default,
            choices=field.metadata["among"] or None,
            help=field.metadata["why"] + (f" ({default})" if default else ""),
        )


def main(options: argparse.Namespace) -> None:
    """Train what the command line says."""
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        recipe = replace(Recipe(), **{f.name: getattr(options, f.name) for f in fields(Recipe)})
        crops = CropSet.open(options.crops)
        train(crops, recipe, options.init, options.out, device_of(options.device))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
