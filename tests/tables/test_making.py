"""Making a table by training: curves, isomorphic cells, interruption, failures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from archwright.data import load_data
from archwright.errors import FamilyError, TableError
from archwright.evaluate import Training
from archwright.families import Family, get_family
from archwright.space import Choice, Space
from archwright.tables import load_table
from archwright.tables.making import CurveEvaluator, make_table

TRAINING = Training(epochs=2)


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", limit=100, validation=0.4, test=0.4)


def build(architecture, input_shape, num_classes):
    from torch import nn

    if architecture["width"] == 13:
        raise ValueError("thirteen is unlucky")
    inputs = int(np.prod(input_shape))
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, architecture["width"]), nn.Linear(architecture["width"], num_classes)
    )


def family(*widths):
    return Family("flat", Space(width=Choice(*widths)), build)


def test_a_whole_space_is_trained_with_every_epoch_and_seed(tmp_path, digits):
    told = []
    out = tmp_path / "t.table.npz"
    table = make_table(
        family(4, 8, 16), digits, out, training=TRAINING, seeds=2, on_done=lambda n, total, _: told.append((n, total))
    )
    assert told == [(n, 6) for n in range(1, 7)]
    assert table.is_whole
    column = table.column("digits", "val_accuracy")
    assert (column.epochs, column.seeds, column.values.shape) == ((1, 2), (0, 1), (3, 2, 2))
    assert table.column("digits", "test_loss").direction == "minimize"
    assert table.column("digits", "params").at().tolist() == [64 * w + w + 10 * w + 10 for w in (4, 8, 16)]
    again = CurveEvaluator(family(4, 8, 16), digits, TRAINING)(table.architectures[1], seed=1)
    assert again.curve[0]["test_accuracy"] == pytest.approx(table.column("digits", "test_accuracy").at(1, 1)[1])
    assert load_table(out).describe()["columns"] == table.describe()["columns"]


def test_an_interrupted_table_goes_on_and_is_the_same(tmp_path, digits):
    class StopError(Exception):
        pass

    def stop(done, total, evaluation):
        if done == 3:
            raise StopError

    whole = make_table(family(4, 8, 16), digits, tmp_path / "a.npz", training=TRAINING, seeds=2)
    with pytest.raises(StopError):
        make_table(family(4, 8, 16), digits, tmp_path / "b.npz", training=TRAINING, seeds=2, on_done=stop)
    log = tmp_path / "b.npz.trainings.jsonl"
    log.write_text(log.read_text() + '{"key": "cut sho')
    done = []
    resumed = make_table(
        family(4, 8, 16), digits, tmp_path / "b.npz", training=TRAINING, seeds=2, on_done=lambda n, *_: done.append(n)
    )
    assert done == [4, 5, 6]
    for metric in ("val_accuracy", "val_loss", "test_accuracy", "test_loss"):
        np.testing.assert_array_equal(
            resumed.column("digits", metric).values, whole.column("digits", metric).values, err_msg=metric
        )


def test_other_settings_are_refused(tmp_path, digits):
    make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=1)
    with pytest.raises(TableError, match="trainings of another family, data or training"):
        make_table(family(4, 8), digits, tmp_path / "t.npz", training=Training(epochs=3), seeds=1)


def test_more_seeds_later_train_only_what_is_missing(tmp_path, digits):
    make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=1)
    done = []
    table = make_table(
        family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=2, on_done=lambda n, *_: done.append(n)
    )
    assert done == [3, 4]
    assert table.column("digits", "val_loss").seeds == (0, 1)


def test_more_seeds_are_added_to_a_table_whose_log_is_gone(tmp_path, digits):
    whole = make_table(family(4, 13, 8), digits, tmp_path / "a.npz", training=TRAINING, seeds=3)
    make_table(family(4, 13, 8), digits, tmp_path / "b.npz", training=TRAINING, seeds=2)
    (tmp_path / "b.npz.trainings.jsonl").unlink()
    told = []
    more = make_table(
        family(4, 13, 8), digits, tmp_path / "b.npz", training=TRAINING, seeds=3, on_done=lambda n, *_: told.append(n)
    )
    assert told == [7, 8, 9]
    for metric in ("val_accuracy", "test_loss"):
        np.testing.assert_array_equal(more.column("digits", metric).values, whole.column("digits", metric).values)


def test_seeds_that_a_table_has_are_not_lost(tmp_path, digits):
    make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=2)
    (tmp_path / "t.npz.trainings.jsonl").unlink()
    with pytest.raises(TableError, match="has 2 seeds, which would be lost"):
        make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=1)
    assert load_table(tmp_path / "t.npz").column("digits", "val_loss").seeds == (0, 1)


@pytest.mark.parametrize("change", [{"training": Training(epochs=3)}, {"family": family(4, 8, 16)}])
def test_a_table_of_another_call_is_not_added_to(tmp_path, digits, change):
    make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=1)
    (tmp_path / "t.npz.trainings.jsonl").unlink()
    call = {"family": family(4, 8), "training": TRAINING} | change
    with pytest.raises(TableError, match="other architectures, data or training"):
        make_table(call["family"], digits, tmp_path / "t.npz", training=call["training"], seeds=2)


def test_a_network_that_cannot_be_built_is_missing(tmp_path, digits):
    reasons = []
    table = make_table(
        family(4, 13),
        digits,
        tmp_path / "t.npz",
        training=TRAINING,
        seeds=1,
        on_done=lambda *a: reasons.append(a[2].reason),
    )
    assert np.isnan(table.column("digits", "val_accuracy").at()).tolist() == [False, True]
    assert any("thirteen is unlucky" in r for r in reasons)
    with pytest.raises(FamilyError, match="thirteen is unlucky"):
        make_table(family(13), digits, tmp_path / "u.npz", training=TRAINING, seeds=1)


def test_isomorphic_cells_are_trained_once_and_have_their_own_parameter_counts(tmp_path, digits, monkeypatch):
    cells = get_family("nasbench201", channels=2, cells=1, stages=1)
    trained = []
    table = make_table(
        cells, digits, tmp_path / "t.npz", training=Training(epochs=1), seeds=1, sample=60, workers=2,
        on_done=lambda *a: trained.append(a),
    )  # fmt: skip
    keys = [cells.equivalent(a) for a in table.architectures]
    assert len(trained) == len(set(keys)) < 60
    values = table.column("digits", "val_loss").at()
    for key in set(keys):
        assert len({values[i] for i, k in enumerate(keys) if k == key}) == 1
    assert len(set(table.column("digits", "params").at())) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "at least 1 seed"),
        ({"sample": 0}, "1 to 2 architectures, not 0"),
        ({"sample": 3}, "1 to 2 architectures, not 3"),
    ],
)
def test_numbers_that_make_no_sense(tmp_path, digits, options, message):
    with pytest.raises(TableError, match=message):
        make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, **options)


def test_a_space_that_is_too_large_needs_a_sample(tmp_path, digits):
    with pytest.raises(TableError, match="too large to be trained whole; take a --sample"):
        make_table(get_family("macro"), digits, tmp_path / "t.npz", training=TRAINING)


def test_the_settings_are_kept(tmp_path, digits):
    table = make_table(family(4, 8), digits, tmp_path / "t.npz", training=TRAINING, seeds=1)
    assert json.loads(table.provenance["training"])["epochs"] == 2
    assert json.loads(table.provenance["data"])["sizes"]["train"] == 100
