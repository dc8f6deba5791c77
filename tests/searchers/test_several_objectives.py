"""DMLS, NSGA-II and scalarised local search."""

from __future__ import annotations

import numpy as np
import pytest
from conflict import GOAL, SPACE, evaluate, explore
from scipy import stats

from archwright.arena import Entry, Problem, compete, read_signal
from archwright.errors import SettingsError
from archwright.evaluation import Goal, Objective
from archwright.searchers import DMLS, NSGA2, ScalarisedLS, dominates
from archwright.space import Choice, Space
from archwright.tables import find_table
from archwright.testing.searchers import SearcherContract

VARIANTS = [
    {"accept": "dominates"},
    {"accept": "dominates-only"},
    {"accept": "exhaustive", "members": 0},
    {"rescan": True},
    {"select": "ranked", "members": 3},
    {"capacity": 5},
    {"capacity": 5, "pruning": "hypervolume"},
    {"capacity": 5, "pruning": "clustering"},
    {"dominance": "strict", "initial": 2},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
class TestVariants(SearcherContract):
    @pytest.fixture
    def make(self, options):
        return lambda space, goal, seed: DMLS(space, goal, seed=seed, **options)


class TestLoopingScalarised(SearcherContract):
    @pytest.fixture
    def make(self):
        return lambda space, goal, seed: ScalarisedLS(space, goal, seed=seed, loop=True)


@pytest.mark.parametrize("kind", [DMLS, NSGA2, ScalarisedLS])
def test_with_the_whole_space_the_whole_front_is_found(kind):
    known = explore(kind(SPACE, GOAL)).known
    assert len(known) == SPACE.size


def test_the_archive_is_non_dominated_all_the_time():
    searcher = DMLS(SPACE, GOAL, seed=1)
    for _ in range(200):
        (a,) = searcher.ask(1)
        searcher.tell(a, evaluate(a))
        values = list(searcher.archive.members.values())
        assert not any(dominates(x, y) for x in values for y in values)


def test_what_was_given_is_in_every_first_archive():
    trivial = next(iter(SPACE.enumerate()))
    searcher = DMLS(SPACE, GOAL)
    searcher.tell(trivial, evaluate(trivial))
    for _ in range(60):
        (a,) = searcher.ask(1)
        searcher.tell(a, evaluate(a))
        assert trivial in searcher.archive


@pytest.mark.parametrize(
    ("accept", "tried", "archive"),
    [
        ("archive", [(2, 10), (6, 4)], {(5, 5), (1, 9), (6, 4)}),
        ("dominates", [(2, 10), (6, 4), (4, 4)], {(1, 9), (4, 4)}),
        ("dominates-only", [(2, 10), (6, 4), (4, 4)], {(1, 9), (4, 4)}),
        ("exhaustive", [(2, 10), (6, 4), (4, 4)], {(1, 9), (4, 4)}),
    ],
)
def test_what_ends_a_scan(accept, tried, archive):
    points = {"s": (5, 5), "other": (1, 9), "u": (2, 10), "v": (6, 4), "w": (4, 4)}
    space = Space(x=Choice(*points))
    searcher = DMLS(space, GOAL, accept=accept)
    nets = {a["x"]: a for a in space.enumerate()}
    worth = {name: (0.0, -float(p[0]), -float(p[1])) for name, p in points.items()}
    for name in ("s", "other"):
        searcher.known[nets[name]] = worth[name]
        searcher.archive.insert(nets[name], worth[name])
    searcher._draws = 10_000
    searcher._current = nets["s"]
    asked = []
    for name in ("u", "v", "w"):
        searcher.known[nets[name]] = worth[name]
        if searcher._current is not None:
            asked.append(points[name])
            searcher._judge(nets[name], worth[name])
    assert asked == tried
    assert {tuple(-v for v in value[1:]) for value in searcher.archive.members.values()} == archive


def test_a_population_keeps_its_size_and_its_best():
    searcher = explore(NSGA2(SPACE, GOAL, population=10), 150)
    assert len(searcher.population) == 10
    values = [searcher.known[a] for a in searcher.population]
    outside = [v for a, v in searcher.known.items() if a not in searcher.population]
    assert sum(any(dominates(x, y) for x in outside) for y in values) <= 3


def test_one_pass_of_scalarised_search_costs_at_most_the_neighbours_of_one_solution():
    searcher = ScalarisedLS(SPACE, GOAL, seed=2)
    begun = 0
    before = None
    counts = []
    for n in range(120):
        (a,) = searcher.ask(1)
        if searcher._current is None and before is not None:
            counts.append(n - begun)
            begun = n
        searcher.tell(a, evaluate(a))
        before = searcher._current
    assert counts
    assert max(counts) <= 1 + 12


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (DMLS, {"initial": 0}, "initial must be at least 1"),
        (DMLS, {"accept": "all"}, "accept must be"),
        (DMLS, {"select": "best"}, "random or ranked"),
        (DMLS, {"capacity": 0}, "at least 2"),
        (NSGA2, {"population": 1}, "at least 2"),
    ],
)
def test_bad_options(kind, options, message):
    with pytest.raises(SettingsError, match=message):
        kind(SPACE, GOAL, **options)


def test_dmls_finds_more_of_a_published_front_than_nsga2_at_first_and_as_much_at_last(shared_data):
    table = find_table("nasbench-macro", shared_data)
    signals = tuple(read_signal(table, "cifar10", s) for s in ("test_accuracy", "flops"))
    trivial = int(np.flatnonzero(~table.codes.any(axis=1))[0])
    problem = Problem(table, "cifar10", signals, signals[0], (trivial,))
    entries = [Entry("dmls", "dmls", {}), Entry("rescan", "dmls", {"rescan": True}), Entry("nsga2", "nsga2", {})]
    found = compete(problem, entries, runs=30, budget=800)
    share = {label: dict(zip(found.checkpoints, front["front_share"].T)) for label, front in found.fronts.items()}
    for n in (200, 400):
        assert stats.mannwhitneyu(share["dmls"][n], share["nsga2"][n], alternative="greater").pvalue < 0.05
    assert stats.mannwhitneyu(share["dmls"][800], share["nsga2"][800], alternative="less").pvalue > 0.05
    assert stats.mannwhitneyu(share["rescan"][800], share["nsga2"][800], alternative="greater").pvalue < 0.05
    assert 0.74 < share["dmls"][800].mean() < 0.90
    assert 0.85 < share["rescan"][800].mean() < 0.94


@pytest.mark.parametrize(
    "options",
    [
        {"capacity": 5, "rescan": True},
        {"capacity": 12, "rescan": True},
        {"capacity": 5, "pruning": "clustering", "accept": "dominates"},
        {"capacity": 5, "pruning": "clustering", "accept": "exhaustive"},
        {"capacity": 5, "pruning": "hypervolume", "rescan": True},
    ],
    ids=str,
)
def test_a_bounded_archive_that_goes_round_in_circles_is_left_behind(options):
    assert len(explore(DMLS(SPACE, GOAL, **options), 400).known) == 400


def test_with_one_objective_dmls_begins_to_climb_at_once():
    one = Goal((Objective("a", "minimize"),))
    known = explore(DMLS(SPACE, one, seed=4), 80).known
    assert max(known.values()) == (0.0, 0.0)


def test_a_first_population_takes_the_best_of_what_was_given():
    searcher = NSGA2(SPACE, GOAL, population=10)
    for a in SPACE.sample(np.random.default_rng(0), 60):
        searcher.tell(a, evaluate(a))
    best = {a for a, v in searcher.known.items() if not any(dominates(w, v) for w in searcher.known.values())}
    searcher.ask(1)
    kept = set(searcher.population)
    assert len(best & kept) >= min(len(best), 9)
