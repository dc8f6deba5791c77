"""LS-PON: local search whose neighbours are tried in the order that a model of the ranks predicts."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Worth
from archwright.searchers.local import LocalSearch
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
DIGITS = 10


class Model(Protocol):
    """A regression that is fitted anew to a growing history."""

    def add(self, row: Matrix) -> None:
        """One more architecture, encoded."""

    def fit(self, targets: Matrix) -> None:
        """Fit all rows added so far."""

    def predict(self, rows: Matrix) -> Matrix:
        """The model's value for each row."""


class Linear:
    """Least squares with intercept, the minimum-norm solution on centred data, as scikit-learn's ``LinearRegression``.

    The Gram matrix is kept up to date. Directions in which no two rows differ (columns of one parameter always sum to
    one) make it singular; they are found by an eigendecomposition, and again only when a row has changed them, so that a
    fit usually is one solve.

    Args:
        ridge: penalty on the squared coefficients, in units of the mean variance of a column; 0 for least squares.
    """

    def __init__(self, ridge: float = 0.0) -> None:
        self.ridge = ridge
        self._n = 0
        self._rows: Matrix = np.empty((0, 0))
        self._null: Matrix | None = None

    def add(self, row: Matrix) -> None:
        """One more architecture, encoded."""
        if self._n == 0:
            self._rows = np.empty((64, len(row)))
            self._sum = np.zeros(len(row))
            self._gram = np.zeros((len(row), len(row)))
        elif self._n == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        if self._null is not None and np.abs((row - self._sum / self._n) @ self._null).max(initial=0.0) > 1e-9:
            self._null = None
        self._rows[self._n] = row
        self._n += 1
        self._sum += row
        self._gram += np.outer(row, row)

    def fit(self, targets: Matrix) -> None:
        """Fit all rows added so far."""
        mean = self._sum / self._n
        gram = self._gram - np.outer(self._sum, mean)
        right = targets @ self._rows[: self._n] - self._sum * targets.mean()
        size = max(float(np.trace(gram)) / len(gram), 1e-12)
        if self.ridge:
            self._beta = np.linalg.solve(gram + self.ridge * size * np.eye(len(gram)), right)
            return
        if self._null is None:
            values, vectors = np.linalg.eigh(gram)
            self._null = vectors[:, values <= 1e-10 * max(float(values[-1]), 1e-12)]
        beta = np.linalg.solve(gram + size * self._null @ self._null.T, right)
        self._beta = beta - self._null @ (self._null.T @ beta)

    def predict(self, rows: Matrix) -> Matrix:
        """The model's value for each row, but for the intercept, which changes no order."""
        return np.asarray(rows @ self._beta)


class Pairwise:
    """A ridge regression on one-hot columns and all their products of two."""

    def __init__(self) -> None:
        self._linear = Linear(ridge=0.05)

    def add(self, row: Matrix) -> None:
        """One more architecture, encoded."""
        self._linear.add(self._expand(row[None])[0])

    def fit(self, targets: Matrix) -> None:
        """Fit all rows added so far."""
        self._linear.fit(targets)

    def predict(self, rows: Matrix) -> Matrix:
        """The model's value for each row, but for the intercept."""
        return self._linear.predict(self._expand(rows))

    def _expand(self, rows: Matrix) -> Matrix:
        upper = np.triu_indices(rows.shape[1], 1)
        return np.concatenate([rows, rows[:, upper[0]] * rows[:, upper[1]]], axis=1)


class Trees:
    """A random forest or gradient boosting of scikit-learn.

    Args:
        kind: which.
        seed: of the forest.
    """

    def __init__(self, kind: Literal["forest", "boosting"], seed: int) -> None:
        from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

        make = {"forest": RandomForestRegressor, "boosting": GradientBoostingRegressor}[kind]
        self._model: Any = make(n_estimators=50, random_state=seed)
        self._rows: list[Matrix] = []

    def add(self, row: Matrix) -> None:
        """One more architecture, encoded."""
        self._rows.append(row)

    def fit(self, targets: Matrix) -> None:
        """Fit all rows added so far."""
        self._model.fit(np.stack(self._rows), targets)

    def predict(self, rows: Matrix) -> Matrix:
        """The model's value for each row."""
        return np.asarray(self._model.predict(rows))


MODELS = ("linear", "ridge", "pairwise", "forest", "boosting")


class LSPON(LocalSearch):
    """Local search with predicted order of neighbours (Zouambi 2023, section 3.4, algorithm 1).

    As ``ls`` with first improvement. At each new current solution a model is fitted to all evaluations so far, from the
    one-hot encoding to the normalised rank (0 = best, ties share their mean), and the neighbours are tried from the best
    predicted to the worst; equal predictions in random order. The history is kept over restarts and holds every
    architecture once. Those that broke a bound rank after all others, by how much they broke it; failures come last.

    Args:
        model: ``linear`` (least squares, as published), ``ridge``, ``pairwise`` (ridge with products of two columns),
            ``forest``, ``boosting``.
        target: ``rank``, or ``value``: the objective itself, and the worst one for what failed or broke a bound.
        ties: as in ``ls``.
    """

    takes_clues: ClassVar[bool] = False
    summary: ClassVar[str] = "local search that tries neighbours in the order a model predicts"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        model: str = "linear",
        target: Literal["rank", "value"] = "rank",
        ties: bool = False,
    ) -> None:
        super().__init__(space, goal, seed=seed, ties=ties)
        if model not in MODELS:
            raise SettingsError(f"model must be one of {', '.join(MODELS)}, not {model!r}")
        if target not in ("rank", "value"):
            raise SettingsError(f"target must be rank or value, not {target!r}")
        self.target = target
        self.model = _make(model, seed)
        self._losses: dict[Architecture, float] = {}
        self._violations: dict[Architecture, float] = {}
        self._broken = False
        self._stale = True

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """Add to the model's history, then go on as local search."""
        if architecture not in self._losses:
            self.model.add(self.space.encode([architecture], "one_hot")[0])
        self._losses[architecture] = -value[1] if value[0] == 0 else np.inf
        self._violations[architecture] = -value[0]
        self._broken = self._broken or value[0] != 0
        self._stale = True
        super().observe(architecture, value)

    def order(self, current: Architecture, neighbours: list[Architecture]) -> list[Architecture]:
        """Best predicted first."""
        if not neighbours:
            return []
        if self._stale:
            self.model.fit(self._targets())
            self._stale = False
        shuffled = self.rng.permutation(len(neighbours))
        predicted = self.model.predict(self.space.encode(neighbours, "one_hot")).round(DIGITS)
        return [neighbours[i] for i in shuffled[np.argsort(predicted[shuffled], kind="stable")]]

    def _targets(self) -> Matrix:
        losses = np.fromiter(self._losses.values(), float)
        if self.target == "value":
            finite = losses[np.isfinite(losses)]
            return np.where(np.isfinite(losses), losses, finite.max() if len(finite) else 0.0)
        if self._broken:
            violations = np.fromiter(self._violations.values(), float)
            losses = np.where(violations > 0, len(losses) + violations, normalised_ranks(losses))
        return normalised_ranks(losses)


def normalised_ranks(losses: Matrix) -> Matrix:
    """Rank among the losses, 0 = smallest, 1 = largest, ties share their mean rank; 0 where there is only one."""
    n = len(losses)
    order = np.argsort(losses, kind="stable")
    ordered = losses[order]
    ends = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    ranks = np.empty(n)
    if len(ends) == n - 1:
        ranks[order] = np.arange(n)
    else:
        edges = np.concatenate([[0], ends, [n]])
        ranks[order] = np.repeat((edges[:-1] + edges[1:] - 1) / 2, np.diff(edges))
    return ranks / max(n - 1, 1)


def _make(model: str, seed: int) -> Model:
    if model in ("forest", "boosting"):
        return Trees("forest" if model == "forest" else "boosting", seed)
    return Pairwise() if model == "pairwise" else Linear(0.05 if model == "ridge" else 0.0)
