"""What clues are, of architectures whose clues were not looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from archwright.space import Architecture

Matrix = NDArray[np.float64]


class ClueModel:
    """Clues of architectures: as measured, or as a forest makes them out from those that were.

    Clues are normal scores of ranks among the measured ones; what could not be had ranks lowest.
    """

    def __init__(self, architectures: list[Architecture], clues: Matrix, encoded: Matrix) -> None:
        from sklearn.ensemble import RandomForestRegressor

        lowered = np.where(np.isnan(clues), -np.inf, clues)
        scores = norm.ppf((np.apply_along_axis(rankdata, 0, lowered) - 0.375) / (len(clues) + 0.25))
        self.measured = dict(zip(architectures, scores))
        self.predicted: dict[Architecture, Matrix] = {}
        self._forest = RandomForestRegressor(30, random_state=0).fit(
            encoded, scores[:, 0] if scores.shape[1] == 1 else scores
        )

    def __call__(self, architectures: list[Architecture], encoded: Matrix) -> Matrix:
        """``n x clues``."""
        unknown_ = [i for i, a in enumerate(architectures) if a not in self.measured and a not in self.predicted]
        if unknown_:
            found = self._forest.predict(encoded[unknown_]).reshape(len(unknown_), -1)
            self.predicted.update((architectures[i], row) for i, row in zip(unknown_, found))
        return np.stack([self.measured[a] if a in self.measured else self.predicted[a] for a in architectures])
