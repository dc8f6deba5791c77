"""Bayesian optimisation with ensembles: acquisition, fidelities and their cost, clues, what is asked for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from archwright.arena import Entry, Problem, read_signal, run
from archwright.errors import SettingsError
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.searchers import make_searcher
from archwright.searchers.acquisition import NORMAL, best_first, improvement_probability
from archwright.space import Choice, Integer, Real, Space
from archwright.tables import Column, Table
from archwright.testing.searchers import GOAL, additive, toy_space

QUICK = {"members": 2, "low_epochs": 1, "high_epochs": 1, "pretraining_epochs": 2, "profiled": 20}


def test_the_probability_of_improvement_is_the_share_of_members_above_the_incumbent():
    members = np.array([[0.0, 2.0, 5.0], [0.0, 0.5, 5.0], [0.0, 3.0, 5.0]])
    assert improvement_probability(members, 1.0).tolist() == pytest.approx([0, 2 / 3, 1])


def test_ties_are_broken_by_the_mean_and_then_at_random():
    members = np.array([[0.0, 0.2, 0.1, 0.1], [0.0, 0.2, 0.1, 0.1]])
    firsts = {tuple(best_first(members, 9.0, "pi", np.random.default_rng(s)).tolist()) for s in range(20)}
    assert firsts == {(1, 2, 3, 0), (1, 3, 2, 0)}


def asked(searcher, count, worthless=()):
    """What is asked for, with its fidelity; short trainings tell half of the truth."""
    found = []
    for _ in range(count):
        (architecture,) = searcher.ask(1)
        fidelity = searcher.pending[architecture]
        found.append((architecture, fidelity))
        value = additive(architecture).metrics["score"]
        evaluation = Evaluation(
            {"score": value if fidelity == 1 else value / 2 + sum(architecture.key.encode()) % 7}, fidelity=fidelity
        )
        searcher.tell(architecture, Evaluation(status="failed") if len(found) in worthless else evaluation)
    return found


@pytest.mark.parametrize(("low", "cost"), [(12 / 200, 6.0), (15 / 200, 6.75), (12 / 240, 5.5)])
def test_ten_iterations_of_the_thesis_cost_what_they_should(low, cost):
    searcher = make_searcher("ensemble-bo-thesis", toy_space(5, 5), GOAL, fidelities=(low, 1.0), **QUICK)
    found = [f for _, f in asked(searcher, 53)]
    assert found == [low] * 50 + [1.0] * 3
    assert sum(found) == pytest.approx(cost)


@pytest.mark.parametrize("name", ["ensemble-bo", "ensemble-bo-thesis"])
def test_nothing_is_asked_for_twice_at_a_fidelity_but_may_be_at_another(name):
    options = QUICK if name == "ensemble-bo-thesis" else {}
    searcher = make_searcher(name, toy_space(4, 4), GOAL, fidelities=(0.1, 1.0), **options)
    found = asked(searcher, 120, worthless=(3, 30, 70))
    assert max(Counter(found).values()) == 1
    short, full = ({a for a, f in found if (f == 1) == which} for which in (False, True))
    assert short & full
    assert set(searcher.known) == full


@pytest.mark.parametrize("acquisition", NORMAL)
def test_every_acquisition_finds_good_ones_soon(acquisition):
    searcher = make_searcher("ensemble-bo", toy_space(4, 4), GOAL, acquisition=acquisition)
    best = max(additive(a).metrics["score"] for a, _ in asked(searcher, 40))
    assert best >= 27  # of 30; 40 random ones reach 24 on average


class Clue:
    names = ("clue", "noise")

    def __init__(self, way=1.0):
        self.way = way
        self.asked = 0

    def __call__(self, architectures):
        self.asked += len(architectures)
        values = [self.way * additive(a).metrics["score"] for a in architectures]
        return np.stack([values, np.arange(len(values)) % 5], axis=1)


def test_a_clue_helps_whichever_way_it_points_and_few_are_looked_at():
    for way in (1.0, -1.0):
        clues = Clue(way)
        searcher = make_searcher("ensemble-bo", toy_space(6, 4), GOAL, clues=clues, profiled=200)
        assert max(additive(a).metrics["score"] for a, _ in asked(searcher, 30)) >= 57  # of 63
        assert clues.asked <= 200


def test_a_pretrained_trunk_is_another_one():
    plain, pretrained, one_by_one = (
        make_searcher("ensemble-bo-thesis", toy_space(), GOAL, clues=clues, pretraining=how, batch=4, **QUICK)
        for clues, how in ((None, "simultaneous"), (Clue(), "simultaneous"), (Clue(), "sequential"))
    )
    found = [tuple(a for a, _ in asked(s, 16)) for s in (plain, pretrained, one_by_one)]
    assert len(set(found)) == 3
    assert [f[:1] for f in found] == [found[0][:1]] * 3


def test_spaces_of_every_kind_and_several_objectives():
    space = Space(
        {"kind": Choice("a", "b"), "width": Integer(1, 64), "rate": Real(1e-4, 1.0, log=True), "depth": Choice(1, 2, 3, when={"kind": "b"})}
    )  # fmt: skip
    goal = Goal((Objective("x", "maximize"), Objective("y", "minimize")))
    searcher = make_searcher("ensemble-bo", space, goal)
    seen = []
    for _ in range(25):
        (architecture,) = searcher.ask(1)
        value = {"x": float(architecture["width"]), "y": float(architecture["rate"])}
        searcher.tell(architecture, Evaluation(value))
        seen.append(architecture)
    assert len(set(seen)) == 25
    assert all(a in space for a in seen)


def test_a_run_in_the_arena_spends_its_budget_at_both_fidelities():
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    accuracy = (60 + codes @ [4.0, 2.0, 1.0])[:, None, None]
    columns = (Column("d", "accuracy", "maximize", np.concatenate([accuracy - 5, accuracy], axis=1), (1, 10)),)
    table = Table("toy", space, codes, columns)
    signal = read_signal(table, "d", "accuracy")
    problem = Problem(table, "d", (signal,), signal, fidelities=(0.1, 1.0))
    done = run(problem, Entry("e", "ensemble-bo", {}), 20, 0)
    assert done.short > 20
    assert done.costs[-1] <= 20
    assert done.short * 0.1 + len(done.rows) == pytest.approx(20, abs=2)
    assert accuracy[done.rows].max() == 88


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ensemble-bo", {"initial": 0}, "initial must be at least 1"),
        ("ensemble-bo", {"doubt": -1}, "doubt must be 0 or more"),
        ("ensemble-bo", {"acquisition": "eii"}, "did you mean ei"),
        ("ensemble-bo", {"low": 2}, "low must be a share"),
        ("ensemble-bo-thesis", {"q": 0}, "q must be at least 1"),
        ("ensemble-bo-thesis", {"pretraining": "all"}, "unknown pretraining"),
        ("ensemble-bo-thesis", {"lr": 0}, "lr must be above 0"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(SettingsError, match=message):
        make_searcher(name, toy_space(), GOAL, **options)


def chosen_in_full(sign, count=150):
    """Of each full training: whether a short one came before; short ones tell the truth, or its opposite."""
    searcher = make_searcher("ensemble-bo", toy_space(6, 4), GOAL, fidelities=(0.1, 1.0))
    begun, found = set(), []
    for _ in range(count):
        (architecture,) = searcher.ask(1)
        full = searcher.pending[architecture] == 1
        value = additive(architecture).metrics["score"]
        searcher.tell(architecture, Evaluation({"score": value if full else sign * value}, fidelity=1 if full else 0.1))
        if full:
            found.append(architecture in begun)
        begun.add(architecture)
    return found, max(searcher.known.values())[1]


def test_short_trainings_come_before_full_ones_and_are_doubted_where_they_mislead():
    for sign, doubted in ((1, range(3)), (-1, range(5, 25))):
        found, best = chosen_in_full(sign)
        assert all(found[:6])
        assert found.count(False) in doubted
        assert best == 63  # the best of all


def test_what_is_out_changes_the_deviations_and_not_the_means():
    searcher = make_searcher("ensemble-bo", toy_space(4, 4), GOAL, seed=3)
    asked(searcher, 15)
    batch = searcher.ask(4)
    assert len(set(batch)) == 4
    ((mean, std, _),) = searcher._outlook(batch, searcher._models, False)
    searcher.pending.clear()
    ((mean_before, std_before, _),) = searcher._outlook(batch, searcher._models, False)
    assert mean == pytest.approx(mean_before)
    assert (std < 0.9 * std_before).all()


def test_several_workers_get_different_architectures_and_nothing_waits():
    searcher = make_searcher("ensemble-bo", toy_space(4, 4), GOAL, fidelities=(0.1, 1.0))
    out = []
    for i in range(60):
        out += searcher.ask(4 - len(out))
        assert len({*out}) == 4
        architecture = out.pop(i % 4)
        searcher.tell(architecture, Evaluation(additive(architecture).metrics, fidelity=searcher.pending[architecture]))
    assert len(searcher.known) > 5


def test_in_a_space_of_numbers_and_names_it_finds_what_chance_does_not():
    space = Space(a=Choice(*range(10)), b=Integer(1, 50), c=Real(0.0, 1.0), d=Choice("x", "y", "z"))
    best = {}
    for name in ("ensemble-bo", "random"):
        searcher = make_searcher(name, space, GOAL)
        for _ in range(30):
            (a,) = searcher.ask(1)
            value = -((a["a"] - 3) ** 2) / 10 - (a["b"] - 20) ** 2 / 100 - 4 * (a["c"] - 0.5) ** 2 - (a["d"] != "y")
            searcher.tell(a, Evaluation({"score": value}))
        best[name] = max(searcher.known.values())[1]
    assert best["ensemble-bo"] > -0.1 > -0.3 > best["random"]
