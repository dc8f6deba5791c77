"""Which candidate to evaluate, from what the members of an ensemble predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Matrix = NDArray[np.float64]
SMOOTH = 1e-3
KAPPA = 1.0
LEAST = 1e-9


def expected_improvement(mean: Matrix, std: Matrix, best: float) -> Matrix:
    """Over ``best``, to be maximised (Jones et al. 1998, equation 15)."""
    std = np.maximum(std, LEAST)
    z = (mean - best) / std
    return np.asarray((mean - best) * norm.cdf(z) + std * norm.pdf(z))


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


NORMAL: Mapping[str, Callable[[Matrix, Matrix, float, np.random.Generator], Matrix]] = {
    "ei": lambda mean, std, best, _: expected_improvement(mean, std, best),
    "pi": lambda mean, std, best, _: np.asarray(norm.cdf((mean - best) / np.maximum(std, LEAST))),
    "ucb": lambda mean, std, _, __: mean + KAPPA * std,
    "ts": lambda mean, std, _, rng: rng.normal(mean, std),
    "mean": lambda mean, _, __, ___: mean,
}
"""The same of predictions with a normal deviation; Thompson sampling draws for each candidate by itself."""


def best_first(members: Matrix, best: float, acquisition: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the candidates by acquisition, then by the members' mean, then in random order.

    With few members the probability of improvement has few values, so that the second key decides most of the time.
    """
    score = np.asarray(ACQUISITIONS[acquisition](members, best, rng))
    noise = rng.random(members.shape[1])
    return np.asarray(np.lexsort(np.stack([noise, -members.mean(axis=0), -score])))


def hypervolume_first(members: Matrix, front: Matrix, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the candidates by expected improvement of the hypervolume, then by the members' mean, then in random order.

    The expectation is the mean over members, each of which says one outcome per candidate (Daulton et al. 2020, section 3, with
    members as the samples). The reference is a tenth of the range below the worst known value.

    Args:
        members: ``members x candidates x objectives``, to be maximised.
        front: known values ``n x objectives`` on the same scale, dominated ones or not.
    """
    low, high = front.min(axis=0), front.max(axis=0)
    reference = low - 0.1 * np.maximum(high - low, 1e-9)
    outcomes = members.reshape(-1, members.shape[2])
    gain = hypervolume_gain(outcomes, front, reference).reshape(members.shape[:2]).mean(axis=0)
    noise = rng.random(members.shape[1])
    return np.asarray(np.lexsort(np.stack([noise, -members.mean(axis=(0, 2)), -gain])))


def hypervolume_gain(points: Matrix, front: Matrix, reference: Matrix) -> Matrix:
    """By how much each of ``n x objectives`` points, alone, would enlarge the volume that ``front`` dominates above ``reference``.

    Exact. Space is cut into slabs between the last coordinates of the front; what is dominated does not change within a slab, which
    is the same question with an objective less. The time grows with the front to the power of the objectives less one.
    """
    from moocore import filter_dominated

    better = front[(front > reference).all(axis=1)]
    better = filter_dominated(better, maximise=True) if len(better) else better
    gain = np.zeros(len(points))
    beyond = (points > reference).all(axis=1)
    rows = np.flatnonzero(beyond)[~_covered(points[beyond], better)]
    if not len(rows):
        return gain
    if points.shape[1] == 2:
        gain[rows] = _area_gain(points[rows], better, reference)
        return gain
    edges = np.concatenate([reference[-1:], np.unique(better[:, -1]), [np.inf]])
    for left, right in zip(edges, edges[1:]):
        height = np.minimum(points[rows, -1], right) - left
        rows, height = rows[height > 0], height[height > 0]
        through = better[better[:, -1] >= right]
        gain[rows] += height * hypervolume_gain(points[rows, :-1], through[:, :-1], reference[:-1])
    return gain


def _covered(points: Matrix, front: Matrix) -> NDArray[np.bool_]:
    """Which points are nowhere better than some point of the front."""
    found = np.zeros(len(points), dtype=bool)
    for one in front:
        found |= (one >= points).all(axis=1)
    return found


def _area_gain(points: Matrix, front: Matrix, reference: Matrix) -> Matrix:
    """:func:`hypervolume_gain` in the plane, strip by strip; in each, what is above the front's height counts."""
    ordered = front[np.argsort(front[:, 0])]
    edges = np.concatenate([reference[:1], ordered[:, 0], [np.inf]])
    heights = np.concatenate([np.maximum.accumulate(ordered[::-1, 1])[::-1], reference[1:]])
    gain = np.zeros(len(points))
    for left, right, height in zip(edges, edges[1:], heights):
        if right > left:
            width = np.clip(np.minimum(points[:, 0], right) - left, 0, None)
            gain += width * np.clip(points[:, 1] - height, 0, None)
    return gain
