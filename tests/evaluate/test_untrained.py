"""Scores of untrained networks as evaluations, and searches without training."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

import archwright as aw
from archwright import proxies
from archwright.errors import SettingsError, StudyError
from archwright.evaluate import NetworkEvaluator, untrained
from archwright.evaluate.untrained import ProxyEvaluator, final_goal, read_proxies, search_goal
from archwright.evaluation import Bound, Goal, Objective
from archwright.families import get_family
from archwright.searchers.freerea import set_scores
from archwright.study.again import export_trial
from archwright.study.final import FinalSettings
from archwright.study.load import load_record

ACCURACY = Goal((Objective("accuracy", "maximize"),))
CELLS = get_family("nasbench201", channels=4, cells=1)
SIZES = Goal((*ACCURACY.objectives, Objective("params", "minimize")), (Bound("params", "at_most", 1e4),))


@pytest.fixture(autouse=True)
def _small_pool(monkeypatch):
    monkeypatch.setattr(untrained, "POOL", 3)


@pytest.fixture
def networks(data):
    return NetworkEvaluator(CELLS, data, goal=ACCURACY, device="cpu")


def scoring(networks, *names, **more):
    return ProxyEvaluator(networks, names, search_goal(names, networks.goal), **more)


def test_a_network_has_one_score_whenever_it_is_asked_for(networks):
    first, again, other = (scoring(networks, "l2_norm", "nwot", seed=s) for s in (0, 0, 1))
    scores = first(CELLS.default, seed=1).metrics
    assert scores == first(CELLS.default, seed=2).metrics == again(CELLS.default).metrics
    assert scores["l2_norm"] != other(CELLS.default).metrics["l2_norm"]


def test_an_evaluation_without_training_costs_nothing(networks):
    found = scoring(networks, "l2_norm", "skip")(CELLS.default)
    assert (found.status, found.cost, found.fidelity) == ("ok", 0.0, 1.0)
    assert found.metrics["skip"] == 0
    assert found.metrics["params"] == networks.cheap_metrics(CELLS.default)["params"]


def test_repeats_average_initialisations(networks):
    one, three = (scoring(networks, "l2_norm", repeats=n)(CELLS.default).metrics["l2_norm"] for n in (1, 3))
    assert one != three
    assert one == pytest.approx(three, rel=0.1)


def test_bounds_are_checked_before_scoring(data, monkeypatch):
    monkeypatch.setattr(proxies, "score", None)
    evaluator = scoring(NetworkEvaluator(CELLS, data, goal=SIZES), "nwot")
    found = evaluator(CELLS.default)
    assert found.status == "infeasible"
    assert "wanted params <= 10000" in found.reason


def test_a_score_that_cannot_be_computed_fails_with_its_reason(networks, monkeypatch):
    broken = SimpleNamespace(values={"nwot": math.nan}, reasons={"nwot": "no ReLU"}, seconds={})
    monkeypatch.setattr(proxies, "score", lambda *_, **__: broken)
    found = scoring(networks, "nwot")(CELLS.default)
    assert (found.status, found.reason) == ("failed", "nwot: no ReLU")


@pytest.mark.parametrize("kind", ["build", "exit", "size"])
def test_a_broken_candidate_fails(kind, data, family):
    networks = NetworkEvaluator(family, data, goal=ACCURACY)
    broken = next(a for a in family.space.enumerate() if a["kind"] == kind)
    assert scoring(networks, "nwot")(broken).status == "failed"


def test_hybrid_is_scaled_by_random_networks_or_by_what_was_stored(networks):
    evaluator = scoring(networks, "hybrid")
    reference = evaluator.prepare()
    metrics = evaluator(CELLS.default).metrics
    expected = 0.5 * metrics["logsynflow"] / reference["logsynflow"] + 1.5 * metrics["nwot"] / reference["nwot"]
    assert metrics["hybrid"] == pytest.approx(expected)
    assert scoring(networks, "hybrid").prepare() == reference
    stored = {"logsynflow": 1.0, "nwot": 2.0}
    other = scoring(networks, "hybrid")
    assert other.prepare(stored) == stored
    assert other(CELLS.default).metrics["hybrid"] == pytest.approx(0.5 * metrics["logsynflow"] + 0.75 * metrics["nwot"])


def test_goals_of_the_search_and_of_its_end():
    searched = search_goal(("nwot", "skip"), SIZES)
    assert [o.metric for o in searched.objectives] == ["nwot", "skip", "params"]
    assert searched.bounds == SIZES.bounds
    assert final_goal(SIZES) == SIZES
    assert final_goal(replace(SIZES, objectives=SIZES.objectives[1:])) == SIZES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nwot", "evaluate is train, or proxy:"),
        ("proxy:", "at least one"),
        ("proxy:nwott", "did you mean nwot"),
        ("proxy:nwot,skip,nwot", "names 'nwot' twice"),
    ],
)
def test_what_is_no_score_is_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        read_proxies(text)


def search(data, folder, **more):
    settings = {
        "data": data, "evaluate": "proxy:l2_norm,nwot,skip", "searcher": "freerea", "searcher_options": {"population": 4},
        "budget": 8, "epochs": 1, "study": folder, "final": FinalSettings(top=0), "device": "cpu",
    }  # fmt: skip
    return aw.search(CELLS, **(settings | more))


def test_the_best_by_the_searchers_own_order_are_trained_and_judged_by_accuracy(data, tmp_path):
    result = search(data, tmp_path, final=FinalSettings(top=2, epochs=1, baselines=0, onnx=False))
    record = load_record(tmp_path)
    values = [[t.evaluation.metrics[m] for m in ("l2_norm", "nwot", "skip")] for t in record.trials]
    best = set_scores(values).argsort()[::-1][:2]
    assert [c["number"] for c in record.final["candidates"]] == best.tolist()
    accuracies = [c["validation"]["accuracy"] for c in record.final["candidates"]]
    assert accuracies[record.final["winner"]] == max(accuracies)
    assert 0 <= result.test["accuracy"] <= 1
    assert record.settings["evaluate"]["batch"] == 64
    files, metrics = export_trial(tmp_path, trial=int(best[1]), data=data, epochs=1, onnx=False)
    assert files
    assert "accuracy" in metrics["test"]


def test_without_training_the_result_is_the_searchers_own(data, tmp_path):
    result = search(data, tmp_path)
    assert result.best.number == result.record.ranked()[0].number
    assert result.record.equivalents == 0


def test_a_study_goes_on_as_if_it_had_not_stopped(data, tmp_path):
    how = {"evaluate": "proxy:hybrid", "searcher": "rea", "searcher_options": {}}
    whole = search(data, tmp_path / "whole", **how)
    search(data, tmp_path / "parts", budget=4, **how)
    parts = search(data, tmp_path / "parts", **how)
    assert [t.to_json() for t in parts.record.trials] == [t.to_json() for t in whole.record.trials]
    stored = json.loads((tmp_path / "parts" / "settings.json").read_text())
    assert set(stored["evaluate"]["reference"]) == {"logsynflow", "nwot"}
    with pytest.raises(StudyError, match=r"evaluate.batch was 64, now 32"):
        search(data, tmp_path / "parts", proxy_batch=32, **how)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"searcher": "ls", "searcher_options": {}}, "handles one objective"),
        ({"searcher": "hyperband", "searcher_options": {}}, "varies the length of trainings"),
        ({"stop_early": True}, "no epochs to stop at"),
        ({"budget": aw.Budget(equivalents=3)}, "scores cost no trainings"),
        ({"proxy_batch": 0}, "at least 1"),
        ({"proxy_batch": 32, "evaluate": "train"}, "goes with evaluate proxy:NAME"),
        ({"evaluate": "proxy:params"}, "measured without a score"),
    ],
)
def test_what_does_not_go_with_scores_is_refused(more, message, data, tmp_path):
    with pytest.raises(SettingsError, match=message):
        search(data, tmp_path, **more)


def test_skip_needs_cells(data):
    mlp = get_family("mlp")
    with pytest.raises(SettingsError, match="'mlp' has none"):
        scoring(NetworkEvaluator(mlp, data, goal=ACCURACY), "skip")
