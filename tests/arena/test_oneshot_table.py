"""``archwright reproduce oneshot-nasbench201``: rows, runs that are kept, mistakes."""

import pytest

from archwright.arena.oneshot import reproduce_oneshot
from archwright.errors import SettingsError, TableError
from archwright.families.nasbench201 import to_string
from archwright.tables.known import find_table

TINY = {"epochs": 1, "pretrain_epochs": 0, "warmup_epochs": 0, "batch_size": 256, "sample": 3}


def test_searches_are_looked_up_and_kept(tmp_path) -> None:
    done = []
    found = reproduce_oneshot(
        runs=2, only=["darts1", "random"], options=TINY, out=tmp_path, on_done=lambda *a: done.append(a)
    )
    assert done[-1] == ("random_v4, seed 1", 4, 4)
    runs = found["runs"]
    assert [(r["method"], r["seed"]) for r in runs] == [
        (method, seed) for seed in (0, 1) for method in ("darts1", "darts1, V0", "random_v4")
    ]
    table = find_table("nasbench201-digits")
    worth = table.column("digits", "test_accuracy").at()
    cells = {to_string(a): row for row, a in enumerate(table.architectures)}
    for run in runs:
        assert run["accuracy"] == pytest.approx(worth[cells[run["cell"]]])
        assert run["rank"] == 1 + (worth > run["accuracy"]).sum()
        assert run["cell"].count("skip_connect") == run["skips"]
    accuracy = next(r for r in found["rows"] if r["searcher"] == "darts1" and r["measure"] == "accuracy")
    mine = [r["accuracy"] for r in runs if r["method"] == "darts1"]
    assert accuracy["ours"]["mean"] == pytest.approx(sum(mine) / 2)
    assert accuracy["published"]["mean"] is None  # of another data set
    assert {r["measure"] for r in found["rows"] if r["searcher"] == "random_v4"} == {"accuracy", "rank"}
    stamps = {f: f.stat().st_mtime_ns for f in tmp_path.glob("*/result.json")}
    again = reproduce_oneshot(runs=2, only=["darts1", "random"], options=TINY, out=tmp_path)
    assert again == found
    assert stamps == {f: f.stat().st_mtime_ns for f in tmp_path.glob("*/result.json")}
    with pytest.raises(SettingsError, match=r"other settings \(options\)"):
        reproduce_oneshot(runs=1, only=["darts1"], options={**TINY, "channels": 8}, out=tmp_path)


def test_without_none_is_what_the_same_search_under_v0_finds(tmp_path) -> None:
    found = reproduce_oneshot(runs=1, only=["darts1"], options={**TINY, "arch_lr": 0.5}, out=tmp_path)
    under_v0 = reproduce_oneshot(runs=1, only=["darts1"], options={**TINY, "arch_lr": 0.5, "zeros": "V0"})
    cells = {run["method"]: run["cell"] for run in found["runs"]}
    assert cells["darts1, V0"] == under_v0["runs"][0]["cell"]
    assert "none" not in cells["darts1, V0"]


def test_a_whole_name_means_that_method_alone(tmp_path) -> None:
    found = reproduce_oneshot(runs=1, only=["cdarts"], options=TINY, out=tmp_path)
    assert {run["method"] for run in found["runs"]} == {"cdarts"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"options": {"epoch": 1}}, SettingsError, "unknown option 'epoch'"), ({"runs": 0}, SettingsError, "runs must be at least 1"),
        ({"only": ["hier"]}, SettingsError, "unknown method 'hier'"), ({"options": {"table": "x"}}, TableError, "unknown table 'x'"),
        ({"options": {"epochs": 0}}, SettingsError, "epochs must be a whole number"),
        ({"options": {"signal": "flops"}}, TableError, "unknown metric 'flops'"),
        ({"options": {"sample": 2}}, SettingsError, "a sample has from 3 to 15,625 cells, not 2"),
    ],
)  # fmt: skip
def test_mistakes_are_named_before_anything_is_searched(call, error, message) -> None:
    with pytest.raises(error, match=message):
        reproduce_oneshot(**{"only": ["darts1"], **call})
