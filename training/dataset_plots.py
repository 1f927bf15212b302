"""The plots of a dataset's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.balance import BINS, Table
from training.dataset_checks import SMALL
from training.dataset_report import SIDES
from training.ratings import Example
from training.views import VIEW

TRAIN, TEST, MARK = "#8ab4d8", "#0b4f8a", "#8c959f"


def score_plot(by_set: Mapping[str, Sequence[Example]]) -> Figure:
    """Histograms of the scores, in half points, one set below the other."""
    figure, several = _below(len(by_set), 2.2)
    for axes, (source, examples) in zip(several, by_set.items(), strict=True):
        scores = [[e.score for e in examples if e.split == split] for split in ("train", "test")]
        axes.hist(
            scores, bins=np.arange(1, 10.25, 0.5).tolist(), stacked=True, color=[TRAIN, TEST],
            label=["train", "test"],
        )  # fmt: skip
        axes.set(title=source, ylabel="photos", xlim=(1, 10))
        axes.legend(frameon=False)
    several[-1].set(xlabel="score, points from 1 to 10")
    return figure


def cell_plot(table: Table) -> Figure:
    """Photos by group and bin, darker for more; lines bound the panel's range."""
    figure = Figure(figsize=(10, 1.2 + 0.42 * len(table.groups)), dpi=150, layout="constrained")
    axes = figure.subplots()
    shade = np.sqrt(table.counts)
    axes.imshow(shade, cmap="Blues", aspect="auto", vmin=0, vmax=max(float(shade.max()), 1.0))
    for (row, column), count in np.ndenumerate(table.counts):
        dark = shade[row, column] > 0.6 * shade.max()
        axes.text(
            column, row, str(count), ha="center", va="center", color="white" if dark else "black"
        )
    for edge in (table.first - 0.5, table.last + 0.5):
        axes.axvline(edge, color=TEST, linestyle="--", linewidth=1.5)
    axes.set_xticks(range(BINS), [f"{low} to {low + 1}" for low in range(1, BINS + 1)])
    axes.set_yticks(range(len(table.groups)), [group or "all" for group in table.groups])
    axes.set(title=table.source, xlabel="score", xlim=(-0.55, BINS - 0.45))
    return figure


def size_plot(by_set: Mapping[str, Sequence[float]]) -> Figure:
    """Histograms of the longer sides of the faces' boxes, in pixels, one set below the other."""
    figure, several = _below(len(by_set), 2.0)
    for axes, (source, sides) in zip(several, by_set.items(), strict=True):
        axes.hist(np.clip(sides, SIDES[0], SIDES[-1]), bins=SIDES, color=TRAIN)
        for side in (SMALL, VIEW.size / VIEW.context):
            axes.axvline(side, color=MARK, linestyle="--", linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(SIDES[::2], [str(size) for size in SIDES[::2]])
        axes.minorticks_off()
        axes.set(title=source, ylabel="photos", xlim=(SIDES[0], SIDES[-1]))
    several[-1].set(xlabel="longer side of the face's box, pixels")
    return figure


def _below(rows: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, 0.6 + height * rows), dpi=150, layout="constrained")
    several = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    for axes in several:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    return figure, several
