"""LS-PON: its predictor against scikit-learn and on an additive landscape, its order, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from archwright.errors import SettingsError
from archwright.evaluation import Bound, Evaluation, Goal, Objective
from archwright.searchers import LSPON, LocalSearch
from archwright.searchers.pon import Linear, normalised_ranks
from archwright.space import Choice, Integer, Space
from archwright.testing.searchers import GOAL, SearcherContract, toy_space, trajectory

CONDITIONAL = Space(block=Choice("conv", "mb"), n=Integer(1, 4), k=Choice(2, 4, when={"block": "mb"}))


class TestContract(SearcherContract):
    @pytest.fixture(params=["linear", "ridge", "pairwise"])
    def make(self, request):
        return lambda space, goal, seed: LSPON(space, goal, seed=seed, model=request.param)


def utilities(seed, parameters=6, values=5):
    return np.random.default_rng([seed, 9]).random((parameters, values))


@pytest.mark.parametrize("space", [toy_space(6, 5), CONDITIONAL])
def test_the_predictor_equals_scikit_learns_after_every_evaluation(space):
    rng = np.random.default_rng(0)
    rows = space.encode(space.sample(rng, 80), "one_hot")
    others = space.encode(space.sample(rng, 20), "one_hot")
    targets = rng.random(80)
    mine = Linear()
    for n, row in enumerate(rows, start=1):
        mine.add(row)
        mine.fit(targets[:n])
        theirs = LinearRegression().fit(rows[:n], targets[:n])
        np.testing.assert_allclose(mine.predict(others), theirs.predict(others) - theirs.intercept_, atol=1e-8)


def test_with_sixty_evaluations_the_best_neighbour_is_predicted_among_the_top_three():
    space = toy_space(6, 5)
    hits = 0
    for seed in range(60):
        worth = utilities(seed)
        searcher = LSPON(space, GOAL, seed=seed)
        rng = np.random.default_rng(seed)

        def value(a, worth=worth):
            return sum(worth[i, v] for i, v in enumerate(a.values()))

        for a in space.sample(rng, 60):
            searcher.tell(a, Evaluation({"score": value(a)}))
        current = space.sample(rng)
        first = searcher.order(current, space.neighbours(current))[0]
        hits += value(first) >= sorted(map(value, space.neighbours(current)))[-3]
    assert hits > 54


def test_one_evaluation_gives_a_uniform_order():
    space = toy_space(1, 4)
    firsts = []
    for seed in range(600):
        searcher = LSPON(space, GOAL, seed=seed)
        a = next(iter(space.enumerate()))
        searcher.tell(a, Evaluation({"score": 1.0}))
        firsts.append(searcher.order(a, space.neighbours(a))[0]["x0"])
    assert stats.chisquare(np.bincount(firsts, minlength=4)[1:]).pvalue > 1e-3


def test_ranks_are_normalised_and_ties_share_theirs():
    assert normalised_ranks(np.array([3.0, 1.0, np.inf, 1.0, np.inf])).tolist() == [0.5, 0.125, 0.875, 0.125, 0.875]
    assert normalised_ranks(np.array([7.0])).tolist() == [0.0]


def test_it_needs_fewer_evaluations_than_local_search_on_an_additive_landscape():
    space = toy_space(6, 5)

    def needed(kind, seed):
        worth = utilities(seed)
        searcher = kind(space, GOAL, seed=seed)
        best = worth.max(axis=1).sum()
        for n in range(1, 1000):
            (a,) = searcher.ask(1)
            value = float(sum(worth[i, v] for i, v in enumerate(a.values())))
            if value > best - 1e-12:
                return n
            searcher.tell(a, Evaluation({"score": value}))
        raise AssertionError("never found")

    mine, plain = ([needed(kind, seed) for seed in range(100)] for kind in (LSPON, LocalSearch))
    assert stats.wilcoxon(mine, plain, alternative="less").pvalue < 1e-3


def test_it_starts_where_local_search_starts():
    space = toy_space()
    assert LSPON(space, GOAL, seed=5).ask(1) == LocalSearch(space, GOAL, seed=5).ask(1)


def test_failures_rank_last_and_the_search_goes_on():
    space = toy_space(3, 3)
    searcher = LSPON(space, GOAL)
    asked = []
    while proposals := searcher.ask(1):
        asked += proposals
        broken = proposals[0]["x0"] == 2
        searcher.tell(
            proposals[0], Evaluation(status="failed") if broken else Evaluation({"score": 1.0 * proposals[0]["x1"]})
        )
    assert len(asked) == len(set(asked)) == 27


def test_the_sooner_feasible_the_less_a_bound_is_broken():
    space = toy_space(8, 5)
    goal = Goal((Objective("score", "maximize"),), (Bound("size", "at_most", 2.0),))

    def needed(kind, seed):
        searcher = kind(space, goal, seed=seed)
        for n in range(1, 1000):
            (a,) = searcher.ask(1)
            size = float(sum(a.values()))
            if size <= 2:
                return n
            searcher.tell(a, Evaluation({"score": size, "size": size}, status="infeasible"))
        raise AssertionError("never found")

    mine, plain = ([needed(kind, seed) for seed in range(60)] for kind in (LSPON, LocalSearch))
    assert stats.wilcoxon(mine, plain, alternative="less").pvalue < 1e-3


def test_feasible_ranks_before_infeasible_before_failed():
    space = toy_space(1, 5)
    goal = Goal((Objective("score", "maximize"),), (Bound("size", "at_most", 1.0),))
    searcher = LSPON(space, goal)
    told = [
        Evaluation(status="failed"),
        Evaluation({"score": 9.0, "size": 3.0}, status="infeasible"),
        Evaluation({"score": -1e6, "size": 1.0}),
        Evaluation({"score": 9.0, "size": 2.0}, status="infeasible"),
        Evaluation({"score": 1e6, "size": 1.0}),
    ]
    for a, evaluation in zip(space.enumerate(), told):
        searcher.tell(a, evaluation)
    assert searcher._targets().tolist() == [1.0, 0.75, 0.25, 0.5, 0.0]


def test_an_architecture_told_again_counts_once_with_its_last_value():
    space = toy_space(2, 2)
    first, second, *_ = space.enumerate()
    searcher = LSPON(space, GOAL)
    for a, score in ((first, 1.0), (second, 2.0), (first, 3.0)):
        searcher.tell(a, Evaluation({"score": score}))
    assert searcher._targets().tolist() == [0.0, 1.0]


def test_a_failure_has_the_worst_value_seen_when_values_are_the_target():
    space = toy_space(1, 3)
    searcher = LSPON(space, GOAL, target="value")
    scores = [91.0, None, 88.0]
    for a, score in zip(space.enumerate(), scores):
        searcher.tell(a, Evaluation(status="failed") if score is None else Evaluation({"score": score}))
    assert searcher._targets().tolist() == [-91.0, -88.0, -88.0]


@pytest.mark.parametrize("model", ["linear", "ridge", "pairwise", "forest", "boosting"])
@pytest.mark.parametrize("target", ["rank", "value"])
def test_every_model_works_on_a_conditional_space(model, target):
    searcher = LSPON(CONDITIONAL, GOAL, model=model, target=target)
    while proposals := searcher.ask(1):
        a = proposals[0]
        searcher.tell(a, Evaluation({"score": a["n"] + 3 * (a["block"] == "mb") + a.get("k", 0)}))
    assert len(searcher.known) == CONDITIONAL.size


def test_it_ends_when_a_small_space_is_known():
    assert len(trajectory(LSPON(toy_space(3, 3), GOAL), 1000)) == 27


@pytest.mark.parametrize(
    ("options", "message"), [({"model": "svm"}, "model must be one of linear"), ({"target": "x"}, "rank or value")]
)
def test_bad_options(options, message):
    with pytest.raises(SettingsError, match=message):
        LSPON(toy_space(), GOAL, **options)
