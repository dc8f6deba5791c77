"""The table that comes with the package carries signal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from archwright.families import get_family
from archwright.tables import find_table
from archwright.tables.known import SHIPPED, SUFFIX


@pytest.fixture(scope="module")
def table():
    return find_table("nasbench201-digits")


def test_it_is_small_and_has_every_cell_and_epoch(table):
    assert (SHIPPED / f"nasbench201-digits{SUFFIX}").stat().st_size < 5e6
    assert table.is_whole
    for metric in ("val_accuracy", "val_loss", "test_accuracy", "test_loss"):
        column = table.column("digits", metric)
        assert column.epochs == tuple(range(1, 11))
        assert not np.isnan(column.values).any()


def test_isomorphic_cells_have_one_answer_and_their_own_parameters(table):
    classes = np.unique([get_family("nasbench201").equivalent(a) for a in table.architectures], return_inverse=True)[1]
    assert classes.max() + 1 == 6466
    loss = table.column("digits", "val_loss").at()
    first = np.unique(classes, return_index=True)[1]
    assert np.array_equal(loss, loss[first][classes])


def test_validation_tells_about_the_test(table):
    for metric in ("accuracy", "loss"):
        values = [table.column("digits", f"{split}_{metric}").at() for split in ("val", "test")]
        assert spearmanr(*values).statistic > 0.9


def test_trainings_of_a_cell_agree(table):
    column = table.column("digits", "val_loss")
    assert column.seeds == (0, 1, 2)
    one = np.unique(column.at(), return_index=True)[1]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert spearmanr(column.at(seed=a)[one], column.at(seed=b)[one]).statistic > 0.7


def test_longer_training_agrees_more_with_the_longest(table):
    column = table.column("digits", "val_loss")
    agreement = [spearmanr(column.at(e), column.at()).statistic for e in (1, 3, 6, 9)]
    assert agreement == sorted(agreement)
    assert agreement[-1] > 0.95
