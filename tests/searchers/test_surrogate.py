"""Bayesian optimisation through libraries: forest, Gaussian process, TPE."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.searchers import TPE, ForestBO, GaussianProcessBO, RandomSearch
from archwright.searchers.surrogate import expected_improvement
from archwright.space import Choice, Integer, Real, Space
from archwright.testing.searchers import GOAL

SPACE = Space(
    block=Choice("conv", "mb"),
    depth=Integer(1, 8),
    ratio=Choice(2, 4, 6, when={"block": "mb"}),
    dropout=Real(0.0, 1.0),
    constraints=[(lambda a: a["depth"] != 5, "depth must not be 5")],
)


def score(a):
    return a["depth"] + 4 * (a["block"] == "mb") + a.get("ratio", 0) - 6 * (a["dropout"] - 0.3) ** 2


def best_of(kind, seed, n=40):
    searcher = kind(SPACE, GOAL, seed=seed)
    for _ in range(n):
        (a,) = searcher.ask(1)
        assert a in SPACE
        searcher.tell(a, Evaluation({"score": score(a)}))
    return max(value[1] for value in searcher.known.values())


@pytest.mark.parametrize("kind", [TPE, ForestBO, GaussianProcessBO])
def test_it_beats_random_search_on_a_mixed_conditional_space(kind):
    mine, random = ([best_of(k, seed) for seed in range(12)] for k in (kind, RandomSearch))
    assert stats.wilcoxon(mine, random, alternative="greater").pvalue < 0.05


def test_expected_improvement_at_known_points():
    found = expected_improvement(np.array([1.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0]), 1.0)
    assert found == pytest.approx([1 / np.sqrt(2 * np.pi), 0.0, 1.0], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"), [(TPE, {"initial": 0}), (ForestBO, {"initial": 0}), (GaussianProcessBO, {"pool": 0})]
)
def test_bad_options(kind, options):
    with pytest.raises(SettingsError, match="at least 1"):
        kind(SPACE, GOAL, **options)
