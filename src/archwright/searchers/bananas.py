"""BANANAS: an ensemble of small networks on path encodings, and mutations of the best."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
ACQUISITIONS = ("its", "ts", "ucb", "mean")
PARENTS, CANDIDATES, MISSES = 5, 100, 200


class Bananas(Searcher):
    """Bayesian optimisation with a neural predictor (White et al. 2021), with the settings of their code.

    ::

        evaluate `initial` random architectures
        repeat:
            train an ensemble of `members` perceptrons: encoding -> objective
            candidates <- 100 different mutations of the best architecture, of the next best ones where 200 in a row are none
            evaluate the `batch` candidates with the highest acquisition value

    A perceptron has `layers` hidden layers of `width` units, is trained for `epochs` epochs of batches of 32 with Adam at
    rate 0.01 on the mean absolute error. The acquisition is independent Thompson sampling by default: a draw from
    the normal distribution with the ensemble's mean and deviation, for each candidate its own.

    What failed or broke a bound counts as the worst value seen.

    Args:
        initial: random architectures at the start.
        batch: evaluations between trainings.
        encoding: ``path`` (for cell graphs), ``adjacency`` (for cell graphs), ``one_hot``; by default ``path`` where the space
            has cells, else ``one_hot``.
        cutoff: only so many columns of a path encoding, shortest paths first; 0 for all.
        acquisition: ``its``, ``ts`` (one member, drawn for each batch), ``ucb`` (mean and half a deviation), ``mean``.
        members, layers, width, epochs: of the ensemble.

    Raises:
        SettingsError: a number out of range, or an encoding that the space does not have.
    """

    summary: ClassVar[str] = "BANANAS: ensemble of perceptrons on path encodings, Thompson sampling, mutations"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        initial: int = 10,
        batch: int = 10,
        encoding: str = "",
        cutoff: int = 30,
        acquisition: str = "its",
        members: int = 5,
        layers: int = 10,
        width: int = 20,
        epochs: int = 150,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        numbers = dict(initial=initial, batch=batch, members=members, layers=layers, width=width, epochs=epochs)  # noqa: C408
        for name, value in numbers.items():
            if value < 1:
                raise SettingsError(f"{name} must be at least 1, not {value}")
        if acquisition not in ACQUISITIONS:
            raise SettingsError(f"acquisition must be one of {', '.join(ACQUISITIONS)}, not {acquisition!r}")
        self.encoding = encoding or ("path" if space.cells else "one_hot")
        if self.encoding not in ("path", "adjacency", "one_hot"):
            raise SettingsError(f"encoding must be path, adjacency or one_hot, not {encoding!r}")
        if self.encoding != "one_hot" and not space.cells:
            raise SettingsError(f"encoding={encoding} is of cell graphs, and this space has none; use one_hot")
        self.initial, self.batch, self.cutoff, self.acquisition = initial, batch, cutoff, acquisition
        self.members, self.layers, self.width, self.epochs = members, layers, width, epochs
        self._queue: list[Architecture] = []

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the batch that the ensemble chose."""
        if len(self.known) + len(self.pending) < self.initial:
            return self.fresh(self.starts)
        while self._queue:
            candidate = self._queue.pop(0)
            if self.is_new(candidate):
                return candidate
        candidates = self._candidates()
        if not candidates:
            return self.fresh(self.rng)
        promise = self._acquire(self._predict(candidates))
        self._queue = [candidates[i] for i in np.argsort(-promise, kind="stable")[: self.batch]]
        return self._queue.pop(0)

    def _candidates(self) -> list[Architecture]:
        best = sorted(self.known, key=lambda a: self.known[a], reverse=True)[:PARENTS]
        found: dict[Architecture, None] = {}
        for parent in best:
            misses = 0
            while misses < MISSES:
                child = self.space.mutate(parent, self.rng)
                misses = misses + 1 if child in found or not self.is_new(child) else 0
                if not misses:
                    found[child] = None
                if len(found) == CANDIDATES:
                    return list(found)
        return list(found)

    def _encode(self, architectures: list[Architecture]) -> Matrix:
        rows = self.space.encode(architectures, self.encoding)
        return rows[:, : self.cutoff] if self.encoding == "path" and self.cutoff else rows

    def _predict(self, candidates: list[Architecture]) -> Matrix:
        """``members x candidates``, in deviations from the mean of what is known."""
        from archwright.surrogate.perceptrons import Perceptrons

        values = [w[1] if w[0] == 0 else -np.inf for w in self.known.values()]
        worst = min(filter(np.isfinite, values), default=0.0)
        targets = np.array([v if np.isfinite(v) else worst for v in values])
        scaled = (targets - targets.mean()) / (float(targets.std()) or 1.0)
        rows, others = self._encode(list(self.known)), self._encode(candidates)
        model = Perceptrons(
            rows.shape[1],
            members=self.members,
            layers=self.layers,
            width=self.width,
            seed=int(self.rng.integers(2**31)),
        )
        model.fit(rows, scaled, epochs=self.epochs)
        return model.predict(others)

    def _acquire(self, predicted: Matrix) -> Matrix:
        mean, std = predicted.mean(axis=0), predicted.std(axis=0)
        if self.acquisition == "its":
            return np.asarray(self.rng.normal(mean, std))
        if self.acquisition == "ts":
            return np.asarray(predicted[int(self.rng.integers(len(predicted)))])
        return np.asarray(mean + 0.5 * std if self.acquisition == "ucb" else mean)
