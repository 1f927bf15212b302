"""The figures of the field: Pearson correlation, mean absolute and root mean squared error."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SCUT_STEP = 4 / 9
"""A point of the 1..10 scale in points of SCUT-FBP5500's 1..5."""


def metrics(
    predicted: npt.NDArray[Any], rated: npt.NDArray[Any], unit: float = 1.0
) -> dict[str, float]:
    """`exact_metrics` to four digits."""
    return {name: round(it, 4) for name, it in exact_metrics(predicted, rated, unit).items()}


def exact_metrics(
    predicted: npt.NDArray[Any], rated: npt.NDArray[Any], unit: float = 1.0
) -> dict[str, float]:
    """PC, MAE and RMSE of scores (n,), n > 0, on the 1..10 scale; errors are multiplied by `unit`.

    PC is not a number where either side is all one value.
    """
    errors = (predicted.astype(np.float64) - rated.astype(np.float64)) * unit
    varies = np.ptp(predicted) > 0 and np.ptp(rated) > 0
    return {
        "pc": float(np.corrcoef(predicted, rated)[0, 1]) if varies else float("nan"),
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
    }
