"""LS-Weights: its probabilities, its draws, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.families.nasbench201 import CELL
from archwright.searchers import LSWeights
from archwright.space import Architecture, Choice, Space
from archwright.testing.searchers import GOAL, SearcherContract, toy_space, trajectory

SPACE = Space(cells=CELL)
CONVS = Architecture(dict.fromkeys(CELL.names, "nor_conv_3x3"))


class TestContract(SearcherContract):
    @pytest.fixture
    def make(self):
        return lambda space, goal, seed: LSWeights(space, goal, seed=seed)


class TestLearnedContract(SearcherContract):
    @pytest.fixture
    def make(self):
        return lambda space, goal, seed: LSWeights(space, goal, seed=seed, ranking="learned", draw="variable")


def firsts(searcher, current, n=20_000):
    near = SPACE.neighbours(current)
    found: dict[tuple[str, str], int] = {}
    for _ in range(n):
        first = searcher.order(current, near)[0]
        (name,) = (k for k in current if first[k] != current[k])
        found[name, first[name]] = found.get((name, first[name]), 0) + 1
    return {key: count / n for key, count in found.items()}


def test_probabilities_are_those_of_the_published_table():
    p = LSWeights(SPACE, GOAL)._weights["0-1"]
    expected = {
        "nor_conv_3x3": 0.3243,
        "nor_conv_1x1": 0.3243,
        "avg_pool_3x3": 0.1622,
        "skip_connect": 0.1081,
        "none": 0.0811,
    }
    assert p == pytest.approx(expected, abs=5e-5)


def test_three_ranks_give_six_three_and_two_elevenths():
    space = Space(op=Choice("Convolution", "Pooling", "Identity"))
    assert LSWeights(space, GOAL)._weights["op"] == pytest.approx(
        {"Convolution": 6 / 11, "Pooling": 3 / 11, "Identity": 2 / 11}
    )


def test_joint_draws_follow_the_probabilities():
    expected = {"nor_conv_1x1": 12, "avg_pool_3x3": 6, "skip_connect": 4, "none": 3}
    for (_, value), share in firsts(LSWeights(SPACE, GOAL), CONVS).items():
        assert share == pytest.approx(expected[value] / 150, abs=0.01)


def test_drawing_the_parameter_first_treats_parameters_alike():
    space = Space(a=Choice("conv", "none"), b=Choice("conv", "pool", "skip", "none"))
    searcher = LSWeights(space, GOAL, draw="variable")
    current = Architecture({"a": "conv", "b": "conv"})
    near = space.neighbours(current)
    share = np.mean([searcher.order(current, near)[0]["b"] == "conv" for _ in range(4000)])
    assert share == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("draw", ["joint", "variable"])
def test_a_scan_has_every_neighbour_once(draw):
    near = SPACE.neighbours(CONVS)
    order = LSWeights(SPACE, GOAL, draw=draw).order(CONVS, near)
    assert len(order) == len(set(order)) == 24
    assert set(order) == set(near)


def test_linear_weighting():
    p = LSWeights(SPACE, GOAL, weighting="linear")._weights["0-1"]
    assert p["nor_conv_3x3"] / p["none"] == pytest.approx(4)


def test_a_ranking_of_ones_own():
    space = Space(width=Choice(8, 16, 32), op=Choice("a", "b"))
    weights = LSWeights(space, GOAL, ranking="32=16>8")._weights
    assert weights["width"] == pytest.approx({"8": 0.2, "16": 0.4, "32": 0.4})
    assert weights["op"] == {}


def test_what_was_evaluated_teaches_the_ranking():
    space = toy_space(2, 3)
    searcher = LSWeights(space, GOAL, ranking="learned")
    for a in space.enumerate():
        searcher.tell(a, Evaluation({"score": float(10 * a["x0"] - a["x1"])}))
    learned = searcher._learn()
    assert learned["x0"]["2"] > learned["x0"]["1"] > learned["x0"]["0"]
    assert learned["x1"]["0"] > learned["x1"]["2"]


def test_it_ends_when_a_small_space_is_known():
    assert len(trajectory(LSWeights(toy_space(3, 3), GOAL), 1000)) == 27


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranking": "nor_conv_3x3"}, "an order such as"),
        ({"ranking": "conv9>none"}, "names conv9, which no parameter"),
        ({"ranking": "none>none"}, "an order such as"),
        ({"draw": "both"}, "joint or variable"),
        ({"weighting": "x"}, "reciprocal or linear"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(SettingsError, match=message):
        LSWeights(SPACE, GOAL, **options)
