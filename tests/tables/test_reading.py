"""Reading other people's tables: CSV in several notations, wrong guesses, published raw files."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from archwright.errors import TableError
from archwright.families import get_family
from archwright.families.nasbench201 import OPERATIONS, to_string
from archwright.tables import Metric, find_table, import_csv
from archwright.tables.reading import NASLIB_EDGES, NASLIB_OPERATIONS

FAMILY = get_family("nasbench201")


def accuracy(architecture):
    """An accuracy that isomorphic cells share."""
    return 50 + hash_of(FAMILY.key(architecture).rsplit(" ", 1)[0]) * 40


def hash_of(text):
    import zlib

    return zlib.crc32(text.encode()) / 2**32


def digits(a):
    return "".join(str(OPERATIONS.index(v)) for v in a.values())


def tuple_of_digits(a):
    return str(tuple(map(int, digits(a))))


def naslib(a):
    return str(tuple(NASLIB_OPERATIONS.index(a[e]) for e in NASLIB_EDGES)).replace(" ", "")


def params(a):
    return (
        0.073306
        + 0.028 * sum(v == "nor_conv_1x1" for v in a.values())
        + 0.24304 * sum(v == "nor_conv_3x3" for v in a.values())
    )


def write(path, notation, rows, extra=()):
    lines = ["arch,acc,size", *(f'"{notation(a)}",{accuracy(a)},{params(a)}' for a in rows), *extra]
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def read(path, notation, **changes):
    options = {
        "name": "mine", "family": FAMILY, "identity": "arch", "notation": notation,
        "metrics": [Metric.parse("acc=val_accuracy:cifar10@12"), Metric.parse("size=params")],
    }  # fmt: skip
    return import_csv(path, **(options | changes))


@pytest.fixture(scope="module")
def sample():
    return list(dict.fromkeys(FAMILY.space.sample(np.random.default_rng(0), 1500)))


@pytest.mark.parametrize(("notation", "writer"), [("digits", digits), ("string", to_string), ("naslib", naslib)])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_each_notation_gives_the_same_architectures(tmp_path, sample, notation, writer, name):
    table = read(write(tmp_path / name, writer, sample[:300]), notation)
    assert table.architectures == sample[:300]
    assert table.column("cifar10", "val_accuracy").epochs == (12,)
    assert table.column("cifar10", "params").direction == "minimize"
    assert not table.is_whole


@pytest.mark.parametrize(("wrong", "writer"), [("digits", naslib), ("naslib", tuple_of_digits)])
def test_a_wrong_notation_is_found_out(tmp_path, sample, wrong, writer):
    path = write(tmp_path / "t.csv", writer, sample)
    with pytest.raises(TableError, match="try another notation"):
        read(path, wrong)
    with pytest.raises(TableError, match="val_accuracy on cifar10 differs by"):
        read(path, wrong, metrics=[Metric.parse("acc=val_accuracy:cifar10")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acc", Metric("acc", "acc")),
        ("loss", Metric("loss", "loss", direction="minimize")),
        ("a=top1:cifar10@200", Metric("a", "top1", "cifar10", 200)),
        ("a=top1:cifar10@200:min", Metric("a", "top1", "cifar10", 200, "minimize")),
        ("energy:max", Metric("energy", "energy")),
        ("x=latency_ms:raspberry", Metric("x", "latency_ms", "raspberry", direction="minimize")),
    ],
)
def test_metric_notation(text, expected):
    assert Metric.parse(text) == expected


@pytest.mark.parametrize("text", ["", "a=b=c", "a@x", ":d"])
def test_bad_metric_notation(text):
    with pytest.raises(TableError, match=r"not of the form COLUMN\[=METRIC\]"):
        Metric.parse(text)


def test_bad_csv(tmp_path, sample):
    rows = sample[:30]

    def refuse(message, extra=(), notation="digits", **changes):
        path = write(tmp_path / "t.csv", digits, rows, extra)
        with pytest.raises(TableError, match=message):
            read(path, notation, **changes)

    refuse("rows 2 and 32 hold the same architecture", [f"{digits(rows[0])},1,1"])
    refuse("row 32: '99999' has 5 digits", ["99999,1,1"])
    refuse("row 32: '999999' has a digit without an operation", ["999999,1,1"])
    refuse("line 32: 'high' in column acc is not a number", ["000000,high,1"])
    refuse("line 32: 2 fields, and the header has 3", ["000000,1"])
    refuse("unknown column 'arhc'; did you mean arch", identity="arhc")
    refuse("unknown notation 'digit'; did you mean digits", notation="digit")
    refuse("at least one metric", metrics=[])
    refuse("unknown column 'bcc'", metrics=[Metric.parse("bcc")])
    refuse("is there twice; tell epochs apart", metrics=[Metric.parse("acc=m:c"), Metric.parse("size=m:c")])
    refuse("no row has size = '7'", where=("size", "7"))
    (tmp_path / "empty.csv").write_text("arch,acc,size\n")
    with pytest.raises(TableError, match="no rows under its header"):
        read(tmp_path / "empty.csv", "digits")
    with pytest.raises(TableError, match="there is no file"):
        read(tmp_path / "gone.csv", "digits")
    (tmp_path / "bad.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(TableError, match="cannot be read as CSV"):
        read(tmp_path / "bad.csv.gz", "digits")


def test_an_empty_field_is_missing(tmp_path, sample):
    path = write(tmp_path / "t.csv", digits, sample[:30], ["000000,,0.073306"])
    assert np.isnan(read(path, "digits").column("cifar10", "val_accuracy").at()[-1])


def test_unknown_tables_say_where_was_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHWRIGHT_DATA", str(tmp_path))
    with pytest.raises(TableError, match="unknown table 'nasbench202'; did you mean nasbench201"):
        find_table("nasbench202")
    with pytest.raises(TableError, match=f"are not in {tmp_path}, .*--data-dir"):
        find_table("nasbench201")


def test_nasbench201_has_the_published_figures(shared_data):
    table = find_table("nasbench201", shared_data)
    assert len(table) == 15_625
    assert table.is_whole
    best = {d: table.column(d, "test_accuracy").at(200).max() for d in table.datasets}
    assert {d: round(v, 2) for d, v in best.items()} == {"cifar10": 94.37, "cifar100": 73.51, "imagenet16-120": 47.31}
    assert table.column("cifar10", "val_accuracy").at(200).max() == pytest.approx(91.6067, abs=1e-4)
    weights = table.column("cifar10", "params").at()
    assert (weights.min(), weights.max()) == (73_306, 1_531_546)
    assert table.column("cifar10", "pixel3_latency_ms").at()[0] == pytest.approx(3.60585)
    assert sum(m.endswith("_help_latency_ms") for m in table.metrics("cifar10")) == 27
    assert table.column("cifar10", "raspi4_help_latency_ms").at()[1] == pytest.approx(54.777397)


def test_nasbench_macro_has_the_published_figures(shared_data):
    table = find_table("nasbench-macro", shared_data)
    assert len(table) == 6_561
    assert table.is_whole
    assert table.column("cifar10", "test_accuracy").at().max() == pytest.approx(93.127, abs=1e-3)


def test_the_naslib_scores_are_read_in_their_own_notation_only(shared_data):
    path = shared_data / "zero-cost" / "naslib_zc_nb201.csv.gz"
    options = {"identity": "arch", "where": ("dataset", "cifar10"), "metrics": [Metric.parse("params")]}
    table = read(path, "naslib", **options)
    with pytest.raises(TableError, match="try another notation"):
        read(path, "digits", **options)
    formula = [params(a) for a in table.architectures]
    np.testing.assert_allclose(table.column("", "params").at(), formula, rtol=1e-4)
