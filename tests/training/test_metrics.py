"""The figures of the field."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from training.metrics import SCUT_STEP, metrics


def test_metrics_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    rated = rng.uniform(1, 10, 200)
    predicted = 0.7 * rated + rng.normal(1, 0.8, 200)
    errors = [p - r for p, r in zip(predicted, rated, strict=True)]
    assert metrics(predicted, rated) == {
        "pc": pytest.approx(statistics.correlation(list(predicted), list(rated)), abs=1e-4),
        "mae": pytest.approx(statistics.fmean(map(abs, errors)), abs=1e-4),
        "rmse": pytest.approx(statistics.fmean(e * e for e in errors) ** 0.5, abs=1e-4),
    }


def test_errors_in_scuts_unit_are_those_of_its_own_scale() -> None:
    rng = np.random.default_rng(2)
    rated, predicted = rng.uniform(1, 5, (2, 200))
    figures = metrics(1 + 9 * (predicted - 1) / 4, 1 + 9 * (rated - 1) / 4, SCUT_STEP)
    assert figures == {
        "pc": pytest.approx(metrics(predicted, rated)["pc"], abs=1e-4),
        "mae": pytest.approx(np.abs(predicted - rated).mean(), abs=1e-4),
        "rmse": pytest.approx(np.sqrt(((predicted - rated) ** 2).mean()), abs=1e-4),
    }


def test_perfect_and_reversed_predictions() -> None:
    rated = np.array([2.0, 4.0, 7.0])
    assert metrics(rated, rated) == {"pc": 1, "mae": 0, "rmse": 0}
    assert metrics(-rated, rated)["pc"] == -1
    assert metrics(rated + 1, rated) == {"pc": 1, "mae": 1, "rmse": 1}
