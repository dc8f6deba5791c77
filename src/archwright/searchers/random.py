"""Random search."""

from __future__ import annotations

from typing import ClassVar

from archwright.evaluation import Goal
from archwright.searchers.base import Searcher
from archwright.space import Architecture, Space


class RandomSearch(Searcher):
    """Architectures drawn uniformly from the space: the baseline that others must beat.

    Args:
        replace: draw with replacement: what was evaluated before may be drawn again, and the arena lets it pay again. In
            a study, where a repeated evaluation is free, it makes no difference but to the numbers of evaluations.
    """

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "architectures drawn uniformly, different ones or with replacement"

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, replace: bool = False) -> None:
        super().__init__(space, goal, seed=seed)
        self.pays_for_repeats = replace

    def propose(self) -> Architecture | None:
        """The next draw."""
        return self.space.sample(self.starts) if self.pays_for_repeats else self.fresh(self.starts)
