"""``archwright surrogate``: pretrain, show, search with it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archwright.evaluate import NetworkEvaluator

NET = """
import archwright as aw
from torch import nn

space = aw.Space(width=aw.Choice(4, 8, 12, 16, ordered=True), depth=aw.Integer(1, 3), bias=aw.Choice(False, True))


def build(architecture, input_shape, num_classes):
    layers, width = [nn.Flatten()], 64
    for _ in range(architecture["depth"]):
        layers += [nn.Linear(width, architecture["width"], bias=architecture["bias"]), nn.ReLU()]
        width = architecture["width"]
    return nn.Sequential(*layers, nn.Linear(width, num_classes))
"""
PRETRAIN = [
    "surrogate",
    "pretrain",
    "net.py",
    "--data",
    "digits",
    "--limit",
    100,
    "--epochs",
    2,
    "--members",
    2,
    "--out",
    "s.st",
]
SEARCH = [
    "search", "net.py", "--data", "digits", "--limit", 100, "--searcher", "ensemble-bo-thesis", "--option", "members=2",
    "--option", "batch=3", "--option", "high_epochs=1", "--epochs", 1, "--budget", 4, "--workers", 0, "--top", 0, "--no-onnx", "--json",
]  # fmt: skip


@pytest.fixture
def net(archwright):
    Path("net.py").write_text(NET)
    return archwright


def test_pretrained_once_and_used_for_two_objectives(net):
    made = net(*PRETRAIN, "--metrics", "params,flops,peak_memory_mb", "--json")
    assert made.code == 0, made.err
    assert made.json["metrics"] == ["params", "flops", "peak_memory_mb"]
    assert net("surrogate", "show", "s.st", "--json").json == {
        k: v for k, v in made.json.items() if k not in ("file", "remarks")
    }
    lines = Path("s.profile.jsonl").read_text()
    for objective in ("accuracy", "loss"):
        way = "--maximize" if objective == "accuracy" else "--minimize"
        done = net(*SEARCH, way, objective, "--option", "surrogate=s.st", "--study", objective)
        assert done.code == 0, done.err
        assert done.json["evaluations"] == 4
    assert Path("s.profile.jsonl").read_text() == lines


def test_profiling_goes_on_where_it_stopped(net, monkeypatch):
    assert net(*PRETRAIN, "--metrics", "params,macs", "--json").code == 0
    file = Path("s.profile.jsonl")
    lines = file.read_text().splitlines()
    assert len(lines) == 25  # a header and the 24 architectures
    file.write_text("\n".join(lines[:20]) + "\n")
    built = []
    build = NetworkEvaluator.build
    monkeypatch.setattr(NetworkEvaluator, "build", lambda self, a, **how: (built.append(a), build(self, a, **how))[1])
    assert net(*PRETRAIN, "--metrics", "params,macs", "--json").code == 0
    assert len(set(built)) <= 6  # the five that were cut off, and the default that is checked first
    again = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert len(again) == len({row["key"] for row in again}) == 24


def test_a_table_gives_metrics_too(archwright):
    done = archwright("surrogate", "pretrain", "--table", "nasbench201-digits", "--metrics", "params", "--epochs", 1,
                      "--profiled", 50, "--members", 2, "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert (done.json["inputs"], done.json["of"]) == (6, "nasbench201-digits")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["surrogate", "pretrain"], "name a family"),
        (["surrogate", "pretrain", "net.py"], "needs --data"),
        ([*PRETRAIN, "--table", "nasbench201-digits"], "name a family or a .py file, with --data, or a --table"),
        ([*PRETRAIN, "--metrics", "latency"], "did you mean latency_ms"),
        ([*PRETRAIN, "--metrics", "params", "--encoding", "binary"], "ordinal or one_hot, not 'binary'"),
        ([*PRETRAIN, "--metrics", "params", "--pretraining", "both"], "unknown pretraining"),
        (["surrogate", "pretrain", "--table", "nasbench201-digits", "--metrics", "val_loss"], "a clue is a column that needs none"),
        (["surrogate", "show", "none"], "there is no stored surrogate none"),
        (["surrogate", "show", "net.py"], "not a stored surrogate"),
        ([*SEARCH, "--option", "surrogate=none"], "there is no stored surrogate none"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line(net, words, message):
    done = net(*words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_surrogate_of_another_space_is_refused_and_nothing_is_written(net):
    assert net("surrogate", "pretrain", "--table", "nasbench201-digits", "--metrics", "params", "--epochs", 1,
               "--profiled", 20, "--members", 2, "--out", "cells.st").code == 0  # fmt: skip
    done = net(*SEARCH, "--option", "surrogate=cells.st", "--study", "s")
    assert done.code == 2
    assert "cells.st was made for another space" in done.err
    assert not (Path("s") / "study.db").exists()
