"""Normalisers, the hybrid proxy, weighted sums, and a combination learned from trials."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SettingsError
from archwright.proxies.combining import NORMALISERS, Hybrid, Learned, LogRanks, Vote, WeightedSum, combine, normalise

SCORES = {"di": np.array([0.0, 2.0, 5.0, 10.0, 1.0]), "dd": np.array([3.0, 4.0, 8.0, 7.0, -np.inf])}


def hybrid(**options):
    return Hybrid("di", "dd", **options)


def test_max_normalised_scores_have_the_maximum_one():
    assert normalise(SCORES["di"]).max() == 1
    assert normalise(SCORES["dd"]).max() == 1


def test_the_choice_of_the_data_independent_proxy_gets_one_unless_both_choose_it():
    assert hybrid()(SCORES)[3] == 1
    both = {"di": SCORES["di"], "dd": np.array([3.0, 4.0, 7.0, 8.0, 1.0])}
    assert hybrid()(both)[3] == 2


def test_equal_normalised_scores_take_the_sum():
    assert combine(np.array([0.5]), np.array([0.5]), 0.5, 1.5)[0] == 1.0


def test_a_common_factor_of_the_weights_keeps_the_order_of_the_first_branch():
    rng = np.random.default_rng(0)
    din, ddn = rng.random(50), rng.random(50)
    first = din <= ddn
    once, thrice = (combine(din, ddn, 0.5 * k, 1.5 * k)[first] for k in (1, 3))
    assert (np.argsort(once) == np.argsort(thrice)).all()


def test_zero_weights_leave_only_the_second_branch():
    din, ddn = np.array([0.2, 0.9, 1.0]), np.array([0.5, 0.9, 0.4])
    assert combine(din, ddn, 0, 0).tolist() == [0, 0, 1.0]


def test_unconditional_is_the_sum_everywhere():
    found = hybrid(mode="unconditional")(SCORES)
    assert found[3] == pytest.approx(0.5 + 1.5 * 7 / 8)


def test_what_failed_counts_the_lowest_or_the_smallest():
    assert hybrid()(SCORES)[4] == pytest.approx(0.1)  # the second branch
    assert hybrid(failures="minimum")(SCORES)[4] == pytest.approx(0.05 + 1.5 * 3 / 8)


@pytest.mark.parametrize("how", sorted(set(NORMALISERS) - {"max"}))
def test_a_failed_score_is_as_bad_as_the_worst(how):
    found = normalise(np.array([3.0, -np.inf, 1.0, np.nan, 2.0]), how)
    assert found[1] == found[3] == found[2] == found.min()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("how", sorted(NORMALISERS))
def test_equal_scores_become_zeros(how):
    assert normalise(np.full(4, -7.0), how).tolist() == [0, 0, 0, 0]


def test_max_refuses_negative_scores_and_abs_max_keeps_their_order():
    jacov = np.array([-65.0, -130.0, -70.0])
    with pytest.raises(SettingsError, match=r"largest score of jacov is -65.*abs-max"):
        normalise(jacov, "max", name="jacov")
    assert np.argsort(normalise(jacov, "abs-max")).tolist() == np.argsort(jacov).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.5}, "alpha must be a finite number that is not negative, not -0.5"),
        ({"beta": float("nan")}, "beta must be"),
        ({"beta": float("inf")}, "beta must be"),
        ({"alpha": "much"}, "alpha must be"),
        ({"mode": "thesi"}, "did you mean thesis"),
        ({"normaliser": "maxx"}, "did you mean max"),
    ],
)
def test_hybrids_that_make_no_sense_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        hybrid(**options)


def test_all_failed_is_refused():
    with pytest.raises(SettingsError, match="dd failed on all 5"):
        hybrid()({"di": SCORES["di"], "dd": np.full(5, np.nan)})


def test_a_negative_weight_turns_a_proxy_round():
    scores = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([5.0, -np.inf, 1.0])}
    found = WeightedSum({"a": 1, "b": -1}, "rank")(scores)
    assert found.tolist() == pytest.approx([1 / 3 + 1.5 / 3, 2 / 3 + 1.5 / 3, 2.0])


def test_sums_of_one_or_of_nothing_are_refused():
    with pytest.raises(SettingsError, match="two or more"):
        WeightedSum({"a": 1})
    with pytest.raises(SettingsError, match="weight of b is 0"):
        WeightedSum({"a": 1, "b": 0})


def noisy(n, seed):
    """Two proxies that know something, one that misleads, and worth."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(size=n)
    return {
        "good": np.exp(worth + 0.5 * rng.normal(size=n)),
        "fair": worth + 2 * rng.normal(size=n),
        "wrong": -worth + rng.normal(size=n),
    }, worth


def correlation(a, b):
    return np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1]


def test_what_is_learned_from_few_ranks_others_better_than_each_part():
    known, worth = noisy(60, 0)
    new, truth = noisy(2000, 1)
    found = correlation(Learned(tuple(known), monotone=False).fit(known, worth)(new), truth)
    assert found > max(correlation(new[name], truth) for name in new) + 0.01


def test_a_monotone_combination_uses_no_proxy_against_itself():
    known, worth = noisy(60, 0)
    assert Learned(tuple(known), monotone=False).fit(known, worth).weights["wrong"] < 0
    assert min(Learned(tuple(known)).fit(known, worth).weights.values()) == 0


def test_learned_takes_failed_scores_as_the_worst():
    known, worth = noisy(60, 0)
    known["good"][np.argmin(worth)] = np.nan
    fitted = Learned(("good", "fair")).fit(known, worth)
    two = {"good": np.array([np.nan, known["good"][0]]), "fair": known["fair"][[0, 0]]}
    assert fitted(two)[0] < fitted(two)[1]


def test_scores_beyond_the_known_ones_are_told_apart():
    known = {"a": np.arange(20.0), "b": np.arange(20.0) % 7}
    fitted = Learned(("a", "b")).fit(known, np.arange(20.0))
    found = fitted({"a": np.array([19.0, 25.0, 30.0]), "b": np.zeros(3)})
    assert found[0] < found[1] < found[2]


def test_learned_refuses_too_little():
    known, worth = noisy(60, 0)
    with pytest.raises(SettingsError, match="5 or more"):
        Learned(("good",)).fit({"good": known["good"][:3]}, worth[:3])
    with pytest.raises(SettingsError, match="not fitted"):
        Learned(("good",))(known)


def test_the_vote_counts_who_is_beaten_and_half_of_the_ties():
    scores = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([1.0, 3.0, 2.0]), "c": np.array([1.0, 2.0, -np.inf])}
    assert Vote(("a", "b", "c"))(scores).tolist() == [0, 2, 1]
    assert Vote(("a", "b"))(scores).tolist() == [0, 1.5, 1.5]


def test_a_vote_may_go_in_a_circle():
    scores = {"a": np.array([3.0, 2.0, 1.0]), "b": np.array([2.0, 1.0, 3.0]), "c": np.array([1.0, 3.0, 2.0])}
    assert Vote(("a", "b", "c"))(scores).tolist() == [1, 1, 1]


@pytest.mark.parametrize("proxies", [(), ("a",), ("a", "a")])
def test_a_vote_of_fewer_than_two_is_refused(proxies):
    with pytest.raises(SettingsError, match="at least two different"):
        Vote(proxies)


def test_log_ranks_punish_what_is_poor_by_one_proxy():
    even, uneven = 2 * np.log(2 / 4), np.log(4 / 4) + np.log(1 / 4)
    scores = {"a": np.array([1.0, 4.0, 2.0, 3.0]), "b": np.array([3.0, -np.inf, 2.0, 4.0])}
    found = LogRanks(("a", "b"))(scores)
    assert found[2] == pytest.approx(even)
    assert found[1] == pytest.approx(uneven)
    with pytest.raises(SettingsError, match="at least two different"):
        LogRanks(("a", "a"))
