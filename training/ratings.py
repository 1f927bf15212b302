"""Reads the rated photo sets: a folder with `ratings.csv` and `images/`."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Example:
    """One rated photo. `score` is its panel's mean on our scale from 1 to 10."""

    image: Path
    score: float
    group: str
    split: str
    """train or test, as published."""


def score_of_rating(rating: float, lowest: float, highest: float) -> float:
    """A rating on a panel's own scale as a score from 1 to 10."""
    return 1 + 9 * (rating - lowest) / (highest - lowest)


def read_scut(folder: Path) -> list[Example]:
    """SCUT-FBP5500's 60/40 protocol: ratings 1..5, groups AF, AM, CF, CM."""
    with (folder / "ratings.csv").open(encoding="utf-8", newline="") as file:
        return [
            Example(
                image=folder / "images" / row["image"],
                score=score_of_rating(float(row["rating_1_to_5"]), 1, 5),
                group=row["group"],
                split=row["split_60_40"],
            )
            for row in csv.DictReader(file)
        ]


def hold_out(examples: list[Example], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices to train and to validate on: `share` of the training part, alike in every group.

    The share is rounded to one in n, and at most a half. The test part is in neither.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"a share of {share} leaves nothing to train or to validate on")
    groups = defaultdict(list)
    for index, example in enumerate(examples):
        if example.split == "train":
            groups[example.group].append(index)
    rng = random.Random(seed)  # noqa: S311 - a reproducible split, not a secret
    train: list[int] = []
    validation: list[int] = []
    for _, indices in sorted(groups.items()):
        # Neighbours in score, one of them at random: both parts get the same spread of scores.
        indices.sort(key=lambda index: (examples[index].score, index))
        stride = round(1 / share)
        for start in range(0, len(indices), stride):
            chunk = indices[start : start + stride]
            chosen = rng.choice(chunk) if len(chunk) == stride else None
            validation += [index for index in chunk if index == chosen]
            train += [index for index in chunk if index != chosen]
    return sorted(train), sorted(validation)
