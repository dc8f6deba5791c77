"""Correlations, the top of the list, and the bootstrap against SciPy on resampled arrays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from archwright.errors import SettingsError
from archwright.proxies.correlation import Pairs, assess, overlap


@pytest.mark.parametrize("n", [3, 8, 40, 200])
def test_resampled_coefficients_are_those_of_the_repeated_rows(n):
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, n // 2 + 1, n).astype(float), rng.integers(0, n // 3 + 2, n).astype(float)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=12).T
    pairs = Pairs(x, y)
    taus, rhos = pairs.kendalls(drawn), pairs.spearmans(drawn)
    for k in range(12):
        rows = np.repeat(np.arange(n), drawn[:, k])
        assert taus[k] == pytest.approx(kendalltau(x[rows], y[rows]).statistic, nan_ok=True)
        if np.ptp(x[rows]) and np.ptp(y[rows]):
            assert rhos[k] == pytest.approx(spearmanr(x[rows], y[rows]).statistic)


def test_tau_a_leaves_ties_in_the_denominator():
    x, y = np.array([1.0, 1, 2, 3, 3]), np.array([1.0, 2, 2, 3, 4])
    found = assess(x, y, resamples=0)
    pairs = (x[:, None] - x[None, :]) * (y[:, None] - y[None, :])
    assert found.tau_a == pytest.approx(np.sign(pairs).sum() / 2 / 10)
    assert found.kendall > found.tau_a


def test_spearman_without_ties_is_that_of_squared_rank_differences():
    x, y = np.array([1.0, 5, 2, 4, 3]), np.array([2.0, 4, 1, 5, 3])
    assert assess(x, y, resamples=0).spearman == pytest.approx(1 - 6 * ((x - y) ** 2).sum() / (5 * 24))


def test_the_top_of_the_list():
    worth = np.arange(100.0)
    scores = worth.copy()
    scores[[99, 98]] = [50.5, 200]
    found = assess(scores, worth, resamples=0)
    assert (found.top1_accuracy, found.gap, found.rank_of_best, found.best_rank_at_10) == (98, 1, 49, 2)
    assert found.top10_mean == np.mean([98, *range(89, 98)])
    assert found.overlap[10] == 0.9
    assert found.top_decile["n"] == 10


def test_ties_at_the_top_go_to_the_lower_row():
    found = assess(np.array([1.0, 3, 3, 2]), np.array([1.0, 5, 9, 2]), resamples=0)
    assert (found.top1_accuracy, found.rank_of_best) == (5, 2)


def test_equal_worth_at_the_end_of_the_true_first_counts_as_overlap():
    assert overlap(np.array([2, 0, 1]), np.array([4.0, 4.0, 1.0]), 2) == 0.5


def test_failures_rank_last():
    worth = np.array([5.0, 4, 3, 2, 1])
    found = assess(np.array([5.0, 4, 3, np.nan, -np.inf]), worth, resamples=0)
    assert found.failed == 2
    assert found.kendall == pytest.approx(kendalltau([5, 4, 3, 0, 0], worth).statistic)


def test_intervals_hold_the_estimate_and_shrink_with_more_architectures():
    rng = np.random.default_rng(0)
    widths = []
    for n in (100, 1600):
        worth = rng.normal(size=n)
        found = assess(worth + rng.normal(size=n), worth)
        low, high = found.intervals["kendall"]
        assert low < found.kendall < high
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6


def test_the_bootstrap_repeats_with_its_seed():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 60))
    assert assess(x, y, seed=3).intervals == assess(x, y, seed=3).intervals
    assert assess(x, y, seed=3).intervals != assess(x, y, seed=4).intervals


@pytest.mark.parametrize(
    ("scores", "worth", "message"),
    [
        ([1, 1, 1], [1, 2, 3], "gives all 3 architectures the score 1"),
        ([np.nan, -np.inf, np.nan], [1, 2, 3], "failed on all 3"),
        ([1, 2, 3], [4, 4, 4], "all 3 architectures are worth 4"),
        ([1, 2], [1, 2], "three or more"),
        ([1, 2, 3], [1, np.nan, 3], "not finite"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, worth, message):
    with pytest.raises(SettingsError, match=message):
        assess(np.array(scores, dtype=float), np.array(worth, dtype=float))
