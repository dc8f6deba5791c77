"""Local search on randomly weighted sums of the objectives."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import numpy as np

from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth
from archwright.space import Architecture, Space

RESTARTS = 200


class ScalarisedLS(Searcher):
    """Randomly scalarised local search (den Ottelander et al. 2021; baseline of Zouambi 2023, section 5.4).

    ::

        repeat:
            w <- random weights; s <- uniform random architecture
            for each parameter, in random order:
                for each neighbour u of s in that parameter:
                    move to u if w . objectives(u) > w . objectives(s)

    Objectives are scaled to [0, 1] over all that is known. What is non-dominated among all evaluations is the result.

    Args:
        loop: pass over the parameters until none improves, instead of once.
    """

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "local search on random weighted sums of the objectives"

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, loop: bool = False) -> None:
        super().__init__(space, goal, seed=seed)
        self.loop = loop
        self._current: Architecture | None = None
        self._weights = np.ones(len(goal.objectives))
        self._names: deque[str] = deque()
        self._scan: deque[Architecture] = deque()
        self._open: dict[Architecture, None] = {}
        self._moved = False
        self._low = np.full(len(goal.objectives), np.inf)
        self._high = -self._low

    def propose(self) -> Architecture | None:
        """The next start or neighbour whose value is not known."""
        restarts = 0
        while restarts < RESTARTS:
            while self._scan:
                candidate = self._scan.popleft()
                if candidate in self.known:
                    self._consider(candidate)
                    continue
                self._open[candidate] = None
                if candidate not in self.pending:
                    return candidate
            if self._open:
                return None
            if not self._next_parameter():
                self._restart()
                restarts += 1
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """Move if it belongs to the present scan and is better."""
        if np.isfinite(value).all():
            self._low = np.minimum(self._low, value[1:])
            self._high = np.maximum(self._high, value[1:])
        if self._open.pop(architecture, 0) is None:
            self._consider(architecture)

    def _restart(self) -> None:
        self._weights = self.rng.dirichlet(np.ones(len(self._weights)))
        self._current = None
        self._scan = deque([self.space.sample(self.starts)])

    def _next_parameter(self) -> bool:
        if self._current is None:
            return False
        if not self._names and self.loop and self._moved:
            self._shuffle()
        if not self._names:
            return False
        name, here = self._names.popleft(), self._current
        near = [
            u for u in self.space.neighbours(here, self.rng) if name in here and name in u and u[name] != here[name]
        ]
        self._scan = deque(near[i] for i in self.rng.permutation(len(near)))
        return True

    def _shuffle(self) -> None:
        names = self.space.names
        self._names = deque(names[i] for i in self.rng.permutation(len(names)))
        self._moved = False

    def _consider(self, candidate: Architecture) -> None:
        if self._current is None:
            self._current = candidate
            self._shuffle()
        elif self._score(self.known[candidate]) > self._score(self.known[self._current]):
            self._current = candidate
            self._moved = True

    def _score(self, value: Worth) -> tuple[float, float]:
        if not np.isfinite(value).all():
            return value[0] - 1, 0.0
        width = np.where(self._high > self._low, self._high - self._low, 1.0)
        return 0.0, float(self._weights @ ((np.array(value[1:]) - self._low) / width))
