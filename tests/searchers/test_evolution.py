"""Regularised evolution ages and selects."""

from __future__ import annotations

from archwright.evaluation import Evaluation, Goal, Objective
from archwright.searchers import RegularizedEvolution
from archwright.testing.searchers import GOAL, additive, toy_space, trajectory


def test_population_keeps_the_newest_only():
    searcher = RegularizedEvolution(toy_space(), GOAL, seed=0, population=5, sample=2)
    asked = trajectory(searcher, 20)
    assert list(searcher.population) == asked[-5:]


def test_children_differ_from_a_member_in_one_parameter():
    searcher = RegularizedEvolution(toy_space(), GOAL, seed=0, population=6, sample=3)
    for n in range(40):
        before = list(searcher.population)
        (child,) = searcher.ask(1)
        if n >= 6:
            assert any(sum(child[k] != member[k] for k in child) == 1 for member in before)
        searcher.tell(child, additive(child))


def test_beats_random_on_an_easy_objective():
    from archwright.searchers import RandomSearch

    def best(searcher):
        return max(additive(a).metrics["score"] for a in trajectory(searcher, 60))

    space = toy_space(8, 4)
    evolution = [best(RegularizedEvolution(space, GOAL, seed=s)) for s in range(10)]
    random = [best(RandomSearch(space, GOAL, seed=s)) for s in range(10)]
    assert sum(e > r for e, r in zip(evolution, random)) >= 9


def test_several_objectives_select_among_the_non_dominated():
    goal = Goal((Objective("score", "maximize"), Objective("size", "minimize")))
    searcher = RegularizedEvolution(toy_space(2, 4), goal, seed=0, population=3, sample=50)
    for score, size in [(1.0, 1.0), (2.0, 1.0), (3.0, 3.0)]:
        (a,) = searcher.ask(1)
        searcher.tell(a, Evaluation({"score": score, "size": size}))
    dominated = searcher.population[0]
    parents = {searcher._parent() for _ in range(30)}
    assert parents == set(searcher.population) - {dominated}
