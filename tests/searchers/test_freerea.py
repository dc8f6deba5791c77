"""FreeREA: its score, ageing, revisits, result, and the moves between cells."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conflict import GOAL as MINIMISED
from conflict import SPACE, evaluate, explore

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.families import get_family
from archwright.families.nasbench101 import CELL
from archwright.searchers import FreeREA
from archwright.searchers.cellmoves import (
    Gene,
    NodeCellMoves,
    ParameterMoves,
    count,
    moves_of,
    read,
    remove_node,
    write,
)
from archwright.searchers.freerea import set_scores
from archwright.space import Cell, Space
from archwright.testing.searchers import GOAL, SearcherContract, additive, toy_space, trajectory

VARIANTS = [
    {"variant": "minus"},
    {"variant": "minus", "population": 3, "sample": 2},
    {"parallel": [1, 2], "consecutive": [2, 1]},
    {"additions": 1},
    {"population": 1, "sample": 1},
    {"population": 100, "sample": 25},
]
BOTH = Goal((Objective("a", "maximize"), Objective("b", "maximize")))
NODES = Space(cells=CELL)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
class TestVariants(SearcherContract):
    @pytest.fixture
    def make(self, options):
        return lambda space, goal, seed: FreeREA(space, goal, seed=seed, **options)


def told(searcher, **values):
    """Tell a toy architecture for each value, in order."""
    nets = list(toy_space().enumerate())[: len(values)]
    for net, (a, b) in zip(nets, values.values()):
        searcher.tell(net, Evaluation({"a": a, "b": b}))
    return nets


def test_a_score_is_the_sum_of_shares_of_the_largest_in_the_set():
    values = np.array([[10.0, 1.0], [5.0, 4.0], [-20.0, 2.0]])
    assert set_scores(values) == pytest.approx([0.5 + 0.25, 0.25 + 1, -1 + 0.5])
    assert set_scores(values[:2]) == pytest.approx([1 + 0.25, 0.5 + 1])


def test_a_value_that_is_not_finite_counts_as_the_smallest():
    values = np.array([[4.0], [np.nan], [2.0], [-np.inf]])
    assert set_scores(values) == pytest.approx([1, 0.5, 0.5, 0.5])
    assert set_scores(np.full((2, 1), np.nan)) == pytest.approx([0, 0])


def test_the_result_is_taken_from_all_that_was_evaluated():
    searcher = FreeREA(toy_space(), BOTH, population=2, sample=2, seed=1)
    nets = told(searcher, old=(9, 9), poor=(1, 1), middle=(5, 8), other=(8, 5))
    for architecture, value in searcher.known.items():
        assert searcher.population[architecture] == 0, value
    del searcher.population[nets[0]]
    assert searcher.ranked()[0] == nets[0]
    assert len(searcher.ranked()) == 4


def test_the_result_need_not_be_the_best_in_any_objective():
    searcher = FreeREA(toy_space(), BOTH)
    nets = told(searcher, first=(10, 0), second=(0, 10), both=(6, 6))
    assert searcher.ranked()[0] == nets[2]


def test_minimised_objectives_count_downwards():
    best = explore(FreeREA(SPACE, MINIMISED, population=10, sample=3), 300).ranked()[0]
    found = evaluate(best).metrics
    assert all(
        found["a"] + found["b"] <= 1.2 * (m["a"] + m["b"]) for m in [evaluate(a).metrics for a in SPACE.enumerate()]
    )


def test_ageing_removes_one_of_the_oldest_and_then_the_worst():
    survivors = Counter()
    for seed in range(60):
        searcher = FreeREA(toy_space(), BOTH, population=3, seed=seed)
        old_best, old, young, youngest_worst, good = told(searcher, a=(9, 9), b=(8, 8), c=(7, 7), d=(1, 1), e=(6, 6))
        for architecture, generation in ((young, 1), (youngest_worst, 2), (good, 2)):
            searcher.population[architecture] = generation
        searcher._prune()
        assert len(searcher.population) == 3
        assert youngest_worst not in searcher.population
        survivors.update([old_best in searcher.population, old in searcher.population])
        assert (old_best in searcher.population) != (old in searcher.population)
        assert {young, good} <= set(searcher.population)
    assert survivors[True] == survivors[False] == 60


def test_one_generation_does_not_age():
    searcher = FreeREA(toy_space(), BOTH, population=3)
    nets = told(searcher, a=(9, 9), b=(8, 8), c=(7, 7), d=(1, 1))
    searcher._prune()
    assert list(searcher.population) == nets[:3]


def test_a_known_child_costs_nothing_and_grows_young():
    searcher = FreeREA(toy_space(), BOTH, population=3)
    nets = told(searcher, a=(9, 9), b=(8, 8), c=(7, 7))
    searcher.step = 4
    del searcher.population[nets[1]]
    searcher._expect([nets[0], nets[1]])
    assert not searcher._waiting
    assert searcher.population == {nets[0]: 5, nets[1]: 5, nets[2]: 0}


def test_a_step_has_two_mutants_and_one_crossover():
    searcher = FreeREA(toy_space(6, 5), GOAL, population=4, sample=4, seed=3)
    for a in trajectory(searcher, 4):
        assert a in searcher.population
    parents = searcher._best(list(searcher.population))[:2]
    searcher._breed()
    first, second, crossed = searcher._waiting
    for parent, mutant in zip(parents, (first, second)):
        assert sum(parent[n] != mutant[n] for n in parent) == 1
    assert all(crossed[n] in (parents[0][n], parents[1][n]) for n in crossed)


def test_what_breaks_a_bound_or_fails_is_no_member_and_no_result():
    searcher = FreeREA(toy_space(), GOAL, population=4, sample=2)
    broken = set()
    for i in range(80):
        (architecture,) = searcher.ask(1)
        status = {0: "failed", 1: "infeasible"}.get(i % 4)
        if status:
            broken.add(architecture)
        searcher.tell(architecture, Evaluation(status=status) if status else additive(architecture))
        assert not broken & set(searcher.population)
    assert not broken & set(searcher.ranked())


def test_workers_never_wait():
    searcher = FreeREA(toy_space(), GOAL, population=5, sample=2)
    out = searcher.ask(8)
    for _ in range(60):
        assert len(out) == 8
        searcher.tell(out[0], additive(out[0]))
        out = out[1:] + searcher.ask(1)


def test_patience_ends_the_search_and_says_so():
    searcher = FreeREA(toy_space(), GOAL, population=5, sample=3, patience=10)
    known = explore(searcher, 256, additive).known
    assert searcher.exhausted
    assert len(known) < 200
    assert "not changed for 10 steps" in searcher.ended


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 0}, "at least 1"),
        ({"variant": "plus"}, "full or minus"),
        ({"parallel": [1, 2]}, "lists of one length"),
        ({"consecutive": 0}, "at least 1"),
        ({"patience": -1}, "at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(SettingsError, match=message):
        FreeREA(toy_space(), GOAL, **options)


def test_moves_fit_the_space():
    assert isinstance(moves_of(NODES), NodeCellMoves)
    assert isinstance(moves_of(get_family("nasbench201").space), ParameterMoves)
    assert isinstance(moves_of(Space(cells=CELL, width=[1, 2])), ParameterMoves)
    assert isinstance(moves_of(Space(cells=Cell(4, ("a", "b"), ((0, 1), (1, 2), (2, 3)), on="nodes"))), ParameterMoves)


def test_genes_name_the_network():
    family = get_family("nasbench101")
    for architecture in NODES.sample(np.random.default_rng(0), 100):
        again = write(CELL, read(CELL, architecture))
        assert again in NODES
        assert family.key(again) == family.key(architecture)


def test_moves_between_node_cells_stay_in_the_space_and_change_every_part_of_a_cell():
    moves, rng = NodeCellMoves(NODES, CELL), np.random.default_rng(1)
    steps = Counter()
    for first, second in zip(NODES.sample(rng, 300), NODES.sample(rng, 300)):
        before, mutant = read(CELL, first), moves.mutate(first, rng)
        after = read(CELL, mutant)
        assert mutant in NODES
        steps["nodes", np.sign(len(after) - len(before))] += 1
        steps["edges", np.sign(count(after) - count(before))] += 1
        crossed = moves.cross(first, second, rng)
        assert crossed in NODES
        assert len(read(CELL, crossed)) <= min(len(before), len(read(CELL, second)))
    assert all(steps["nodes", sign] and steps["edges", sign] for sign in (-1, 0, 1))


def test_a_removed_node_leaves_later_inputs_as_they_are_but_clipped():
    genes = [Gene(None, []), Gene("a", [0]), Gene("b", [0, 1]), Gene("c", [1, 2]), Gene(None, [1, 2, 3])]

    class First:
        def integers(self, *_):
            return 1

    remove_node(genes, First())
    assert [(g.operation, g.inputs) for g in genes] == [(None, []), ("b", [0]), ("c", [1]), (None, [1, 2])]


def test_a_bare_cell_gets_a_node():
    bare = write(CELL, [Gene(None, []), Gene(None, [0])])
    moves, rng = NodeCellMoves(NODES, CELL), np.random.default_rng(0)
    assert {len(read(CELL, moves.mutate(bare, rng))) for _ in range(40)} == {2, 3}
