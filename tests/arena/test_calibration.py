"""Surrogates compared on a table: the measures against known numbers, fair draws, bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.arena import read_signal
from archwright.arena.calibration import compare_surrogates, judge
from archwright.arena.calibrationpage import main_table
from archwright.errors import SettingsError
from archwright.space import Choice, Space
from archwright.tables import Column, Table


def toy(missing=0):
    """125 architectures; accuracy rises with every digit; the first ones have none."""
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    accuracy = 60 + codes @ [4.0, 2.0, 1.0]
    accuracy[:missing] = np.nan
    noisy = np.random.default_rng(0).normal(accuracy[:, None], 1.0, (125, 2))
    every = (
        Column("digits", "val_accuracy", "maximize", accuracy[:, None, None], (8,)),
        Column("digits", "loss", "minimize", (100 - accuracy)[:, None, None], (8,)),
        Column("digits", "noisy", "maximize", noisy[:, None, :], (8,), (0, 1)),
    )
    return Table("toy", space, codes, every)


def trials(table=None, signal="val_accuracy", names=("ridge", "forest"), **options):
    table = table or toy()
    return compare_surrogates(
        table, "digits", read_signal(table, "digits", signal), names, **{"runs": 2, "sizes": (10, 40), **options}
    )


def test_a_standard_normal_prediction_of_standard_normal_values_has_the_known_figures():
    truth = np.random.default_rng(0).normal(size=200_000)
    found = judge(np.zeros(len(truth)), np.ones(len(truth)), truth)
    assert found["nll"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.01)
    assert found["coverage"] == pytest.approx(0.9, abs=0.003)
    assert found["width"] == pytest.approx(2 * 1.6448536)
    assert found["spearman"] == found["kendall"] == 0.0


def test_measures_of_a_small_example_by_hand():
    found = judge(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 0.5, 2.0]), np.array([1.0, 4.0, 3.0, 2.0]))
    densities = [0.0, 2.0, -math.log(2), math.log(2) + 0.5]
    assert found["nll"] == pytest.approx(0.5 * math.log(2 * math.pi) + sum(densities) / 4)
    assert found["coverage"] == 0.75
    assert found["width"] == pytest.approx(2 * 1.6448536 * 4.5 / 4)
    assert found["spearman"] == pytest.approx(0.2)
    assert found["kendall"] == 0.0


def test_no_deviation_counts_as_a_hundredth_of_the_unit():
    one, least = (judge(np.arange(5.0), np.full(5, d), np.arange(5.0), unit=2.0) for d in (0.0, 0.02))
    assert one == least
    assert one["coverage"] == 1.0
    assert one["nll"] == pytest.approx(0.5 * math.log(2 * math.pi) + math.log(0.01))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-1e3, 1e3))
def test_the_unit_of_the_values_changes_nothing(seed, scale, shift):
    mean, noise = np.random.default_rng(seed).normal(size=(2, 30))
    std, truth = np.full(30, 0.7), mean + noise
    here, there = judge(mean, std, truth, 1.0), judge(mean * scale + shift, std * scale, truth * scale + shift, scale)
    assert there == pytest.approx(here, rel=1e-6, abs=1e-6)


def test_a_linear_model_ranks_a_linear_table_and_learns_with_its_rows():
    found = trials()
    ridge = {size: found.values["ridge", size]["spearman"].mean() for size in (10, 40)}
    assert ridge[40] > 0.97
    assert ridge[40] > ridge[10]
    assert found.values["forest", 40]["spearman"].mean() < ridge[40]
    assert found.values["forest", 40]["coverage"].shape == (2,)


def test_the_same_seed_repeats_and_names_and_sizes_change_nothing():
    first, alone = trials(), trials(names=("forest",), sizes=(40,), test_rows=85)
    other = trials(seed=1)
    for measure in ("spearman", "nll", "coverage", "width"):
        again = alone.values["forest", 40][measure]
        np.testing.assert_array_equal(first.values["forest", 40][measure], again)
    assert other.values["forest", 40]["nll"].tolist() != first.values["forest", 40]["nll"].tolist()


def test_training_and_test_rows_do_not_meet_and_lack_no_value(monkeypatch):
    from archwright.arena import calibration
    from archwright.surrogate.base import Regressor

    seen = []

    class Spy(Regressor):
        def fit(self, architectures, targets):
            seen.append(("fit", [tuple(a.values()) for a in architectures]))
            assert np.isfinite(targets).all()

        def predict(self, architectures):
            seen.append(("predict", [tuple(a.values()) for a in architectures]))
            return np.zeros(len(architectures)), np.ones(len(architectures))

        def _fit(self, rows, targets): ...

        def _predict(self, rows): ...

    monkeypatch.setattr(calibration, "make_surrogate", lambda name, space, seed=0: Spy(space, seed=seed))
    done = trials(toy(missing=25), names=("spy",), sizes=(20, 50))
    assert done.test_rows == 50
    fits = [rows for what, rows in seen if what == "fit"]
    tests = [rows for what, rows in seen if what == "predict"]
    assert all(rows == tests[0] for rows in tests)
    assert not set(tests[0]) & {row for rows in fits for row in rows}
    assert [len(rows) for rows in fits] == [20, 50, 20, 50]
    assert fits[1][:20] == fits[0]
    assert fits[2] != fits[0]


def test_workers_change_nothing_but_the_seconds():
    one, two = trials(), trials(workers=2)
    for key, measured in one.values.items():
        for measure in ("spearman", "kendall", "nll", "coverage", "width"):
            np.testing.assert_array_equal(measured[measure], two.values[key][measure])


def test_every_run_is_counted_by_its_surrogate_also_with_workers():
    done = []
    trials(names=("ridge", "forest"), workers=2, on_done=done.append)
    assert done == ["ridge", "ridge", "forest", "forest"]


def test_a_report_is_ranked_and_the_signal_stays_what_is_predicted():
    table = toy()
    plain, other = trials(table), trials(table, report=read_signal(table, "digits", "loss"))
    mine, theirs = plain.values["ridge", 40], other.values["ridge", 40]
    np.testing.assert_allclose(theirs["spearman"], mine["spearman"])
    np.testing.assert_array_equal(theirs["nll"], mine["nll"])
    noisy = trials(table, signal="noisy", report=read_signal(table, "digits", "noisy#0"))
    assert (
        noisy.values["ridge", 40]["spearman"].mean()
        != trials(table, signal="noisy").values["ridge", 40]["spearman"].mean()
    )
    assert noisy.result["report"] == "noisy after 8 epochs, seed 0"


def test_rows_without_a_reported_value_take_no_part():
    table, part = toy(), toy(missing=25)
    both = Table("both", table.space, table.codes, (*table.columns, replace(part.columns[0], metric="part")))
    assert trials(both, report=read_signal(both, "digits", "part")).test_rows == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"sizes": (120,)}, "has 125 rows with val_accuracy after 8 epochs: too few for 120 to train on and 10 others"),
        ({"test_rows": 100}, "too few for 40 to train on and 100 others"),
        ({"sizes": (40, 10)}, "must be ascending, from 2 on, not 40, 10"),
        ({"sizes": (1, 10)}, "must be ascending, from 2 on"),
        ({"runs": 0}, "runs must be at least 1, not 0"),
        ({"test_rows": 3}, "must be at least 10, not 3"),
        ({"names": ("ridge", "ridge")}, "each once, not ridge, ridge"),
        ({"names": ("gp-wl",)}, "surrogate gp-wl: it sees cell graphs, and this space has none"),
        ({"names": ("gp-wll",)}, "unknown surrogate 'gp-wll'; did you mean gp-wl"),
        ({"signal": "noisy#random"}, "surrogates predict fixed values"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        trials(**options)


def test_the_table_on_paper_has_a_row_for_each_surrogate_and_size():
    header, rows = main_table(trials())
    assert header[:3] == ["surrogate", "rows", "Spearman"]
    assert [row[:2] for row in rows] == [["ridge", "10"], ["forest", "10"], ["ridge", "40"], ["forest", "40"]]
    assert all("±" in row[2] for row in rows)
