"""Scores of many networks: in workers, kept, joined to a table."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest

from archwright.data import load_data
from archwright.errors import SettingsError, TableError
from archwright.families import family_from, get_family
from archwright.proxies import many
from archwright.proxies.many import score_many, score_table
from archwright.tables import Column, Table

CELLS = get_family("nasbench201", channels=2, cells=1)
DRAWN = list(dict.fromkeys(CELLS.space.sample(np.random.default_rng(0), 8)))[:6]


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", limit=60)


def scored(data, architectures=DRAWN, names=("nwot", "l2_norm"), **how):
    return score_many(CELLS, data, architectures, names, **{"batch": 8, "device": "cpu"} | how)


def test_workers_give_the_same_scores(digits):
    alone, together = scored(digits), scored(digits, workers=2)
    assert [r["scores"] for r in alone] == [r["scores"] for r in together]
    assert [r["architecture"] for r in together] == [a.to_json() for a in DRAWN]
    assert all(r["seconds"]["nwot"] > 0 for r in alone)


def test_an_interrupted_scoring_goes_on(digits, tmp_path):
    file = tmp_path / "kept" / "scores.jsonl"
    whole = scored(digits)
    scored(digits, DRAWN[:3], path=file)
    file.write_text(file.read_text() + '{"key": "cut')
    seen = []
    assert [r["scores"] for r in scored(digits, path=file, on_done=lambda *n: seen.append(n))] == [
        r["scores"] for r in whole
    ]
    assert seen == [(4, 6), (5, 6), (6, 6)]
    assert scored(digits, path=file, on_done=lambda *_: pytest.fail("scored again"))
    header = json.loads(file.read_text().splitlines()[0])
    assert (header["batch"], header["seed"], header["proxies"]) == (8, 0, ["nwot", "l2_norm"])


def test_scores_of_something_else_are_not_mixed(digits, tmp_path):
    scored(digits, DRAWN[:1], path=tmp_path / "s.jsonl")
    with pytest.raises(SettingsError, match="seed is 0, wanted 1"):
        scored(digits, DRAWN[:1], path=tmp_path / "s.jsonl", seed=1)


def test_networks_that_break_are_nan_with_a_reason(digits, tmp_path):
    def build(architecture, input_shape, num_classes):
        if architecture == DRAWN[1]:
            raise ValueError("no such network")
        return CELLS.build(architecture, input_shape, num_classes)

    family = family_from(CELLS.space, build, name="broken")
    for _ in range(2):
        found = score_many(family, digits, DRAWN[:3], ["nwot"], batch=8, device="cpu", path=tmp_path / "s.jsonl")
        assert [math.isnan(r["scores"]["nwot"]) for r in found] == [False, True, False]
        assert "no such network" in found[1]["reasons"]["nwot"]


def test_a_killed_worker_loses_one_network_only(digits):
    def build(architecture, input_shape, num_classes):
        if architecture == DRAWN[1]:
            os.kill(os.getpid(), 9)
        return CELLS.build(architecture, input_shape, num_classes)

    found = score_many(family_from(CELLS.space, build), digits, DRAWN[:3], ["nwot"], batch=8, device="cpu", workers=1)
    assert [math.isnan(r["scores"]["nwot"]) for r in found] == [False, True, False]
    assert "signal 9" in found[1]["reasons"]["nwot"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"names": []}, "at least one proxy"),
        ({"names": ["nwott"]}, "did you mean nwot"),
        ({"batch": 0}, "at least 1"),
        ({"workers": -1}, "0 or more"),
    ],
)
def test_impossible_settings_are_refused(digits, how, message):
    with pytest.raises(SettingsError, match=message):
        scored(digits, **how)


OURS = {"name": "nasbench201", "options": {"channels": 2, "cells": 1}}


def table(family=OURS):
    values = np.linspace(50, 60, len(DRAWN))[:, None, None]
    columns = (Column("digits", "val_accuracy", "maximize", values, (3,)), Column("", "params", "minimize", values))
    return Table("few", CELLS.space, CELLS.space.codes(DRAWN), columns, family)


def test_scores_join_a_table(digits):
    made = score_table(table(), "digits", digits, ["nwot", "params"], sample=4, batch=8, device="cpu")
    nwot = made.column("digits", "nwot").at()
    assert np.isnan(nwot).sum() == 2
    expected = [
        r["scores"]["nwot"]
        for r in scored(digits, [made.architecture(int(i)) for i in np.flatnonzero(~np.isnan(nwot))])
    ]
    assert nwot[~np.isnan(nwot)].tolist() == expected
    assert {"computed_params", "nwot_seconds"} <= set(made.metrics("digits"))


def test_a_table_without_networks_or_architectures_is_refused(digits):
    for missing in (None, {"name": "mine", "options": {}}):
        with pytest.raises(TableError, match="names no family"):
            score_table(table(missing), "digits", digits, ["nwot"])
    with pytest.raises(TableError, match="is not that of the table"):
        score_table(table(), "digits", digits, ["nwot"], family="mlp")
    with pytest.raises(TableError, match="has 6 architectures"):
        score_table(table(), "digits", digits, ["nwot"], sample=7)


def test_failed_scores_count_below_all_others(digits, monkeypatch):
    monkeypatch.setattr(
        many, "score_many", lambda *_, **__: [{"scores": {"nwot": math.nan}, "seconds": {}}] * len(DRAWN)
    )
    assert (score_table(table(), "digits", digits, ["nwot"]).column("digits", "nwot").at() == -np.inf).all()


def test_a_file_of_the_users_builds_the_networks_of_a_table_made_of_it(digits, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from archwright.families import get_family\nfamily = get_family('nasbench201', channels=2, cells=1)\n"
        "space = family.space\nbuild = family.build\n"
    )
    made = score_table(
        table({"name": "mine", "options": {}}), "digits", digits, ["l2_norm"], family=file, batch=8, device="cpu"
    )
    assert made.column("digits", "l2_norm").at()[0] == scored(digits)[0]["scores"]["l2_norm"]
