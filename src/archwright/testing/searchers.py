"""What every searcher must do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from archwright.evaluation import Evaluation, Goal, Objective
from archwright.searchers import Searcher
from archwright.space import Architecture, Choice, Space

Make = Callable[[Space, Goal, int], Searcher]
GOAL = Goal((Objective("score", "maximize"),))


def toy_space(parameters: int = 4, values: int = 4) -> Space:
    """A small space without conditions."""
    return Space({f"x{i}": Choice(*range(values)) for i in range(parameters)})


def additive(architecture: Architecture) -> Evaluation:
    """An easy objective: the best architecture has the largest value everywhere."""
    return Evaluation({"score": float(sum(_int(v) * (i + 1) for i, v in enumerate(architecture.values())))})


def _int(value: object) -> int:
    return int(str(value))


def trajectory(searcher: Searcher, n: int) -> list[Architecture]:
    """The first ``n`` architectures of a search on :func:`additive`, one at a time."""
    asked: list[Architecture] = []
    while len(asked) < n:
        proposals = searcher.ask(1)
        if not proposals:
            break
        asked += proposals
        searcher.tell(proposals[0], additive(proposals[0]))
    return asked


class SearcherContract:
    """Inherit and give a fixture ``make``: ``(space, goal, seed) -> Searcher``."""

    @pytest.fixture
    def make(self) -> Make:
        raise NotImplementedError("give a fixture make")

    def test_same_seed_same_trajectory(self, make: Make) -> None:
        space = toy_space()
        assert trajectory(make(space, GOAL, 3), 40) == trajectory(make(space, GOAL, 3), 40)

    def test_another_seed_another_trajectory(self, make: Make) -> None:
        space = toy_space()
        assert trajectory(make(space, GOAL, 3), 40) != trajectory(make(space, GOAL, 4), 40)

    def test_asks_no_repeat_and_only_members(self, make: Make) -> None:
        space = toy_space()
        asked = trajectory(make(space, GOAL, 0), 100)
        assert len(asked) == 100 == len(set(asked))
        assert all(a in space for a in asked)

    def test_visits_a_small_space_whole_and_then_ends(self, make: Make) -> None:
        space = toy_space(3, 3)
        searcher = make(space, GOAL, 0)
        assert len(trajectory(searcher, 1000)) == 27
        assert searcher.exhausted
        assert searcher.ask(1) == []

    def test_takes_answers_out_of_order(self, make: Make) -> None:
        space = toy_space()
        searcher = make(space, GOAL, 0)
        rng = np.random.default_rng(0)
        out: list[Architecture] = []
        seen: list[Architecture] = []
        while len(seen) < 60:
            new = searcher.ask(4 - len(out))
            assert new or out, "nothing proposed though nothing is out"
            out += new
            answered = out.pop(int(rng.integers(len(out))))
            searcher.tell(answered, additive(answered))
            seen.append(answered)
        assert len(set(seen)) == 60

    def test_goes_on_after_failures_and_infeasible_points(self, make: Make) -> None:
        space = toy_space()
        searcher = make(space, GOAL, 0)
        for i in range(80):
            (architecture,) = searcher.ask(1)
            broken = {0: Evaluation(status="failed"), 1: Evaluation(status="infeasible")}.get(i % 3)
            searcher.tell(architecture, broken or additive(architecture))
        assert len(searcher.known) == 80

    def test_takes_what_it_did_not_ask_for(self, make: Make) -> None:
        space = toy_space()
        searcher = make(space, GOAL, 0)
        given = [Architecture({"x0": 3, "x1": 3, "x2": 3, "x3": i}) for i in range(3)]
        for architecture in given:
            searcher.tell(architecture, additive(architecture))
        assert not set(given) & set(trajectory(searcher, 60))

    def test_two_objectives_are_handled_or_refused(self, make: Make) -> None:
        from archwright.errors import SettingsError

        goal = Goal((Objective("score", "maximize"), Objective("size", "minimize")))
        if not make(toy_space(), GOAL, 0).several_objectives:
            with pytest.raises(SettingsError, match="one objective"):
                make(toy_space(), goal, 0)
            return
        searcher = make(toy_space(), goal, 0)
        for _ in range(40):
            (architecture,) = searcher.ask(1)
            values = dict(additive(architecture).metrics) | {"size": float(sum(map(_int, architecture.values())))}
            searcher.tell(architecture, Evaluation(values))
