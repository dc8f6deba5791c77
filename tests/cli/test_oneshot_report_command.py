"""``archwright oneshot-report`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def files(archwright):
    for method, accuracies in {"cdarts": (0.70, 0.90, 0.80), "icdarts": (0.84, 0.85, 0.86)}.items():
        for seed, accuracy in enumerate(accuracies):
            folder = Path(f"{method}{seed}")
            folder.mkdir()
            result = {
                "method": method, "seed": seed,
                "search": {"seconds": 10 + seed, "epochs": 2, "curves": {"test_accuracy": [accuracy / 2, accuracy]}},
                "retrain": {"test_accuracy": accuracy}, "expected_latency": 1.5,
            }  # fmt: skip
            (folder / "result.json").write_text(json.dumps(result))
    return [f"{m}={m}{s}" for m in ("cdarts", "icdarts") for s in range(3)]


def test_groups_of_runs_are_summarised_tested_and_drawn(archwright, files):
    done = archwright("oneshot-report", *files, "--out", "out", "--json")
    assert done.code == 0, done.err
    cdarts, icdarts = done.json["groups"]
    assert cdarts["metrics"]["retrain.test_accuracy"]["std"] == pytest.approx(0.1)
    assert set(icdarts["metrics"]) == {"retrain.test_accuracy", "search.seconds", "expected_latency"}
    (test,) = done.json["stability"]
    assert (test["steadier"], test["metric"], test["firm"]) == ("icdarts", "retrain.test_accuracy", True)
    assert done.json["curves"]["groups"]["icdarts"]["mean"] == pytest.approx([0.425, 0.85])
    assert {Path(f).name for f in done.json["files"].values()} == {
        "runs.html", "runs.json", "runs.md", "runs.tex", "curves.png"
    }  # fmt: skip
    assert json.loads(Path("out/runs.json").read_text())["stability"] == done.json["stability"]
    assert "0.85 (0.01)" in Path("out/runs.md").read_text()


def test_a_terminal_gets_tables_and_a_single_run_no_deviation(archwright, files):
    done = archwright("oneshot-report", *files[:1], *files[3:], "--metric", "retrain.test_accuracy")
    assert done.code == 0, done.err
    assert "0.85 (0.01)" in done.out
    assert "0.7 (" not in done.out
    assert "stability" not in done.out


def test_a_study_of_several_runs_is_all_of_them(archwright, files):
    study = Path("study")
    for seed in range(3):
        (study / f"run-{9 + seed}").mkdir(parents=True)
        (study / f"run-{9 + seed}" / "result.json").write_text(Path(f"cdarts{seed}/result.json").read_text())
    (study / "runs.json").write_text("{}")
    (group,) = archwright("oneshot-report", "cdarts=study", "--json").json["groups"]
    assert (group["name"], group["runs"]) == ("cdarts", 3)
    assert group["metrics"]["retrain.test_accuracy"]["mean"] == pytest.approx(0.8)


def test_statements_on_published_runs_are_checked(archwright, files):
    done = archwright("oneshot-report", *files, "--check", "cifar10", "--json")
    assert done.code == 0, done.err
    holds = {s["text"]: s["holds"] for s in done.json["statements"]}
    assert holds["ICDARTS spreads less than CDARTS"] is True
    assert None in holds.values()
    shown = archwright("oneshot-report", *files, "--check", "cifar10")
    assert "ICDARTS spreads less than CDARTS" in shown.out
    assert "needs random_v1" in shown.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cdarts0", "--check", "cifar"], "did you mean cifar10"),
        (["none.json"], "cannot read none.json"),
        (["broken.json"], "broken.json is not valid JSON"),
        (["list.json"], "must be a JSON object"),
        (["empty.json"], "no numbers of a search or a retraining"),
        (["cdarts0", "--metric", "retrain.acc"], "unknown metric 'retrain.acc'"),
        (["cdarts0", "--curve", "loss"], "no run has a list of numbers called 'loss'"),
        (["cdarts0", "--out", "list.json"], "cannot be written"),
    ],
)
def test_mistakes_get_one_line(archwright, files, words, message):
    for name, text in {"broken": "{", "list": "[1]", "empty": "{}"}.items():
        Path(f"{name}.json").write_text(text)
    done = archwright("oneshot-report", *words)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err
