"""Tables: lookups, files, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import TableError
from archwright.space import Choice, Space
from archwright.tables import Column, Table, load_table

SPACE = Space(op=Choice("conv", "pool", "skip"), width=Choice(8, 16))


def table(**changes):
    rng = np.random.default_rng(0)
    values = rng.random((6, 2, 3)).astype(np.float32)
    values[2, 1, 0] = np.nan
    parts = {
        "name": "toy",
        "space": SPACE,
        "codes": SPACE.codes(list(SPACE.enumerate())),
        "columns": (
            Column("digits", "val_accuracy", "maximize", values, (4, 8), (0, 1, 2)),
            Column("", "params", "minimize", np.arange(6.0).reshape(6, 1, 1)),
        ),
        "provenance": {"made": "here"},
    }
    return Table(**(parts | changes))


def test_values_by_epoch_and_seed():
    column = table().column("digits", "val_accuracy")
    np.testing.assert_allclose(column.at(4), column.values[:, 0].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(column.at(8, 1), column.values[:, 1, 1])
    assert column.at()[2] == pytest.approx(column.values[2, 1, 1:].mean(), rel=1e-6)


def test_a_metric_without_data_set_is_known_on_all():
    assert table().column("digits", "params").at().tolist() == [0, 1, 2, 3, 4, 5]
    assert table().metrics("digits") == ("val_accuracy", "params")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda t: t.column("digit", "params"), "unknown data set 'digit'; did you mean digits"),
        (lambda t: t.column("digits", "val_acuracy"), "did you mean val_accuracy"),
        (lambda t: t.column("digits", "val_accuracy").at(5), "not known after 5 epochs; it is after 4, 8"),
        (lambda t: t.column("digits", "val_accuracy").at(4, 7), "has no seed 7; it has 0, 1, 2"),
        (lambda t: t.column("digits", "params").at(3), "not known after 3 epochs"),
    ],
)
def test_what_the_table_lacks_is_named(ask, message):
    with pytest.raises(TableError, match=message):
        ask(table())


def test_the_file_keeps_everything(tmp_path):
    before = table()
    after = load_table(before.save(tmp_path / "deep" / "toy.table.npz"))
    assert after.describe() == before.describe()
    assert after.architectures == before.architectures
    np.testing.assert_array_equal(after.columns[0].values, before.columns[0].values)
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["toy.table.npz"]


@given(st.lists(st.floats(allow_nan=False), min_size=6, max_size=6))
def test_any_number_survives_up_to_single_precision(values):
    import tempfile
    from pathlib import Path

    column = Column("d", "m", "maximize", np.array(values).reshape(6, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        after = load_table(table(columns=(column,)).save(Path(folder) / "t.npz")).column("d", "m").at()
    np.testing.assert_allclose(after, values, rtol=1e-6, atol=1e-37)


def test_broken_files_are_refused(tmp_path):
    whole = table().save(tmp_path / "toy.table.npz")
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-200])
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    for name in ("cut.npz", "text.npz", "other.npz"):
        with pytest.raises(TableError, match=f"{name} is not a whole Archwright table"):
            load_table(tmp_path / name)
    with pytest.raises(TableError, match="there is no table"):
        load_table(tmp_path / "missing.npz")


def test_a_newer_version_is_refused(tmp_path):
    path = table().save(tmp_path / "toy.npz")
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(bytes(arrays["header"]).decode()) | {"version": 99}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(TableError, match=r"newer Archwright \(format 99\); update"):
        load_table(path)


def test_a_pickle_inside_is_not_loaded(tmp_path):
    np.savez(tmp_path / "evil.npz", header=np.array([{"format": "archwright-table"}], dtype=object))
    with pytest.raises(TableError, match="not a whole Archwright table"):
        load_table(tmp_path / "evil.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": np.zeros((6, 2), int)}, "row 1 is there twice"),
        ({"codes": np.zeros((6, 3), int)}, "do not fit 2 parameters"),
        ({"columns": ()}, "has no columns"),
        ({"columns": (Column("d", "m", "maximize", np.zeros((5, 1, 1))),)}, "5 rows, not 6"),
        ({"columns": (Column("d", "m", "maximize", np.zeros((6, 1, 1))),) * 2}, "m on d is there twice"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(TableError, match=message):
        table(**changes)


def test_tables_of_one_space_join_by_architecture():
    other = table(
        codes=table().codes[[5, 0, 3]],
        columns=(Column("", "latency", "minimize", np.array([5.0, 0, 3]).reshape(3, 1, 1)),),
    )
    joined = table().joined(other).column("digits", "latency").at()
    np.testing.assert_array_equal(joined, [0, np.nan, np.nan, 3, np.nan, 5])
    with pytest.raises(TableError, match="different spaces"):
        table().joined(
            Table("x", Space(a=Choice(1, 2)), np.array([[0], [1]]), (Column("", "m", "maximize", np.zeros((2, 1, 1))),))
        )
