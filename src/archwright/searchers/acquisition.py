"""Which candidate to evaluate, from what the members of an ensemble predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.searchers.surrogate import expected_improvement

Matrix = NDArray[np.float64]
SMOOTH = 1e-3
KAPPA = 1.0


def improvement_probability(members: Matrix, best: float) -> Matrix:
    """Share of members above the incumbent, each counted by a sigmoid of width 0.001 (Wilson et al. 2018).

    Args:
        members: ``members x candidates``, on a scale where the known values have standard deviation 1.
        best: the incumbent.
    """
    return np.asarray((1 / (1 + np.exp(-np.clip((members - best) / SMOOTH, -500, 500)))).mean(axis=0))


ACQUISITIONS: Mapping[str, Callable[[Matrix, float, np.random.Generator], Any]] = {
    "pi": lambda members, best, _: improvement_probability(members, best),
    "ei": lambda members, best, _: expected_improvement(members.mean(axis=0), members.std(axis=0), best),
    "ucb": lambda members, _, __: members.mean(axis=0) + KAPPA * members.std(axis=0),
    "ts": lambda members, _, rng: members[rng.integers(len(members))],
    "mean": lambda members, _, __: members.mean(axis=0),
}
"""By name: probability of improvement, expected improvement, upper confidence bound, Thompson sampling of a member, mean."""


def best_first(members: Matrix, best: float, acquisition: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the candidates by acquisition, then by the members' mean, then in random order.

    With few members the probability of improvement has few values, so that the second key decides most of the time.
    """
    score = np.asarray(ACQUISITIONS[acquisition](members, best, rng))
    noise = rng.random(members.shape[1])
    return np.asarray(np.lexsort(np.stack([noise, -members.mean(axis=0), -score])))
