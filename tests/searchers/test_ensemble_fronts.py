"""``ensemble-bo`` with several objectives: hypervolume, random weights, random bounds."""

from __future__ import annotations

import numpy as np
import pytest
from conflict import GOAL, SPACE, evaluate, explore
from hypothesis import given
from hypothesis import strategies as st
from moocore import hypervolume, is_nondominated

from archwright.arena import Entry, Problem, read_signal, run
from archwright.errors import SettingsError
from archwright.evaluation import Bound, Evaluation, Goal, Objective
from archwright.searchers import make_searcher
from archwright.searchers.acquisition import hypervolume_first, hypervolume_gain
from archwright.searchers.ensemblebo import SEVERAL
from archwright.searchers.merits import within
from archwright.space import Choice, Space
from archwright.tables import find_table
from archwright.testing.searchers import toy_space

coordinate = st.integers(0, 8).map(float)


def points(objectives):
    return st.lists(st.tuples(*[coordinate] * objectives), min_size=1, max_size=12).map(np.array)


@given(st.integers(2, 5).flatmap(lambda m: st.tuples(points(m), points(m))))
def test_the_gain_of_a_point_is_what_the_hypervolume_grows_by(drawn):
    front, candidates = drawn
    reference = np.array([-0.5, 0.5, 1.0, -0.5, 2.0])[: front.shape[1]]
    gains = hypervolume_gain(candidates, front, reference)
    before = hypervolume(-front, ref=-reference)
    for candidate, gain in zip(candidates, gains):
        after = hypervolume(-np.vstack([front, candidate]), ref=-reference)
        assert gain == pytest.approx(after - before, abs=1e-9)


def test_the_candidate_whose_members_promise_most_area_comes_first():
    front = np.array([[0.0, 2.0], [2.0, 0.0]])
    members = np.array([[[1.0, 1.0], [0.5, 1.0], [3.0, -1.0]], [[1.0, 1.0], [0.5, 4.0], [3.0, -1.0]]])
    assert hypervolume_first(members, front, np.random.default_rng(0)).tolist() == [1, 0, 2]


def test_bounds_come_before_the_first_objective():
    ranks = np.array([[1.0, 0.2], [0.3, 0.6], [0.5, 0.9]])
    assert np.argsort(within(ranks, np.array([0.5]))).tolist() == [0, 1, 2]
    assert np.argsort(within(ranks, np.array([0.1]))).tolist() == [1, 2, 0]


def area(known):
    found = np.array([[-v for v in worth[1:]] for worth in known.values()])
    return float(hypervolume(found, ref=np.array([45.0, 90.0])))


@pytest.mark.parametrize("several", SEVERAL)
def test_every_way_finds_more_of_the_front_than_chance(several):
    ours, random = (
        [area(explore(make_searcher(name, SPACE, GOAL, seed=s, **options), 50).known) for s in range(2)]
        for name, options in (("ensemble-bo", {"several": several}), ("random", {}))
    )
    assert min(ours) > max(random)


@pytest.mark.parametrize("several", SEVERAL)
def test_bounds_failures_and_short_trainings_go_with_several_objectives(several):
    goal = Goal(GOAL.objectives, (Bound("a", "at_most", 25.0),))
    searcher = make_searcher("ensemble-bo", SPACE, goal, several=several, fidelities=(0.1, 1.0))
    count = 0
    for i in range(70):
        (architecture,) = searcher.ask(1)
        value = evaluate(architecture).metrics
        broken = value["a"] > 25
        answer = Evaluation(value, status="infeasible" if broken else "ok") if i % 9 else Evaluation(status="failed")
        count += not broken
        searcher.tell(architecture, answer)
    assert count > 45  # of 70; by chance 60 % of the space


def test_one_objective_is_the_same_in_every_way():
    goal = Goal((Objective("a", "minimize"),))
    found = [list(explore(make_searcher("ensemble-bo", SPACE, goal, several=several), 20).known) for several in SEVERAL]
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
@pytest.mark.parametrize("several", SEVERAL)
def test_on_a_table_more_of_the_front_is_found_than_by_chance(several, shared_data):
    """As published for others, everybody is told the network without operations first; else that corner decides alone."""
    table = find_table("nasbench-macro", shared_data)
    signals = tuple(read_signal(table, "cifar10", s) for s in ("test_accuracy", "flops"))
    given = tuple(np.flatnonzero(~table.codes.any(axis=1)).tolist())
    problem = Problem(table, "cifar10", signals, signals[0], given)
    losses = problem.losses
    front = {tuple(v) for v in losses[is_nondominated(losses)]}
    share, volume = {}, {}
    for name, options in (("ensemble-bo", {"several": several}), ("random", {})):
        runs = [run(problem, Entry(name, name, options), 80, seed) for seed in range(3)]
        share[name] = np.mean([len({tuple(v) for v in losses[r.rows]} & front) for r in runs]) / len(front)
        volume[name] = np.mean([hypervolume(losses[r.rows], ref=np.ones(2)) for r in runs])
    assert share["ensemble-bo"] > share["random"] + 0.02
    assert volume["ensemble-bo"] > volume["random"]


@pytest.mark.parametrize("objectives", [3, 4])
def test_of_more_objectives_more_is_found_than_by_chance(objectives):
    """Each objective is nearness to a corner of its own."""
    space, names = toy_space(6, 4), [f"o{k}" for k in range(objectives)]
    goal = Goal(tuple(Objective(name, "minimize") for name in names))
    corners = np.where(np.arange(6) % objectives == np.arange(objectives)[:, None], 3, 0)

    def volume(searcher):
        for _ in range(25):
            (a,) = searcher.ask(1)
            apart = np.abs(np.array([a[name] for name in space.names]) - corners).sum(axis=1)
            searcher.tell(a, Evaluation(dict(zip(names, apart.astype(float)))))
        return hypervolume(-np.array([w[1:] for w in searcher.known.values()]), ref=np.full(objectives, 12.0))

    options = {"several": "hypervolume"}
    ours = [volume(make_searcher("ensemble-bo", space, goal, seed=s, **options)) for s in range(2)]
    assert min(ours) > 1.1 * max(volume(make_searcher("random", space, goal, seed=s)) for s in range(2))


def test_what_cannot_be_done_is_refused():
    with pytest.raises(SettingsError, match="unknown treatment of several objectives 'hypervolum'; did you mean"):
        make_searcher("ensemble-bo", SPACE, GOAL, several="hypervolum")


def test_in_a_large_space_the_front_is_what_is_searched_around():
    space = Space({f"x{i}": Choice(*range(8)) for i in range(6)})
    goal = Goal((Objective("a", "minimize"), Objective("b", "minimize")))
    searcher = make_searcher("ensemble-bo", space, goal)
    for _ in range(60):
        (architecture,) = searcher.ask(1)
        values = np.array(list(architecture.values()), dtype=float)
        searcher.tell(architecture, Evaluation({"a": float(values.sum()), "b": float((7 - values).sum())}))
    leaders = searcher._leaders(searcher.known)
    assert len({searcher.known[a] for a in leaders}) > 5  # everything is on the front: not the ten best by "a" alone
