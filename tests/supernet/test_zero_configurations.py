"""Zero configurations V0 to V4 and random cells (Herron 2023, table 3.1)."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.layers.operations import Random, Zero
from archwright.supernet.discretisation import ZEROS
from archwright.supernet.methods import OneShot
from archwright.supernet.micro import MicroSettings, final_network, micro_duo, random_cells, search_cells
from archwright.supernet.running import run_oneshot
from archwright.supernet.settings import JointSettings

SMALL = MicroSettings(
    channels=4, search_cells=3, evaluation_cells=3, nodes=2, operations=("skip_connect", "sep_conv_3x3")
)
STANDS = {"zero": Zero, "random": Random}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return load_data(
        {"train": (rng.integers(0, 255, (96, 1, 9, 9)).astype(np.uint8), np.arange(96) % 2)}, validation=0.2, test=0.2
    )


@pytest.mark.parametrize("name", sorted(ZEROS))
def test_what_wins_on_every_edge_is_kept_only_where_it_may_be(name) -> None:
    """With the zero operation far ahead everywhere: never chosen under V0 and V1, always under V2 to V4."""
    micro = replace(SMALL, zeros=name)
    duo, alpha, *_ = micro_duo(micro, 1, 2, 0)
    assert all(own.shape == (5, len(micro.columns)) for own in alpha.values())
    assert ("none" in micro.columns) == (name != "V1")
    if name != "V1":
        for own in alpha.values():
            own.data[:, -1] = 50.0
    used = {op for nodes in duo.discretise().values() for pairs in nodes for op, _ in pairs}
    assert used == {"none"} if name in ("V2", "V3", "V4") else "none" not in used


@pytest.mark.parametrize("name", ["V0", "V2", "V3", "V4"])
def test_no_operation_is_what_the_phase_says(name) -> None:
    micro, of = replace(SMALL, zeros=name), ZEROS[name]
    duo, *_ = micro_duo(micro, 1, 2, 0)
    for network, stand in ((duo.student, of.search), (duo.teacher, of.evaluation or "zero")):
        found = {type(m) for m in network.modules()} & {Zero, Random}
        assert found == {STANDS[stand]}
    cells = {kind: [[("none", 0), ("none", 1)]] * 2 for kind in ("normal", "reduce")}
    network = final_network(cells, 1, 2, channels=4, depth=3, tower=False, none=of.retraining).eval()
    x = torch.rand(3, 1, 9, 9)
    assert torch.equal(network(x), network(x)) == (of.retraining != "random")


def test_a_search_with_noise_repeats_and_keeps_none(data) -> None:
    micro, settings = replace(SMALL, zeros="V3"), JointSettings(epochs=1, pretrain_epochs=0, batch_size=16)
    first, second = (search_cells(data, micro, settings, seed=3) for _ in range(2))
    assert first.alpha == second.alpha
    assert first.expected_latency is not None


def test_random_cells_are_uniform_and_repeat() -> None:
    """Herron 2023, derived: under V1 every operation equally often, never ``none``; equal seeds, equal cells."""
    micro = MicroSettings()
    assert random_cells(micro, 5) == random_cells(micro, 5)
    counts = Counter(
        op for s in range(300) for nodes in random_cells(micro, s).values() for pairs in nodes for op, _ in pairs
    )
    assert set(counts) == set(micro.operations)
    assert all(abs(n / 4800 - 1 / 7) < 0.02 for n in counts.values())
    for version in ("V0", "V1"):
        kept = [random_cells(replace(micro, zeros=version), s) for s in range(50)]
        assert not any(op == "none" for cells in kept for nodes in cells.values() for pairs in nodes for op, _ in pairs)
    assert "none" in {
        op for s in range(20) for nodes in random_cells(replace(micro, zeros="V2"), s)["normal"] for op, _ in nodes
    }


def test_random_cells_are_retrained_like_any(data, tmp_path) -> None:
    asked = OneShot(
        "random_v2", {"nodes": 2}, {"channels": 4, "cells": 3}, {"epochs": 1, "crop": 0, "cutout": 0}, seed=1
    )
    result = run_oneshot(asked, data, tmp_path / "run")
    assert result["search"]["epochs"] == 0
    assert 0 <= result["retrain"]["test_accuracy"] <= 1


def test_unknown_configurations_and_lists_with_zeros_are_refused() -> None:
    with pytest.raises(SettingsError, match="V5"):
        replace(SMALL, zeros="V5")
    lists = {k: [("relu",)] * 5 for k in ("normal", "reduce")}
    with pytest.raises(SettingsError, match="leave V2 out"):
        replace(SMALL, zeros="V2", lists=lists)
