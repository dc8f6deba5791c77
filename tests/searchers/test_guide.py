"""Clues: what searchers gain by good ones, and that bad ones are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archwright.errors import SettingsError
from archwright.searchers import make_searcher
from archwright.searchers.guide import Guide
from archwright.testing.searchers import GOAL, Make, SearcherContract, additive, toy_space, trajectory

GUIDED = ["ls", "ls-best", "ls-worst", "rea"]


class Known:
    """The true score, turned and blurred."""

    def __init__(self, *, way: float = 1.0, noise: float = 0.0, names: tuple[str, ...] = ("clue",)) -> None:
        self.way, self.noise, self.names = way, noise, names
        self.asked: list = []

    def __call__(self, architectures):
        self.asked += architectures
        values = [self.way * additive(a).metrics["score"] for a in architectures]
        blur = [
            np.random.default_rng(list(a.key.encode())).normal(0, self.noise, len(self.names)) for a in architectures
        ]
        return np.array(values)[:, None] + np.array(blur).reshape(-1, len(self.names))


@pytest.mark.parametrize("name", GUIDED)
class TestGuided(SearcherContract):
    @pytest.fixture
    def make(self, name: str) -> Make:
        return lambda space, goal, seed: make_searcher(name, space, goal, seed=seed, clues=Known(noise=3.0))


def found_after(name, clues, runs=20, evaluations=15):
    """The best score of each run."""
    best = []
    for seed in range(runs):
        searcher = make_searcher(name, toy_space(8, 5), GOAL, seed=seed, clues=clues)
        best.append(max(additive(a).metrics["score"] for a in trajectory(searcher, evaluations)))
    return np.array(best)


@pytest.mark.parametrize("name", ["ls", "rea"])
def test_good_clues_help_and_misleading_ones_do_little_harm(name):
    without = found_after(name, None)
    assert stats.wilcoxon(found_after(name, Known(noise=10.0)), without, alternative="greater").pvalue < 0.01
    misled = found_after(name, Known(way=-1.0, noise=10.0))
    assert misled.mean() > without.mean() - 10  # of 144


def guide(clues, evaluated=30, **options):
    space = toy_space(5, 5)
    made = Guide(space, clues, np.random.default_rng(0), **options)
    for architecture in dict.fromkeys(space.sample(np.random.default_rng(1), evaluated)):
        made.tell(architecture, (0.0, additive(architecture).metrics["score"]))
    made.promise(made.pool)
    return made


def test_a_misleading_clue_is_dropped():
    misled = guide(Known(way=-1.0, noise=3.0))
    assert misled.weights[0] == 0
    assert misled.trust < 0.1
    assert "(dropped)" in misled.remarks()[0]


def test_without_trust_any_order_is_as_likely():
    misled = guide(Known(way=-1.0))
    some = misled.pool[:10]
    firsts = [misled.order(some)[0] for _ in range(2000)]
    assert stats.chisquare(np.bincount(firsts, minlength=10)).pvalue > 1e-4


def test_a_good_clue_outweighs_noise_beside_it():
    class Two(Known):
        def __call__(self, architectures):
            return np.stack([super().__call__(architectures)[:, 0], _drawn(architectures)], axis=1)

    mixed = guide(Two(names=("clue",)), evaluated=60)
    assert mixed.weights[0] > 3 * mixed.weights[1]


def _drawn(architectures):
    return np.array([np.random.default_rng([7, *a.key.encode()]).random() for a in architectures])


def test_trust_decays_as_evaluations_come_in():
    steady, ageing = guide(Known(), 60, half_life=0), guide(Known(), 60, half_life=20)
    best = int(np.argmax(steady.promise(steady.pool)))
    first = [[g.order(g.pool)[0] == best for _ in range(50)].count(True) for g in (steady, ageing)]
    assert first[0] > 20 > 10 > first[1]


def test_missing_clues_count_below_all_others_and_failures_below_all_worths():
    class Missing(Known):
        def __call__(self, architectures):
            values = super().__call__(architectures)
            return np.where(values > 30, np.nan, values)

    made = guide(Missing())
    made.tell(made.pool[0], (-np.inf, -np.inf))
    assert np.isfinite(made.promise(made.pool)).all()


def test_clues_are_asked_for_once():
    clues = Known()
    trajectory(make_searcher("rea", toy_space(), GOAL, clues=clues), 60)
    assert len(clues.asked) == len(set(clues.asked))


@pytest.mark.parametrize("options", [{"pool": 1}, {"half_life": -1}])
def test_impossible_numbers_are_refused(options):
    with pytest.raises(SettingsError, match="pool must be at least 2"):
        make_searcher("ls", toy_space(), GOAL, clues=Known(), **options)
