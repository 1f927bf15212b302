"""The page of an evaluation: what was measured, set by set, with plots and the worst misses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.calibration import NORMAL
from training.crop_set import CropSet
from training.evaluation_plots import group_plot, set_plot, spread_plot
from training.figures import Measured, Ratings, worst
from training.pages import Page

Figures = Mapping[str, Any]

SCUT = "scut-fbp5500"
PUBLISHED = [
    {"network": network, "from": paper, "protocol": protocol, "PC": pc, "MAE": mae, "RMSE": rmse}
    for network, paper, protocol, pc, mae, rmse in (
        ("ComboLoss, SE-ResNeXt-50", "Xu, Xiang 2020", "60/40 split", ".9117", ".2126", ".2813"),
        ("ComboLoss, SE-ResNeXt-50", "Xu, Xiang 2020", "five folds", ".9199", ".2050", ".2704"),
        ("R³CNN", "Lin et al. 2019", "five folds", ".9142", ".2120", ".2800"),
        ("ResNeXt-50", "Liang et al. 2018", "five folds", ".8997", ".2291", ".3017"),
    )
]
"""On SCUT-FBP5500; MAE and RMSE on its scale from 1 to 5."""
PANEL = "MAE and RMSE are in points of the panel's own scale; all else is in points of 1 to 10."


def write_page(
    measured: Sequence[Measured],
    figures: Sequence[Mapping[str, Figures]],
    crops: CropSet,
    part: str,
    path: Path,
) -> None:
    """Write the page; `figures` are those of `detailed_figures`, by set, for each measured one."""
    page = Page("Evaluation of " + ", ".join(one.name for one in measured))
    page.paragraph(
        f"The {part} part of each model's protocol, rated by the graph that serves. {PANEL}"
    )
    page.heading("Overview")
    each = [
        ({"model": one.name, "set": _set_name(source, figure)}, one, figure)
        for one, its in zip(measured, figures, strict=True)
        for source, figure in its.items()
    ]
    page.table([{**name, **_accuracy_row(one, figure)} for name, one, figure in each])
    page.table(_filled([{**name, **_calibration_row(figure)} for name, _, figure in each]))
    page.bullets(_notes(measured, figures))
    if any(SCUT in its for its in figures):
        _published(page)
    for one, its in zip(measured, figures, strict=True):
        for source, ratings in one.sets.items():
            page.heading(f"{one.name} on {source}")
            _set(page, ratings, its[source], crops)
    page.write(path)


def _set_name(source: str, figures: Figures) -> str:
    return f"{source}, cross-set" if figures["cross_set"] else source


def _accuracy_row(one: Measured, figures: Figures) -> dict[str, str]:
    folds = figures.get("folds")
    return {
        "protocol": f"mean of {len(folds)} folds" if folds else one.protocol,
        "photos": f"{figures['examples']:,}",
        **_accuracy(figures["served"]),
        "95 % of PC": "{} to {}".format(*map(_four, figures["pc_95"])),
    }


def _calibration_row(figures: Figures) -> dict[str, str]:
    level = figures["calibration"]
    return {
        "slope": f"{level['slope']:.3f}",
        "mean error": f"{level['mean_error']:+.3f}",
        "ECE": f"{level['expected_error']:.3f}",
        **_coverage(figures),
    }


def _filled(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    # A table's columns are those of its first row.
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, "") for name in names} for row in rows]


def _accuracy(figures: Figures) -> dict[str, str]:
    return {name.upper(): _four(figures[name]) for name in ("pc", "mae", "rmse")}


def _four(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "none"


def _coverage(figures: Figures) -> dict[str, str]:
    spread = figures.get("spread")
    if not spread:
        return {}
    return {_within(count): _percent(spread[f"coverage_{count}"]) for count in NORMAL}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _within(count: int) -> str:
    return f"within {count} spread{'s' * (count > 1)}"


def _notes(measured: Sequence[Measured], figures: Sequence[Mapping[str, Figures]]) -> list[str]:
    notes = [
        "95 % of PC: bootstrap over the photos. It does not hold the chance of training, such as "
        "another seed.",
        "Slope: of the regression of rated on predicted, ideally 1; below 1 the extremes are "
        "predicted too far out. Mean error: above 0 if predictions are too high. ECE: mean "
        "distance of predicted and rated over the deciles.",
        "Within one and two spreads: the share of ratings; 68.3 % and 95.4 % if errors are normal.",
    ]
    for one, its in zip(measured, figures, strict=True):
        if len(one.models) > 1:
            notes.append(
                f"{one.name}: PC, MAE and RMSE are means over the models {', '.join(one.models)}; "
                "groups, calibration and spread are of all their ratings together. A set without "
                "folds has one test part, which every model rated."
            )
        crossed = [source for source, figure in its.items() if figure["cross_set"]]
        if crossed:
            notes.append(
                f"{one.name} was trained without {', '.join(crossed)}: cross-set, all its photos."
            )
    return notes


def _published(page: Page) -> None:
    page.subheading("Published results on SCUT-FBP5500")
    page.table(PUBLISHED)
    page.paragraph(
        "MAE and RMSE are on its scale from 1 to 5, as they are above for this set. Several of the "
        "published results are of the epoch that did best on the test part itself, which flatters; "
        "this workshop chooses no epoch by it."
    )


def _set(page: Page, ratings: Ratings, figures: Figures, crops: CropSet) -> None:
    if not ratings.trained:
        page.paragraph(
            "Cross-set: the model was trained without this set, so all its photos are for testing. "
            "Another panel and other photos: level and order may both differ."
        )
    page.figure(
        set_plot(ratings),
        "Rated against predicted. Right: means of each decile of predicted, with two standard "
        "errors of the mean; below the diagonal predictions are too high.",
    )
    if "folds" in figures:
        page.subheading("Folds")
        page.table([{"fold": name, **_accuracy(its)} for name, its in figures["folds"].items()])
    groups = ratings.by_group()
    if groups:
        page.subheading("Groups")
        page.table([_group_row(name, its) for name, its in figures["groups"].items()])
        page.figure(
            group_plot(groups),
            "The same by group, with its count of photos; small groups have fewer bins than ten.",
        )
    page.subheading("Spread")
    _spread(page, ratings, figures)
    page.subheading("What int8 changes")
    page.paragraph(_drift(figures))
    page.subheading("The worst misses")
    page.faces(
        (crops.served[ratings.photos[i]], _caption(ratings, i, crops)) for i in worst(ratings)
    )


def _group_row(name: str, figures: Figures) -> dict[str, str]:
    return {
        "group": name,
        "photos": f"{figures['examples']:,}",
        **_accuracy(figures),
        "mean error": f"{figures['mean_error']:+.3f}",
        **_coverage(figures),
    }


def _spread(page: Page, ratings: Ratings, figures: Figures) -> None:
    if ratings.spreads is None:
        page.paragraph("The model tells no spread, so there is no coverage.")
        return
    spread = figures["spread"]
    page.table(
        [
            {
                "": _within(count),
                "ratings": _percent(spread[f"coverage_{count}"]),
                "normal errors": _percent(share),
            }
            for count, share in NORMAL.items()
        ]
    )
    page.figure(
        spread_plot(ratings),
        f"Spreads have a mean of {spread['mean']:.3f} points. Left: whether a larger spread means "
        "larger errors. Right: whether errors are normal with the spread for standard deviation.",
    )


def _drift(figures: Figures) -> str:
    if "drift" not in figures:
        return "Not measured: the model has no master to run in float32."
    drift, exact = figures["drift"], _accuracy(figures["float32"])
    return (
        f"The master in float32 has {', '.join(map(' '.join, exact.items()))}: "
        f"int8 costs {drift['pc']:+.4f} of PC and moves a score by {drift['mean_of_a_point']:.4f} "
        "of a point in the mean."
    )


def _caption(ratings: Ratings, place: int, crops: CropSet) -> str:
    spread = "" if ratings.spreads is None else f" ± {ratings.spreads[place]:.1f}"
    return (
        f"rated {ratings.rated[place]:.1f}, predicted {ratings.predicted[place]:.1f}{spread}; "
        f"{crops.examples[ratings.photos[place]].image}"
    )
