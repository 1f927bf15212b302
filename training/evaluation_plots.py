"""The plots of an evaluation: scores from 1 to 10 on both axes, alike for every set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.calibration import reliability, spread_bins
from training.figures import Ratings

POINTS, MEANS, IDEAL = "#6ba3d0", "#0b3d6b", "#8c959f"
COLUMNS = 4


def set_plot(ratings: Ratings) -> Figure:
    """Every photo, and beside it the means of the deciles."""
    figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
    photos, means = figure.subplots(1, 2)
    _score_axes(photos)
    _photos(photos, ratings)
    photos.set_title("photos")
    photos.set_ylabel("rated")
    _score_axes(means)
    _means(means, ratings)
    means.set_title("means by decile of predicted")
    figure.supxlabel("predicted", fontsize="medium")
    return figure


def group_plot(groups: Mapping[str, Ratings]) -> Figure:
    """The photos and the deciles of each group, small."""
    rows = -(-len(groups) // COLUMNS)
    columns = min(COLUMNS, len(groups))
    figure = Figure(figsize=(2.5 * columns, 2.65 * rows), dpi=150, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (name, its) in zip(grid.flat, groups.items(), strict=False):
        _score_axes(axes)
        _photos(axes, its)
        _means(axes, its)
        axes.set_title(f"{name} ({len(np.unique(its.photos))})", fontsize="small")
        axes.tick_params(labelsize="x-small")
    for number in range(len(groups), grid.size):
        grid.flat[number].remove()
        grid.flat[number - columns].tick_params(labelbottom=True)
    figure.supxlabel("predicted", fontsize="small")
    figure.supylabel("rated", fontsize="small")
    return figure


def spread_plot(ratings: Ratings) -> Figure:
    """Errors by quintile of spread, and errors in spreads against the normal distribution."""
    if ratings.spreads is None:
        raise ValueError(f"the ratings of {ratings.source} have no spreads")
    figure = Figure(figsize=(10, 4.5), dpi=150, layout="constrained")
    sizes, shape = figure.subplots(1, 2)
    bins = spread_bins(ratings.errors, ratings.spreads)
    spreads, errors = [its.spread for its in bins], [its.error for its in bins]
    end = 1.15 * max(*spreads, *errors)
    sizes.plot([0, end], [0, end], color=IDEAL, linewidth=1)
    sizes.plot(spreads, errors, "o-", color=MEANS, markersize=5)
    sizes.set(xlim=(0, end), ylim=(0, end), aspect="equal", title="errors by quintile of spread")
    sizes.set(xlabel="spread, points", ylabel="root mean square error, points")
    edges = np.linspace(-4, 4, 33)
    distances = np.clip(ratings.errors / ratings.spreads, -4, 4)
    shape.hist(distances, bins=edges.tolist(), density=True, color=POINTS)
    at = np.linspace(-4, 4, 200)
    shape.plot(at, np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi), color=IDEAL, label="normal")
    shape.set(xlabel="error, spreads (beyond 4: at the edge)", title="errors in spreads")
    shape.set(ylabel="density", xlim=(-4, 4))
    shape.legend(frameon=False)
    return figure


def _score_axes(axes: Axes) -> None:
    axes.plot([1, 10], [1, 10], color=IDEAL, linewidth=1, zorder=0)
    axes.set(xlim=(1, 10), ylim=(1, 10), aspect="equal")
    axes.set_xticks(range(1, 11))
    axes.set_yticks(range(1, 11))


def _photos(axes: Axes, ratings: Ratings) -> None:
    # A picture within the SVG: thousands of circles would make a page of many megabytes.
    axes.scatter(
        ratings.predicted, ratings.rated, s=7, color=POINTS, alpha=0.5, linewidths=0,
        rasterized=True,
    )  # fmt: skip


def _means(axes: Axes, ratings: Ratings) -> None:
    bins = reliability(ratings.predicted, ratings.rated)
    axes.errorbar(
        [its.predicted for its in bins], [its.rated for its in bins],
        # Two standard errors are about a 95 % interval of the mean.
        yerr=[2 * its.standard_error for its in bins],
        fmt="o-", color=MEANS, markersize=4, linewidth=1, capsize=2,
    )  # fmt: skip
