"""Bayesian optimisation with a surrogate of scikit-learn: random forest or Gaussian process."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
BEST = 5
RANDOM_EVERY = 5


class SurrogateBO(Searcher):
    """Evaluate what has the highest expected improvement (Jones et al. 1998) under a surrogate model.

    ::

        evaluate `initial` random architectures
        repeat:
            fit the surrogate: one-hot encoding -> objective
            pool <- neighbours of the five best, and `pool` random architectures, none known
            evaluate the member of the pool with the highest expected improvement; every fifth time a random architecture

    What failed or broke a bound counts as the worst value seen; what is still out, as the mean.

    Args:
        initial: random architectures at the start.
        pool: random candidates beside the neighbours of the best.
    """

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, initial: int = 10, pool: int = 200) -> None:
        super().__init__(space, goal, seed=seed)
        if initial < 1 or pool < 1:
            raise SettingsError(f"initial and pool must be at least 1, not {initial} and {pool}")
        self.initial = initial
        self.pool = pool
        self.seed = seed

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the most promising candidate."""
        values = {a: value[1] for a, value in self.known.items() if value[0] == 0 and np.isfinite(value[1])}
        done = len(self.known) + len(self.pending)
        if done < self.initial:
            return self.fresh(self.starts)
        if done % RANDOM_EVERY == 0:
            return self.fresh(self.rng)
        pool = self._candidates(sorted(values, key=lambda a: -values[a])[:BEST]) if values else []
        if not pool:
            return self.fresh(self.rng)
        seen = [*self.known, *self.pending]
        fill = np.mean(list(values.values()))
        worst = min(values.values())
        targets = np.array([values.get(a, fill if a in self.pending else worst) for a in seen])
        scale = float(targets.std()) or 1.0
        mean, std = self._predict(
            self.space.encode(seen, "one_hot"),
            (targets - targets.mean()) / scale,
            self.space.encode(pool, "one_hot"),
        )
        best = (max(values.values()) - targets.mean()) / scale
        return pool[int(np.argmax(expected_improvement(mean, std, best)))]

    def _candidates(self, best: list[Architecture]) -> list[Architecture]:
        near = [u for a in best for u in self.space.neighbours(a, self.rng)]
        drawn = self.space.sample(self.rng, self.pool)
        return [a for a in dict.fromkeys([*near, *drawn]) if self.is_new(a)]

    @abstractmethod
    def _predict(self, rows: Matrix, targets: Matrix, others: Matrix) -> tuple[Matrix, Matrix]:
        """Fit, then mean and standard deviation of ``others``."""


class ForestBO(SurrogateBO):
    """:class:`SurrogateBO` with a random forest, whose trees' spread is the uncertainty (Hutter et al. 2011)."""

    summary: ClassVar[str] = "Bayesian optimisation with a random forest, expected improvement"

    def _predict(self, rows: Matrix, targets: Matrix, others: Matrix) -> tuple[Matrix, Matrix]:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(30, min_samples_leaf=2, max_features=0.5, random_state=self.seed)
        forest.fit(rows, targets)
        each = np.stack([tree.predict(others) for tree in forest.estimators_])
        return each.mean(axis=0), each.std(axis=0)


class GaussianProcessBO(SurrogateBO):
    """:class:`SurrogateBO` with a Gaussian process (Matern 5/2 and noise). Its cost grows with the cube of the evaluations."""

    summary: ClassVar[str] = "Bayesian optimisation with a Gaussian process, expected improvement"

    def _predict(self, rows: Matrix, targets: Matrix, others: Matrix) -> tuple[Matrix, Matrix]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern, WhiteKernel

        kernel = Matern(2.0, (0.1, 100.0), nu=2.5) + WhiteKernel(0.1, (1e-4, 1.0))
        model: Any = GaussianProcessRegressor(kernel, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows, targets)
        mean, std = model.predict(others, return_std=True)
        return np.asarray(mean), np.asarray(std)


def expected_improvement(mean: Matrix, std: Matrix, best: float) -> Matrix:
    """Over ``best``, to be maximised (Jones et al. 1998, equation 15)."""
    std = np.maximum(std, 1e-9)
    z = (mean - best) / std
    return np.asarray((mean - best) * norm.cdf(z) + std * norm.pdf(z))
