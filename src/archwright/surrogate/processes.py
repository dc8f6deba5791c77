"""Gaussian processes of architectures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from archwright.space import Architecture, Space
from archwright.space.structures import Structure, weisfeiler_lehman
from archwright.surrogate.base import Matrix, Prediction, Regressor

Numbers = NDArray[np.int64]

RANGES: Mapping[str, tuple[float, float, float]] = {
    "scale": (1.0, 1e-2, 1e2),
    "length": (2.0, 0.1, 100.0),
    "noise": (0.1, 1e-4, 1.0),
}
"""Where the search for each hyper-parameter starts, and its bounds."""


class GaussianProcess(Regressor):
    """A Gaussian process; scale, length and noise have the highest marginal likelihood. Predictions include the noise.

    The covariance is ``scale k(d, length) + noise I``. What no hyper-parameter changes, ``d``, is worked out once; the likelihood
    is climbed by L-BFGS-B in the logarithms of the hyper-parameters (Rasmussen and Williams 2006, equations 5.8 and 5.9).

    Attributes:
        free: hyper-parameters that are fitted, of :data:`RANGES` and in their order; the others stay at their start.
    """

    free: ClassVar[tuple[str, ...]] = ("scale", "length", "noise")

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        between = self._between(rows, rows)
        start, low, high = np.log([RANGES[name] for name in self.free]).T
        found = minimize(
            self._loss, start, (between, targets), method="L-BFGS-B", jac=True, bounds=np.stack([low, high], axis=1)
        )
        self._rows, self._found = rows, self._read(found.x)
        self._lower = cholesky(self._covariance(between, self._found)[0], lower=True, check_finite=False)
        self._weights = cho_solve((self._lower, True), targets, check_finite=False)

    def _predict(self, rows: Matrix) -> Prediction:
        scale, noise = self._found["scale"], self._found["noise"]
        near = scale * self._kernel(self._between(rows, self._rows), self._found["length"])[0]
        solved = solve_triangular(self._lower, near.T, lower=True, check_finite=False)
        variance = scale + noise - np.einsum("ij,ij->j", solved, solved)
        return near @ self._weights, np.sqrt(np.maximum(variance, 0.0))

    def _read(self, logarithms: Matrix) -> dict[str, float]:
        fixed = {name: start for name, (start, _, _) in RANGES.items()}
        return fixed | dict(zip(self.free, np.exp(logarithms).tolist()))

    def _covariance(self, between: Matrix, at: Mapping[str, float]) -> tuple[Matrix, dict[str, Matrix]]:
        """With its derivatives by the logarithms of scale and length."""
        kernel, slope = self._kernel(between, at["length"])
        scaled = at["scale"] * kernel
        whole = scaled + at["noise"] * np.eye(len(kernel))
        return whole, {"scale": scaled, "length": at["scale"] * slope}

    def _loss(self, logarithms: Matrix, between: Matrix, targets: Matrix) -> tuple[float, Matrix]:
        """Negative log marginal likelihood, less its constant, and its gradient."""
        at = self._read(logarithms)
        covariance, slopes = self._covariance(between, at)
        lower = cholesky(covariance, lower=True, check_finite=False)
        weights = cho_solve((lower, True), targets, check_finite=False)
        inner = cho_solve((lower, True), np.eye(len(lower)), check_finite=False) - np.outer(weights, weights)
        gradient = {name: 0.5 * float(np.vdot(inner, slope)) for name, slope in slopes.items()}
        gradient["noise"] = 0.5 * at["noise"] * float(np.trace(inner))
        loss = 0.5 * float(targets @ weights) + float(np.log(np.diag(lower)).sum())
        return loss, np.array([gradient[name] for name in self.free])

    def _between(self, rows: Matrix, others: Matrix) -> Matrix:
        """``rows x others``: squared Euclidean distances."""
        return np.asarray(cdist(rows, others, "sqeuclidean"))

    @abstractmethod
    def _kernel(self, between: Matrix, length: float) -> tuple[Matrix, Matrix]:
        """Of what :meth:`_between` gives, 1 between equals; and its derivative by the logarithm of the length."""


class MaternProcess(GaussianProcess):
    """With a Matern kernel of smoothness 5/2 on the one-hot distance, and scale 1: for integers and reals beside choices."""

    summary: ClassVar[str] = "Gaussian process with a Matern kernel, one-hot"
    free: ClassVar[tuple[str, ...]] = ("length", "noise")

    def _kernel(self, between: Matrix, length: float) -> tuple[Matrix, Matrix]:
        squared = 5 / length**2 * between
        root = np.sqrt(squared)
        fading = np.exp(-root)
        return (1 + root + squared / 3) * fading, squared / 3 * (1 + root) * fading


class HammingProcess(GaussianProcess):
    """With the kernel ``exp(-d / l^2)``, where ``d`` is how many parameters differ (half the squared one-hot distance)."""

    summary: ClassVar[str] = "Gaussian process of how many parameters differ"

    def _kernel(self, between: Matrix, length: float) -> tuple[Matrix, Matrix]:
        scaled = between / length**2
        kernel = np.exp(-scaled / 2)
        return kernel, scaled * kernel


class PathProcess(HammingProcess):
    """The same, where ``d`` is half the number of paths that one has and the other has not.

    Raises:
        SettingsError: see :class:`~archwright.surrogate.base.Regressor`.
        SpaceError: the cells have too many paths.
    """

    summary: ClassVar[str] = "Gaussian process of which paths of cells differ"
    of_cells: ClassVar[bool] = True

    def __init__(self, space: Space, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        space.columns("path")

    def _describe(self, architectures: Sequence[Architecture], *, new: bool = False) -> Matrix:
        return self.space.encode(architectures, "path")


class WeisfeilerLehmanProcess(GaussianProcess):
    """With a Weisfeiler-Lehman kernel, as NAS-BOWL (Ru et al. 2021): the cosine between counts of local structures.

    Args:
        space, seed: see :class:`~archwright.surrogate.base.Regressor`.
        depth: steps around an operation that a structure takes in.
    """

    summary: ClassVar[str] = "Gaussian process with a Weisfeiler-Lehman kernel of cells"
    of_cells: ClassVar[bool] = True
    free: ClassVar[tuple[str, ...]] = ("scale", "noise")

    def __init__(self, space: Space, *, seed: int = 0, depth: int = 2) -> None:
        super().__init__(space, seed=seed)
        self.depth = depth
        self._numbers: dict[Structure, int] = {}
        self._seen: dict[Architecture, tuple[Numbers, Matrix]] = {}
        self._fitted = np.zeros(0, dtype=np.int64)

    def _describe(self, architectures: Sequence[Architecture], *, new: bool = False) -> Matrix:
        """Counts scaled to unit length; the last column stands for structures that the process was not fitted to."""
        numbers, shares = zip(*(self._structures(a) for a in architectures))
        row = np.repeat(np.arange(len(numbers)), [len(n) for n in numbers])
        number, share = np.concatenate(numbers), np.concatenate(shares)
        if new:
            self._fitted = np.unique(number)
        column = np.full(len(self._numbers), -1)
        column[self._fitted] = np.arange(len(self._fitted))
        seen = column[number] >= 0
        rows = np.zeros((len(architectures), len(self._fitted) + 1))
        rows[row[seen], column[number[seen]]] = share[seen]
        rows[:, -1] = np.sqrt(np.maximum(1.0 - (rows**2).sum(axis=1), 0.0))
        return rows

    def _structures(self, architecture: Architecture) -> tuple[Numbers, Matrix]:
        """Their numbers, and how often each is there; kept, as a search asks for neighbours of its best again and again."""
        if architecture not in self._seen:
            counts = weisfeiler_lehman(self.space, architecture, self.depth)
            numbers = [self._numbers.setdefault(structure, len(self._numbers)) for structure in counts]
            times = np.array(list(counts.values()), dtype=float)
            self._seen[architecture] = np.array(numbers, dtype=np.int64), times / np.linalg.norm(times)
        return self._seen[architecture]

    def _between(self, rows: Matrix, others: Matrix) -> Matrix:
        """Cosines."""
        return np.asarray(rows @ others.T)

    def _kernel(self, between: Matrix, length: float) -> tuple[Matrix, Matrix]:
        return between, np.zeros_like(between)
