"""Cells of one search retrained on other data."""

from pathlib import Path

import numpy as np
import pytest

SEARCH = (
    "--small", "--epochs", 1, "--option", "pretrain_epochs=0", "--option", "search_cells=3", "--option", "evaluation_cells=3",
    "--option", "nodes=1",
)  # fmt: skip
RETRAIN = ("--train", "epochs=1", "--device", "cpu", "--json")
SIZE = ("--set", "channels=4", "--set", "cells=3")


@pytest.fixture
def colours():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (60, 12, 12, 3)).astype(np.uint8)
    np.savez("colours.npz", images=images, labels=np.arange(60) % 3)


def run(archwright, *words):
    done = archwright("oneshot", *words)
    assert done.code == 0, done.err
    return done.json


def test_cells_are_retrained_on_other_data_run_by_run(archwright, colours):
    data = ("--data", "digits", "--limit", 60)
    before = run(archwright, "random_v1", "darts", *data, *SEARCH, *SIZE, *RETRAIN, "--runs", 2, "--study", "digits")
    after = run(
        archwright, "random_v1", "darts", "--data", "colours.npz", *RETRAIN, "--runs", 2, "--cells", "digits",
        "--train", "batch_size=16",
    )  # fmt: skip
    for first, second in zip(before["runs"], after["runs"]):
        assert second["genotype"] == first["genotype"]
        assert second["family_options"] == first["family_options"]
        assert second["search"]["seconds"] == 0
        assert 0 <= second["retrain"]["test_accuracy"] <= 1
    assert Path("runs/random_v1-colours-transferred/run-1/model/model.safetensors").is_file()
    wide = run(
        archwright, "random_v1", "darts", "--data", "colours.npz", *RETRAIN, "--cells", "digits/run-1", "--study", "wide",
        "--set", "channels=6",
    )  # fmt: skip
    assert wide["genotype"] == before["runs"][1]["genotype"]
    assert wide["retrain"]["params"] > after["runs"][1]["retrain"]["params"]


def test_both_networks_of_a_template_are_retrained(archwright, colours):
    data = ("--data", "digits", "--limit", 60)
    run(archwright, "hier_v1", "darts", *data, *SEARCH, *SIZE, *RETRAIN, "--study", "h")
    found = run(archwright, "hier_v1", "darts", "--data", "colours.npz", *RETRAIN, "--cells", "h")
    assert {"retrain", "initial"} <= set(found)
    done = archwright(
        "oneshot",
        "hier_v1",
        "darts",
        "--data",
        "colours.npz",
        *RETRAIN,
        "--cells",
        "h",
        "--set",
        "cells=4",
        "--study",
        "x",
    )
    assert done.code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--cells", "none"), "cannot read none"), (("--cells", "other.json"), "is not the result of a search inside"),
     (("--cells", "other.json", "--no-retrain"), "leave --no-retrain out")],
)  # fmt: skip
def test_what_has_no_cells_is_refused(archwright, colours, words, message):
    Path("other.json").write_text('{"retrain": 1}')
    done = archwright("oneshot", "icdarts", "darts", "--data", "colours.npz", "--device", "cpu", *words)
    assert done.code == 2
    assert message in " ".join(done.err.split())
