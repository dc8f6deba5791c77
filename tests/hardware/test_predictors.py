"""Latency predictors: what they recover, that they round-trip, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archwright.errors import SettingsError, TableError
from archwright.hardware import PREDICTORS, Adapted, accuracy, load_predictor, make_predictor
from archwright.hardware.study import compare, device_column, few_shot, known_devices
from archwright.space import Choice, Integer, Space
from archwright.tables import Column, Table, find_table

TIMES = {"none": 0.0, "conv": 4.0, "pool": 1.0}
SPACE = Space({f"edge{i}": Choice(*TIMES) for i in range(5)} | {"width": Integer(1, 3)})


def additive(architectures, scale=1.0, constant=2.0):
    """A device on which times of operations add up, with widths at half a ms each."""
    edges = [sum(TIMES[a[f"edge{i}"]] for i in range(5)) for a in architectures]
    return constant + scale * np.array(edges) + 0.5 * np.array([a["width"] for a in architectures])


@pytest.fixture(scope="module")
def drawn():
    return SPACE.sample(np.random.default_rng(0), 300)


@pytest.fixture(scope="module")
def table():
    architectures = list(SPACE.enumerate())
    columns = [("a", 1.0), ("b", 2.0), ("c", 0.1)]
    values = {name: additive(architectures, scale) for name, scale in columns}
    values["noisy"] = values["a"] * np.random.default_rng(1).uniform(0.9, 1.1, len(architectures))
    values["broken"] = np.full(len(architectures), -1.0)
    values["half"] = np.where(np.arange(len(architectures)) % 2, values["a"], np.nan)
    made = tuple(Column("d", f"{n}_latency_ms", "minimize", v[:, None, None]) for n, v in values.items())
    return Table("toy", SPACE, SPACE.codes(architectures), made)


@pytest.mark.parametrize(
    ("name", "pairs", "error"), [("lookup", 20, 1e-6), ("linear", 40, 0.02), ("boosted", 150, 0.05)]
)
def test_predicts_a_device_on_which_times_add_up(drawn, name, pairs, error):
    fitted = make_predictor(name, SPACE).fit(drawn[:pairs], additive(drawn[:pairs]))
    assert accuracy(fitted.predict(drawn[pairs:]), additive(drawn[pairs:]))["mape"] < error


def test_look_up_table_finds_the_times_of_operations(drawn):
    times = make_predictor("lookup", SPACE).fit(drawn, additive(drawn)).state()["times"]
    edges = "edge0,edge1,edge2,edge3,edge4"
    assert times[f"{edges}=conv"] - times[f"{edges}=pool"] == pytest.approx(3.0)
    assert times["width=3"] - times["width=1"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", PREDICTORS)
def test_saved_predictor_predicts_the_same(drawn, name, tmp_path):
    noisy = additive(drawn) * np.random.default_rng(0).uniform(0.9, 1.1, len(drawn))
    fitted = make_predictor(name, SPACE).fit(drawn[:60], noisy[:60])
    read = load_predictor(fitted.save(tmp_path / "p.json"), SPACE)
    assert np.array_equal(read.predict(drawn), fitted.predict(drawn))


@pytest.mark.parametrize("name", PREDICTORS)
def test_same_pairs_give_the_same_predictor(drawn, name):
    one, two = (make_predictor(name, SPACE).fit(drawn[:50], additive(drawn[:50])) for _ in range(2))
    assert np.array_equal(one.predict(drawn), two.predict(drawn))


@pytest.mark.parametrize(
    ("pairs", "latencies", "message"),
    [
        (2, [1.0, 2.0], "at least 3 measured pairs, not 2"),
        (4, [1.0, 2.0, float("nan"), 3.0], "latency 2 is nan"),
        (4, [1.0, 2.0, 3.0, -1.0], "latency 3 is -1.0"),
        (4, [1.0, 2.0, 3.0], "4 architectures need as many latencies"),
    ],
)
def test_refuses_what_cannot_be_learnt_from(drawn, pairs, latencies, message):
    with pytest.raises(SettingsError, match=message):
        make_predictor("linear", SPACE).fit(drawn[:pairs], latencies)


def test_refuses_files_that_are_not_its_own(drawn, tmp_path):
    file = make_predictor("lookup", SPACE).fit(drawn, additive(drawn)).save(tmp_path / "p.json")
    content = json.loads(file.read_text())
    with pytest.raises(SettingsError, match="fitted on another space"):
        load_predictor(file, Space({"x": Choice(1, 2)}))
    for changed, message in [
        (file.read_text()[:50], "no JSON"),
        (json.dumps(content | {"format": "x"}), "is not a latency predictor"),
        (json.dumps(content | {"version": 99}), "another Archwright"),
        (json.dumps(content | {"state": {}}), "not a whole latency predictor"),
        (json.dumps(content | {"predictor": "lokup"}), "did you mean lookup"),
    ]:
        file.write_text(changed)
        with pytest.raises(SettingsError, match=message):
            load_predictor(file, SPACE)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_predictor(tmp_path / "none.json", SPACE)


def test_adaptation_needs_fewer_measurements_than_starting_from_scratch(table):
    rows = few_shot(table, "d", ["noisy_latency_ms"], ["b_latency_ms", "c_latency_ms"], shots=[6], seeds=4)
    error = {row["predictor"]: row["median_error"] for row in rows}
    assert error["adapted"] < min(error["linear"], error["boosted"])
    assert error["adapted"] < 0.12


def test_adapted_predictor_needs_known_devices(drawn):
    with pytest.raises(SettingsError, match="at least one known device"):
        Adapted(SPACE).fit(drawn[:10], additive(drawn[:10]))


def test_saved_adapted_predictor_predicts_the_same(table, drawn, tmp_path):
    adapted = Adapted(SPACE, known_devices(table, "d", ["a_latency_ms"]))
    adapted.fit(drawn[:10], additive(drawn[:10], 0.5))
    read = load_predictor(adapted.save(tmp_path / "a.json"), SPACE)
    assert np.array_equal(read.predict(drawn), adapted.predict(drawn))


def test_compares_on_architectures_that_had_no_part(table):
    rows = compare(table, "d", ["half_latency_ms"], train=[20], predictors=["lookup"], seeds=2)
    assert rows[0]["held_out"] == len(table) // 2 - 20
    assert rows[0]["spearman"] == pytest.approx(1.0)
    assert rows == compare(table, "d", ["half_latency_ms"], train=[20], predictors=["lookup"], seeds=2)


def test_compare_refuses_what_it_cannot_do(table):
    with pytest.raises(TableError, match="did you mean a_latency_ms"):
        compare(table, "d", ["aa_latency_ms"])
    with pytest.raises(TableError, match="no positive number"):
        device_column(table, "d", "broken_latency_ms")
    with pytest.raises(SettingsError, match="729 measured architectures; fit on 3 to 727, not 728"):
        compare(table, "d", ["a_latency_ms"], train=[728])
    with pytest.raises(SettingsError, match="at once"):
        few_shot(table, "d", ["a_latency_ms"], ["a_latency_ms"])


def test_a_look_up_table_from_ten_cells_ranks_nasbench201_on_an_fpga(shared_data: Path):
    """HELP (Lee et al. 2021, table 3) reports 0.985 from as many."""
    table = find_table("nasbench201", shared_data)
    rows = compare(table, "cifar10", ["fpga_latency_ms"], train=[10], predictors=["lookup"], seeds=3)
    assert rows[0]["spearman"] > 0.99
    assert rows[0]["within_10"] > 0.95


def test_ten_measurements_rank_fbnet_on_a_new_device(shared_data: Path):
    """HELP (table 2) reports 0.943 with nine known devices."""
    table = find_table("help-fbnet", shared_data)
    assert (len(table), len(table.columns)) == (5000, 27)
    rows = few_shot(
        table, "", ["eyeriss_latency_ms"], ["pixel3_latency_ms", "silver_4114_latency_ms", "1080ti_1_latency_ms"],
        shots=[10], predictors=["lookup"], seeds=1,
    )  # fmt: skip
    by_name = {row["predictor"]: row["spearman"] for row in rows}
    assert by_name["adapted"] > 0.9
    assert by_name["adapted"] > by_name["lookup"] + 0.1


def test_predictors_rank_ofa_networks(shared_data: Path):
    table = find_table("help-ofa", shared_data)
    assert (len(table), len(table.columns)) == (5000, 12)
    shallow = {"kernel5_4", "expand5_4"}
    assert all((table.architecture(i)["depth5"] == 4) == (shallow <= set(table.architecture(i))) for i in range(50))
    (row,) = compare(table, "", ["titan_rtx_64_latency_ms"], train=[200], predictors=["boosted"], seeds=1)
    assert row["spearman"] > 0.9
