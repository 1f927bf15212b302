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
    """PC, MAE and RMSE of scores (n,) on the 1..10 scale; errors are multiplied by `unit`."""
    errors = (predicted.astype(np.float64) - rated.astype(np.float64)) * unit
    return {
        "pc": round(float(np.corrcoef(predicted, rated)[0, 1]), 4),
        "mae": round(float(np.abs(errors).mean()), 4),
        "rmse": round(float(np.sqrt((errors**2).mean())), 4),
    }
