"""A user's mistakes: one clear line with the remedy, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

DIGITS = ["--data", "digits", "--budget", "2", "--workers", "0", "--study", "s"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "nasbench21", *DIGITS], "unknown family 'nasbench21'; did you mean nasbench201"),
        (["search", "cnn", *DIGITS, "--searcher", "lss"], "unknown searcher 'lss'; did you mean ls"),
        (["search", "cnn", *DIGITS, "--maximize", "acuracy"], "unknown metric 'acuracy'; did you mean accuracy"),
        (["search", "cnn", *DIGITS, "--at-most", "parms=3"], "unknown metric 'parms'; did you mean params"),
        (["search", "cnn", *DIGITS, "--at-most", "params"], "--at-most takes NAME=VALUE, not 'params'"),
        (["search", "cnn", *DIGITS, "--at-most", "params=many"], "the limit must be a number"),
        (["search", "cnn", *DIGITS, "--maximize", "auc", "--minimize", "auc"], "named twice"),
        (["search", "cnn", *DIGITS, "--budget", "0"], "budget in evaluations must be positive, not 0"),
        (["search", "cnn", *DIGITS, "--budget", "-5"], "must be positive, not -5"),
        (["search", "cnn", *DIGITS, "--budget-time", "soon"], "90, 30m, 2h"),
        (["search", "cnn", *DIGITS, "--workers", "-1"], "workers must be 0 or more"),
        (["search", "cnn", *DIGITS, "--train", "lr=-1"], "'lr' must be above 0"),
        (["search", "cnn", *DIGITS, "--train", "learning_rate=1"], "unknown training setting 'learning_rate'"),
        (["search", "cnn", *DIGITS, "--epochs", "0"], "'epochs' must be at least 1"),
        (["search", "cnn", *DIGITS, "--set", "width=3"], "unknown option 'width'"),
        (["search", "cnn", *DIGITS, "--device", "tpu"], "tpu"),
        (
            ["search", "cnn", *DIGITS, "--searcher", "rea", "--option", "population=0"],
            "population and sample must be at least 1",
        ),
        (
            ["search", "cnn", *DIGITS, "--searcher", "ls", "--maximize", "auc", "--minimize", "params"],
            "handles one objective",
        ),
        (["search", "cnn", *DIGITS, "--searcher", "rea", "--fidelities", "1,3"], "rea evaluates everything in full"),
        (
            ["search", "cnn", *DIGITS, "--searcher", "hyperband", "--fidelities", "3,1"],
            "must be positive and ascending",
        ),
        (["search", "cnn", *DIGITS, "--searcher", "hyperband", "--fidelities", "1.5"], "positive whole numbers"),
        (
            ["search", "cnn", *DIGITS, "--searcher", "hyperband", "--fidelities", "1,3", "--epochs", "5"],
            "a full training: 3 epochs, not 5",
        ),
        (["search", "cnn", *DIGITS, "--searcher", "hyperband", "--stop-early"], "leave out stopping early"),
        (["search", "cnn", *DIGITS, "--warm-start", "none.json"], "cannot read none.json"),
        (["search", "cnn", *DIGITS, "--top", "-1"], "cannot be negative"),
        (["search", "cnn", *DIGITS, "--data", "scans.npz"], "there is no file or folder scans.npz"),
        (["search", "net.py", *DIGITS], "there is no file net.py"),
        (["search", "cnn", *DIGITS, "--storage", "mysql://nowhere/x"], "mysql://nowhere/x"),
        (["report", "nothing"], "there is no study folder nothing"),
        (["export", "nothing"], "there is no study folder nothing"),
        (["predict", "nothing", "x.png"], "there is no exported model in nothing"),
        (["profile", "cnn", "--architecture", "{"], "not JSON"),
        (["profile", "cnn", "--architecture", '{"stages": 9}'], "not an architecture of this space"),
        (["profile", "cnn", "--input-shape", "3,x"], "--input-shape takes whole numbers"),
        (["profile", "nasbench201", "--input-shape", "13"], "takes images"),
        (["list", "famlies"], "did you mean families"),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(archwright, words, message):
    done = archwright(*words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not (Path("s") / "study.db").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import archwright as aw\nspace = aw.Space(a=[1, 2])", "has no 'build'"),
        ("raise RuntimeError('no GPU today')", "cannot be imported: RuntimeError: no GPU today (line 1)"),
        (
            "import archwright as aw\nfrom torch import nn\nspace = aw.Space(a=[1, 2])\n"
            "def build(a, s, n): return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))",
            "is 2 x 7; it must be 2 x 10",
        ),
        (
            "import archwright as aw\nspace = aw.Space(a=[1, 2])\ndef build(a, s, n):\n    return a['width']",
            "KeyError",
        ),
    ],
)
def test_broken_user_files_are_told_before_anything_is_written(archwright, text, message):
    Path("net.py").write_text(text)
    done = archwright("search", "net.py", *DIGITS)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("s").exists()


def test_one_class_only(archwright):
    np.savez("x.npz", images=np.zeros((20, 8, 8), np.uint8), labels=np.zeros(20, int))
    done = archwright("search", "cnn", *DIGITS, "--data", "x.npz")
    assert done.code == 2
    assert "only one class" in done.err


def test_database_that_is_not_ours(archwright):
    Path("s").mkdir()
    (Path("s") / "study.db").write_text("my notes")
    done = archwright("search", "cnn", *DIGITS)
    assert done.code == 2
    assert "not an SQLite database" in done.err
    assert (Path("s") / "study.db").read_text() == "my notes"


def test_help_explains_every_flag_with_its_default(archwright):
    done = archwright("search", "--help")
    assert done.code == 0
    for flag in (
        "--searcher",
        "--budget",
        "--at-most",
        "--workers",
        "--stop-early",
        "--final-epochs",
        "--study",
        "--json",
    ):
        assert flag in done.out
    assert "By default ensemble-bo for one objective" in " ".join(done.out.replace("│", " ").split())


def test_lists_are_json_too(archwright):
    found = archwright("list", "--json").json
    assert {e["name"] for e in found["families"]} == {
        "nasbench201",
        "nasbench101",
        "darts",
        "hierarchical",
        "macro",
        "mobileone",
        "moat",
        "swiftformer",
        "attention",
        "snapformer",
        "cnn",
        "mlp",
    }
    assert next(e for e in found["searchers"] if e["name"] == "rea")["options"]["population"] == 10
    assert {"digits", "FOLDER"} <= {e["name"] for e in found["data"]}
    assert {"accuracy", "auc", "params", "latency_ms"} <= {e["name"] for e in found["metrics"]}


def test_profile_measures_what_the_literature_says(archwright):
    cell = "{" + ", ".join(f'"{i}-{j}": "skip_connect"' for j in (1, 2, 3) for i in range(j)) + "}"
    done = archwright("profile", "nasbench201", "--architecture", cell, "--repeats", 2, "--json")
    metrics = done.json["metrics"]
    assert metrics["params"] == 73_306
    assert metrics["macs"] == pytest.approx(7.78305e6, rel=0.01)
    assert metrics["latency_ms"] > 0


def test_help_is_quick_and_does_not_import_torch():
    import subprocess
    import sys

    code = "import sys; sys.argv = ['archwright', '--help']\nimport archwright.cli as c\ntry: c.main()\nexcept SystemExit: pass\n"
    code += "print('heavy:', sorted({'torch', 'numpy', 'sklearn', 'optuna'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "heavy: []" in done.stdout
