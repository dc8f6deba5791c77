"""MOEA/D: several objectives, decomposed into neighbouring scalar ones."""

from __future__ import annotations

from collections import deque
from itertools import combinations
from math import comb
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth
from archwright.searchers.pareto import Matrix
from archwright.space import Architecture, Space

Places = NDArray[np.int64]
IDLE = 100
LOCAL = 0.9
LEAST_WEIGHT = 1e-6


class MOEAD(Searcher):
    """Evolution by decomposition (Zhang and Li 2007), with the mating and replacement of Li and Zhang (2009).

    ::

        w[1..N] <- evenly spread weights; x[i] <- a uniform random architecture
        repeat, for i in random order:
            mates <- the `neighbours` subproblems whose weights are nearest to w[i]; with probability 0.1 all
            u <- mutation of a two-point crossover of x of two mates
            evaluate u                                           (free if its value is known)
            for j in mates, in random order, until `replace` have changed:
                if g(u, w[j]) <= g(x[j], w[j]): x[j] <- u

    ``g`` is the Tchebycheff distance to the best value of each objective so far, each relative to its range in the
    population (Zhang and Li 2007: Tchebycheff approach, objective normalisation). Each parameter mutates with
    probability 1 / parameters. The feasible beat the infeasible, whatever their weights. A child is bred as soon as a
    worker is free, from what has been answered. What was given before the search begins is part of the first
    population. pymoo has this algorithm, but owns the evaluations, which here may fail, be known already, and be
    answered in any order.

    Args:
        population: N, rounded down with three objectives or more to what makes a regular lattice of weights. The
            default, 100, and that of ``neighbours``, 20, are customary; smaller ones suit hundreds of evaluations.
        neighbours: subproblems that mate with and learn from each other, the subproblem itself included.
        replace: how many one child may replace.

    Attributes:
        weights: one row per subproblem.
        population: the best architecture of each subproblem, ``None`` before its first answer.
    """

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "evolution of neighbouring weighted subproblems (Tchebycheff)"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        population: int = 100,
        neighbours: int = 20,
        replace: int = 2,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        objectives = len(goal.objectives)
        if population < max(2, objectives):
            raise SettingsError(
                f"population must be at least 2 and at least the number of objectives ({objectives}), not {population}"
            )
        if neighbours < 2 or replace < 1:
            raise SettingsError(f"neighbours must be at least 2 and replace at least 1, not {neighbours} and {replace}")
        self.weights = lattice(objectives, population)
        self.population: list[Architecture | None] = [None] * len(self.weights)
        self.replace = replace
        self._near = _nearest(self.weights, neighbours)
        self._merit = np.full(len(self.weights), -np.inf)
        self._values = np.full(self.weights.shape, np.nan)
        self._best = np.full(objectives, -np.inf)
        self._first: deque[tuple[Architecture, Places]] | None = None
        self._turns: deque[int] = deque()
        self._open: dict[Architecture, Places] = {}

    def propose(self) -> Architecture | None:
        """The next member of the first population, then a child, whose value is not known."""
        if self._first is None:
            self._first = self._found()
        while self._first:
            candidate, places = self._first.popleft()
            if self._send(candidate, places):
                return candidate
        for _ in range(IDLE):
            filled = np.flatnonzero([a is not None for a in self.population])
            if not len(filled):
                return None
            child, mates = self._child(filled)
            if self._send(child, mates):
                return child
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """A child competes with those it was bred from; what was not bred here, with everybody."""
        if np.isfinite(value).all():
            self._best = np.maximum(self._best, value[1:])
        if self._first is not None:
            self._compete(architecture, self._open.pop(architecture, np.arange(len(self.weights))))

    def _found(self) -> deque[tuple[Architecture, Places]]:
        """The first population: one per subproblem, what was given before what is drawn; any more compete with all."""
        everywhere = np.arange(len(self.weights))
        given = list(self.known)
        drawn = [self.space.sample(self.starts) for _ in range(len(everywhere) - len(given))]
        return deque(
            (a, everywhere[i : i + 1] if i < len(everywhere) else everywhere) for i, a in enumerate([*given, *drawn])
        )

    def _send(self, candidate: Architecture, mates: Places) -> bool:
        """Whether it must be evaluated; one that is known competes at once, one that is out is left alone."""
        if candidate in self.known:
            self._compete(candidate, mates)
        elif candidate not in self.pending:
            self._open[candidate] = mates
            return True
        return False

    def _child(self, filled: Places) -> tuple[Architecture, Places]:
        if not self._turns:
            self._turns.extend(self.rng.permutation(len(self.weights)).tolist())
        near = self._near[self._turns.popleft()]
        mates = near if self.rng.random() < LOCAL else np.arange(len(self.weights))
        able = mates[np.isin(mates, filled)]
        able = able if len(able) > 1 else filled
        first, second = (self.population[i] for i in self.rng.choice(able, 2, replace=len(able) < 2))
        if first is None or second is None:
            raise RuntimeError("a child is bred of a subproblem that has no solution")
        child = self.space.crossover(first, second, self.rng, "two_point")
        return self.space.mutate(child, self.rng, 1 / len(self.space.names)), mates

    def _compete(self, candidate: Architecture, places: Places) -> None:
        value = self.known[candidate]
        sound = bool(np.isfinite(value).all())
        merit = value[0] if sound or value[0] < 0 else -np.inf
        loss = np.array(value[1:])
        wins = (merit > self._merit[places]) | [self.population[i] is None for i in places]
        if sound:
            scale = self.weights[places] / self._span()
            mine, theirs = ((scale * (self._best - v)).max(axis=1) for v in (loss, self._values[places]))
            wins |= (merit == self._merit[places]) & (mine <= theirs)
        for i in self.rng.permutation(places[wins])[: self.replace].tolist():
            self.population[i], self._merit[i], self._values[i] = candidate, merit, loss

    def _span(self) -> Matrix:
        fine = self._values[self._merit == 0]
        if not len(fine):
            return np.ones(self.weights.shape[1])
        width = self._best - fine.min(axis=0)
        return np.asarray(np.where(width > 0, width, 1.0))


def lattice(objectives: int, most: int) -> Matrix:
    """Evenly spread weight vectors, at most ``most`` of them (simplex lattice; Das and Dennis 1998).

    One objective has ``most`` times the same vector. A weight of 0 becomes a small one, so that all objectives count.
    """
    if objectives == 1:
        return np.ones((most, 1))
    steps = 1
    while comb(steps + objectives, objectives - 1) <= most:
        steps += 1
    bars = combinations(range(steps + objectives - 1), objectives - 1)
    ends = np.array([(-1, *each, steps + objectives - 1) for each in bars])
    return np.maximum((np.diff(ends, axis=1) - 1) / steps, LEAST_WEIGHT)


def _nearest(weights: Matrix, n: int) -> Places:
    """Places of the ``n`` nearest weights of each, its own first; of equally near ones those nearest in order."""
    place = np.arange(len(weights))
    rows = [np.lexsort((abs(place - i), np.linalg.norm(weights - weights[i], axis=1)))[:n] for i in place]
    return np.array(rows)
