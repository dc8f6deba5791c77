"""A user's file that breaks in every way while it is searched; the search goes on and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from archwright.study.storage import load_trials

NET = """
import os, signal, time
import torch
from torch import nn
import archwright as aw

space = aw.Space(kind=aw.Choice("good", {bad!r}), width=aw.Choice(*range(4, 10)))

class Diverges(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        return self.inner(x) * (float("nan") if self.training else 1.0)

def build(a, input_shape, num_classes):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, a["width"]), nn.ReLU(), nn.Linear(a["width"], num_classes))
    if a["kind"] == "nan":
        return Diverges(network)
    if a["kind"] == "raises":
        raise ValueError("cannot build this one")
    if a["kind"] == "memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
    if a["kind"] == "size":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    if a["kind"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if a["kind"] == "slow":
        time.sleep(60)
    return network
"""


@pytest.mark.parametrize(
    ("bad", "reason", "workers"),
    [
        ("nan", "loss was nan", 0),
        ("raises", "ValueError: cannot build this one", 0),
        ("memory", "memory", 0),
        ("size", "2 x 3", 0),
        ("killed", "killed (signal 9", 1),
        ("slow", "time limit", 1),
    ],
)
def test_faulty_candidates_are_recorded_and_the_search_goes_on(archwright, monkeypatch, bad, reason, workers):
    monkeypatch.setattr("archwright.study.executors.GRACE", 0.5)
    Path("net.py").write_text(NET.format(bad=bad))
    words = ["search", "net.py", "--data", "digits", "--limit", 100, "--epochs", 1, "--budget", 4, "--searcher", "random",
             "--workers", workers, "--top", 0, "--study", "s", "--json"]  # fmt: skip
    if bad == "slow":
        words += ["--time-limit", "2s"]
    done = archwright(*words)
    assert done.code == 0, done.err
    assert done.json["evaluations"] == 4
    trials = load_trials(Path("s"), None)[1]
    failed = [t for t in trials if t.evaluation.status == "failed"]
    assert {t.architecture["kind"] for t in failed} == {bad}
    assert {t.architecture["kind"] for t in trials if t.evaluation.status == "ok"} == {"good"}
    assert all(reason in t.evaluation.reason for t in failed), failed[0].evaluation.reason
    assert all("\n" not in t.evaluation.reason for t in failed)
    assert done.json["failed"] == len(failed) > 0


def test_when_every_candidate_fails_the_command_says_why(archwright):
    Path("net.py").write_text(
        NET.format(bad="nan").replace('"good", ', '"nan2", ').replace('== "nan"', 'in ("nan", "nan2")')
    )
    done = archwright(
        "search",
        "net.py",
        "--data",
        "digits",
        "--limit",
        100,
        "--epochs",
        1,
        "--budget",
        3,
        "--workers",
        0,
        "--study",
        "s",
    )
    assert done.code == 1
    assert "No evaluation ended well" in done.out
    assert "loss was nan" in done.out
