"""Random search."""

from __future__ import annotations

from typing import ClassVar

from archwright.searchers.base import Searcher
from archwright.space import Architecture


class RandomSearch(Searcher):
    """Distinct architectures drawn uniformly from the space: the baseline that others must beat."""

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "distinct architectures drawn uniformly"

    def propose(self) -> Architecture | None:
        """The next draw."""
        return self.fresh(self.starts)
