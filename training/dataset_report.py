"""A dataset's report as values: what its page shows, and what `report.json` holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.types import Pixels
from training.balance import (
    Table,
    Want,
    collected,
    effective,
    evenness,
    overall,
    rare_cells,
    wanted,
)
from training.crops import Sight
from training.dataset_checks import SMALL, Findings, Pair, Repeat
from training.ratings import SPLIT, Example

SIDES = (10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905, 1280)
"""Edges of the bins of face sizes, in pixels, half an octave each."""


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page is made of; `crops`, RGB uint8 (n, side, side, 3), of `findings.cut`."""

    findings: Findings
    tables: list[Table]
    crops: Pixels

    @property
    def by_set(self) -> dict[str, list[Sight]]:
        """The sights of each set."""
        sets: dict[str, list[Sight]] = {}
        for sight in self.findings.sights:
            sets.setdefault(sight.example.source, []).append(sight)
        return sets


def figures(report: Report) -> dict[str, Any]:
    """The report's figures, all of them, as values of JSON."""
    findings = report.findings
    return {
        "balance": round(evenness(overall(report.tables)), 4),
        "sets": {
            source: _set_figures(sights, next(t for t in report.tables if t.source == source))
            for source, sights in report.by_set.items()
            if any(not sight.problem for sight in sights)
        },
        "rare": [asdict(cell) for table in report.tables for cell in rare_cells(table)],
        "collect": [asdict(want) for want in wanted(report.tables)],
        "problems": {
            kind: [_sight_figures(sight) for sight in its]
            for kind, its in problems(findings).items()
        },
        "leaks": leak_counts(findings),
        "listed_twice": [_repeat_figures(repeat) for repeat in findings.repeats],
        "doubles": [_pair_figures(pair) for pair in findings.pairs],
    }


PROBLEMS = {
    "missing": "missing",
    "unreadable": "unreadable",
    "faceless": "without a face found",
    "several": "with several faces",
    "small": f"with a face under {SMALL} pixels",
}
"""Attributes of Findings, in words."""


def problems(findings: Findings) -> dict[str, list[Sight]]:
    """Which photos have which of the PROBLEMS."""
    return {name: getattr(findings, name) for name in PROBLEMS}


def leak_counts(findings: Findings) -> dict[str, int]:
    """How many doubles and repeats leak under each protocol; without those under which none do."""
    counts = Counter(name for twice in findings.leaking for name in twice.leaks)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (name != SPLIT, name))}


def said(want: Want) -> str:
    """A want as a sentence."""
    return (
        f"{where(want.source, want.group)}, {want.low} to {want.high}: "
        f"{count_of(want.photos, 'photo')}; {want.missing:,} more would bring it to "
        f"{want.target} a point of score"
    )


def where(source: str, group: str) -> str:
    """A group, named with its set."""
    return f"{source} {group}" if group else source


def count_of(count: int, noun: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _set_figures(sights: Sequence[Sight], table: Table) -> dict[str, Any]:
    read = [sight.example for sight in sights if not sight.problem]
    folds = sorted({example.fold for example in read} - {0})
    scores = np.array([example.score for example in read])
    return {
        "listed": len(sights),
        "read": len(read),
        "faces": sum(sight.faces > 0 for sight in sights),
        "train": sum(example.split == "train" for example in read),
        "test": sum(example.split == "test" for example in read),
        "folds": {str(fold): sum(example.fold == fold for example in read) for fold in folds},
        "mean_score": round(float(scores.mean()), 4),
        "deviation": round(float(scores.std()), 4),
        "balance": round(evenness(table.cells), 4),
        "balance_if_collected": round(evenness(collected(table)), 4),
        "effective_cells": round(effective(table.cells), 2),
        "cells": int(table.cells.size),
        "balance_by_group": round(evenness(table.cells.sum(axis=1)), 4),
        "balance_by_score": round(evenness(table.cells.sum(axis=0)), 4),
        "range": [table.first + 1, table.last + 2],
        "counts": dict(zip(table.groups, table.counts.tolist(), strict=True)),
        "face_sides": side_counts([sight.side for sight in sights if sight.faces]),
    }


def side_counts(sides: Sequence[float]) -> dict[str, int]:
    """How many faces' boxes have a longer side, in pixels, from each of SIDES to the next."""
    counts, _ = np.histogram(np.clip(sides, SIDES[0], SIDES[-1]), SIDES)
    return {str(low): int(count) for low, count in zip(SIDES, counts, strict=False)}


def _sight_figures(sight: Sight) -> dict[str, Any]:
    its = {"set": sight.example.source, "image": sight.example.image.name}
    if sight.problem:
        return {**its, "why": sight.problem}
    return {**its, "faces": sight.faces, "side": round(sight.side, 1)}


def _repeat_figures(repeat: Repeat) -> dict[str, Any]:
    return {"photos": [*map(_example_figures, repeat.examples)], "leaks": list(repeat.leaks)}


def _pair_figures(pair: Pair) -> dict[str, Any]:
    return {
        "photos": [_example_figures(pair.one), _example_figures(pair.other)],
        "likeness": round(pair.double.likeness, 4),
        "mirrored": pair.double.mirrored,
        "leaks": list(pair.leaks),
    }


def _example_figures(example: Example) -> dict[str, Any]:
    return {
        "set": example.source,
        "image": example.image.name,
        "score": round(example.score, 4),
        "split": example.split,
        "fold": example.fold,
    }
