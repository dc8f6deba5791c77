"""Regularised evolution."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Clues, Searcher, Worth, dominates
from archwright.searchers.guide import HALF_LIFE, POOL, Guide
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

    With clues, the first members are the most promising of ``pool`` random architectures and a child is the most promising
    of ``offspring`` mutations, as far as the clues are to be trusted (:class:`~archwright.searchers.guide.Guide`).

    Args:
        population: P. The default, 10, and that of ``sample``, 3, are those of the NAS-Bench-201 study (Dong and
            Yang 2020) and suit budgets of tens to hundreds; Real et al. use 100 and 25.
        sample: S.
        clues: of architectures, or ``None``.
        offspring: mutations that a child is chosen from, where there are clues.
        pool, half_life: of the guide, where there are clues.
    """

    takes_clues: ClassVar[bool] = True
    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "ageing evolution: mutate the best of a small tournament, drop the oldest"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        population: int = 10,
        sample: int = 3,
        clues: Clues | None = None,
        offspring: int = 10,
        pool: int = POOL,
        half_life: int = HALF_LIFE,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if population < 1 or sample < 1:
            raise SettingsError(f"population and sample must be at least 1, not {population} and {sample}")
        if offspring < 1:
            raise SettingsError(f"offspring must be at least 1, not {offspring}")
        self.offspring = offspring
        self.guide = None if clues is None else Guide(space, clues, self.rng, pool=pool, half_life=half_life)
        self.population: deque[Architecture] = deque(maxlen=population)
        self.sample = sample

    def propose(self) -> Architecture | None:
        """A random architecture until the population is full, then a child."""
        wanted = self.population.maxlen or 1
        if not self.population or len(self.population) + len(self.pending) < wanted:
            return self._first()
        children = self._children(1 if self.guide is None else self.offspring)
        if children:
            return children[0 if self.guide is None else self.guide.order(children)[0]]
        return self.fresh(self.rng)

    def _first(self) -> Architecture | None:
        new = [] if self.guide is None else [a for a in self.guide.pool if self.is_new(a)]
        return new[self.guide.order(new)[0]] if self.guide is not None and new else self.fresh(self.starts)

    def _children(self, wanted: int) -> list[Architecture]:
        """Different new mutations, each of a parent of its own; fewer where they are hard to find."""
        found: dict[Architecture, None] = {}
        for _ in range(100):
            if len(found) == wanted:
                break
            child = self.space.mutate(self._parent(), self.rng)
            if self.is_new(child):
                found[child] = None
        return list(found)

    def remarks(self) -> list[str]:
        """What came of the clues."""
        return [] if self.guide is None else self.guide.remarks()

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """The newest member enters, the oldest leaves; broken and infeasible ones enter too and lose tournaments."""
        if self.guide is not None:
            self.guide.tell(architecture, value)
        self.population.append(architecture)

    def _parent(self) -> Architecture:
        picks = self.rng.integers(len(self.population), size=self.sample)
        members = [self.population[int(i)] for i in picks]
        best = [a for a in members if not any(dominates(self.known[b], self.known[a]) for b in members)]
        return best[int(self.rng.integers(len(best)))]
