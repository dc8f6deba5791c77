"""Published tables of pretrained ensembles: how costs are booked, what is kept, and that every line runs."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from archwright.arena import ensemble_runs
from archwright.arena.ensemble import BASELINES, FULL, LINES, NEITHER, SETS, _jobs, _row, reproduce_ensemble
from archwright.arena.ensemble_runs import Found, Job, RunLog, do_all
from archwright.errors import SettingsError
from archwright.searchers import SEARCHERS
from archwright.surrogate import DeepEnsemble, pretrain, read_header
from archwright.surrogate.pretraining import encoded

SMALL = {"profiled": 30, "members": 2, "pretraining_epochs": 1, "low_epochs": 1, "high_epochs": 1}


def test_a_run_of_100_equivalents_ends_as_published():
    spent = [6.0 * (i // 3) + 4 + i % 3 for i in range(60)]  # when each full evaluation of the first 20 cycles is known
    booked = [FULL.booked(cost) for cost in spent]
    assert sorted(set(booked)) == [6.0 * i for i in range(1, 21)]
    assert sum(b <= 100 for b in booked) == 48
    assert FULL.changed((("p", 10),)).booked(1) == pytest.approx(9)


@given(st.floats(0.06, 500))
def test_booked_cost_is_the_end_of_the_cycle_or_batch(cost):
    for method, size in ((FULL, 6), (NEITHER, 32)):
        booked = method.booked(cost)
        assert booked % size == pytest.approx(0)
        assert cost - 1e-6 <= booked < cost + size
    assert BASELINES["local"].booked(cost) == cost


def test_best_value_counts_whole_cycles_only():
    found = Found(((4.0, 6.0, 90.0), (95.0, 96.0, 93.0), (100.0, 102.0, 94.0)), True, 100.0, 1.0)
    assert [found.best_at(b) for b in (6, 100, 200)] == [90.0, 93.0, 94.0]
    assert np.isnan(found.best_at(5))
    assert found.booked == 102.0


def test_a_run_counts_as_at_the_optimum_from_its_own_cost_on(tmp_path):
    lines = [line for line in LINES["ensemble-best-value"][1] if line.label == "ls" and line.dataset == "cifar10"]
    found = {
        Job("cifar10", BASELINES["local"], 200, seed): Found(((3.0, 3.0, 90.0), (cost, cost, 94.0)), True, cost, 1.0)
        for seed, cost in enumerate((99.0, 150.0))
    }
    rows = {line.measure: _row(line, list(found), found, tmp_path, ()) for line in lines}
    assert {m: (r["reached"], r["ours"]["mean"]) for m, r in rows.items()} == {
        "best@100": (1, 92.0),
        "best@200": (2, 94.0),
    }
    assert rows["best@100"]["ours"]["std"] == 2.0  # of the population, as published


@pytest.mark.parametrize("name", LINES)
def test_every_line_names_searchers_and_says_what_differs(name):
    for line in LINES[name][1]:
        assert {m.searcher for m in line.methods} <= set(SEARCHERS)
        assert line.differs or not line.published


def test_one_two_and_three_metrics_are_all_subsets():
    lines = {line.label: line for line in LINES["ensemble-ablations"][1]}
    assert [len(lines[label].methods) for label in ("full method: 3 metrics", "2 metrics", "1 metric")] == [1, 3, 3]
    assert [lines[label].published["mean"] for label in ("full method: 3 metrics", "2 metrics", "1 metric")] == [
        78.9,
        96,
        113.4,
    ]


def test_baselines_are_run_until_the_optimum(shared_data):
    found = reproduce_ensemble("ensemble-search-time", data_dir=shared_data, runs=3, only=["ls", "random"])
    rows = {(r["dataset"], r["searcher"]): r for r in found["rows"]}
    assert len(rows) == 4
    assert all(r["reached"] == 3 for r in rows.values())
    assert rows["cifar10", "ls"]["ours"]["mean"] < 250 < rows["cifar10", "random"]["ours"]["mean"]
    assert rows["cifar10", "ls"]["published"] == {"mean": 99.0, "std": 56.82, "min": 30, "max": 190}


def test_finished_runs_are_kept_and_not_run_again(shared_data, tmp_path, monkeypatch):
    how = {"data_dir": shared_data, "only": ["ls"], "out": tmp_path, "budget": 60}
    first = reproduce_ensemble("ensemble-best-value", runs=2, **how)
    file = tmp_path / "runs.jsonl"
    assert len(file.read_text().splitlines()) == 6
    file.write_text(file.read_text()[:-20])  # cut off while the last was written
    asked = []
    search = ensemble_runs._search
    monkeypatch.setattr(ensemble_runs, "_search", lambda job, *a: (asked.append(job), search(job, *a))[1])
    again = reproduce_ensemble("ensemble-best-value", runs=2, **how)
    assert len(asked) == 1
    assert [r["ours"] for r in again["rows"]] == [r["ours"] for r in first["rows"]]


def test_a_run_that_reached_the_optimum_is_what_a_smaller_budget_would_have_given(shared_data, tmp_path, monkeypatch):
    table = _table(shared_data)
    near, far = ls_job("cifar10", 0), ls_job("cifar10", 0, 1000)
    own = do_all(table, [near], tmp_path / "apart", 1, lambda *_: None)[near]
    do_all(table, [far], tmp_path, 1, lambda *_: None)
    monkeypatch.setattr(ensemble_runs, "_search", None)
    assert do_all(table, [near], tmp_path, 1, lambda *_: None)[near] == replace(
        own, seconds=pytest.approx(own.seconds, abs=60)
    )


def test_a_pretraining_can_serve_several_seeds():
    line = LINES["ensemble-search-time"][1][4]
    assert [j.pretrained for j in _jobs(line, range(3, 7), None)] == [3, 4, 5, 6]
    shared = _jobs(line, range(4), 2)
    assert [j.pretrained for j in shared] == [0, 1, 0, 1]
    own = _jobs(line, range(4), None)
    assert [j.key == o.key for j, o in zip(shared, own)] == [True, True, False, False]
    assert {j.taken for j in _jobs(replace(line, methods=(NEITHER,)), range(4), 2)} == {None}


def ls_job(dataset, seed, budget=200):
    return Job(dataset, BASELINES["local"], budget, seed)


def test_a_run_with_another_budget_serves_only_where_it_is_the_same(tmp_path):
    log = RunLog(tmp_path / "runs.jsonl")
    there, not_there = (Found(((30.0, 30.0, 90.0),), optimum, 30.0, 1.0) for optimum in (True, False))
    log.add(ls_job("cifar10", 0, 40), there)
    log.add(ls_job("cifar10", 1, 30), not_there)
    for known in (log, RunLog(tmp_path / "runs.jsonl")):
        assert [known.get(ls_job("cifar10", 0, b)) for b in (29, 30, 1000)] == [None, there, there]
        assert [known.get(ls_job("cifar10", 1, b)) for b in (29, 30, 1000)] == [None, not_there, None]
        assert known.get(ls_job("cifar100", 0, 40)) is None


@pytest.mark.slow
def test_the_published_method_pretrains_once_per_seed_for_all_data_sets(shared_data, tmp_path):
    found = reproduce_ensemble(
        "ensemble-best-value",
        data_dir=shared_data,
        runs=1,
        options={**SMALL, "members": 1, "q": 1, "f": 1},
        only=["thesis"],
        out=tmp_path,
        budget=2,
    )
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert {r["dataset"] for r in found["rows"]} == {"cifar10", "cifar100", "imagenet16-120"}
    for row in found["rows"]:
        assert row["ours"]["mean"] > 5
        assert "set here: f=1, high_epochs=1" in row["differs"]


@pytest.mark.slow
def test_every_ablation_runs_in_two_processes(shared_data, tmp_path):
    found = reproduce_ensemble(
        "ensemble-ablations", data_dir=shared_data, runs=1, workers=2, options=SMALL, out=tmp_path, budget=7
    )
    assert len(found["rows"]) == len(LINES["ensemble-ablations"][1])
    spearman = [r["ours"]["mean"] for r in found["rows"] if r["measure"].startswith("spearman")]
    assert len(spearman) == 3
    assert all(-1 <= rho <= 1 for rho in spearman)


@pytest.mark.slow
def test_pretraining_ranks_every_metric_of_all_cells(shared_data, tmp_path):
    job = Job("cifar10", FULL.changed((("members", 2), ("pretraining_epochs", 60))), 1, 0)
    ensemble_runs._pretrain(job, _table(shared_data), tmp_path)
    rho = read_header(ensemble_runs.pretraining_path(tmp_path, job.method, 0))["facts"]["spearman"]
    assert min(rho["params"], rho["flops"]) >= 0.95
    assert rho["2080ti_1_help_latency_ms"] >= 0.9


@pytest.mark.slow
def test_a_pretrained_trunk_ranks_all_cells_better_after_few_evaluations(shared_data):
    table = _table(shared_data)
    problem = ensemble_runs._problem(table, "cifar10", low=False)
    accuracy = problem.values(problem.report)
    inputs = encoded(problem.space, table.architectures, "ordinal")
    rho = {True: [], False: []}
    for seed in range(2):
        rows = np.random.default_rng(seed).permutation(len(table))[:96]
        made = pretrain(problem.space, problem.clues(FULL.metrics), members=2, epochs=20, seed=seed)
        made.restart(1, 5e-3)
        for pretrained, ensemble in ((True, made), (False, DeepEnsemble(6, 1, members=2, seed=seed))):
            rho[pretrained].append([_learnt(ensemble, inputs, accuracy, rows[:n]) for n in (32, 64, 96)])
    better = np.mean(rho[True], axis=0) - np.mean(rho[False], axis=0)
    assert (better > 0).all(), rho


def _learnt(ensemble, inputs, accuracy, rows):
    """Spearman over all cells once some are known too."""
    known = accuracy[rows]
    ensemble.fit(inputs[rows], torch.from_numpy((known - known.mean()) / known.std())[:, None], epochs=60)
    return float(spearmanr(ensemble.predict(inputs).mean(0), accuracy).statistic)


def test_what_the_thesis_says_of_the_table_holds(shared_data):
    table = _table(shared_data)

    def accuracy(dataset, epochs=200):
        return table.column(dataset, "test_accuracy").at(epochs)

    full = {dataset: accuracy(dataset) for dataset in SETS}
    between = [spearmanr(full[a], full[b]).statistic for a, b in combinations(SETS, 2)]
    assert between == pytest.approx([0.9802, 0.9593, 0.9636], abs=5e-4)
    params = ensemble_runs._problem(table, "cifar10", low=False).clues(("params",)).values[:, 0]
    with_params = [np.corrcoef(params, accuracy("cifar10", epochs))[0, 1] for epochs in (200, 12)]
    assert with_params == pytest.approx([0.319, 0.376], abs=5e-4)


def _table(shared_data):
    from archwright.tables import find_table

    return find_table("nasbench201", shared_data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "ensemble-speed"}, "did you mean ensemble-"),
        ({"runs": 0}, "runs must be at least 1"),
        ({"budget": 0}, "budget must be at least 1"),
        ({"pretrainings": 0}, "pretrainings must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"only": ["annealing"]}, "unknown line 'annealing'"),
        ({"options": {"epochs": 3}}, "unknown option 'epochs'"),
        ({"options": {"surrogate": "x"}}, "unknown option 'surrogate'"),
    ],
)
def test_impossible_requests_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        reproduce_ensemble(**{"name": "ensemble-search-time", **options})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "runs.jsonl").write_text(json.dumps({"value": 3}) + "\n")
    with pytest.raises(SettingsError, match="something else than runs"):
        RunLog(tmp_path / "runs.jsonl")
