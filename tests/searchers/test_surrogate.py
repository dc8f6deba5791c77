"""Bayesian optimisation through libraries: forest, Gaussian process, TPE."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.families import get_family
from archwright.searchers import TPE, ForestBO, GaussianProcessBO, RandomSearch, SurrogateBO
from archwright.searchers.acquisition import NORMAL, expected_improvement
from archwright.space import Choice, Integer, Real, Space
from archwright.surrogate import MODELS
from archwright.surrogate.base import Regressor
from archwright.testing.searchers import GOAL, additive, toy_space

CELLS = get_family("nasbench201").space
SPACE = Space(
    block=Choice("conv", "mb"),
    depth=Integer(1, 8),
    ratio=Choice(2, 4, 6, when={"block": "mb"}),
    dropout=Real(0.0, 1.0),
    constraints=[(lambda a: a["depth"] != 5, "depth must not be 5")],
)


def score(a):
    return a["depth"] + 4 * (a["block"] == "mb") + a.get("ratio", 0) - 6 * (a["dropout"] - 0.3) ** 2


def best_of(kind, seed, n=40):
    searcher = kind(SPACE, GOAL, seed=seed)
    for _ in range(n):
        (a,) = searcher.ask(1)
        assert a in SPACE
        searcher.tell(a, Evaluation({"score": score(a)}))
    return max(value[1] for value in searcher.known.values())


def linear(space, goal, seed):
    return SurrogateBO(space, goal, seed=seed, surrogate="ridge", acquisition="ucb")


@pytest.mark.parametrize("kind", [TPE, ForestBO, GaussianProcessBO, linear])
def test_it_beats_random_search_on_a_mixed_conditional_space(kind):
    mine, random = ([best_of(k, seed) for seed in range(12)] for k in (kind, RandomSearch))
    assert stats.wilcoxon(mine, random, alternative="greater").pvalue < 0.05


def test_expected_improvement_at_known_points():
    found = expected_improvement(np.array([1.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0]), 1.0)
    assert found == pytest.approx([1 / np.sqrt(2 * np.pi), 0.0, 1.0], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(TPE, {"initial": 0}), (ForestBO, {"initial": 0}), (GaussianProcessBO, {"pool": 0}), (SurrogateBO, {"batch": 0})],
)
def test_bad_options(kind, options):
    with pytest.raises(SettingsError, match="at least 1"):
        kind(SPACE, GOAL, **options)


@pytest.mark.parametrize("name", MODELS)
def test_every_surrogate_searches_cells(name):
    searcher = SurrogateBO(CELLS, GOAL, surrogate=name, initial=6, pool=5, batch=3)
    for i in range(8):
        (a,) = searcher.ask(1)
        assert a in CELLS
        searcher.tell(a, Evaluation({"score": float(sum(v == "nor_conv_3x3" for v in a.values()))}, cost=i))
    assert len(searcher.known) == 8
    assert len(searcher._queue) == 1


class Spy(Regressor):
    """Predicts the last digit; keeps what it was fitted to."""

    fitted: list = []  # noqa: RUF012

    def fit(self, architectures, targets):
        self.fitted.append(dict(zip(architectures, targets)))

    def predict(self, architectures):
        return np.array([float(a["x3"]) for a in architectures]), np.full(len(architectures), 1e-6)

    def _fit(self, rows, targets): ...

    def _predict(self, rows): ...


def test_failures_count_as_the_worst_and_what_is_out_as_the_mean(monkeypatch):
    monkeypatch.setattr(SurrogateBO, "_model", lambda self: Spy(self.space))
    monkeypatch.setattr(Spy, "fitted", [])
    searcher = SurrogateBO(toy_space(), GOAL, initial=4, acquisition="mean")
    first = searcher.ask(4)
    for a, evaluation in zip(
        first, (Evaluation({"score": 2.0}), Evaluation({"score": 6.0}), Evaluation(status="failed"))
    ):
        searcher.tell(a, evaluation)
    (chosen,) = searcher.ask(1)
    assert [Spy.fitted[0][a] for a in first] == [2.0, 6.0, 2.0, 4.0]
    assert chosen["x3"] == 3


def test_a_batch_is_chosen_with_one_fit_and_answers_may_come_late(monkeypatch):
    monkeypatch.setattr(SurrogateBO, "_model", lambda self: Spy(self.space))
    monkeypatch.setattr(Spy, "fitted", [])
    searcher = SurrogateBO(toy_space(), GOAL, initial=11, batch=4, acquisition="mean")
    for a in searcher.ask(11):
        searcher.tell(a, additive(a))
    batch = searcher.ask(4)
    assert len(Spy.fitted) == 1
    assert len(set(batch)) == 4
    assert all(a["x3"] == 3 for a in batch)
    searcher.ask(2)
    assert len(Spy.fitted) == 2
    assert len(Spy.fitted[1]) == 16


def test_cells_have_the_kernel_of_cells_by_default_and_other_spaces_one_of_parameters():
    assert SurrogateBO(CELLS, GOAL).surrogate == "gp-wl"
    assert SurrogateBO(Space(cells=CELLS.cells, width=Choice(8, 16)), GOAL).surrogate == "gp-hamming"
    assert SurrogateBO(SPACE, GOAL).surrogate == "gp-hamming"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"surrogate": "gp-wl"}, "surrogate gp-wl: it sees cell graphs, and this space has none; .*gp-hamming"),
        ({"surrogate": "forrest"}, "unknown surrogate 'forrest'; did you mean forest"),
        ({"acquisition": "eii"}, "unknown acquisition 'eii'; did you mean ei"),
    ],
)
def test_a_surrogate_that_cannot_see_the_space_is_refused_before_anything_is_evaluated(options, message):
    with pytest.raises(SettingsError, match=message):
        SurrogateBO(SPACE, GOAL, **options)


def test_acquisitions_of_normal_predictions_at_known_points():
    mean, std, rng = np.array([1.0, 2.0, 1.0]), np.array([1.0, 1.0, 0.0]), np.random.default_rng(0)
    assert NORMAL["pi"](mean, std, 1.0, rng) == pytest.approx([0.5, 0.8413447, 0.5])
    assert NORMAL["ucb"](mean, std, 1.0, rng) == pytest.approx([2.0, 3.0, 1.0])
    assert NORMAL["mean"](mean, std, 1.0, rng) == pytest.approx(mean)
    draws = np.stack([NORMAL["ts"](mean, std, 1.0, rng) for _ in range(4000)])
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.06)
    assert draws.std(axis=0) == pytest.approx(std, abs=0.06)
