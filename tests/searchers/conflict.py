"""Two objectives in conflict, for searchers of several objectives."""

from __future__ import annotations

import numpy as np

from archwright.evaluation import Evaluation, Goal, Objective
from archwright.space import Choice, Space

GOAL = Goal((Objective("a", "minimize"), Objective("b", "minimize")))
SPACE = Space({f"x{i}": Choice(0, 1, 2) for i in range(6)})


def evaluate(architecture):
    """A front of many vectors."""
    x = np.array(list(architecture.values()))
    return Evaluation(
        {"a": float((x * [1, 2, 3, 4, 5, 6]).sum()), "b": float(((2 - x) ** 2 * [6, 5, 4, 3, 2, 1]).sum())}
    )


def explore(searcher, n=10_000, answer=evaluate):
    while len(searcher.known) < n and (proposals := searcher.ask(1)):
        searcher.tell(proposals[0], answer(proposals[0]))
    return searcher
