"""How good predicted latencies are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEASURES = ("spearman", "kendall", "mape", "median_error", "within_10")


def accuracy(predicted: Floats, measured: Floats) -> dict[str, float]:
    """Of predictions for architectures that had no part in the fit.

    Returns:
        ``spearman`` and ``kendall`` (tau-b) rank correlation, 0 where all predictions are equal; ``mape`` and
        ``median_error``, the mean and the median of ``|predicted - measured| / measured``; ``within_10``, the share
        for which that is at most 0.1. ``mape`` is large where some latencies are near zero. Predictions that agree to
        nine digits are equal: sums in another order must not break ties.
    """
    from scipy.stats import kendalltau, spearmanr

    error = np.abs(predicted - measured) / measured
    predicted = np.round(predicted / np.abs(predicted).max(), 9)
    varied = np.ptp(predicted) > 0 and np.ptp(measured) > 0
    return {
        "spearman": float(spearmanr(predicted, measured).statistic) if varied else 0.0,
        "kendall": float(kendalltau(predicted, measured).statistic) if varied else 0.0,
        "mape": float(error.mean()),
        "median_error": float(np.median(error)),
        "within_10": float((error <= 0.1).mean()),
    }
