"""LS-GP: what its model learns, and that it needs fewer evaluations than chance and plain climbing."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.families import get_family
from archwright.families.nasbench101 import identities
from archwright.searchers import make_searcher
from archwright.searchers.kernels import _squared, _thermometer, _value_counts, local_structures
from archwright.space import Architecture, Cell, Choice, Integer, Real, Space
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


def test_one_writing_of_each_network_is_proposed():
    space = get_family("nasbench101").space
    searcher = make_searcher("ls-gp", space, GOAL, seed=0, pool=20)
    asked = []
    for _ in range(20):
        batch = searcher.ask(2)
        asked += batch
        for architecture in batch:
            searcher.tell(architecture, Evaluation({"score": float(sum(v is True for v in architecture.values()))}))
    assert len(set(identities(space.codes(asked)).tolist())) == len(asked) == 40


def test_a_space_whose_few_networks_are_all_known_still_gives_its_other_writings():
    space = Space({"a": Choice(*range(4)), "b": Choice(*range(4))}, identities=lambda codes: codes.max(axis=1))
    asked = trajectory(make_searcher("ls-gp", space, GOAL, seed=0, initial=1), 20)
    assert len(asked) == len(set(asked)) == 16
    assert {max(a.values()) for a in asked[:4]} == {0, 1, 2, 3}


NODES = Cell(4, ("conv", "pool"), on="nodes")


def nodes(edges, first, second):
    return Architecture(
        {NODES.edge_name(i, j): (i, j) in edges for i, j in NODES.edges} | {"op1": first, "op2": second}
    )


def test_structures_of_a_graph_do_not_depend_on_how_it_is_written():
    space = Space(cells=NODES)
    forks = [nodes({(0, 1), (0, 2), (1, 3), (2, 3)}, *ops) for ops in (("conv", "pool"), ("pool", "conv"))]
    assert set(local_structures(space, forks[0])) == set(local_structures(space, forks[1]))
    chain = {(0, 1), (1, 3)}
    dead = [
        nodes(chain, "conv", "conv"),
        nodes(chain | {(0, 2)}, "conv", "pool"),
        nodes({(0, 2), (2, 3)}, "pool", "conv"),
    ]
    assert len({frozenset(local_structures(space, a)) for a in dead}) == 1
    assert set(local_structures(space, forks[0])) != set(local_structures(space, dead[0]))


def test_structures_tell_the_order_of_operations_apart():
    space = Space(cells=NODES)
    chain = {(0, 1), (1, 2), (2, 3)}
    one, other = (local_structures(space, nodes(chain, *ops)) for ops in (("conv", "pool"), ("pool", "conv")))
    assert {s for s in one if len(s) == 3} == {s for s in other if len(s) == 3}
    assert set(one) != set(other)


def test_ordered_values_are_as_far_apart_as_the_steps_between_them():
    space = Space({"width": Integer(1, 5), "kernel": Choice(3, 5, 7), "kind": Choice("a", "b", "c")})
    steps = _thermometer(space)

    def distance(*pair):
        one, other = (space.encode([Architecture(dict(zip(space.names, values)))]) @ steps for values in pair)
        return float(_squared(one, other)[0, 0])

    assert distance((1, 3, "a"), (2, 3, "a")) == pytest.approx(0.25)
    assert distance((1, 3, "a"), (5, 5, "c")) == pytest.approx(1 + 0.5 + 1)
    assert _thermometer(Space({"a": Choice("x", "y", "z"), "b": Choice(False, True)})).size == 0


@pytest.mark.parametrize(("far", "steps"), [(0, {1}), (30, {1, 2})])
def test_candidates_are_one_or_two_steps_away(far, steps):
    space = toy_space(6, 3)
    searcher = make_searcher("ls-gp", space, GOAL, seed=0, initial=1, pool=0, far=far)
    (first,) = trajectory(searcher, 1)
    assert {sum(a[n] != first[n] for n in space.names) for a in searcher._candidates()} == steps


@pytest.mark.parametrize("options", [{"initial": 0}, {"pool": -1}, {"far": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(SettingsError, match="initial must be"):
        make_searcher("ls-gp", toy_space(), GOAL, **options)
