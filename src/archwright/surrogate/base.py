"""What every surrogate of architectures has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
Prediction = tuple[Matrix, Matrix]


class Surrogate(Protocol):
    """Learns what architectures are worth, and says how sure it is."""

    def fit(self, architectures: Sequence[Architecture], targets: Matrix) -> None:
        """Learn from ``targets``, one number per architecture; what was learned before is forgotten."""

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Mean and standard deviation of each, in the unit of the targets."""


class Regressor(ABC):
    """A surrogate whose model sees architectures as an array and targets of mean 0 and standard deviation 1.

    Args:
        space: of the architectures.
        seed: of whatever is random in it.

    Raises:
        SettingsError: it sees cell graphs only, and the space has none, or parameters outside of them.
    """

    summary: ClassVar[str] = ""
    of_cells: ClassVar[bool] = False

    def __init__(self, space: Space, *, seed: int = 0) -> None:
        if self.of_cells:
            _check_cells(space)
        self.space = space
        self.seed = seed
        self._mean, self._scale = 0.0, 0.0

    def fit(self, architectures: Sequence[Architecture], targets: Matrix) -> None:
        """See :meth:`Surrogate.fit`.

        Raises:
            SettingsError: fewer than two architectures, or not one finite number for each.
        """
        targets = np.asarray(targets, dtype=float)
        if len(architectures) < 2 or targets.shape != (len(architectures),):
            raise SettingsError(
                "a surrogate is fitted to two architectures or more and one number for each, not to "
                f"{len(architectures)} and targets of shape {targets.shape}"
            )
        if not np.isfinite(targets).all():
            raise SettingsError(f"target {np.flatnonzero(~np.isfinite(targets))[0]} of a surrogate is not finite")
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        self._fit(self._describe(architectures, new=True), (targets - self._mean) / self._scale)

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """See :meth:`Surrogate.predict`.

        Raises:
            SettingsError: it was not fitted.
        """
        if not self._scale:
            raise SettingsError("fit the surrogate before it is to predict")
        mean, std = self._predict(self._describe(architectures))
        return mean * self._scale + self._mean, std * self._scale

    def _describe(self, architectures: Sequence[Architecture], *, new: bool = False) -> Matrix:
        """``n x ...``; with ``new``, those that the model is fitted to."""
        return self.space.encode(architectures, "one_hot")

    @abstractmethod
    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        """Fit the model anew."""

    @abstractmethod
    def _predict(self, rows: Matrix) -> Prediction:
        """Mean and standard deviation of each row."""


def has_cells_only(space: Space) -> bool:
    """Whether cell graphs say all there is about an architecture."""
    return {name for cell in space.cells for name in cell.names} == set(space.names)


def _check_cells(space: Space) -> None:
    if not space.cells:
        raise SettingsError("it sees cell graphs, and this space has none")
    if not has_cells_only(space):
        inside = {name for cell in space.cells for name in cell.names}
        others = ", ".join(name for name in space.names if name not in inside)
        raise SettingsError(f"it sees cell graphs only, and this space has other parameters: {others}")
