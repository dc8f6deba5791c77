"""Clues from untrained networks in a search that trains."""

from __future__ import annotations

import json

import numpy as np
import pytest

import archwright as aw
from archwright.errors import SettingsError, StudyError
from archwright.evaluate import NetworkEvaluator
from archwright.evaluate.clues import NetworkClues, check_clues
from archwright.families import family_from, get_family
from archwright.proxies import score
from archwright.study.final import FinalSettings
from archwright.study.load import load_record
from archwright.study.settings import refuse_other_settings

CELLS = get_family("nasbench201", channels=4, cells=1, stages=2)
DRAWN = [CELLS.space.sample(np.random.default_rng(seed)) for seed in range(4)]


@pytest.fixture
def networks(data):
    return NetworkEvaluator(CELLS, data, device="cpu")


def test_clues_are_the_scores_of_untrained_networks_more_being_better(networks):
    clues = NetworkClues(networks, ("nwot", "-params", "skip"), batch=16)
    found = clues(DRAWN)
    assert found.shape == (4, 3)
    assert (clues(DRAWN) == found).all()
    params = score(CELLS.build(DRAWN[0], networks.data.input_shape, networks.data.num_classes), None, ["params"],
                   input_shape=networks.data.input_shape)  # fmt: skip
    assert found[0, 1] == -params.values["params"]


def test_what_was_scored_is_not_scored_again(networks, tmp_path, monkeypatch):
    file = tmp_path / "clues.jsonl"
    found = NetworkClues(networks, ("l2_norm", "nwot"), batch=16, path=file)(DRAWN)
    file.write_text(file.read_text() + '{"architecture": "cut o')
    again = NetworkClues(networks, ("l2_norm", "nwot"), batch=16, path=file)
    monkeypatch.setattr(NetworkEvaluator, "build", None)
    assert (again(DRAWN) == found).all()


def test_costs_are_clues_cheaper_being_better_and_timed_apart(networks, tmp_path, monkeypatch):
    file = tmp_path / "clues.jsonl"
    names = ("macs", "latency_ms", "-peak_memory_mb", "params")
    found = NetworkClues(networks, names, path=file)(DRAWN)
    costs = [NetworkEvaluator(CELLS, networks.data, device="cpu").costs(networks.build(a)) for a in DRAWN]
    assert found[:, 0].tolist() == [-c["macs"] for c in costs]
    assert (found[:, 1] < 0).all()
    assert (found[:, 2] > 0).all()
    kept = [json.loads(line) for line in (tmp_path / "clues.timed.jsonl").read_text().splitlines()[1:]]
    assert [row["scores"] for row in kept] == [{"latency_ms": -v} for v in found[:, 1]]
    monkeypatch.setattr(NetworkEvaluator, "build", None)
    assert (NetworkClues(networks, names, path=file)(DRAWN) == found).all()


def test_workers_find_the_same_clues(networks, tmp_path):
    names = ("nwot", "macs", "skip")
    alone = NetworkClues(networks, names, batch=16)(DRAWN)
    together = NetworkClues(networks, names, batch=16, workers=1, path=tmp_path / "c.jsonl")(DRAWN)
    assert np.allclose(together, alone, rtol=1e-5)
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 5
    with pytest.raises(SettingsError, match="workers 0 or more, not 64 and -1"):
        NetworkClues(networks, names, workers=-1)


def test_a_network_that_cannot_be_built_has_no_clues(data):
    def build(architecture, input_shape, num_classes):
        raise ValueError("no")

    networks = NetworkEvaluator(family_from(CELLS.space, build), data, device="cpu")
    assert np.isnan(NetworkClues(networks, ("params", "macs", "latency_ms"))(DRAWN)).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [(["nwott"], "did you mean nwot"), (["nwot", "nwot"], "named twice"), ([" "], "at least one clue")],
)
def test_impossible_names_are_refused(names, message):
    with pytest.raises(SettingsError, match=message):
        check_clues(names)


def search(data, study, **more):
    options = {"budget": 8, "training": {"epochs": 1}, "final": FinalSettings(top=0), "device": "cpu", "clue_batch": 16}
    options |= {"searcher": "rea", "searcher_options": {"pool": 20, "offspring": 4}, "clues": ["nwot", "params"]}
    return aw.search(CELLS, data=data, study=study, **options | more)


def test_a_continued_search_is_the_same_as_an_uninterrupted_one(data, tmp_path):
    whole = search(data, tmp_path / "whole")
    search(data, tmp_path / "parts", budget=3)
    lines = (tmp_path / "parts" / "clues.jsonl").read_text()
    parts = search(data, tmp_path / "parts")
    assert [t.architecture for t in parts.record.trials] == [t.architecture for t in whole.record.trials]
    assert (tmp_path / "parts" / "clues.jsonl").read_text().startswith(lines)


def test_what_the_clues_were_worth_is_reported(data, tmp_path):
    result = search(data, tmp_path / "study")
    (remark,) = json.loads((tmp_path / "study" / "result.json").read_text())["remarks"]
    assert remark.startswith("rank correlation of clues with worth over 8 evaluations: nwot")
    assert load_record(tmp_path / "study").remarks == result.record.remarks == (remark,)
    assert remark in (tmp_path / "study" / "report.html").read_text()


def test_clues_may_be_an_object_of_the_users_own():
    class Sizes:
        names = ("size",)

        def __call__(self, architectures):
            return np.array([[float(a["x0"])] for a in architectures])

    space = aw.Space({f"x{i}": aw.Choice(*range(6)) for i in range(4)})
    how = {"evaluate": lambda a: 10.0 * a["x0"] + a["x1"], "objectives": {"score": "maximize"}, "budget": 12}
    guided = aw.search(space, searcher="rea", clues=Sizes(), **how)
    assert guided.best.architecture["x0"] == 5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"searcher": "random"}, "random takes no clues"),
        ({"clues": ["nwott"]}, "unknown clue 'nwott'"),
        ({"clue_batch": 0}, "at least 1"),
        ({"evaluate": "proxy:nwot"}, "give an object"),
    ],
)
def test_clues_that_do_not_go_with_the_search_are_refused(data, tmp_path, more, message):
    with pytest.raises(SettingsError, match=message):
        search(data, tmp_path / "study", **more)


def test_a_study_made_before_an_option_was_there_goes_on():
    defaults = {"population": 10, "sample": 3, "offspring": 10, "pool": 100, "half_life": 100}
    now = {
        "searcher": {"name": "rea", "options": defaults},
        "family": {"kind": "catalogue", "name": "nasbench201", "options": dict(get_family("nasbench201").options)},
    }
    before = {
        "searcher": {"name": "rea", "options": {"population": 10, "sample": 3}},
        "family": {**now["family"], "options": {"channels": 16, "cells": 5, "stages": 3}},
    }
    refuse_other_settings(before, now, None)
    now["family"]["options"]["run_dead"] = True
    with pytest.raises(StudyError, match="run_dead was False, now True"):
        refuse_other_settings(before, now, None)
