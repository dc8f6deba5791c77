"""What known evaluations are worth together: one number for each, of one objective or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from archwright.searchers.base import Worth
from archwright.space import Architecture

Matrix = NDArray[np.float64]
Merit = Callable[[Matrix], Matrix]
"""Ranks ``n x objectives`` from 1 / n to 1, to one number each, more being better."""


def objective(number: int) -> Merit:
    """One of them alone."""
    return lambda ranks: ranks[:, number]


def within(ranks: Matrix, bounds: Matrix) -> Matrix:
    """The first objective where the others keep their bounds; elsewhere less, by how much they miss them."""
    missed = np.clip(bounds - ranks[:, 1:], 0, None).sum(axis=1)
    return np.where(missed == 0, ranks[:, 0], -missed)


def normal_scores(known: Mapping[Architecture, Worth], merit: Merit) -> Matrix:
    """Of the ranks of what is known by its merit, scaled to standard deviation 1; what is not sound comes last."""
    worths = np.array(list(known.values()))
    ranks = np.stack([rankdata(column) for column in worths[:, 1:].T], axis=1) / len(worths)
    sound = worths[:, 0] == 0
    valued = merit(ranks)
    worst = min(0.0, float(valued.min())) - 1.0
    valued = np.where(sound, valued, np.maximum(worths[:, 0], -1e300) + worst)
    scores = norm.ppf((rankdata(valued) - 0.375) / (len(valued) + 0.25))
    return np.asarray(scores / (scores.std() or 1.0))
