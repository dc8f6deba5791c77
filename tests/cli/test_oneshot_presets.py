"""Every preset, from the command line on digits to a retrained and exported model."""

from pathlib import Path

import numpy as np
import pytest

import archwright as aw
from archwright.data import load_data
from archwright.supernet.methods import METHODS

SMALLEST = (
    "darts", "--data", "digits", "--limit", 60, "--epochs", 1, "--option", "pretrain_epochs=0", "--option", "channels=2",
    "--option", "search_cells=3", "--option", "evaluation_cells=3", "--option", "batch_size=8", "--option", "crop=0",
    "--set", "channels=2", "--set", "cells=3", "--train", "epochs=1", "--train", "batch_size=16", "--train", "crop=0",
    "--train", "cutout=0", "--device", "cpu", "--study", "s", "--json",
)  # fmt: skip
GAMES = ("--option", "tiers=2", "--option", "largest=2")
FAST = ("cdarts_v2", "abl_keep_tower", "opspace4")


def ends_with_a_model(archwright, name):
    games = GAMES if METHODS[name].search in ("dynamic", "combined") else ()
    done = archwright("oneshot", name, *SMALLEST, *games)
    assert done.code == 0, done.err
    found = done.json
    assert found["method"] == name
    assert (found["search"]["epochs"] > 0) == (METHODS[name].search != "random")
    assert 0 <= found["retrain"]["test_accuracy"] <= 1
    assert all(Path(file).is_file() for file in found["files"].values())
    model = aw.load("s")
    answer = model.predict(load_data("digits").test.inputs[:5])
    assert answer.probabilities.shape == (5, 10)
    assert np.isfinite(answer.probabilities).all()


@pytest.mark.parametrize("name", FAST)
def test_presets_end_with_a_model(archwright, name):
    ends_with_a_model(archwright, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in METHODS if name not in FAST])
def test_every_preset_ends_with_a_model(archwright, name):
    ends_with_a_model(archwright, name)
