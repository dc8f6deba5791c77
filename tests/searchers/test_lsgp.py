"""LS-GP: what its model learns, and that it needs fewer evaluations than chance and plain climbing."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.searchers import make_searcher
from archwright.searchers.lsgp import _value_counts
from archwright.space import Choice, Integer, Real, Space
from archwright.testing.searchers import GOAL, additive, toy_space, trajectory

HARD = toy_space(6, 4)


def interacting(architecture):
    """The best value of a parameter depends on its neighbour's."""
    values = [int(v) for v in architecture.values()]
    score = sum(3 - abs(a - (b + 1) % 4) for a, b in zip(values, values[1:])) + values[0]
    return Evaluation({"score": float(score)})


def evaluations_to_best(name, seed, objective=interacting):
    best = max(objective(a).metrics["score"] for a in HARD.enumerate())
    searcher = make_searcher(name, HARD, GOAL, seed=seed)
    for n in range(1, 1001):
        (architecture,) = searcher.ask(1)
        evaluation = objective(architecture)
        searcher.tell(architecture, evaluation)
        if evaluation.metrics["score"] == best:
            return n
    return 1001


def test_it_needs_far_fewer_evaluations_than_local_search_where_parameters_interact():
    mine = np.mean([evaluations_to_best("ls-gp", seed) for seed in range(5)])
    theirs = np.mean([evaluations_to_best("ls", seed) for seed in range(5)])
    assert mine < 0.7 * theirs


def test_values_are_counted_over_parameters_with_the_same_choices():
    space = Space({"a": Choice("x", "y"), "b": Choice("x", "y"), "c": Choice(1, 2, 3), "d": Real(0.0, 1.0)})
    sums = _value_counts(space)
    assert sums.shape == (8, 2)
    (row,) = space.encode([space.sample(np.random.default_rng(0))])
    assert (row @ sums).sum() == 2
    assert _value_counts(Space({"a": Choice(1, 2), "b": Choice(1, 2, 3)})).shape == (5, 0)


def test_conditional_integer_and_real_parameters_and_many_evaluations():
    space = Space(
        {
            "kind": Choice("a", "b"),
            "n": Integer(1, 3, when={"kind": ("b",)}),
            "rate": Real(0.0, 1.0),
            "m": Integer(1, 3),
        }
    )
    searcher = make_searcher("ls-gp", space, GOAL, seed=1)
    for i in range(450):
        (architecture,) = searcher.ask(1)
        score = float(architecture["rate"]) + float(architecture["m"])
        searcher.tell(architecture, Evaluation({"score": score}) if i % 7 else Evaluation(status="failed"))
    assert max(value[1] for value in searcher.known.values()) > 3.9


def test_a_batch_asks_for_different_architectures():
    searcher = make_searcher("ls-gp", toy_space(), GOAL, seed=0)
    for architecture in trajectory(make_searcher("random", toy_space(), GOAL, seed=0), 12):
        searcher.tell(architecture, additive(architecture))
    asked = searcher.ask(8)
    assert len(set(asked)) == 8


@pytest.mark.parametrize("options", [{"initial": 0}, {"pool": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(SettingsError, match="initial must be"):
        make_searcher("ls-gp", toy_space(), GOAL, **options)
