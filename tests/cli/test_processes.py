"""Searches whose trainings are shared by two processes: ``--processes``, and scripts that torchrun starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archwright.study.load import load_record

pytestmark = pytest.mark.filterwarnings("always::archwright.errors.ArchwrightWarning")  # there may be one core

NET = """
import os
from torch import nn
import archwright as aw

space = aw.Space(kind=aw.Choice("good", "raises"), width=aw.Choice(*range(4, 10)))

class Faulty(nn.Sequential):
    def forward(self, x):
        if self.training and os.environ.get("RANK") == "1" and self.kind == "raises":
            raise ValueError("not this half")
        return super().forward(x)

def build(a, input_shape, num_classes):
    network = Faulty(nn.Flatten(), nn.Linear(64, a["width"]), nn.ReLU(), nn.Linear(a["width"], num_classes))
    network.kind = a["kind"]
    return network
"""

SCRIPT = """
import json, os
import torch
import archwright as aw
from archwright.errors import ArchwrightError
from archwright.evaluate import Team, Training, train
from archwright.study.final import FinalSettings
from net import build

def main():
    good = aw.Space(kind=aw.Choice("good"), width=aw.Choice(*range(4, 10)))
    found = aw.search(good, build, data="digits", budget=2, epochs=1, study="s", final=FinalSettings(top=0))
    try:
        aw.search(good, build, data="digits", searcher="no such")
    except ArchwrightError as error:
        said = str(error)
    torch.distributed.init_process_group("gloo")
    data = aw.load_data("digits")
    torch.manual_seed(0)
    network = build(good.default, data.input_shape, data.num_classes)
    trained = train(network, data, Training(epochs=2), seed=0, team=Team.joined())
    total = float(sum(p.sum() for p in network.state_dict().values()))
    torch.distributed.destroy_process_group()
    rank = os.environ["RANK"]
    told = [str(found.best.architecture), found.record.settings["processes"], said, trained.metrics["loss"], total]
    with open(f"rank{rank}.json", "w") as file:
        json.dump(told, file)

main()
"""

WORDS = [
    "--data",
    "digits",
    "--limit",
    200,
    "--epochs",
    1,
    "--searcher",
    "random",
    "--device",
    "cpu",
    "--study",
    "s",
    "--json",
]


def test_a_search_shares_each_training_and_records_what_happens_to_a_rank(archwright):
    Path("net.py").write_text(NET)
    given = [{"kind": kind, "width": 5} for kind in ("good", "raises")]
    Path("first.json").write_text(json.dumps(given))
    words = ["--budget", 2, "--top", 0, "--workers", 0, "--processes", 2, "--warm-start", "first.json"]
    done = archwright("search", "net.py", *WORDS, *words)
    assert done.code == 0, done.err
    assert (done.json["evaluations"], done.json["failed"]) == (2, 1)
    reasons = {t.architecture["kind"]: t.evaluation.reason for t in load_record(Path("s")).trials}
    assert reasons["good"] == ""
    assert "ValueError: not this half (net.py, line 11) (rank 1" in reasons["raises"]


@pytest.mark.slow
def test_workers_and_the_training_at_the_end_have_processes_too(archwright):
    done = archwright("search", "cnn", *WORDS, "--budget", 2, "--top", 1, "--final-epochs", 2, "--processes", 2)
    assert done.code == 0, done.err
    assert done.json["failed"] == 0
    assert done.json["test"]["accuracy"] > 0.1
    assert json.loads(Path("s/settings.json").read_text())["processes"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--processes", 0], "processes must be at least 1, not 0"),
        (["--processes", 20], "a batch of 32 is too small for 20 processes"),
        (["--processes", 2, "--device", "meta"], "on cpu or cuda, not on meta"),
    ],
)
def test_processes_that_make_no_sense_are_one_line(archwright, words, message):
    done = archwright("search", "cnn", *WORDS, *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_more_processes_than_cores_are_warned_of(archwright, monkeypatch):
    monkeypatch.setattr("archwright.subprocesses.cores", lambda: 4)
    done = archwright("search", "cnn", *WORDS, "--processes", 3, "--workers", 2, "--warm-start", "none.json")
    assert "2 workers of 3 processes share 4 cores" in done.err
    assert "none.json" in done.err
    assert ".py" not in done.err


@pytest.mark.slow
def test_in_a_script_that_torchrun_started_rank_0_searches_and_all_get_its_result(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "my_search.py").write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, "my_search.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    architecture, processes, said, loss, _ = first
    assert architecture.startswith("kind=good")
    assert processes == 2
    assert "no such" in said
    assert 0 < loss < 10
    assert len(load_record(tmp_path / "s").trials) == 2


@pytest.mark.slow
def test_the_command_line_under_torchrun_speaks_once(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*torchrun, "-m", "archwright", "search", "cnn", *WORDS, "--budget", 1, "--top", 0]
    done = subprocess.run([str(w) for w in words], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == 0
