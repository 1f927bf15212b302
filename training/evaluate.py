"""Measures scorers as they serve: each set, its groups, calibration, spread, the worst misses.

    python -m training evaluate runs/models/mine-1 --crops runs/crops --out runs/evaluation

Figures are those of the served graph on the crops that the service would cut, on the test part of
each model's own protocol. A set that a model was not trained on is all test: that is cross-set.
The fold models of one recipe are reported one by one and together. A report.html holds the plots,
figures.json the figures. With `--card` the figures go into the card of a model of the same recipe,
such as the one that was then trained on everything.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.errors import ModelError
from pipeline.models import Model
from training.cards import write_card
from training.crop_set import CropSet
from training.evaluation_page import write_page
from training.figures import Measured, detailed_figures, pooled, rounded, set_figures
from training.measure import Task, rate, recipe_of, task_of
from training.ratings import SPLIT, WHOLE
from training.recipe import Recipe, parse_threads

FOLDS = "folds"


def fold_groups(tasks: Sequence[Task]) -> list[list[Task]]:
    """Fold models that differ in nothing but the fold together; every other one on its own."""
    groups = defaultdict(list)
    for number, task in enumerate(tasks):
        folded = task.recipe.protocol.startswith("fold-")
        groups[replace(task.recipe, protocol=FOLDS) if folded else number].append(task)
    return list(groups.values())


def protocol_of(group: Sequence[Task], crops: CropSet) -> str:
    """`folds` for models of every fold that there is. Raises ValueError for two of one fold."""
    protocols = sorted(task.recipe.protocol for task in group)
    if len(set(protocols)) < len(protocols):
        raise ValueError(f"two of the models have one recipe and one fold: {protocols}")
    folds = {f"fold-{example.fold}" for example in crops.examples if example.fold}
    return FOLDS if len(group) > 1 and folds == set(protocols) else ", ".join(protocols)


def name_of(group: Sequence[Task]) -> str:
    """The model's name, or what the names of fold models have in common."""
    names = [task.model.name for task in group]
    if len(names) == 1:
        return names[0]
    common = os.path.commonprefix(names)  # noqa: RUF071 - letters of names, not parts of paths
    return common.removesuffix("fold-").rstrip("-_.") or " + ".join(names)


def check_card(model: Model, groups: Sequence[Sequence[Task]], protocols: Sequence[str]) -> None:
    """Raise ValueError unless the figures of all these tasks belong into the model's card."""
    for task in (task for group in groups for task in group):
        if _kept(task.recipe) != _kept(recipe_of(model)):
            raise ValueError(f"{task.model.name} has another recipe than {model.name}")
    if len(set(protocols)) < len(protocols):
        raise ValueError("a card takes the figures of one model of a protocol, not of several")
    strange = [protocol for protocol in protocols if protocol not in (SPLIT, WHOLE, FOLDS)]
    if strange:
        raise ValueError(f"a card takes the figures of all folds or none, not of {strange[0]}")


def _kept(recipe: Recipe) -> Recipe:
    return replace(recipe, protocol=SPLIT, validation=0.0)


def measure(group: Sequence[Task], protocol: str, crops: CropSet, threads: int) -> Measured:
    """Rate with the models of a group; by set, those that were trained on first."""
    rated = [rate(task, crops, threads) for task in group]
    sets = {
        source: pooled([its[source] for its in rated if source in its])
        for source in {source for its in rated for source in its}
    }
    return Measured(
        name=name_of(group),
        protocol=protocol,
        models=tuple(task.model.name for task in group),
        sets=dict(sorted(sets.items(), key=lambda item: (not item[1].trained, item[0]))),
    )


def evaluate(options: argparse.Namespace) -> None:
    """Rate, write the report, and the card if one is named.

    Raises ValueError and ModelError for models that cannot be measured or a card that may not.
    """
    crops = CropSet.open(options.crops)
    tasks = [task_of(Model.open(folder), crops, options.part) for folder in options.models]
    groups = fold_groups(tasks)
    protocols = [protocol_of(group, crops) for group in groups]
    card = options.card and Model.open(options.card)
    if card:
        if options.part != "test":
            raise ValueError("a card takes the figures of the test part alone")
        check_card(card, groups, protocols)
    measured = [
        measure(group, protocol, crops, options.threads)
        for group, protocol in zip(groups, protocols, strict=True)
    ]
    write_report(measured, crops, options.part, options.out)
    if card:
        figures = {
            one.protocol: {source: set_figures(its) for source, its in one.sets.items()}
            for one in measured
        }
        kept = card.card.get("figures", {})
        write_card(card.folder, {**card.card, "figures": {**kept, **rounded(figures)}})


def write_report(measured: Sequence[Measured], crops: CropSet, part: str, out: Path) -> None:
    """Write report.html and figures.json, and print the gist."""
    names = [str(example.image) for example in crops.examples]
    figures = [
        {source: detailed_figures(its, names) for source, its in one.sets.items()}
        for one in measured
    ]
    out.mkdir(parents=True, exist_ok=True)
    told = [
        {"name": one.name, "protocol": one.protocol, "models": one.models, "sets": its}
        for one, its in zip(measured, figures, strict=True)
    ]
    text = json.dumps(rounded({"part": part, "measured": told}), indent=1, allow_nan=False)
    (out / "figures.json").write_text(text + "\n", encoding="utf-8")
    write_page(measured, figures, crops, part, out / "report.html")
    for one, its in zip(measured, figures, strict=True):
        for source, figure in its.items():
            words = ", ".join(f"{name} {value:.4f}" for name, value in figure["served"].items())
            about = f"{figure['examples']} photos{', cross-set' * figure['cross_set']}"
            print(f"{one.name} ({one.protocol}) on {source}, {about}: {words}")
    print(f"{out / 'report.html'} and figures.json are written")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("models", type=Path, nargs="+", metavar="model", help="a folder of models/")
    parser.add_argument("--crops", type=Path, required=True, help="what `dataset` wrote")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the report")
    parser.add_argument(
        "--part", choices=("test", "validation"), default="test",
        help="validation: what was held out of the training part, to compare recipes on",
    )  # fmt: skip
    parser.add_argument("--card", type=Path, help="a model's folder whose card takes the figures")
    parser.add_argument(
        "--threads", type=parse_threads, default=0, help="of the CPU; all its cores by default"
    )


def main(options: argparse.Namespace) -> None:
    """Evaluate what the command line says."""
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        evaluate(options)
    except (ModelError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
