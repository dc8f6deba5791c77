"""A Gaussian process of short and full trainings together, which learns how far the short ones are to be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solve_triangular

from archwright.searchers.kernels import BY_RELEVANCE, PLAIN, WEIGHED, Matrix, Shape, factor, kernel

Mask = NDArray[np.bool_]
UNKNOWN = 100.0
"""Variance of the means of short and of full values, of which nothing is known."""
FEWEST = 6
"""Full values from which on it is worth asking how far short ones are to be trusted."""
LEAST = 1e-9


class Seen(NamedTuple):
    """Evaluations, or what is to be predicted.

    Attributes:
        full: which are full trainings.
        clues: ``n x clues``, standardised; without columns where there are none.
    """

    full: Mask
    clues: Matrix


class Parts(NamedTuple):
    """Kernels of all evaluations, and of the full ones."""

    g: Matrix
    d: Matrix


@dataclass(frozen=True)
class Trust:
    """What the likelihood decides.

    Attributes:
        shape: of the kernel of what short and full values share.
        own_shape: of the kernel of what full values have of their own.
        slope: of full values in short ones.
        own: standard deviation of what full values have of their own.
        short_noise, full_noise: variances.
        clue: variance of the slopes of clues.
        weights: of parameters in the weighed distance, where some have an order: small for those that matter little (automatic
            relevance determination).
    """

    shape: Shape = PLAIN[1]
    own_shape: Shape = PLAIN[1]
    slope: float = 0.9
    own: float = 0.3
    short_noise: float = 0.1
    full_noise: float = 0.1
    clue: float = 0.0
    weights: tuple[float, ...] = ()


SHORT_NOISE = (0.01, 0.03, 0.1, 0.2, 0.4, 0.8)
FULL_NOISE = (0.003, 0.01, 0.03, 0.1, 0.3, 0.6)
SLOPE = (-0.5, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1)
OWN = (0.03, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
WEIGHT = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
CLUE = (0.0, 0.1, 0.3, 1.0, 3.0)


class CoKriging:
    """``short(x) = m + g(x) + noise``, ``full(x) = n + slope g(x) + own d(x) + noise`` (Kennedy and O'Hagan 2000, equation 1).

    ``g`` and ``d`` are Gaussian processes, each with one of the ``shapes`` as its kernel and a linear function of clues in addition.
    Means are unknown. Everything in :class:`Trust` is what the marginal likelihood makes of a small grid, one after the other.

    Args:
        shapes: of kernels.
        several: whether there are short trainings.
        parameters: how many have weights in a kernel of their own; it is one more shape of ``g``.
    """

    def __init__(self, shapes: Sequence[Shape], several: bool, parameters: int = 0) -> None:
        self.shapes, self.several = shapes, several
        weights = (1.0,) * parameters
        self.trust = Trust(weights=weights) if several else Trust(slope=1.0, own=0.0, weights=weights)

    @property
    def distances(self) -> set[int]:
        """Which kinds of distance predictions need."""
        shapes = (self.trust.shape, self.trust.own_shape)
        return {kind for shape in shapes for kind in (shape.first, shape.second)}

    def fit(self, apart: Matrix, seen: Seen, targets: Matrix, by_parameter: Matrix | None = None) -> None:
        """Decide whom to trust.

        Args:
            apart: distances ``kinds x n x n``.
            seen: the ``n`` evaluations.
            targets: their values, standardised in each of short and full ones.
            by_parameter: ``parameters x n x n``, see :meth:`~archwright.searchers.kernels.Distances.by_parameter`.
        """
        if by_parameter is not None:
            apart = self._weigh(apart.copy(), seen, targets, by_parameter)
        inner = _of_full(apart, seen, seen)
        for name, values in self._open(seen).items():
            parts = self._parts(apart, seen, seen)
            scored = []
            for value in values:
                trust = replace(self.trust, **{name: value})
                if name == "shape":
                    parts = Parts(kernel(apart, trust.shape), parts.d)
                elif name == "own_shape":
                    parts = Parts(parts.g, kernel(inner, trust.own_shape))
                scored.append((_score(parts, seen, targets, trust), trust))
            self.trust = max(scored, key=lambda each: each[0])[1]

    def _weigh(self, apart: Matrix, seen: Seen, targets: Matrix, by_parameter: Matrix) -> Matrix:
        """Choose the weights, one after the other; the distances with them."""
        trust = replace(self.trust, shape=BY_RELEVANCE)
        d = kernel(_of_full(apart, seen, seen), trust.own_shape)
        for k in range(len(by_parameter)):
            rest = np.tensordot(trust.weights[:k] + trust.weights[k + 1 :], np.delete(by_parameter, k, axis=0), 1)
            scored = []
            for weight in WEIGHT:
                tried = replace(trust, weights=(*trust.weights[:k], weight, *trust.weights[k + 1 :]))
                apart[WEIGHED] = rest + weight * by_parameter[k]
                scored.append((_score(Parts(kernel(apart, BY_RELEVANCE), d), seen, targets, tried), tried))
            trust = max(scored, key=lambda each: each[0])[1]
        self.trust = replace(self.trust, weights=trust.weights)
        apart[WEIGHED] = np.tensordot(trust.weights, by_parameter, 1)
        return apart

    def predict(self, apart: Matrix, seen: Seen, targets: Matrix, cross: Matrix, others: Seen) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of the values, without noise, of ``c`` others.

        Args:
            apart, seen, targets: as for :meth:`fit`.
            cross: distances ``kinds x c x n``.
            others: what is to be predicted.
        """
        trust = self.trust
        lower = factor(_covariance(self._parts(apart, seen, seen), seen, seen, trust), _noise(seen, trust))
        near = _covariance(self._parts(cross, others, seen), others, seen, trust)
        solved = solve_triangular(lower, near.T, lower=True, check_finite=False)
        mean = solved.T @ solve_triangular(lower, targets, lower=True, check_finite=False)
        own = np.where(others.full, trust.slope**2 + trust.own**2, 1) * (1 + trust.clue * (others.clues**2).sum(axis=1))
        return np.asarray(mean), np.sqrt(np.maximum(UNKNOWN + own - np.einsum("ij,ij->j", solved, solved), LEAST))

    def _parts(self, apart: Matrix, rows: Seen, columns: Seen) -> Parts:
        d = kernel(_of_full(apart, rows, columns), self.trust.own_shape) if self.several else np.zeros((0, 0))
        return Parts(kernel(apart, self.trust.shape), d)

    def _open(self, seen: Seen) -> dict[str, Sequence[Any]]:
        """What is to be decided, in order, and among what."""
        found: dict[str, Sequence[Any]] = {"shape": [*self.shapes, *([BY_RELEVANCE] if self.trust.weights else [])]}
        if seen.clues.shape[1]:
            found["clue"] = CLUE
        if not self.several:
            return {**found, "full_noise": FULL_NOISE}
        found["short_noise"] = SHORT_NOISE
        if int(seen.full.sum()) >= FEWEST:
            found |= {"slope": SLOPE, "own": OWN, "own_shape": self.shapes, "full_noise": FULL_NOISE}
        return found


def _of_full(apart: Matrix, rows: Seen, columns: Seen) -> Matrix:
    return (apart if rows.full.all() else apart[:, rows.full])[:, :, columns.full]


def _covariance(parts: Parts, rows: Seen, columns: Seen, trust: Trust) -> Matrix:
    """Without noise, ``rows x columns``."""
    slopes = np.where(rows.full, trust.slope, 1)[:, None] * np.where(columns.full, trust.slope, 1)
    found = parts.g * slopes
    both = np.ix_(rows.full, columns.full)
    if trust.own:
        found[both] += trust.own**2 * parts.d
    if trust.clue:
        linear = trust.clue * (rows.clues @ columns.clues.T)
        found += linear * slopes
        found[both] += trust.own**2 * linear[both]
    found += UNKNOWN * (rows.full[:, None] == columns.full)
    return np.asarray(found)


def _noise(seen: Seen, trust: Trust) -> Matrix:
    return np.where(seen.full, trust.full_noise, trust.short_noise)


def _score(parts: Parts, seen: Seen, targets: Matrix, trust: Trust) -> float:
    """Log likelihood, and of weights that are in use the logarithm of their prior: within a factor of ten of 1, or so."""
    found = _likelihood(_covariance(parts, seen, seen, trust), seen, targets, trust)
    return found - (0.5 * float((np.log10(trust.weights) ** 2).sum()) if trust.shape.first == WEIGHED else 0.0)


def _likelihood(covariance: Matrix, seen: Seen, targets: Matrix, trust: Trust) -> float:
    """The logarithm of the marginal likelihood but for a constant."""
    try:
        lower = factor(covariance, _noise(seen, trust))
    except LinAlgError:
        return -np.inf
    weights = solve_triangular(lower, targets, lower=True, check_finite=False)
    return float(-0.5 * weights @ weights - np.log(np.diag(lower)).sum())
