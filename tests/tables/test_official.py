"""NATS-Bench as it is distributed: what is read agrees with other sources, and nothing is executed."""

from __future__ import annotations

import bz2
import os
import pickle

import numpy as np
import pytest

from archwright.errors import TableError
from archwright.families.nasbench201 import to_string
from archwright.tables import find_table
from archwright.tables.official import META, import_official, read_pickle

TOPOLOGY = "nats-bench-official-sample/NATS-tss-v1_0-3ffb9-simple"
SIZE = "nats-bench-official-sample/NATS-sss-v1_0-50262-simple"


@pytest.fixture(scope="module")
def official(shared_data):
    return import_official(shared_data / TOPOLOGY, curves=True)


def test_values_are_those_of_the_table_from_other_sources(official, shared_data):
    other = find_table("nasbench201", shared_data)
    rows = [other.rows[a] for a in official.architectures]
    assert rows == [0, 11, 284]
    for dataset in ("cifar10", "cifar100", "imagenet16-120"):
        for metric in ("val_accuracy", "test_accuracy"):
            for epoch in (12, 200):
                if (metric, epoch) == ("val_accuracy", 200) and dataset != "cifar10":
                    continue
                mine = official.column(dataset, metric).at(epoch)
                assert mine == pytest.approx(other.column(dataset, metric).at(epoch)[rows], abs=2e-3), (metric, epoch)
    assert official.column("cifar10", "params").at() == pytest.approx(
        other.column("cifar10", "params").at()[rows], rel=1e-3
    )
    assert official.column("cifar10", "flops").at() == pytest.approx(
        other.column("cifar10", "flops").at()[rows], rel=1e-3
    )


def test_seeds_epochs_and_curves_are_all_there(official):
    column = official.column("cifar10", "val_accuracy")
    assert column.epochs == (12, 200)
    assert column.seeds == (111, 777, 888, 999)
    assert np.isnan(column.at(200, 111)).all()
    curve = official.column("cifar10", "val_accuracy_curve12")
    assert curve.epochs == tuple(range(1, 13))
    assert curve.at(12, 777) == pytest.approx(column.at(12, 777))
    assert official.column("cifar100", "train_loss_curve200").epochs[-1] == 200


def test_the_size_space_has_channels_per_layer(shared_data):
    table = import_official(shared_data / SIZE)
    assert [list(a.values()) for a in table.architectures] == [[8] * 5, [8, 8, 8, 16, 32], [8, 8, 40, 32, 40]]
    assert table.family is None
    assert table.column("cifar10", "val_accuracy").epochs == (1, 12, 90)


def test_one_file_with_everything_is_the_same(official, shared_data, tmp_path):
    folder = shared_data / TOPOLOGY
    meta = read_pickle(folder / META)
    whole = {**meta, "arch2infos": {i: read_pickle(folder / f"{i:06d}.pickle.pbz2") for i in (0, 11, 284)}}
    path = tmp_path / "whole.pickle.pbz2"
    with bz2.open(path, "wb") as file:
        pickle.dump(whole, file)
    again = import_official(path, curves=True)
    assert [to_string(a) for a in again.architectures] == [to_string(a) for a in official.architectures]
    for a, b in zip(again.columns, official.columns):
        assert np.array_equal(a.values, b.values, equal_nan=True)


class Malice:
    def __init__(self, what):
        self.what = what

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize(
    ("what", "named"),
    [((os.mkdir, ("TARGET",)), "mkdir"), ((eval, ("1",)), "eval"), ((getattr, (1, "real")), "getattr"), ((pickle.loads, (b"N.",)), "loads")],
    ids=lambda p: p if isinstance(p, str) else "",
)  # fmt: skip
def test_anything_but_plain_data_is_refused_by_name_and_not_run(tmp_path, what, named):
    target = tmp_path / "made"
    call = (what[0], (str(target),)) if named == "mkdir" else what
    path = tmp_path / META
    with bz2.open(path, "wb") as file:
        pickle.dump({"meta_archs": Malice(call)}, file)
    with pytest.raises(TableError, match=f"{named}.* not plain data"):
        read_pickle(path)
    assert not target.exists()


def test_numpy_values_that_are_objects_are_refused(tmp_path):
    path = tmp_path / "o.pickle"
    data = np.float64(1).__reduce__()[0], (np.dtype("O"), b"\0" * 8)
    path.write_bytes(pickle.dumps(Malice(data)))
    with pytest.raises(TableError, match="not a number"):
        read_pickle(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"meta_archs": ["|x~0|"]})]
)
def test_what_is_no_benchmark_is_an_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "bad.pickle"
    path.write_bytes(content)
    with pytest.raises(TableError, match="bad.pickle"):
        import_official(path)


def test_a_truncated_file_is_named(shared_data, tmp_path):
    for name in (META, "000011.pickle.pbz2"):
        data = (shared_data / TOPOLOGY / name).read_bytes()
        (tmp_path / name).write_bytes(data if name == META else data[: len(data) // 2])
    with pytest.raises(TableError, match="000011"):
        import_official(tmp_path)
