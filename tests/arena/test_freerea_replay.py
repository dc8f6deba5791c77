"""FreeREA on the stored metrics of NAS-Bench-201."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from archwright.arena.freerea import ENTRIES, EXPECTED, Stored
from archwright.families.nasbench201 import to_string
from archwright.searchers.freerea import set_scores
from archwright.tables import find_table

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
CORRELATIONS = {"cifar10": (0.340, 0.470), "cifar100": (0.345, 0.479), "imagenet16-120": (0.350, 0.488)}
FULL, LARGE, MINUS, LARGE_MINUS, RANDOM = ENTRIES


@pytest.fixture(scope="module")
def table(shared_data):
    if not (shared_data / "zero-cost").is_dir():
        pytest.skip("no zero-cost scores here")
    return find_table("nasbench201", shared_data)


def thirty(stored, label):
    searcher, options = ENTRIES[label]
    return [stored.run(searcher, options, seed) for seed in range(30)]


@pytest.mark.parametrize("dataset", EXPECTED)
def test_the_best_by_the_set_score_is_the_known_cell_though_the_score_hardly_ranks(table, dataset):
    stored = Stored(table, dataset)
    assert to_string(table.architecture(stored.target)) == BEST
    scores, accuracy = set_scores(stored.values), stored.accuracy.round(5)
    tau, rho = CORRELATIONS[dataset]
    assert kendalltau(scores, accuracy).statistic == pytest.approx(tau, abs=0.003)
    assert spearmanr(scores, accuracy).statistic == pytest.approx(rho, abs=0.003)


@pytest.mark.parametrize(
    ("dataset", "label"), [*((d, FULL) for d in EXPECTED), ("cifar10", LARGE), ("cifar100", LARGE)]
)
def test_within_45_seconds_freerea_ends_at_that_cell(table, dataset, label):
    stored = Stored(table, dataset)
    found = thirty(stored, label)
    assert sum(f.row == stored.target for f in found) >= 25
    assert np.mean(stored.accuracy[[f.row for f in found]]) == pytest.approx(EXPECTED[dataset], abs=0.1)
    assert 170 <= np.mean([f.scored for f in found]) <= 270


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_without_crossover_and_selection_it_ends_there_less_often(table, dataset):
    stored = Stored(table, dataset)
    found = thirty(stored, LARGE_MINUS)
    assert sum(f.row == stored.target for f in found) <= 18
    assert np.mean(stored.accuracy[[f.row for f in found]]) < EXPECTED[dataset] - 0.1
