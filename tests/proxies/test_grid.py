"""The grid of weights by the ratio of the weights, against each pair on its own."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SettingsError
from archwright.proxies.combining import Hybrid, combine
from archwright.proxies.grid import Grid, direct, first_for_all, held_out, study

WEIGHTS = np.array([0, 0.5, 1, 3, 7.5])


@pytest.mark.parametrize("seed", range(8))
def test_every_pair_is_what_it_is_on_its_own(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 60))
    din, ddn, worth = rng.random(n), rng.random(n), rng.integers(0, 10, n).astype(float)
    worth[:2] = 0, 1
    if seed % 2:  # many failed, at one place of the second branch
        din[: n // 3], ddn[: n // 3] = 0.0, -1e8
    found = study(din, ddn, worth, alphas=WEIGHTS, betas=WEIGHTS)
    for i, alpha in enumerate(WEIGHTS):
        for j, beta in enumerate(WEIGHTS):
            expected = direct(combine(din, ddn, alpha, beta), worth)
            assert (found.kendall[i, j], found.spearman[i, j]) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_the_first_pair_has_the_smallest_alpha_and_needs_all_data_sets():
    weights = np.array([0.5, 1.0])
    a = Grid(weights, weights, np.array([[0.1, 0.614], [0.62, 0.618]]), np.zeros((2, 2)))
    b = Grid(weights, weights, np.array([[0.1, 0.7], [0.2, 0.7]]), np.zeros((2, 2)))
    assert a.first(a.rounded_best()) == (1.0, 0.5)
    assert first_for_all([a, b]) == (1.0, 1.0)
    assert a.best() == (1.0, 0.5, 0.62)


def test_weights_are_tuned_on_one_part_and_judged_on_the_other():
    rng = np.random.default_rng(0)
    worth = rng.normal(size=300)
    scores = {"di": np.exp(worth + rng.normal(size=300)), "dd": np.exp(worth + rng.normal(size=300))}
    found = held_out(Hybrid("di", "dd", mode="thesis"), scores, worth, sample=100)
    assert found["kendall"] > 0.3
    with pytest.raises(SettingsError, match="leaves too few"):
        held_out(Hybrid("di", "dd"), scores, worth, sample=299)


@pytest.mark.parametrize("bad", [[-1.0, 0.0], [0.0, np.nan], [1.0, 1.0], []])
def test_weights_that_make_no_grid_are_refused(bad):
    with pytest.raises(SettingsError, match="finite, not negative and ascending"):
        study(np.arange(4.0), np.arange(4.0), np.arange(4.0), alphas=np.array(bad), betas=WEIGHTS)
