"""Encodings and functions of the user's: what is needed for a search is asked for, and what is there is used."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import archwright as aw
from archwright.errors import ArchwrightError

GUIDE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
SPACE = aw.Space(width=aw.Choice(2, 4, 8, 16, ordered=True), depth=aw.Integer(1, 3), act=aw.Choice("relu", "tanh"))
SCORE = {"score": "maximize"}


def build(architecture, input_shape, num_classes):
    hidden = [nn.Linear(input_shape[0], architecture["width"]), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(architecture["width"], num_classes))


def data():
    rng = np.random.default_rng(0)
    return {"train": (rng.random((40, 3), np.float32), np.arange(40) % 2)}


def score(architecture, fidelity=1.0):
    return architecture["width"] + 10 * (architecture["act"] == "tanh") - (fidelity < 1)


def test_clues_by_name_are_of_the_networks_that_build_makes(tmp_path):
    found = aw.search(
        SPACE, build, data=data(), evaluate=score, fidelities=(0.1, 1), clues=["params"], objectives=SCORE, budget=4,
        study=tmp_path / "s", searcher_options={"profiled": 10},
    )  # fmt: skip
    assert found.best.evaluation.metrics == {"score": 26.0}
    assert found.record.equivalents <= 4
    assert found.record.settings["clues"]["names"] == ["params"]
    assert len((tmp_path / "s" / "clues.jsonl").read_text().splitlines()) > 5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"clues": ["params"]}, "need build= and data="),
        ({"clues": ["params"], "data": data()}, "has no build function"),
        ({"clues": ["parms"], "data": data(), "build": build}, "unknown clue 'parms'"),
        ({"objectives": "score"}, "'score' is a metric of your own: say whether more is better, {'score': 'maximize'}"),
        ({"fidelities": (0.1, 1), "evaluate": lambda a: 1.0}, r"evaluate\(architecture, fidelity=amount\).*unexpected"),
        ({"evaluate": lambda: 1.0}, r"called as evaluate\(architecture\), and <lambda>\(\) cannot"),
        ({"fidelities": (1, 0.1)}, "must be positive and ascending"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_evaluated(more, message):
    called = []
    given = {
        "evaluate": lambda a, fidelity=1.0: called.append(a),
        "objectives": SCORE,
        "searcher": "ensemble-bo",
    } | more
    with pytest.raises(ArchwrightError, match=message):
        aw.search(SPACE, given.pop("build", None), budget=4, **given)
    assert not called


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("good", "gave 'good' as score; it must give a number"),
        ((1, 2), r"gave \(1, 2\) as score"),
        (None, "gave None as score"),
        (float("nan"), "no finite score: nan"),
        ({"acc": 0.5, "loss": 1.0}, "no finite score: it gave acc, loss"),
        ({}, "no finite score: it gave nothing"),
    ],
)
def test_an_answer_that_is_no_number_fails_with_what_was_given(value, reason):
    result = aw.search(SPACE, evaluate=lambda a: value, objectives=SCORE, budget=3, searcher="random")
    assert result.best is None
    assert len(result.record.trials) == 3
    assert all(re.search(reason, t.evaluation.reason) for t in result.record.trials)


def test_encodings_and_functions_of_the_guide_work_as_they_stand(tmp_path, monkeypatch, capsys):
    text = GUIDE.partition("### Encodings and functions of your own")[2]
    code = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0]
    monkeypatch.chdir(tmp_path)
    np.save("encodings.npy", np.random.default_rng(0).random((60, 4)))
    names = {"my_experiment": sum, "my_short_experiment": lambda row: sum(row) + 0.1 * row[0]}
    exec(code.replace("budget=20", "budget=5").replace('study="runs/mine"', "study=None"), names)
    assert "score" in capsys.readouterr().out
    result = names["result"]
    ranked = sorted((sum(m.values()) for m in result.record.family.space.members), reverse=True)
    assert result.best.evaluation.metrics["score"] >= ranked[5]
