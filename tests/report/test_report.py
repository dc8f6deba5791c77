"""The report has what a reader needs, in one file, whatever the study looks like."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
import torch
from PIL import Image

from archwright.evaluation import Bound, Evaluation, Goal, Objective
from archwright.families import family_from, get_family
from archwright.report import write_report
from archwright.report.drawing import draw_architecture
from archwright.report.importance import importance
from archwright.space import Choice, Space
from archwright.study.record import StudyRecord, Trial

ONE = Goal((Objective("accuracy", "maximize"),))
TWO = Goal((Objective("accuracy", "maximize"), Objective("params", "minimize")), (Bound("params", "at_most", 1e6),))
THREE = Goal((Objective("accuracy", "maximize"), Objective("params", "minimize"), Objective("latency_ms", "minimize")))


def trials(family, n, *, seed=0, broken=True):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        architecture = family.space.sample(rng)
        quality = 0.5 + 0.4 * (
            architecture[family.space.names[0]] == family.space.parameters[family.space.names[0]].values[-1]
        )
        quality += 0.02 * rng.random()
        curve = tuple({"accuracy": quality * (1 - 0.5**e), "loss": 1 / e} for e in range(1, 5))
        metrics = {
            "accuracy": quality,
            "params": float(rng.integers(1e3, 1e6)),
            "macs": 1e6,
            "latency_ms": 1 + rng.random(),
            "auc": quality,
        }
        evaluation = Evaluation(metrics, cost=1.0, seconds=1 + rng.random(), curve=curve)
        if broken and i % 10 == 7:
            evaluation = Evaluation(status="failed", reason="the loss was <nan> & gone", cost=0.5, seconds=1.0)
        if broken and i % 10 == 8:
            evaluation = Evaluation({"params": 2e6}, status="infeasible", reason="params 2e+06, wanted params <= 1e+06")
        if broken and i % 10 == 9:
            evaluation = Evaluation(
                metrics, fidelity=0.5, cost=0.5, curve=curve[:2], seconds=0.5, reason="stopped early"
            )
        made.append(
            Trial(
                i,
                architecture,
                evaluation,
                started=1e9 + 2 * i,
                finished=1e9 + 2 * i + 1.5,
                asked=2 * i,
                told=2 * i + 1,
            )
        )
    return tuple(made)


def record(tmp_path, goal=TWO, n=40, family=None, final=False, **changes):
    family = family or get_family("cnn")
    found = trials(family, n)
    settings = {
        "family": {"name": family.name},
        "data": {"name": "digits", "source": "digits", "fingerprint": "abc123", "sizes": {"train": 10}, "notes": []},
        "searcher": {"name": "rea", "options": {}},
        "seed": 3,
        "command": ["archwright", "search", "cnn", "--data", "my digits"],
        "versions": {"archwright": "0.1.0"},
        "workers": 2,
    }
    ok = [t for t in found if t.evaluation.status == "ok" and not t.stopped_early]
    ending = None
    if final and ok:
        candidate = lambda t: {  # noqa: E731
            "number": t.number, "architecture": t.architecture.to_json(), "search": dict(t.evaluation.metrics),
            "validation": dict(t.evaluation.metrics), "curve": [dict(p) for p in t.evaluation.curve], "seconds": 3.0,
        }  # fmt: skip
        test = {"accuracy": 0.9321, "accuracy_low": 0.91, "accuracy_high": 0.95, "auc": 0.97}
        ending = {
            "candidates": [candidate(t) for t in ok[:3]], "winner": 1, "test": test, "training": {"epochs": 30}, "seconds": 9.0,
            "baselines": [{"kind": kind, "architecture": ok[0].architecture.to_json(), "validation": dict(ok[0].evaluation.metrics),
                           "test": {**test, "accuracy": 0.8123}, "seconds": 3.0} for kind in ("default", "random")],
        }  # fmt: skip
    return StudyRecord(tmp_path, settings, goal, family, found, repeats=4, final=ending, seconds=80.0, **changes)


def page(tmp_path, made):
    files = write_report(made)
    assert files[0] == tmp_path / "report.html"
    for png in files[1:]:
        Image.open(png).verify()
    text = files[0].read_text()
    return text, {png.stem for png in files[1:]}


@pytest.mark.parametrize("goal", [ONE, TWO, THREE])
def test_whole_report(tmp_path, goal):
    text, figures = page(tmp_path, record(tmp_path, goal, final=True))
    assert figures == {"progress", "trade_off", "curves", "costs", "architecture", "importance", "effects"}
    assert "0.9321" in text
    assert "95 % interval 0.910 to 0.950" in text
    assert "0.8123" in text
    assert "default architecture" in text
    assert "archwright search cnn --data &#x27;my digits&#x27;" in text
    assert "abc123" in text
    assert "the loss was &lt;nan&gt; &amp; gone" in text
    assert ("Hypervolume" in text) == (len(goal.objectives) > 1)


def test_page_fetches_nothing_and_is_small(tmp_path):
    text, _ = page(tmp_path, record(tmp_path, final=True))
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "@import" not in text
    assert "url(http" not in text
    assert len(text) < 3e6


def test_names_of_the_user_are_escaped(tmp_path):
    space = Space({"<b>x</b>": Choice("<script>alert(1)</script>", "b"), "y": Choice(1, 2, 3)})
    family = family_from(space, lambda *_: torch.nn.Identity(), name="<script>evil</script>")
    text, _ = page(tmp_path, record(tmp_path, ONE, 30, family=family))
    assert "<script>evil" not in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;evil" in text


@pytest.mark.parametrize("n", [0, 1, 2])
def test_studies_that_have_hardly_begun(tmp_path, n):
    text, _ = page(tmp_path, record(tmp_path, n=n))
    assert "How to repeat it" in text


def test_study_without_a_success_lists_the_reasons(tmp_path):
    made = record(tmp_path, n=10)
    failed = tuple(t for t in made.trials if t.evaluation.status != "ok")
    text, figures = page(tmp_path, StudyRecord(tmp_path, made.settings, made.goal, made.family, failed))
    assert "What did not end well" in text
    assert figures == set()


def test_cells_are_drawn(tmp_path):
    family = get_family("nasbench201")
    text, figures = page(tmp_path, record(tmp_path, ONE, 30, family=family))
    assert "architecture" in figures
    assert "nor conv 3x3" in text
    drawing = draw_architecture(family, family.default, tmp_path / "cell.png")
    assert np.asarray(Image.open(drawing).convert("L")).std() > 5


def test_importance_finds_the_parameter_that_matters(tmp_path):
    found = importance(record(tmp_path, ONE, 120))
    assert found.names[0] == "stages"
    assert found.shares[0] > 0.8
    assert sum(found.shares) == pytest.approx(1)
    assert found.r2 > 0.9
    assert importance(record(tmp_path, ONE, 10)) is None


def test_large_study_is_quick(tmp_path):
    started = time.monotonic()
    text, _ = page(tmp_path, record(tmp_path, n=3000))
    assert time.monotonic() - started < 60
    assert len(text) < 3e6


def test_front_best_and_ranks_agree():
    goal = TWO
    points = [(0.9, 100.0), (0.8, 10.0), (0.7, 50.0), (0.9, 100.0), (0.95, 1000.0)]
    family = get_family("cnn")
    found = tuple(
        Trial(i, family.space.sample(np.random.default_rng(i)), Evaluation({"accuracy": a, "params": p}, cost=1.0)) for i, (a, p) in enumerate(points)
    )  # fmt: skip
    made = StudyRecord("x", {}, goal, family, found)
    assert [t.number for t in made.pareto] == [4, 0, 1]
    assert made.best.number == 0
    assert [t.number for t in made.ranked()] == [0, 3, 1, 4, 2]
