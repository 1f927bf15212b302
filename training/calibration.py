"""Whether ratings are where predictions say, and whether errors are as large as spreads say.

Scores, errors and spreads are (n,), n > 0, in points of the scale from 1 to 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NORMAL = {1: math.erf(1 / math.sqrt(2)), 2: math.erf(2 / math.sqrt(2))}
"""The share of a normal distribution that lies within one and two standard deviations."""
DECILES, QUINTILES = 10, 5
LEAST = 5
"""Ratings that a bin needs for a mean: a small group gets fewer bins than ten."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Ratings that are neighbours in what was predicted; means in points."""

    count: int
    predicted: float
    rated: float
    standard_error: float
    """Of the mean rating; not a number for a single rating."""


@dataclass(frozen=True)
class SpreadBin:
    """Ratings that are neighbours in spread; root mean squares in points."""

    count: int
    spread: float
    error: float


def reliability(predicted: Floats, rated: Floats, bins: int = DECILES) -> list[ReliabilityBin]:
    """What was rated where so much was predicted: equally many ratings a bin, lowest first.

    The reliability diagram of Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
    for a mean in place of a share. Deciles, or fewer bins so that each has `LEAST` ratings.
    """
    return [
        ReliabilityBin(
            count=len(chosen),
            predicted=float(predicted[chosen].mean()),
            rated=float(rated[chosen].mean()),
            standard_error=_standard_error(rated[chosen]),
        )
        for chosen in _binned(predicted, bins)
    ]


def calibration(predicted: Floats, rated: Floats) -> dict[str, float]:
    """How the level of predictions fits that of ratings, in points.

    `slope` and `intercept` of the regression of rated on predicted, ideally 1 and 0: with a slope
    below 1 the extremes are predicted too far out. `mean_error` is above 0 if predictions are too
    high. `expected_error` is the mean distance between predicted and rated over the deciles, the
    ECE of Guo et al.; chance alone makes it larger than 0.
    """
    centred = predicted - predicted.mean()
    variance = float((centred**2).mean())
    slope = float((centred * rated).mean()) / variance if variance else math.nan
    bins = reliability(predicted, rated)
    distances = [abs(its.predicted - its.rated) for its in bins]
    return {
        "slope": slope,
        "intercept": float(rated.mean() - slope * predicted.mean()),
        "mean_error": float((predicted - rated).mean()),
        "expected_error": float(np.average(distances, weights=[its.count for its in bins])),
    }


def coverage(errors: Floats, spreads: Floats) -> dict[str, float]:
    """The mean spread in points, and the shares of ratings within one and two spreads, 0 to 1.

    Errors that are normal with the spreads for standard deviations give `NORMAL`.
    """
    distances = np.abs(errors) / spreads
    return {
        "mean": float(spreads.mean()),
        **{f"coverage_{count}": float((distances <= count).mean()) for count in NORMAL},
    }


def spread_bins(errors: Floats, spreads: Floats, bins: int = QUINTILES) -> list[SpreadBin]:
    """Whether a larger spread means larger errors: by quintile of spread, smallest first.

    The reliability diagram for spreads of Levi et al., "Evaluating and Calibrating Uncertainty
    Prediction in Regression Tasks", Sensors 2022.
    """
    return [
        SpreadBin(
            count=len(chosen),
            spread=float(np.sqrt((spreads[chosen] ** 2).mean())),
            error=float(np.sqrt((errors[chosen] ** 2).mean())),
        )
        for chosen in _binned(spreads, bins)
    ]


def _binned(values: Floats, bins: int) -> list[npt.NDArray[np.int64]]:
    bins = max(1, min(bins, len(values) // LEAST))
    return np.array_split(np.argsort(values, kind="stable"), bins)


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
