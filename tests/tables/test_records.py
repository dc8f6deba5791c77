"""Published zero-cost records of other benchmarks as tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archwright.errors import TableError
from archwright.proxies.comparing import correlate
from archwright.tables import find_table
from archwright.tables.records import read_records

LINES = ['dataset,arch,val_accuracy,nwot,nwot_time_s,params', 'a,"(0,1)",90,5,0.1,7', 'a,"(1,1)",80,-1e8,0.2,8', 'b,"(0,1)",70,6,0.1,7']  # fmt: skip


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_network_has_a_row_and_a_data_set_its_columns(tmp_path):
    table = read_records(written(tmp_path / "r.csv", *LINES), "toy")
    assert (len(table), table.metrics("a")) == (2, table.metrics("b"))
    assert table.column("a", "nwot").at().tolist() == [5, -np.inf]
    assert np.isnan(table.column("b", "val_accuracy").at()[1])
    assert {c.metric: c.direction for c in table.columns}["nwot_seconds"] == "minimize"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([LINES[0], LINES[1], LINES[1]], "twice on a"),
        ([LINES[0], LINES[1], 'a,"(1,1,1)",8,1,1,1'], "equally many numbers"),
        (["x,y", "1,2"], "neither the columns"),
    ],
)
def test_other_files_are_refused(tmp_path, lines, message):
    with pytest.raises(TableError, match=message):
        read_records(written(tmp_path / "r.csv", *lines), "toy")


@pytest.mark.parametrize(
    ("table", "dataset", "expected"),
    [
        (
            "zc-nasbench301",
            "cifar10",
            {"nwot": (0.391, 0.555), "jacov": (-0.026, -0.040), "synflow": (0.146, 0.216), "l2_norm": (0.366, 0.524),
             "params": (0.367, 0.523), "hybrid:di=params": (0.371, None), "hybrid:di=params,mode=unconditional": (0.375, None),
             "hybrid:di=synflow": (0.199, None), "hybrid:di=synflow,mode=unconditional": (0.201, None)},
        ),
        (
            "zc-transnas-scene",
            "class_scene",
            {"nwot": (0.309, 0.449), "jacov": (0.427, 0.601), "synflow": (0.355, 0.506), "l2_norm": (0.280, 0.411),
             "params": (0.462, 0.638), "zen": (0.424, 0.603), "hybrid:di=params": (0.483, None),
             "hybrid:di=params,mode=unconditional": (0.484, None), "hybrid:di=synflow": (0.314, None),
             "hybrid:di=synflow,mode=unconditional": (0.358, None)},
        ),
        (
            "zc-nasbench101",
            "cifar10",
            {"jacov": (-0.339, -0.499), "synflow": (0.452, 0.648), "l2_norm": (0.377, 0.546), "params": (0.518, 0.716)},
        ),
    ],
)  # fmt: skip
def test_correlations_on_other_benchmarks(shared_data: Path, table, dataset, expected):
    found = correlate(find_table(table, shared_data), dataset, list(expected), resamples=0)
    for row in found.result["results"]:
        tau, rho = expected[row["proxy"]]
        assert row["kendall"] == pytest.approx(tau, abs=0.001)
        assert rho is None or row["spearman"] == pytest.approx(rho, abs=0.001)


def test_all_records_are_read(shared_data: Path):
    sizes = {n: len(find_table(n, shared_data)) for n in ("zc-transnas-micro", "zc-transnas-macro")}
    assert sizes == {"zc-transnas-micro": 711, "zc-transnas-macro": 725}
