"""Several runs: published tests from means and deviations, bands, dotted names."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from archwright.errors import SettingsError
from archwright.report.runs import Runs, band, curve, curves, numbers, stability, summarise, summary


def runs(name, *accuracies, **more):
    return Runs(name, tuple({"retrain": {"test_accuracy": a, "epochs": 3}, **more} for a in accuracies))


def published(name, mean, std, n):
    return {"name": name, "metrics": {"accuracy": {"n": n, "mean": mean, "std": std}}}


def test_the_deviation_is_that_of_a_sample():
    """Seven failed runs near 13 and one near 97.2 are what 23.68 (29.71) looks like (Herron 2023, table 3.2)."""
    found = summary([13.18] * 7 + [97.2])
    assert found["mean"] == pytest.approx(23.68, abs=0.01)
    assert found["std"] == pytest.approx(29.71, abs=0.01)
    assert summary([3.0])["std"] is None


@pytest.mark.parametrize(
    ("a", "b", "ratio", "firm"),
    [
        ((96.94, 0.30), (97.13, 0.14), 4.6, True),
        ((97.01, 0.24), (97.10, 0.19), 1.6, False),
        ((96.80, 0.58), (97.01, 0.05), 135, True),
    ],
)
def test_stability_of_published_rows(a, b, ratio, firm):
    (found,) = stability([published("cdarts", *a, 8), published("icdarts", *b, 8)], "accuracy")
    assert found["steadier"] == "icdarts"
    assert found["limit"] == pytest.approx(3.79, abs=0.005)
    assert found["ratio"] == pytest.approx(ratio, rel=0.02)
    assert found["firm"] is firm


@pytest.mark.parametrize(("row", "t"), [((96.15, 0.27, 8), 9.1), ((95.08, 0.39, 6), 12.3), ((97.29, 0.29, 6), -1.2)])
def test_differences_of_published_means(row, t):
    (found,) = stability([published("base", 97.13, 0.14, 8), published("other", *row)], "accuracy")
    assert found["t"] == pytest.approx(t, abs=0.06)


def test_runs_without_spread_are_not_divided_by_zero():
    (found,) = stability(summarise([runs("a", 0.5, 0.5), runs("b", 0.5, 0.7)]), "retrain.test_accuracy")
    assert (found["steadier"], found["ratio"], found["firm"]) == ("a", None, True)
    (found,) = stability(summarise([runs("a", 0.5, 0.5), runs("b", 0.7, 0.7)]), "retrain.test_accuracy")
    assert (found["ratio"], found["firm"], found["t"]) == (None, False, None)
    assert stability(summarise([runs("a", 0.5), runs("b", 0.5, 0.7)]), "retrain.test_accuracy") == []


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_bands_are_students_intervals(n, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, 3))
    mean, half = band(matrix)
    low, high = stats.t.interval(0.95, n - 1, matrix.mean(axis=0), stats.sem(matrix, axis=0))
    assert np.allclose(mean - half, low)
    assert np.allclose(mean + half, high)


def test_shorter_runs_and_gaps_leave_fewer_to_average():
    both = ([1.0, 2.0], [3.0, None, 5.0])
    groups = [Runs("a", tuple({"search": {"curves": {"test_accuracy": c}}} for c in both))]
    name, found = curves(groups)
    assert name == "search.curves.test_accuracy"
    mean, half = band(found["a"])
    assert mean.tolist() == [2, 2, 5]
    assert [math.isfinite(h) for h in half] == [True, False, False]


def test_curves_are_found_in_lists_of_records():
    result = {"search": {"history": [{"test_accuracy": 0.5}, {"loss": 1}, {"test_accuracy": 0.75}]}}
    assert np.array_equal(curve(result, "search.history.test_accuracy"), [0.5, math.nan, 0.75], equal_nan=True)
    assert curve(result, "search.history.loss.x") is None
    assert curve(result, "search.other") is None
    assert curves([Runs("a", (result,))])[0] == "search.history.test_accuracy"
    assert curves([Runs("a", ({},))]) == ("", {})


def test_numbers_have_dotted_names_and_what_is_none_is_left_out():
    result = {"a": {"b": {"c": 1}}, "d": True, "e": None, "f": math.nan, "g": [1], "h": "x", "i": 2.5}
    assert dict(numbers(result)) == {"a.b.c": 1, "i": 2.5}


def test_runs_that_lack_a_metric_are_not_counted():
    groups = [Runs("a", ({"retrain": {"test_accuracy": 0.5}}, {"retrain": {"test_accuracy": None}}))]
    (found,) = summarise(groups)
    assert (found["runs"], found["metrics"]["retrain.test_accuracy"]["n"]) == (2, 1)


@pytest.mark.parametrize(
    ("groups", "metrics", "message"),
    [
        ([], (), "nothing to report"),
        ([Runs("a", ())], (), "nothing to report"),
        ([Runs("a", ({"seed": 3},))], (), "no numbers of a search or a retraining; known: seed"),
        ([runs("a", 0.5)], ("retrain.test_acuracy",), "did you mean retrain.test_accuracy"),
    ],
)
def test_what_cannot_be_summarised_is_refused(groups, metrics, message):
    with pytest.raises(SettingsError, match=message):
        summarise(groups, metrics)


def test_a_curve_that_nobody_has_is_refused():
    with pytest.raises(SettingsError, match="no run has a list of numbers called 'loss'"):
        curves([runs("a", 0.5)], "loss")
