"""Archives and crowding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import SettingsError
from archwright.searchers.base import dominates
from archwright.searchers.pareto import Archive, crowding_distance
from archwright.space import Architecture

POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)
PRUNINGS = ["crowding", "hypervolume", "clustering"]


def filled(points, **options):
    archive = Archive(**options)
    for i, point in enumerate(points):
        archive.insert(Architecture({"i": i}), (0.0, *map(float, point)))
    return archive


@given(POINTS)
def test_members_are_the_non_dominated_vectors_each_once(points):
    values = list(filled(points).members.values())
    front = {p for p in points if not any(a != p and a[0] >= p[0] and a[1] >= p[1] for a in points)}
    assert sorted(v[1:] for v in values) == sorted(front)


@given(POINTS, st.integers(2, 5), st.sampled_from(PRUNINGS))
def test_a_bounded_archive_stays_small_and_non_dominated(points, capacity, pruning):
    archive = Archive(capacity, pruning)
    for i, point in enumerate(points):
        archive.insert(Architecture({"i": i}), (0.0, *map(float, point)))
        values = list(archive.members.values())
        assert 1 <= len(values) <= capacity
        assert not any(dominates(a, b) for a in values for b in values)


@pytest.mark.parametrize("pruning", ["crowding", "hypervolume"])
def test_the_best_of_each_objective_stay(pruning):
    line = [(i, 20 - i) for i in np.random.default_rng(0).permutation(21)]
    left = {v[1:] for v in filled(line, capacity=4, pruning=pruning).members.values()}
    assert {(0.0, 20.0), (20.0, 0.0)} <= left


def test_clustering_keeps_one_of_each_cluster():
    points = [(0, 20), (1, 19.5), (10, 10), (10.5, 9), (20, 0), (19.5, 1)]
    left = sorted(v[1] for v in filled(points, capacity=3, pruning="clustering").members.values())
    assert [round(x / 10) for x in left] == [0, 1, 2]


def test_strict_dominance_keeps_what_is_as_good_in_one_objective():
    points = [(5, 5), (5, 3), (4, 4)]
    assert len(filled(points)) == 1
    assert sorted(v[1:] for v in filled(points, dominance="strict").members.values()) == [(5, 3), (5, 5)]


def test_failures_stay_out_and_the_feasible_beat_the_infeasible():
    archive = Archive()
    assert not archive.insert(Architecture({"i": 0}), (-np.inf, -np.inf))
    assert archive.insert(Architecture({"i": 1}), (-2.0, -np.inf))
    assert archive.insert(Architecture({"i": 2}), (-1.0, -np.inf))
    assert archive.insert(Architecture({"i": 3}), (0.0, 1.0))
    assert list(archive) == [Architecture({"i": 3})]


def test_crowding_distance_of_three_points():
    assert crowding_distance(np.array([[0, 1], [0.25, 0.5], [1, 0]])).tolist() == [np.inf, 1.0, np.inf]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"capacity": 1}, "at least 2"), ({"pruning": "x"}, "pruning must be"), ({"dominance": "x"}, "pareto or strict")],
)
def test_bad_options(options, message):
    with pytest.raises(SettingsError, match=message):
        Archive(**options)
