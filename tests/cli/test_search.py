"""The main job on the command line, from real images to a served model."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import archwright as aw
from archwright.cli import main
from archwright.errors import ArchwrightError
from archwright.study.load import load_record
from archwright.study.storage import load_trials

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_net.py"
QUICK = ["--data", "digits", "--limit", "200", "--epochs", "1", "--final-epochs", "2", "--workers", "0"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A study of the example file, interrupted by the budget, then continued and concluded, with ONNX."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    words = [
        *map(str, ("search", EXAMPLE, *QUICK)),
        "--minimize",
        "params",
        "--maximize",
        "accuracy",
        "--study",
        str(folder),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["archwright", *words, "--budget", "3", "--top", "0", "--quiet"])
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main()
    assert len(load_trials(folder, None)[1]) == 3
    words = [sys.executable, "-m", "archwright", *words, "--budget", "6", "--json", "--top", "2"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.json").write_text(done.stdout)
    return folder


def test_json_is_one_object_with_all_that_scripts_need(finished):
    result = json.loads((finished / "stdout.json").read_text())
    for name in (
        "study",
        "searcher",
        "evaluations",
        "failed",
        "infeasible",
        "best",
        "pareto_front",
        "test",
        "baselines",
        "seconds",
        "files",
    ):
        assert name in result
    assert result["evaluations"] == 6
    assert set(result["best"]) >= {"architecture", "metrics"}
    assert {"accuracy", "params", "macs", "auc"} <= set(result["best"]["metrics"])
    assert 0.1 < result["test"]["accuracy"] <= 1
    assert result["test"]["accuracy_low"] < result["test"]["accuracy"] < result["test"]["accuracy_high"]
    assert {b["kind"] for b in result["baselines"]} == {"default", "random"}
    assert {"study", "report", "weights", "architecture", "card", "onnx", "result"} <= set(result["files"])
    assert all(Path(file).exists() for file in result["files"].values())
    assert json.loads((finished / "result.json").read_text()) == result


def test_front_is_mutually_non_dominated(finished):
    front = json.loads((finished / "result.json").read_text())["pareto_front"]
    points = [(-p["metrics"]["accuracy"], p["metrics"]["params"]) for p in front]
    assert not any(a[0] <= b[0] and a[1] <= b[1] and a != b for a in points for b in points)


def test_loaded_model_has_the_reported_test_accuracy(finished):
    result = json.loads((finished / "result.json").read_text())
    data = aw.load_data("digits", limit=200)
    model = aw.load(finished)
    accuracy = np.mean(model.predict(data.test.inputs).labels == data.test.targets)
    assert accuracy == pytest.approx(result["test"]["accuracy"])


def test_onnx_predicts_as_the_model_does_for_any_batch(finished):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(finished / "model" / "model.onnx")
    images = aw.load_data("digits").test.inputs
    model = aw.load(finished)
    for size in (1, 7):
        (logits,) = session.run(None, {"input": images[:size].astype(np.float32)})
        assert (logits.argmax(1) == model.predict(images[:size]).labels).all()


def test_predict_serves_new_images(finished, archwright, tmp_path):
    data = aw.load_data("digits")
    for i in range(3):
        Image.fromarray(data.test.inputs[i, 0]).save(tmp_path / f"{i}.png")
    done = archwright("predict", finished, tmp_path / "0.png", tmp_path / "1.png", tmp_path / "2.png", "--json")
    expected = aw.load(finished).predict(data.test.inputs[:3])
    assert [p["class"] for p in done.json["predictions"]] == list(expected.names)
    table = archwright("predict", finished, tmp_path)
    assert table.out.splitlines()[0] == "file,label,class,probability"
    assert len(table.out.splitlines()) == 4
    Image.new("RGB", (20, 20)).save(tmp_path / "large.png")
    refused = archwright("predict", finished, tmp_path / "large.png")
    assert refused.code == 2
    assert "20 x 20 pixels, the model takes 8 x 8; pass --resize" in refused.err
    assert archwright("predict", finished, tmp_path / "large.png", "--resize").code == 0


def test_report_can_be_made_again_with_a_title(finished, archwright, tmp_path):
    done = archwright("report", finished, "--out", tmp_path / "r.html", "--title", "Tiny digits")
    assert done.code == 0
    assert "<h1>Tiny digits</h1>" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r" / "trade_off.png").is_file()


def test_another_trial_can_be_exported(finished, archwright, tmp_path):
    chosen = json.loads((finished / "result.json").read_text())["best"]["number"]
    other = next(n for n in range(6) if n != chosen)
    done = archwright(
        "export", finished, "--trial", other, "--out", tmp_path / "other", "--final-epochs", 1, "--no-onnx", "--json"
    )
    assert done.code == 0, done.err
    assert set(done.json["files"]) == {"weights", "architecture", "card"}
    assert dict(aw.load(tmp_path / "other").architecture) == dict(load_record(finished).trials[other].architecture)
    assert "no finished trial 99" in archwright("export", finished, "--trial", 99).err


def test_same_command_again_evaluates_and_trains_nothing_anew(finished, archwright, tmp_path):
    finished = shutil.copytree(finished, tmp_path / "mine")
    before = {f.name: f.stat().st_mtime_ns for f in (finished / "checkpoints").glob("*.safetensors")}
    done = archwright(
        "search",
        EXAMPLE,
        *QUICK,
        "--minimize",
        "params",
        "--maximize",
        "accuracy",
        "--study",
        finished,
        "--budget",
        6,
        "--top",
        2,
        "--no-onnx",
        "--json",
    )
    assert done.code == 0, done.err
    after = {f.name: f.stat().st_mtime_ns for f in (finished / "checkpoints").glob("*.safetensors")}
    assert after == before
    assert done.json["evaluations"] == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "digits", "--limit", "150"], "data."),
        (["--maximize", "auc"], "goal.objectives"),
        (["--seed", "5"], "seed was 0, now 5"),
        (["--epochs", "2"], "training.epochs was 1, now 2"),
        (["--searcher", "random"], "searcher.name was rea, now random"),
    ],
)
def test_study_with_other_settings_is_refused(finished, archwright, change, message):
    words = ["--minimize", "params", "--maximize", "accuracy", "--study", finished, "--budget", 6]
    if "--maximize" in change:
        words = words[:2] + words[4:]
    stored = (finished / "study.db").read_bytes()
    done = archwright("search", EXAMPLE, *QUICK, *words, *change)
    assert done.code == 2
    assert message in done.err
    assert "name another --study" in done.err
    assert (finished / "study.db").read_bytes() == stored


def test_text_summary_shows_front_comparison_and_files(archwright):
    done = archwright("search", "mlp", *QUICK, "--budget", 2, "--top", 1, "--no-onnx", "--study", "s", "--quiet")
    assert done.code == 0, done.err
    assert "2 evaluations" in done.out
    assert "test accuracy" in done.out
    assert "report  s/report.html" in done.out


def test_bounds_keep_infeasible_candidates_from_training(archwright):
    done = archwright(
        "search", "cnn", *QUICK, "--budget", 3, "--top", 0, "--at-most", "params=20000", "--searcher", "random", "--study", "s", "--json"
    )  # fmt: skip
    result = done.json
    assert result["evaluations"] == 3
    assert result["infeasible"] > 0
    assert result["best"]["metrics"]["params"] <= 20_000
    trials = load_trials(Path("s"), None)[1]
    assert all(
        t.evaluation.cost == 0 and t.evaluation.curve == () for t in trials if t.evaluation.status == "infeasible"
    )


def test_isomorphic_cells_are_trained_once(archwright):
    done = archwright(
        "search", "nasbench201", "--set", "channels=2", "--set", "cells=1", "--set", "stages=1", *QUICK, "--limit", 40,
        "--searcher", "ls", "--budget", 15, "--top", 0, "--study", "s", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    keys = [aw.get_family("nasbench201").key(t.architecture) for t in load_trials(Path("s"), None)[1]]
    assert len(keys) == len(set(keys)) == 15
    assert done.json["repeats"] > 0


def test_warm_start_begins_with_the_best_of_another_study(finished, archwright):
    done = archwright(
        "search", EXAMPLE, *QUICK, "--budget", 2, "--top", 0, "--warm-start", finished, "--study", "new", "--json"
    )
    assert done.code == 0, done.err
    trials = load_trials(Path("new"), None)[1]
    assert {t.origin for t in trials} == {"warm-start"}
    assert trials[0].architecture == load_record(finished).ranked()[0].architecture


def test_stop_early_with_two_objectives(archwright):
    done = archwright(
        "search", "mlp", "--data", "digits", "--limit", 200, "--epochs", 8, "--workers", 0, "--budget", 14, "--top", 0, "--stop-early",
        "--searcher", "random", "--maximize", "accuracy", "--minimize", "params", "--study", "s", "--json",
    )  # fmt: skip
    assert done.json["stopped_early"] > 0
    assert done.json["equivalents"] < 14


def test_interrupt_ends_cleanly_and_can_be_continued(tmp_path):
    words = [
        "search",
        "cnn",
        "--data",
        "digits",
        "--epochs",
        "3",
        "--budget",
        "30",
        "--workers",
        "1",
        "--top",
        "0",
        "--study",
        tmp_path / "s",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "archwright", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not ((tmp_path / "s" / "study.db").is_file() and stored(tmp_path / "s")):
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "stopped by the user" in out
    assert "continue with: archwright search cnn" in out
    assert "Traceback" not in err
    assert (tmp_path / "s" / "result.json").is_file()
    assert stored(tmp_path / "s")


def stored(folder):
    try:
        return load_trials(folder, None)[1]
    except ArchwrightError:
        return []


def test_two_workers_with_real_training_share_one_study(archwright):
    done = archwright("search", "mlp", "--data", "digits", "--epochs", 2, "--budget", 6, "--workers", 2, "--top", 1, "--no-onnx",
                      "--final-epochs", 2, "--study", "s", "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert {t.worker for t in load_trials(Path("s"), None)[1]} == {0, 1}
    assert done.json["test"]["accuracy"] > 0.3


def test_hyperband_trains_many_briefly_and_few_in_full(archwright):
    words = ["search", "mlp", "--data", "digits", "--limit", "200", "--workers", "0", "--searcher", "hyperband",
             "--fidelities", "1,2,4", "--option", "eta=2", "--top", "1", "--final-epochs", "1", "--baselines", "0",
             "--no-onnx", "--study", "s", "--json"]  # fmt: skip
    done = archwright(*words, "--budget", 3)
    assert done.code == 0, done.err
    assert 2 < done.json["equivalents"] <= 3 < done.json["evaluations"]
    _, trials, _ = load_trials(Path("s"), None)
    assert {round(4 * t.fidelity) for t in trials} == {1, 2, 4}
    assert all(len(t.evaluation.curve) == round(4 * t.fidelity) for t in trials)
    best = next(t for t in trials if t.number == done.json["best"]["number"])
    assert best.is_full
    longer = archwright(*words, "--budget", 5)
    assert longer.json["evaluations"] > done.json["evaluations"]
    assert "fidelities" in archwright(*[w if w != "1,2,4" else "1,4" for w in words], "--budget", 5).err


def test_a_function_of_the_user_gets_the_amount_to_spend():
    seen = []

    def evaluate(architecture, fidelity):
        seen.append(fidelity)
        return architecture["x"] * fidelity

    space = aw.Space(x=list(range(50)))
    words = {"evaluate": evaluate, "objectives": {"score": "maximize"}, "searcher": "hyperband"}
    result = aw.search(space, **words, fidelities=(10, 30, 90), budget=6)
    assert {round(s) for s in seen} == {10, 30, 90}
    assert result.record.equivalents == pytest.approx(sum(seen) / 90)
    assert result.best.is_full
    with pytest.raises(ArchwrightError, match="needs fidelities="):
        aw.search(space, **words, budget=6)


def test_neighbours_inherit_weights(archwright):
    words = ["search", "mlp", "--data", "digits", "--limit", "200", "--epochs", "2", "--searcher", "ls", "--workers", "1",
             "--inherit", "--inherit-epochs", "1", "--top", "0", "--study", "s", "--json"]  # fmt: skip
    assert archwright(*words, "--budget", 4).code == 0
    done = archwright(*words, "--budget", 7)
    assert done.code == 0, done.err
    _, trials, _ = load_trials(Path("s"), None)
    heirs = [t for t in trials if t.parent is not None]
    assert heirs
    assert all(t.evaluation.metrics["inherited"] > 0 and t.evaluation.cost == 0.5 for t in heirs)
    assert done.json["equivalents"] == pytest.approx(len(trials) - 0.5 * len(heirs))
    fewer = [*words[: words.index("--inherit")], "--top", "0", "--study", "s"]
    assert "inherit was 1, now None" in archwright(*fewer, "--budget", 7).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inherit-epochs", "1"], "need inherit"),
        (["--inherit", "--inherit-epochs", "9"], "take 1 to 2 epochs, not 9"),
        (["--inherit", "--stop-early"], "cannot be compared epoch by epoch"),
        (["--inherit", "--searcher", "hyperband"], "cannot be compared epoch by epoch"),
    ],
)
def test_inheritance_that_makes_no_sense_is_refused(archwright, words, message):
    done = archwright("search", "mlp", "--data", "digits", "--epochs", "2", "--budget", 3, "--study", "s", *words)
    assert done.code == 2
    assert message in done.err


def test_a_search_without_training_trains_the_best_at_its_end(archwright):
    words = [
        *QUICK,
        "--set",
        "channels=4",
        "--set",
        "cells=1",
        "--searcher",
        "freerea",
        "--option",
        "population=3",
        "--study",
        "free",
    ]
    end = ["--top", 1, "--baselines", 0, "--no-onnx", "--json"]
    done = archwright("search", "nasbench201", *words, "--evaluate", "proxy:nwot,skip", "--budget", 5, *end)
    assert done.code == 0, done.err
    assert [o for o, _ in done.json["goal"]["objectives"]] == ["nwot", "skip"]
    assert (done.json["evaluations"], done.json["equivalents"]) == (5, 0)
    assert 0 <= done.json["test"]["accuracy"] <= 1
    record = load_record("free")
    assert done.json["best"]["number"] == record.ranked()[0].number
    assert "proxy:nwot,skip" in record.settings["command"]
    assert "skip" in (Path("free") / "report.html").read_text()


def test_scores_that_do_not_exist_are_refused_in_one_line(archwright):
    done = archwright("search", "mlp", *QUICK, "--evaluate", "proxy:nwott", "--budget", 2)
    assert done.code == 2
    assert "unknown proxy 'nwott'; did you mean nwot" in done.err
    done = archwright("search", "mlp", *QUICK, "--evaluate", "proxy:skip", "--budget", 2)
    assert done.code == 2
    assert "has none" in done.err
