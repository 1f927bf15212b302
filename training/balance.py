"""How evenly a set's ratings lie over its groups and the scale, and what would even them out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from training.ratings import Example

Counts = npt.NDArray[np.int64]

BINS = 9
"""From 1 to 2, from 2 to 3, …, from 9 to 10, which holds 10 too."""
RANGE = (1, 99)
"""Percentiles of a set's scores; bins beyond them are what its panel hardly ever gives."""
FEWEST = 10
"""Photos that a cell should have at least, however few the set has."""
EXPECTED = 5.0
"""Below this many expected photos a lack says nothing (Cochran, Biometrics 1954)."""


@dataclass(frozen=True, eq=False)
class Table:
    """A set's photos, counted by group and bin."""

    source: str
    groups: tuple[str, ...]
    """In alphabetical order; "" for photos without one."""
    counts: Counts
    """(groups, BINS)."""
    first: int
    """The first and the last bin, from 0, of the panel's range."""
    last: int

    @property
    def cells(self) -> Counts:
        """The counts in the panel's range, (groups, its bins)."""
        return self.counts[:, self.first : self.last + 1]

    @property
    def target(self) -> int:
        """How many photos each cell should have: as many as the median cell, but FEWEST at least.

        In the panel's range.
        """
        return max(math.ceil(float(np.median(self.cells))), FEWEST)


@dataclass(frozen=True)
class Rare:
    """A cell with fewer photos than its group and its bin let expect."""

    source: str
    group: str
    low: int
    """The bin is from this score to the next."""
    photos: int
    expected: float


@dataclass(frozen=True)
class Want:
    """Neighbouring cells of a group that lack photos."""

    source: str
    group: str
    low: int
    high: int
    """Scores from `low` to `high`."""
    photos: int
    """That are there."""
    missing: int
    """To bring each cell to the table's target."""
    target: int


def bin_of(score: float) -> int:
    """The bin, from 0, of a score from 1 to 10."""
    return min(max(int(score) - 1, 0), BINS - 1)


def tables(examples: Sequence[Example]) -> list[Table]:
    """One for each set, in the order in which they come."""
    sources = dict.fromkeys(example.source for example in examples)
    return [_table([e for e in examples if e.source == source]) for source in sources]


def _table(examples: Sequence[Example]) -> Table:
    groups = tuple(sorted({example.group for example in examples}))
    counts = np.zeros((len(groups), BINS), np.int64)
    for (group, bin_), count in Counter((e.group, bin_of(e.score)) for e in examples).items():
        counts[groups.index(group), bin_] = count
    ends = np.percentile([example.score for example in examples], RANGE, method="nearest")
    first, last = (bin_of(float(end)) for end in ends)
    return Table(examples[0].source, groups, counts, first, last)


def entropy(counts: npt.NDArray[Any]) -> float:
    """Shannon's, in nats, of the shares that counts of any shape make; 0 for none."""
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum()) + 0.0


def evenness(counts: npt.NDArray[Any]) -> float:
    """Pielou's evenness (J. Theor. Biol. 1966): entropy over its maximum, from 0 to 1.

    1 if all counts are the same, 0 if all but one are 0; 1 for a single count.
    """
    return entropy(counts) / math.log(counts.size) if counts.size > 1 else 1.0


def effective(counts: npt.NDArray[Any]) -> float:
    """How many equal counts would be as even: Hill's number of order 1 (Ecology 1973)."""
    return math.exp(entropy(counts))


def overall(several: Sequence[Table]) -> Counts:
    """The cells of all tables, (cells,)."""
    return np.concatenate([table.cells.ravel() for table in several])


def rare_cells(table: Table) -> list[Rare]:
    """Cells with under half of what they would have if scores were alike in all groups.

    In the panel's range; the most conspicuous (Pearson residual) first.
    """
    cells = table.cells
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / max(cells.sum(), 1)
    chosen = np.argwhere((expected >= EXPECTED) & (cells < expected / 2)).tolist()
    chosen.sort(key=lambda at: (cells[*at] - expected[*at]) / math.sqrt(expected[*at]))
    return [
        Rare(
            table.source,
            table.groups[row],
            table.first + column + 1,
            int(cells[row, column]),
            float(expected[row, column]),
        )
        for row, column in chosen
    ]


def wanted(several: Sequence[Table]) -> list[Want]:
    """What to collect: cells with under half of their table's target, neighbours together.

    Where most is missing, in units of the target, comes first, whatever the sizes of the sets.
    """
    wants = [
        want for table in several for row in range(len(table.groups)) for want in _of(table, row)
    ]
    return sorted(wants, key=lambda want: (-want.missing / want.target, want.photos))


def _of(table: Table, row: int) -> list[Want]:
    wants = []
    columns = range(table.first, table.last + 1)
    for lacking, run in groupby(columns, lambda c: table.counts[row, c] < table.target / 2):
        if lacking:
            bins = list(run)
            photos = int(table.counts[row, bins].sum())
            missing = table.target * len(bins) - photos
            ends = bins[0] + 1, bins[-1] + 2
            wants.append(
                Want(table.source, table.groups[row], *ends, photos, missing, table.target)
            )
    return wants


def collected(table: Table) -> Counts:
    """The cells in the panel's range when all that `wanted` asks for is there."""
    return np.where(table.cells < table.target / 2, table.target, table.cells)
