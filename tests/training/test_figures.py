"""The figures of an evaluation, on ratings whose truth is known."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.calibration import Floats, calibration, coverage, reliability, spread_bins
from training.figures import (
    Ratings,
    correlation_interval,
    detailed_figures,
    pooled,
    rounded,
    set_figures,
    worst,
)
from training.metrics import metrics


def ratings(predicted: Any, rated: Any, **more: Any) -> Ratings:
    """Ratings of as many photos by one model."""
    count = len(rated)
    facts = {
        "source": "ours",
        "scale": (1.0, 10.0),
        "trained": True,
        "photos": np.arange(count),
        "groups": np.array([""] * count),
        "folds": np.array(["split"] * count),
    }
    arrays = {"predicted": np.asarray(predicted, float), "rated": np.asarray(rated, float)}
    return Ratings(**{**facts, **arrays, **more})


def normal(count: int, deviation: float | Floats, seed: int = 1) -> tuple[Floats, Floats]:
    """Predictions, and ratings that are off by normal errors of that deviation."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(2, 9, count)
    return predicted, predicted + rng.normal(0, deviation, count)


def by_folds() -> Ratings:
    """Two fold models of two photos of their own each, and of one photo that both rated."""
    first = ratings([2, 4, 6], [2, 5, 6], folds=np.array(["fold-1"] * 3))
    return pooled(
        [
            first,
            replace(
                first,
                predicted=np.array([3.0, 9.0, 5.0]),
                rated=np.array([3.0, 7.0, 6.0]),
                photos=np.array([3, 4, 2]),
                folds=np.array(["fold-2"] * 3),
            ),
        ]
    )


def test_spreads_that_are_the_errors_deviation_cover_as_the_normal_distribution_does() -> None:
    rng = np.random.default_rng(3)
    deviations = rng.uniform(0.3, 1.2, 40_000)
    errors = rng.normal(0, deviations)
    fit = coverage(errors, deviations)
    assert fit["coverage_1"] == pytest.approx(0.6827, abs=0.01)
    assert fit["coverage_2"] == pytest.approx(0.9545, abs=0.005)
    assert fit["mean"] == pytest.approx(0.75, abs=0.01)
    narrow = coverage(errors, deviations / 2)
    assert narrow["coverage_1"] == pytest.approx(0.3829, abs=0.01)
    assert narrow["coverage_2"] == pytest.approx(0.6827, abs=0.01)


def test_coverage_counts_by_hand() -> None:
    figures = coverage(np.array([0.5, -1.5, 1.0, -4.0]), np.array([1.0, 1.0, 0.5, 1.0]))
    assert figures == {"mean": 0.875, "coverage_1": 0.25, "coverage_2": 0.75}


def test_a_larger_spread_goes_with_larger_errors_only_if_it_means_them() -> None:
    rng = np.random.default_rng(4)
    spreads = rng.uniform(0.3, 1.2, 20_000)
    told = spread_bins(rng.normal(0, spreads), spreads)
    assert len(told) == 5
    assert [its.error for its in told] == pytest.approx([its.spread for its in told], rel=0.05)
    blind = spread_bins(rng.normal(0, 0.7, 20_000), spreads)
    assert [its.error for its in blind] == pytest.approx([0.7] * 5, rel=0.05)
    assert [its.spread for its in blind] == sorted(its.spread for its in blind)


def test_deciles_tell_what_was_rated_where_so_much_was_predicted() -> None:
    predicted = np.array([9.0, 1, 2, 3, 4, 5, 6, 7, 8, 10] * 10)
    bins = reliability(predicted, predicted**2)
    assert [its.count for its in bins] == [10] * 10
    assert [its.predicted for its in bins] == list(range(1, 11))
    assert [its.rated for its in bins] == [number**2 for number in range(1, 11)]
    assert all(its.standard_error == 0 for its in bins)
    (alone,) = reliability(np.array([3.0, 5.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    assert (alone.count, alone.predicted, alone.rated) == (3, 4, 2)
    assert alone.standard_error == pytest.approx(1 / math.sqrt(3))


@pytest.mark.parametrize(("count", "bins"), [(1, 1), (9, 1), (10, 2), (49, 9), (500, 10)])
def test_a_small_group_gets_fewer_bins(count: int, bins: int) -> None:
    assert len(reliability(*normal(count, 1.0))) == bins


def test_calibration_finds_the_line_that_the_ratings_were_made_with() -> None:
    predicted, noise = normal(20_000, 0.5)
    figures = calibration(predicted, 0.8 * noise + 1.5)
    assert figures["slope"] == pytest.approx(0.8, abs=0.01)
    assert figures["intercept"] == pytest.approx(1.5, abs=0.03)
    # Over predictions that are uniform from 2 to 9: p - (0.8 p + 1.5) is 0.2 p - 1.5.
    assert figures["mean_error"] == pytest.approx(0.2 * 5.5 - 1.5, abs=0.01)
    middles = [2 + 7 * (number + 0.5) / 10 for number in range(10)]
    expected = statistics.fmean(abs(0.2 * middle - 1.5) for middle in middles)
    assert figures["expected_error"] == pytest.approx(expected, abs=0.02)


def test_the_expected_error_is_a_mean_over_ratings_not_over_bins() -> None:
    predicted = np.arange(1.0, 12.0)
    rated = np.where(predicted <= 6, predicted + 1, predicted)
    assert calibration(predicted, rated)["expected_error"] == pytest.approx(6 / 11)


def test_true_predictions_are_calibrated_and_constant_ones_have_no_slope() -> None:
    predicted, rated = normal(20_000, 0.5)
    figures = calibration(predicted, rated)
    assert figures["slope"] == pytest.approx(1, abs=0.01)
    assert figures["expected_error"] < 0.03
    assert math.isnan(calibration(np.full(20, 5.0), rated[:20])["slope"])


def test_the_interval_is_that_of_fishers_transformation() -> None:
    rng = np.random.default_rng(6)
    rated, noise = rng.normal(0, 1, (2, 400))
    data = ratings(0.8 * rated + 0.6 * noise, rated)
    pc = metrics(data.predicted, data.rated)["pc"]
    low, high = correlation_interval(data, resamples=5000)
    step = 1.96 / math.sqrt(400 - 3)
    assert low == pytest.approx(math.tanh(math.atanh(pc) - step), abs=0.004)
    assert high == pytest.approx(math.tanh(math.atanh(pc) + step), abs=0.004)
    low, high = correlation_interval(data)
    assert (low, high) == correlation_interval(data)
    assert (low, high) != correlation_interval(data, seed=2)


def test_rating_the_same_photos_again_makes_nothing_surer() -> None:
    predicted, rated = normal(200, 1.5)
    once = ratings(predicted, rated, folds=np.array(["fold-1"] * 200))
    twice = pooled([once, replace(once, folds=np.array(["fold-2"] * 200))])
    assert correlation_interval(twice) == pytest.approx(correlation_interval(once))
    others = replace(once, photos=once.photos + 200, folds=np.array(["fold-2"] * 200))
    low, high = correlation_interval(pooled([once, others]))
    (wide_low, wide_high) = correlation_interval(once)
    assert high - low == pytest.approx((wide_high - wide_low) / math.sqrt(2), rel=0.2)


def test_of_folds_the_mean_is_told_and_each() -> None:
    figures = set_figures(replace(by_folds(), scale=(1.0, 5.0)))
    each = [
        metrics(np.array([2, 4, 6]), np.array([2, 5, 6]), 4 / 9),
        metrics(np.array([3, 9, 5]), np.array([3, 7, 6]), 4 / 9),
    ]
    assert list(figures["folds"]) == ["fold-1", "fold-2"]
    for name in ("pc", "mae", "rmse"):
        assert figures["served"][name] == pytest.approx(
            statistics.fmean(its[name] for its in each), abs=1e-4
        )
        for fold, its in zip(figures["folds"].values(), each, strict=True):
            assert fold[name] == pytest.approx(its[name], abs=1e-4)
    assert figures["examples"] == 5
    # Together, though: errors of 0, -1, 0, 0, 2, -1.
    assert figures["calibration"]["mean_error"] == pytest.approx(0)


def test_one_model_has_no_folds() -> None:
    assert "folds" not in set_figures(ratings(*normal(30, 1.0)))


def test_groups_have_figures_of_their_own() -> None:
    data = ratings(
        [3, 5, 4, 8, 6, 4],
        [2, 4, 3, 7, 7, 3],
        scale=(1.0, 5.0),
        groups=np.array(["a", "a", "a", "b", "b", "b"]),
        spreads=np.array([1.0, 0.5, 1.0, 1.0, 1.0, 2.0]),
    )
    groups = set_figures(data)["groups"]
    assert groups["a"] == {
        "examples": 3,
        "pc": pytest.approx(1),
        "mae": pytest.approx(4 / 9),
        "rmse": pytest.approx(4 / 9),
        "mean_error": pytest.approx(1),
        "spread": {
            "mean": pytest.approx(2.5 / 3),
            "coverage_1": pytest.approx(2 / 3),
            "coverage_2": 1,
        },
    }
    assert groups["b"]["mean_error"] == pytest.approx(1 / 3)
    assert set_figures(ratings([1, 2], [1, 3]))["groups"] == {}


def test_drift_is_what_int8_changes() -> None:
    exact, rated = normal(50, 1.0)
    served = exact + np.tile([0.1, -0.3], 25)
    figures = set_figures(ratings(served, rated, exact=exact))
    assert rounded(figures["float32"]) == metrics(exact, rated)
    assert rounded(figures["served"]) == metrics(served, rated)
    assert figures["drift"]["mean_of_a_point"] == pytest.approx(0.2)
    assert figures["drift"]["pc"] == pytest.approx(
        np.corrcoef(exact, rated)[0, 1] - np.corrcoef(served, rated)[0, 1]
    )


def test_an_early_model_has_neither_spread_nor_drift() -> None:
    figures = detailed_figures(ratings(*normal(30, 1.0)), ["photo.jpg"] * 30)
    assert not {"spread", "spread_quintiles", "drift", "float32"} & set(figures)
    assert figures["worst"][0]["spread"] is None


def test_what_one_fold_model_lacks_all_lack() -> None:
    first = ratings([2, 3], [2, 3], spreads=np.array([0.5, 0.6]), exact=np.array([2.0, 3.0]))
    both = pooled([first, replace(first, exact=None)])
    assert both.exact is None
    assert both.spreads is not None
    assert both.spreads.tolist() == [0.5, 0.6, 0.5, 0.6]


def test_the_worst_misses_come_first_and_each_photo_once() -> None:
    data = ratings([2, 9, 5, 5, 6], [5, 5, 5, 3, 5.5], photos=np.array([7, 8, 9, 8, 6]))
    assert worst(data) == [1, 0, 4, 2]
    assert worst(data, 2) == [1, 0]


def test_details_name_the_photos_that_were_missed() -> None:
    data = ratings([2, 9], [5, 5], photos=np.array([1, 0]), spreads=np.array([0.5, 0.7]))
    assert detailed_figures(data, ["zero.jpg", "one.jpg"])["worst"] == [
        {"photo": "zero.jpg", "predicted": 9, "rated": 5, "spread": 0.7},
        {"photo": "one.jpg", "predicted": 2, "rated": 5, "spread": 0.5},
    ]


def test_what_is_no_number_is_null_in_json() -> None:
    groups = np.array(["a", "b", "b", "b"])
    data = ratings([2, 3, 4, 5], [2, 4, 4, 6], groups=groups)
    text = json.dumps(rounded(detailed_figures(data, list("abcd"))), allow_nan=False)
    figures = json.loads(text)
    assert figures["groups"]["a"]["pc"] is None
    assert figures["groups"]["a"]["mae"] == 0
    assert figures["groups"]["a"]["deciles"] == [
        {"count": 1, "predicted": 2, "rated": 2, "standard_error": None}
    ]
    assert figures["served"]["pc"] == round(figures["served"]["pc"], 4)


def test_a_set_says_its_panels_scale_and_whether_it_was_trained_on() -> None:
    figures = set_figures(ratings(*normal(30, 1.0), scale=(0.0, 100.0), trained=False))
    assert figures["cross_set"] is True
    assert "0 to 100" in figures["scale"]
    assert set_figures(ratings(*normal(30, 1.0)))["cross_set"] is False
