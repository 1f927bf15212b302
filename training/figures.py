"""What an evaluation measures: accuracy, calibration and spread, of each set and its groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.calibration import Floats, calibration, coverage, reliability, spread_bins
from training.metrics import exact_metrics

RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Ratings:
    """Photos of one set as a model rated them, or as the fold models of one recipe did.

    Arrays are (n,); scores and spreads are in points of the scale from 1 to 10. A photo that
    several fold models rated is there once for each.
    """

    source: str
    """The set's name."""
    scale: tuple[float, float]
    """The ends of its panel's own scale."""
    trained: bool
    """Whether the model was trained on other photos of this set; if not, this is cross-set."""
    predicted: Floats
    """Scores by the graph that serves."""
    rated: Floats
    """The panel's means."""
    photos: npt.NDArray[np.int64]
    """Rows of the crop set."""
    groups: npt.NDArray[np.str_]
    folds: npt.NDArray[np.str_]
    """The protocol of the model that rated."""
    spreads: Floats | None = None
    """Expected standard deviations of the scores' errors, above 0; None from an early model."""
    exact: Floats | None = None
    """Scores by the float32 master; None without one."""

    @property
    def unit(self) -> float:
        """A point of the scale from 1 to 10 in points of the panel's own."""
        return (self.scale[1] - self.scale[0]) / 9

    @property
    def errors(self) -> Floats:
        """Predicted less rated, (n,)."""
        return self.predicted - self.rated

    def part(self, chosen: npt.NDArray[np.bool_]) -> Ratings:
        """Those of the ratings for which `chosen` (n,) is true."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen_ones: dict[str, Any] = {
            name: value[chosen] for name, value in values.items() if isinstance(value, np.ndarray)
        }
        return replace(self, **chosen_ones)

    def by_group(self) -> dict[str, Ratings]:
        """The ratings of each group, in the order of their names; {} for a set without groups."""
        names = [str(name) for name in np.unique(self.groups)]
        return {name: self.part(self.groups == name) for name in names} if any(names) else {}

    def by_fold(self) -> dict[str, Ratings]:
        """The ratings by each model."""
        return {str(name): self.part(self.folds == name) for name in np.unique(self.folds)}


@dataclass(frozen=True, eq=False)
class Measured:
    """A model, or the fold models of one recipe together, on the photos that were asked for."""

    name: str
    protocol: str
    """`split`, `fold-2`, `all`, or `folds` for every fold of the published protocol."""
    models: tuple[str, ...]
    sets: Mapping[str, Ratings]
    """By the sets' names."""


def pooled(several: Sequence[Ratings]) -> Ratings:
    """Ratings of one set by several models, together; what one of them lacks all lack."""
    together: dict[str, Any] = {}
    for field in fields(Ratings):
        values = [getattr(ratings, field.name) for ratings in several]
        if isinstance(values[0], np.ndarray):
            lacking = any(value is None for value in values)
            together[field.name] = None if lacking else np.concatenate(values)
    return replace(several[0], **together)


def correlation_interval(
    ratings: Ratings, resamples: int = RESAMPLES, seed: int = 1
) -> tuple[float, float]:
    """Where PC, or its mean over the folds, lies in 95 % of bootstrap samples of the photos.

    Percentiles of Efron's bootstrap. A photo is drawn with all its ratings.
    """
    photos, places = np.unique(ratings.photos, return_inverse=True)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(photos), np.full(len(photos), 1 / len(photos)), size=resamples)
    correlations = [
        _weighted_correlation(
            ratings.predicted[mine], ratings.rated[mine], draws[:, places[mine]].astype(np.float64)
        )
        for mine in (ratings.folds == fold for fold in np.unique(ratings.folds))
    ]
    means = np.mean(correlations, axis=0)
    means = means[np.isfinite(means)]
    if not len(means):
        return math.nan, math.nan
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _weighted_correlation(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Pearson correlations of (n,) with (n,), each row of weights (r, n) giving one, (r,)."""
    one, other = one - one.mean(), other - other.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = weights / weights.sum(axis=1, keepdims=True)
        covariance = shares @ (one * other) - (shares @ one) * (shares @ other)
        variances = [shares @ it**2 - (shares @ it) ** 2 for it in (one, other)]
        correlations: Floats = covariance / np.sqrt(variances[0] * variances[1])
    return correlations


def worst(ratings: Ratings, count: int = 10) -> list[int]:
    """Places of the largest misses, largest first; of a photo only its worst."""
    chosen: dict[int, int] = {}
    for place in np.argsort(-np.abs(ratings.errors), kind="stable"):
        chosen.setdefault(int(ratings.photos[place]), int(place))
    return list(chosen.values())[:count]


def accuracy(ratings: Ratings, predicted: Floats) -> dict[str, float]:
    """PC, MAE and RMSE in the panel's own points; of fold models, the mean over the folds."""
    folds = [
        exact_metrics(predicted[mine], ratings.rated[mine], ratings.unit)
        for mine in (ratings.folds == fold for fold in np.unique(ratings.folds))
    ]
    return {name: float(np.mean([its[name] for its in folds])) for name in folds[0]}


def group_figures(ratings: Ratings) -> dict[str, Any]:
    """The figures of one group, whichever fold model rated."""
    return {
        "examples": len(np.unique(ratings.photos)),
        **exact_metrics(ratings.predicted, ratings.rated, ratings.unit),
        "mean_error": float(ratings.errors.mean()),
        **_spread(ratings),
    }


def set_figures(ratings: Ratings) -> dict[str, Any]:
    """All that is said about a set in a card, of which none is about a single photo."""
    served = accuracy(ratings, ratings.predicted)
    folds = ratings.by_fold()
    figures: dict[str, Any] = {
        "examples": len(np.unique(ratings.photos)),
        "cross_set": not ratings.trained,
        "scale": "errors in points of the panel's own scale, {:g} to {:g}; calibration, mean "
        "error, spread and drift in points of 1 to 10".format(*ratings.scale),
        "served": served,
        "pc_95": list(correlation_interval(ratings)),
    }
    if len(folds) > 1:
        figures["folds"] = {name: accuracy(its, its.predicted) for name, its in folds.items()}
    if ratings.exact is not None:
        figures["float32"] = accuracy(ratings, ratings.exact)
        figures["drift"] = {
            "pc": figures["float32"]["pc"] - served["pc"],
            "mean_of_a_point": float(np.abs(ratings.predicted - ratings.exact).mean()),
        }
    figures["groups"] = {name: group_figures(its) for name, its in ratings.by_group().items()}
    figures["calibration"] = calibration(ratings.predicted, ratings.rated)
    return {**figures, **_spread(ratings)}


def detailed_figures(ratings: Ratings, names: Sequence[str]) -> dict[str, Any]:
    """Those of `set_figures`, and what the plots show and which photos were missed the most.

    `names` (of the crop set's photos) tells the photos.
    """
    figures = set_figures(ratings)
    for name, its in ratings.by_group().items():
        figures["groups"][name] |= {"deciles": _deciles(its)}
    figures["deciles"] = _deciles(ratings)
    if ratings.spreads is not None:
        quintiles = spread_bins(ratings.errors, ratings.spreads)
        figures["spread_quintiles"] = [asdict(its) for its in quintiles]
    figures["worst"] = [
        {
            "photo": names[ratings.photos[place]],
            "predicted": float(ratings.predicted[place]),
            "rated": float(ratings.rated[place]),
            "spread": None if ratings.spreads is None else float(ratings.spreads[place]),
        }
        for place in worst(ratings)
    ]
    return figures


def _spread(ratings: Ratings) -> dict[str, dict[str, float]]:
    spreads = ratings.spreads
    return {} if spreads is None else {"spread": coverage(ratings.errors, spreads)}


def _deciles(ratings: Ratings) -> list[dict[str, float]]:
    return [asdict(its) for its in reliability(ratings.predicted, ratings.rated)]


def rounded(figures: Any) -> Any:
    """Figures as JSON takes them: four digits, and None for what is not a number."""
    if isinstance(figures, Mapping):
        return {name: rounded(it) for name, it in figures.items()}
    if isinstance(figures, list | tuple):
        return [rounded(it) for it in figures]
    if isinstance(figures, float):
        return round(figures, 4) if math.isfinite(figures) else None
    return figures
