"""Regularised evolution."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth, dominates
from archwright.space import Architecture, Space


class RegularizedEvolution(Searcher):
    """Ageing evolution (Real et al. 2019, algorithm 1).

    ::

        population <- the first P random architectures
        repeat:
            sample S members with replacement; parent <- the best of them
            child <- mutation of the parent: one parameter takes another value
            evaluate the child, add it to the population, remove the oldest member

    With several objectives the parent is drawn from the sample's non-dominated members.

    Args:
        population: P. The default, 10, and that of ``sample``, 3, are those of the NAS-Bench-201 study (Dong and
            Yang 2020) and suit budgets of tens to hundreds; Real et al. use 100 and 25.
        sample: S.
    """

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "ageing evolution: mutate the best of a small tournament, drop the oldest"

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, population: int = 10, sample: int = 3) -> None:
        super().__init__(space, goal, seed=seed)
        if population < 1 or sample < 1:
            raise SettingsError(f"population and sample must be at least 1, not {population} and {sample}")
        self.population: deque[Architecture] = deque(maxlen=population)
        self.sample = sample

    def propose(self) -> Architecture | None:
        """A random architecture until the population is full, then a child."""
        wanted = self.population.maxlen or 1
        if not self.population or len(self.population) + len(self.pending) < wanted:
            return self.fresh(self.starts)
        for _ in range(100):
            child = self.space.mutate(self._parent(), self.rng)
            if self.is_new(child):
                return child
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """The newest member enters, the oldest leaves; broken and infeasible ones enter too and lose tournaments."""
        self.population.append(architecture)

    def _parent(self) -> Architecture:
        picks = self.rng.integers(len(self.population), size=self.sample)
        members = [self.population[int(i)] for i in picks]
        best = [a for a in members if not any(dominates(self.known[b], self.known[a]) for b in members)]
        return best[int(self.rng.integers(len(best)))]
