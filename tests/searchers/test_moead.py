"""MOEA/D."""

from __future__ import annotations

import numpy as np
import pytest
from conflict import GOAL, SPACE, evaluate, explore
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import SettingsError
from archwright.evaluation import Bound, Evaluation, Goal, Objective
from archwright.searchers import MOEAD, RandomSearch
from archwright.searchers.moead import lattice
from archwright.space import Choice, Integer, Real, Space
from archwright.testing.searchers import GOAL as ONE
from archwright.testing.searchers import SearcherContract


@pytest.mark.parametrize("options", [{"population": 2, "neighbours": 2}, {"population": 50, "replace": 10}], ids=str)
class TestVariants(SearcherContract):
    @pytest.fixture
    def make(self, options):
        return lambda space, goal, seed: MOEAD(space, goal, seed=seed, **options)


@given(st.integers(1, 5), st.integers(5, 120))
def test_weights_are_distinct_spread_over_all_objectives_and_not_too_many(objectives, most):
    weights = lattice(objectives, most)
    assert objectives <= len(weights) <= most
    assert weights.shape[1] == objectives
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    if objectives > 1:
        assert len(np.unique(weights, axis=0)) == len(weights)
        assert (weights.max(axis=0) == 1).all()


def test_weights_of_two_and_three_objectives():
    np.testing.assert_allclose(lattice(2, 5)[:, 1], [1, 0.75, 0.5, 0.25, 0], atol=1e-5)
    assert len(lattice(3, 100)) == 91


def test_the_whole_space_is_visited():
    assert len(explore(MOEAD(SPACE, GOAL), 10_000).known) == SPACE.size


def test_the_ends_of_the_population_are_good_in_their_objective():
    searcher = explore(MOEAD(SPACE, GOAL, seed=1, population=20, neighbours=5), 300)
    by_a = [-searcher.known[a][1] for i in np.argsort(searcher.weights[:, 0]) if (a := searcher.population[i])]
    assert len(by_a) == 20
    assert np.mean(by_a[:5]) > np.mean(by_a[5:15]) > np.mean(by_a[15:])


def test_it_finds_more_of_a_front_than_random_search():
    truth = {tuple(evaluate(a).metrics.values()) for a in SPACE.enumerate()}
    front = {p for p in truth if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in truth)}

    def share(kind):
        found = [
            {tuple(evaluate(a).metrics.values()) for a in explore(kind(SPACE, GOAL, seed=s), 150).known}
            for s in range(5)
        ]
        return np.mean([len(front & f) / len(front) for f in found])

    assert share(MOEAD) > share(RandomSearch) + 0.1


def test_a_child_replaces_no_more_than_it_may():
    searcher = MOEAD(SPACE, GOAL, seed=3, replace=2)
    for _ in range(200):
        (a,) = searcher.ask(1)
        before = list(searcher.population)
        searcher.tell(a, evaluate(a))
        assert sum(x != y for x, y in zip(before, searcher.population)) <= 2


def test_what_was_given_is_in_the_first_population_and_more_than_that_competes():
    given_first = SPACE.sample(np.random.default_rng(0), 40)
    searcher = MOEAD(SPACE, GOAL, population=20, neighbours=5)
    for a in given_first:
        searcher.tell(a, evaluate(a))
    searcher.ask(1)
    assert set(searcher.population) <= set(given_first)
    assert set(searcher.population) - set(given_first[:20])


def test_workers_are_never_idle_and_late_answers_count():
    searcher = MOEAD(SPACE, GOAL, seed=2)
    rng = np.random.default_rng(0)
    out = searcher.ask(8)
    for _ in range(200):
        a = out.pop(int(rng.integers(len(out))))
        searcher.tell(a, evaluate(a))
        out += searcher.ask(1)
        assert len(out) == len(set(out)) == 8
    assert None not in searcher.population


def test_more_workers_than_members_wait_for_the_first_answer():
    searcher = MOEAD(SPACE, GOAL, population=4, neighbours=2)
    out = searcher.ask(10)
    assert 1 <= len(out) <= 4
    assert not searcher.exhausted
    searcher.tell(out[0], evaluate(out[0]))
    assert len(searcher.ask(3)) == 3


def test_the_population_becomes_feasible_and_forgets_failures():
    goal = Goal(GOAL.objectives, (Bound("a", "at_most", 25.0),))

    def answer(architecture):
        if architecture["x0"] == 2:
            return Evaluation(status="failed")
        found = evaluate(architecture)
        return found if found.metrics["a"] <= 25 else Evaluation(found.metrics, status="infeasible")

    searcher = explore(MOEAD(SPACE, goal), 200, answer)
    assert all(searcher.known[a][0] == 0 for a in searcher.population)


def test_nothing_but_failures():
    assert len(explore(MOEAD(SPACE, GOAL), 100, lambda a: Evaluation(status="failed")).known) == 100


def test_parameters_with_conditions_of_every_kind():
    space = Space(
        kind=Choice("conv", "mlp"),
        kernel=Choice(3, 5, when={"kind": "conv"}),
        width=Integer(8, 256, log=True),
        dropout=Real(0.0, 0.5, when={"kind": "mlp"}),
    )

    def answer(architecture):
        return Evaluation({"a": float(architecture["width"]), "b": 1 / architecture["width"]})

    known = explore(MOEAD(space, GOAL), 120, answer).known
    assert len(known) == 120
    assert all(a in space for a in known)


def test_three_objectives():
    goal = Goal((*GOAL.objectives, Objective("c", "maximize")))
    searcher = MOEAD(SPACE, goal, population=20, neighbours=5)
    assert searcher.weights.shape == (15, 3)
    explore(searcher, 100, lambda a: Evaluation({**evaluate(a).metrics, "c": float(a["x0"] != a["x1"])}))
    assert len(searcher.known) == 100


def test_one_objective_is_climbed():
    def answer(architecture):
        return Evaluation({"score": float(sum(architecture.values()))})

    assert max(explore(MOEAD(SPACE, ONE), 200, answer).known.values()) == (0.0, 12.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "population must be at least 2"),
        ({"neighbours": 1}, "neighbours must be at least 2"),
        ({"replace": 0}, "replace at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(SettingsError, match=message):
        MOEAD(SPACE, GOAL, **options)


def test_a_population_below_the_number_of_objectives():
    goal = Goal(tuple(Objective(name, "minimize") for name in "abc"))
    with pytest.raises(SettingsError, match=r"number of objectives \(3\), not 2"):
        MOEAD(SPACE, goal, population=2)
