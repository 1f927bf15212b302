"""Rates the crops of a model's own test or validation part, with the files that it serves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.torch import load
from tqdm import tqdm

from pipeline.errors import ModelError
from pipeline.models import Model, onnx_session
from pipeline.network import RatingNet
from pipeline.scorer import view_of
from pipeline.types import Pixels
from training.calibration import Floats
from training.crop_set import CropSet
from training.figures import Ratings
from training.ratings import hold_out, parts
from training.recipe import Recipe

BATCH = 16


@dataclass(frozen=True)
class Task:
    """A model, and the rows of the crop set that it is to rate."""

    model: Model
    recipe: Recipe
    rows: list[int]
    learnt: frozenset[str]
    """The crop set's sources that the model was trained on."""


def recipe_of(model: Model) -> Recipe:
    """How the model was trained. Raises ModelError for one that is no scorer of this workshop."""
    if "recipe" not in model.card:
        raise ModelError(f"the card of {model.name!r} has no recipe, so its test part is unknown")
    return Recipe.from_json(json.dumps(model.card["recipe"]))


def task_of(model: Model, crops: CropSet, part: str) -> Task:
    """Find the model's test or validation part. Raises ValueError where there is none."""
    recipe = recipe_of(model)
    learnt = _learnt(model, recipe, crops)
    if learnt:
        training, rows = parts(crops.examples, recipe.protocol, sorted(learnt))
    else:
        training, rows = [], list(range(len(crops.examples)))
    if part == "validation":
        _, rows = hold_out(crops.examples, training, recipe.validation, recipe.seed)
    if not rows:
        raise ValueError(f"{model.name}, of protocol {recipe.protocol!r}, has no {part} part")
    if view_of(model).context != crops.context:
        raise ValueError(
            f"{model.name} sees {view_of(model).context:g} times a face, these crops show"
            f" {crops.context:g} times"
        )
    return Task(model, recipe, rows, learnt)


def _learnt(model: Model, recipe: Recipe, crops: CropSet) -> frozenset[str]:
    sources = frozenset(example.source for example in crops.examples)
    # An early card tells no sets, and its recipe only those that were chosen among others.
    known = model.card.get("sets") or recipe.sets
    return sources.intersection(known) if known else sources


def rate(task: Task, crops: CropSet, threads: int) -> dict[str, Ratings]:
    """The task's ratings by set, on that many threads; 0: all cores."""
    predicted, spreads = rate_served(task.model, crops, task.rows, threads)
    examples = [crops.examples[row] for row in task.rows]
    sources = np.array([example.source for example in examples])
    ratings = Ratings(
        source="",
        scale=(1.0, 10.0),
        trained=True,
        predicted=predicted,
        rated=crops.scores[task.rows].astype(np.float64),
        photos=np.array(task.rows),
        groups=np.array([example.group for example in examples]),
        folds=np.array([task.recipe.protocol] * len(examples)),
        spreads=spreads,
        exact=rate_master(task.model, crops, task.rows),
    )
    scales = {example.source: (example.lowest, example.highest) for example in examples}
    return {
        source: replace(
            ratings.part(sources == source),
            source=source,
            scale=scale,
            trained=source in task.learnt,
        )
        for source, scale in sorted(scales.items())
    }


def rate_served(
    model: Model, crops: CropSet, rows: Sequence[int], threads: int
) -> tuple[Floats, Floats | None]:
    """Scores and spreads of those rows by the graph that serves.

    No spreads by an early model, whose graph has none. Raises ModelError for unfit files.
    """
    session = onnx_session(model.read(model.file("served")), threads)
    has_spreads = "spreads" in [output.name for output in session.get_outputs()]
    wanted = ["scores", "spreads"] if has_spreads else ["scores"]
    batches = _batches(crops, rows, model, model.name)
    rated = np.hstack([session.run(wanted, {"crops": batch}) for batch in batches])
    scores, *spreads = rated.astype(np.float64)
    return scores, spreads[0] if spreads else None


def rate_master(model: Model, crops: CropSet, rows: Sequence[int]) -> Floats | None:
    """Scores of the same rows by the float16 master, run in float32; None without a master."""
    if not model.card.get("master"):
        return None
    net = RatingNet(recipe_of(model).base).eval()
    net.load_master(load(model.read(model.file("master"))))
    with torch.inference_mode():
        batches = _batches(crops, rows, model, f"{model.name} in float32")
        scores = [net(torch.from_numpy(batch))[0].numpy() for batch in batches]
    return np.concatenate(scores).astype(np.float64)


def _batches(crops: CropSet, rows: Sequence[int], model: Model, what: str) -> Iterator[Pixels]:
    size = view_of(model).size
    for start in tqdm(range(0, len(rows), BATCH), desc=what, disable=None):
        yield crops.seen(rows[start : start + BATCH], size)
