"""Tournaments of real searches on a few small images, and the combination with XDARTS cells and latency."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.hardware.stems import measure_weights
from archwright.supernet.dynamic import combined, dynamic_report, dynamic_search
from archwright.supernet.micro import MicroSettings, final_network
from archwright.supernet.settings import JointSettings
from archwright.supernet.tournament import Tournament

POOL = ("relu", "skip_connect", "max_pool_3x3", "min_conv_3x3")
MICRO = MicroSettings(channels=4, search_cells=3, evaluation_cells=3, nodes=1)
QUICK = JointSettings(epochs=1, pretrain_epochs=0, batch_size=16)
RULES = Tournament(tiers=2, pool=POOL, largest=2, nodes=1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return load_data({"train": (rng.integers(0, 255, (60, 8, 8, 1)).astype(np.uint8), np.arange(60) % 2)})


def test_a_tournament_is_searched_resumed_and_reported(data, tmp_path) -> None:
    seen = []
    outcome = dynamic_search(data, MICRO, QUICK, tournament=RULES, folder=tmp_path, on_game=seen.append)
    assert [(g.tier, g.number) for g in seen] == [(2, 0), (2, 1), (1, 0)]
    for game, played in outcome.games:
        for kind, nodes in played.cells.items():
            assert all(name in game.lists[kind][i] for name, i in nodes[0])
    (tmp_path / "game-1-0.json").unlink()
    again = dynamic_search(data, MICRO, QUICK, tournament=RULES, folder=tmp_path)
    assert again.played == 1
    assert again.cells == outcome.cells
    report = dynamic_report(outcome, 20)
    assert report["searches"] == 3
    assert sum(report["frequencies"]["1"]["operations"].values()) == 40
    assert not list(tmp_path.glob("*.safetensors"))
    with pytest.raises(SettingsError, match="another tournament"):
        dynamic_search(data, MICRO, replace(QUICK, epochs=2), tournament=RULES, folder=tmp_path)


def test_the_combination_has_xdarts_cells_lists_and_a_penalty(data) -> None:
    network = final_network({"normal": [[("relu", 0)]], "reduce": [[("relu", 1)]]}, 1, 2, channels=4, depth=3)
    table = measure_weights(network, POOL, (1, 8, 8), batch_size=8, repeats=5).table()
    assert sum(table.values()) == pytest.approx(1)
    assert min(table.values()) >= 0
    micro, settings = combined(replace(MICRO, latency=table, nodes=2), QUICK)
    assert (micro.cell, settings.penalty) == ("xdarts", 0.05)
    outcome = dynamic_search(data, micro, settings, tournament=replace(RULES, nodes=2))
    assert all([len(pairs) for pairs in nodes] == [2, 3] for nodes in outcome.cells.values())
    final = final_network(outcome.cells, 1, 2, channels=4, depth=3).eval()
    assert final(torch.randn(2, 1, 8, 8)).shape == (2, 2)


def test_measuring_leaves_the_network_as_it_was() -> None:
    network = final_network({"normal": [[("relu", 0)]], "reduce": [[("relu", 1)]]}, 1, 2, channels=4, depth=3)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    measure_weights(network, ("sep_conv_5x5",), (1, 8, 8), batch_size=4, repeats=3)
    assert network.training
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_bad_input_is_refused(data) -> None:
    with pytest.raises(SettingsError, match="not measured: relu"):
        dynamic_search(data, MICRO, replace(QUICK, penalty=0.1), tournament=RULES)
    with pytest.raises(SettingsError, match="of 4 nodes"):
        dynamic_search(data, MICRO, QUICK, tournament=Tournament())
