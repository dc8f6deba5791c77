"""NSGA-II."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import numpy as np

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth
from archwright.searchers.pareto import crowding_distance
from archwright.space import Architecture, Space

IDLE = 50


class NSGA2(Searcher):
    """The elitist non-dominated sorting genetic algorithm (Deb et al. 2002), with the settings of Zouambi (2023, section 5.4).

    Two-point crossover, each parameter mutates with probability 1 / parameters, binary tournaments on front and crowding
    distance, parents and offspring compete. Sorting is moocore's. The loop is not pymoo's, which owns the evaluations: here
    they may fail, be known already (at no cost), and be answered in any order. What was given before the search begins is
    part of the first population.

    Args:
        population: members.
    """

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "genetic algorithm with non-dominated sorting and crowding"

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, population: int = 100) -> None:
        super().__init__(space, goal, seed=seed)
        if population < 2:
            raise SettingsError(f"population must be at least 2, not {population}")
        self.size = population
        self.population: list[Architecture] = []
        self._brood: list[Architecture] = []
        self._waiting: deque[Architecture] = deque()
        self._open: dict[Architecture, None] = {}
        self._first = True

    def propose(self) -> Architecture | None:
        """The next member of the brood whose value is not known."""
        for _ in range(IDLE):
            if self._first and not self._brood:
                given = sorted(ranked := _ranked(list(self.known), self.known), key=lambda a: ranked[a])[: self.size]
                drawn = [self.space.sample(self.starts) for _ in range(self.size - len(given))]
                self._breed(given + drawn)
            while self._waiting:
                candidate = self._waiting.popleft()
                if candidate not in self.known:
                    self._open[candidate] = None
                    if candidate not in self.pending:
                        return candidate
            if self._open:
                return None
            self._next_generation()
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """One answer less to wait for."""
        self._open.pop(architecture, None)

    def _breed(self, brood: list[Architecture]) -> None:
        self._brood = brood
        self._waiting = deque(brood)
        self._first = False

    def _next_generation(self) -> None:
        both = list(dict.fromkeys([*self.population, *self._brood]))
        ranked = _ranked(both, self.known)
        self.population = sorted(ranked, key=lambda a: ranked[a])[: self.size]
        place = {a: ranked[a] for a in self.population}
        children: list[Architecture] = []
        pool = self.population if len(self.population) > 1 else [*self.population, self.space.sample(self.rng)]
        while len(children) < self.size:
            order = [pool[i] for i in self.rng.permutation(len(pool))]
            order += order[: -len(order) % 4]
            for i in range(0, len(order), 4):
                four = [*order[i : i + 4], *pool][:4]
                first, second = self._fight(four[0], four[1], place), self._fight(four[2], four[3], place)
                for child in self.space.crossover_pair(first, second, self.rng, "two_point"):
                    children.append(self.space.mutate(child, self.rng, 1 / len(self.space.names)))
        self._breed(children[: self.size])

    def _fight(self, a: Architecture, b: Architecture, place: dict[Architecture, tuple[float, float]]) -> Architecture:
        worst = (np.inf, np.inf)
        here, there = place.get(a, worst), place.get(b, worst)
        if here == there:
            return (a, b)[int(self.rng.integers(2))]
        return a if here < there else b


def _ranked(members: list[Architecture], known: dict[Architecture, Worth]) -> dict[Architecture, tuple[float, float]]:
    """Front (0 is the first) and negative crowding distance of each; the infeasible come behind, by their violation."""
    from moocore import pareto_rank

    fine = [a for a in members if known[a][0] == 0]
    found: dict[Architecture, tuple[float, float]] = {}
    if fine:
        points = np.array([known[a][1:] for a in fine])
        fronts = np.asarray(pareto_rank(-points))
        fronts = fronts - fronts.min()
        for front in np.unique(fronts):
            inside = np.flatnonzero(fronts == front)
            for i, distance in zip(inside, crowding_distance(points[inside])):
                found[fine[i]] = (float(front), -float(distance))
    last = len(members)
    for a in members:
        if a not in found:
            found[a] = (last, -known[a][0])
    return found
