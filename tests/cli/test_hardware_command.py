"""Latency without running, from end to end through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archwright.families import get_family
from archwright.space import Choice, Space
from archwright.tables import Column, Table, load_table

SHORT_SEARCH = ["--data", "digits", "--limit", 60, "--epochs", 1, "--budget", 2, "--top", 0, "--workers", 0,
                "--study", "s"]  # fmt: skip
NET = """
import archwright as aw
from torch import nn
space = aw.Space(width=aw.Choice(2, 32))
def build(architecture, input_shape, num_classes):
    width = architecture["width"]
    layers = [nn.Conv2d(input_shape[0], width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(num_classes)]
    return nn.Sequential(*layers)
"""


@pytest.fixture
def table(archwright) -> Path:
    space = Space({f"x{i}": Choice(0, 1, 2, 3, 4) for i in range(3)})
    codes = space.codes(list(space.enumerate()))
    first = (2 + codes @ [4.0, 2.0, 1.0])[:, None, None]
    columns = (
        Column("digits", "val_accuracy", "maximize", 99 - first),
        Column("digits", "phone_latency_ms", "minimize", first),
        Column("digits", "board_latency_ms", "minimize", first**1.5),
    )
    return Table("toy", space, codes, columns).save(Path("toy.table.npz"))


@pytest.fixture
def net(archwright) -> Path:
    Path("net.py").write_text(NET)
    return Path("net.py")


def test_compare_prints_one_json_object(archwright, table):
    done = archwright("hardware", "compare", table, "--device", "phone", "--train", "20,40", "--seeds", 2, "--json")
    assert done.code == 0, done.err
    said = done.json
    assert {(r["train"], r["predictor"]) for r in said["results"]} == {
        (n, p) for n in (20, 40) for p in ("lookup", "linear", "boosted")
    }
    linear = next(r for r in said["results"] if (r["train"], r["predictor"]) == (40, "linear"))
    assert linear["spearman"] > 0.99
    assert len(said["means"]) == 6


def test_few_shot_study_adds_the_adapted_predictor(archwright, table):
    words = ["--device", "board", "--adapt-from", "phone", "--shots", "8", "--seeds", 1]
    done = archwright("hardware", "compare", table, *words)
    assert done.code == 0, done.err
    assert "adapted" in done.out


def test_predicted_column_is_a_signal_for_the_arena(archwright, table):
    words = ["--device", "phone", "--train", 30, "--predictor", "linear", "--out", "new.table.npz", "--model", "m.json"]
    done = archwright("hardware", "predict", table, *words)
    assert done.code == 0, done.err
    made = load_table("new.table.npz")
    predicted = made.column("digits", "phone_predicted_latency_ms").at()
    assert np.corrcoef(predicted, made.column("digits", "phone_latency_ms").at())[0, 1] > 0.99
    assert "fitted on 30" in made.provenance["phone_predicted_latency_ms"]
    words = ["--signal", "val_accuracy", "--signal", "phone_predicted_latency_ms", "-s", "random", "--runs", 2]
    done = archwright("arena", "new.table.npz", *words, "--budget", 5, "--json")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["compare", "toy.table.npz", "--device", "phne_latency"],
            "unknown device column 'phne_latency'; did you mean phone_latency_ms",
        ),
        (["compare", "toy.table.npz", "--train", "124"], "has 125 measured architectures; fit on 3 to 123, not 124"),
        (["compare", "toy.table.npz", "--train", "few"], "--train takes positive whole numbers"),
        (["compare", "toy.table.npz", "--predictor", "tree"], "unknown latency predictor 'tree'"),
        (["compare", "toy.table.npz", "--device", "phone", "--adapt-from", "phone"], "at once"),
        (["predict", "toy.table.npz", "--device", "phone", "--out", "x.npz", "--predictor", "adapted"], "go together"),
    ],
)
def test_mistakes_get_one_line(archwright, table, words, message):
    done = archwright("hardware", *words)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_measured_profile_predicts_in_profile_and_search(archwright, net):
    shape = ["--input-shape", "1,8,8", "--classes", 10, "--threads", 1]
    done = archwright("profile", net, *shape, "--measure-lut", "p.json", "--held-out", 0, "--repeats", 10, "--json")
    assert done.code == 0, done.err
    assert done.json["operations"] >= 5
    done = archwright("profile", net, *shape, "--latency-from", "p.json", "--architecture", '{"width": 32}', "--json")
    assert done.code == 0, done.err
    slow = done.json["metrics"]["predicted_latency_ms"]
    assert slow > 0
    goal = ["--maximize", "accuracy", "--minimize", "latency_ms", "--json"]
    done = archwright("search", net, *SHORT_SEARCH, *goal, "--latency-from", "p.json")
    assert done.code == 0, done.err
    found = {t["architecture"]["width"]: t["metrics"]["latency_ms"] for t in done.json["pareto_front"]}
    assert slow in found.values() or min(found.values()) < slow
    assert all(found.get(32, slow) == pytest.approx(slow) for _ in found)
    assert Path("s/device_profile.json").is_file()
    done = archwright("search", net, *SHORT_SEARCH, *goal)
    assert done.code == 2
    assert "latency" in done.err


def test_search_refuses_a_profile_that_does_not_belong(archwright, net):
    for content, message in (("{}", "is not a device profile"), ('{"format": "archw', "not a whole device profile")):
        Path("p.json").write_text(content)
        done = archwright("search", net, *SHORT_SEARCH, "--at-most", "latency_ms=5", "--latency-from", "p.json")
        assert done.code == 2
        assert message in " ".join(done.err.split())
    facts = {
        "format": "archwright-device-profile", "version": 1, "name": "phone", "device": "cpu", "batch_size": 1, "threads": 1,
        "family": {"name": "cnn", "options": {}}, "input_shape": [1, 8, 8], "num_classes": 10, "clock": "wall",
        "versions": {}, "operations": {"relu(1)": {"ms": 1.0, "spread_ms": 0.0, "runs": 5}}, "networks": [],
    }  # fmt: skip
    Path("p.json").write_text(json.dumps(facts))
    done = archwright("search", net, *SHORT_SEARCH, "--at-most", "latency_ms=5", "--latency-from", "p.json")
    assert done.code == 2
    assert "measured for another family: cnn, not net" in " ".join(done.err.split())
    done = archwright("search", net, *SHORT_SEARCH, "--latency-from", "p.json")
    assert "neither an objective nor a bound" in " ".join(done.err.split())
    done = archwright("search", "cnn", *SHORT_SEARCH, "--at-most", "latency_ms=5", "--latency-from", "p.json")
    assert done.code == 2
    assert "no time for the operation" in " ".join(done.err.split())
    assert not Path("s").exists()
    assert get_family("net.py").name == "net"
