"""Statements on published results: they hold of the published tables, and of nothing that contradicts them."""

import pytest

from archwright.errors import SettingsError
from archwright.report.icdarts import PUBLISHED, SAME, Figure
from archwright.report.runs import Runs
from archwright.report.statements import STATEMENTS, check, figures
from archwright.supernet.methods import METHODS, OneShot


def test_every_table_is_there() -> None:
    """Rows that several tables print are there once."""
    counts = {study: sum(map(len, rows.values())) for study, rows in PUBLISHED.items()}
    assert counts == {"cifar10": 12 + 2 * 29 + 2 * 4, "cifar100": 14, "sglfc": 20, "em": 10}
    for rows in PUBLISHED.values():
        assert set(rows) <= set(METHODS)


@pytest.mark.parametrize("study", STATEMENTS)
def test_statements_hold_of_the_published_tables(study) -> None:
    found = check(study, PUBLISHED[study])
    assert all(statement["holds"] for statement in found), [s["text"] for s in found if not s["holds"]]


def changed(study: str, method: str, metric: str, mean: float, std: float) -> list[bool | None]:
    rows = {name: dict(row) for name, row in PUBLISHED[study].items()}
    rows[method][metric] = Figure(mean, std)
    return [statement["holds"] for statement in check(study, rows)]


@pytest.mark.parametrize(
    ("study", "method", "metric", "mean", "std", "fails"),
    [
        ("cifar10", "icdarts", "accuracy", 97.13, 0.31, {0, 1}),
        ("cifar10", "random_v1", "accuracy", 97.0, 0.3, {2}),
        ("cifar10", "opspace4", "accuracy", 97.0, 0.2, {3}),
        ("cifar10", "opspace2", "accuracy", 97.6, 0.2, {4}),
        ("cifar10", "cell_idarts", "accuracy", 97.2, 0.2, {5}),
        ("cifar10", "cell_xdarts", "latency", 0.10, 0.01, {6, 14}),
        ("cifar10", "cdarts_v4", "accuracy", 95.0, 1.0, {7}),
        ("cifar10", "abl_separable", "accuracy", 96.9, 0.2, {8}),
        ("cifar10", "abl_separable", "latency", 0.10, 0.0, {9}),
        ("cifar10", "abl_stem_concat", "accuracy", 95.0, 0.2, {10}),
        ("cifar10", "abl_reduce_max", "accuracy", 97.1, 0.1, {11}),
        ("cifar10", "route_a1", "accuracy", 97.0, 0.48, {12}),
        ("cifar10", "route_a1", "accuracy", 96.35, 0.1, {13}),
        ("cifar10", "xdarts_lat_0.1", "accuracy", 96.9, 0.1, {15}),
        ("cifar10", "nodes5_750", "accuracy", 97.4, 0.1, {16}),
        ("cifar10", "hier_v2", "accuracy", 96.5, 0.1, {17}),
        ("cifar10", "hier_v1", "latency", 0.2, 0.1, {18}),
        ("cifar100", "icdarts", "accuracy", 81.0, 0.1, {0}),
        ("cifar100", "icdarts_v3", "accuracy", 83.15, 0.6, {1}),
        ("sglfc", "sglfc_op2", "f_beta", 0.79, 0.1, {0}),
        ("em", "em_icdarts", "accuracy", 97.0, 0.2, {0}),
        ("em", "em_icdarts", "accuracy", 96.7, 0.05, {1}),
    ],
)
def test_each_fails_where_it_is_contradicted(study, method, metric, mean, std, fails) -> None:
    found = changed(study, method, metric, mean, std)
    assert {i for i, holds in enumerate(found) if not holds} == fails


def test_names_of_one_configuration_stand_for_one_another() -> None:
    rows = dict(PUBLISHED["cifar10"])
    rows["nodes4"] = rows.pop("icdarts")
    assert all(statement["holds"] for statement in check("cifar10", rows))
    for name, same in SAME.items():
        if name != "random_v4":
            assert OneShot(name).settings()[1:] == OneShot(same).settings()[1:]


def test_what_is_missing_is_named_and_single_runs_have_no_spread() -> None:
    result = {"retrain": {"test_accuracy": 0.97, "seconds_per_batch": 0.1}}
    other = {"retrain": {"test_accuracy": 0.95, "seconds_per_batch": 0.2}}
    found = figures([Runs("icdarts", (result, other)), Runs("cdarts", (result,))])
    assert found["icdarts"]["accuracy"] == (pytest.approx(96.0), pytest.approx(2**0.5))
    assert found["cdarts"] == {}
    first, second = check("cifar10", found)[:2]
    assert (first["holds"], second["holds"], second["missing"]) == (False, None, "cdarts")
    with pytest.raises(SettingsError, match="unknown set of published results 'cifar'; did you mean cifar10"):
        check("cifar", found)
