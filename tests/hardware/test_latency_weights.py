"""Latency weights of operations: the published table, the protocol on known numbers, files, measuring."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archwright.errors import FamilyError, SettingsError
from archwright.hardware.shares import PUBLISHED, load_weights, weights_of
from archwright.hardware.stems import measure_weights, settle

ORDER = ("avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "skip_connect")


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.stem(x).mean((2, 3)))


def test_the_protocol_gives_the_published_table():
    found = weights_of(10, dict(zip(ORDER, (16, 14, 34, 46, 21, 25, 14))))
    assert found == pytest.approx(PUBLISHED.weights, abs=1e-12)
    assert sum(PUBLISHED.weights.values()) == pytest.approx(1)


def test_an_operation_faster_than_the_base_weighs_nothing():
    assert weights_of(10, {"a": 9, "b": 12, "c": 16}) == {"a": 0, "b": 0.25, "c": 0.75}


@given(st.floats(0.1, 100), st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 200), min_size=1))
def test_weights_are_shares(base, measured):
    if max(measured.values()) <= base:
        with pytest.raises(SettingsError, match="no operation took longer"):
            weights_of(base, measured)
        return
    found = weights_of(base, measured)
    assert min(found.values()) >= 0
    assert sum(found.values()) == pytest.approx(1)


def test_no_connection_weighs_nothing():
    assert PUBLISHED.table()["none"] == PUBLISHED.table()["random"] == 0
    assert load_weights() is PUBLISHED


def test_the_whole_protocol_on_a_clock_that_knows_the_times(monkeypatch, tmp_path):
    """The mean counts: passes take turns to be 1 ms slower and faster. Order and rest of the network do not matter."""
    milliseconds = {"": 10, **dict(zip(ORDER, (16, 14, 34, 46, 21, 25, 14)))}
    seen: list[int] = []

    def clocked(network, *_, **__):
        passed = len(seen) // len(milliseconds)
        name = list(milliseconds)[len(seen) % len(milliseconds)]
        seen.append(sum(1 for _ in network.stem.children()))
        return [1e-3 * (milliseconds[name] + (-1) ** passed)]

    monkeypatch.setattr("archwright.hardware.stems.latencies", clocked)
    network = Small()
    stem, before = network.stem, [p.clone() for p in network.parameters()]
    found = measure_weights(network, ORDER, (3, 8, 8), copies=10, repeats=20, name="a clock")
    assert found.weights == pytest.approx(PUBLISHED.weights)
    assert found.base_ms == pytest.approx(10)
    assert len(seen) == 8 * (20 + 2)
    assert seen[:8] == [0] + [11] * 7
    assert network.stem is stem
    assert network.training
    assert all(torch.equal(p, q) for p, q in zip(before, network.parameters()))
    found.save(tmp_path / "w.json")
    assert load_weights(tmp_path / "w.json") == found


def test_what_takes_time_weighs_more():
    found = measure_weights(Small(), ("skip_connect", "conv_5x5"), (3, 33, 33), batch_size=8, repeats=5, clock="cpu")
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.weights["conv_5x5"] > found.weights["skip_connect"]
    assert found.settings["copies"] == 10


def test_the_signal_of_a_settled_network_does_not_vanish():
    from archwright.layers.operations import operation

    def made():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(*(operation("sep_conv_3x3", 8) for _ in range(10))).eval()

    inputs = torch.rand(4, 8, 8, 8)
    fresh, settled = made(), made()
    settle(settled, inputs)
    with torch.no_grad():
        assert fresh(inputs).std() < 1e-6
        assert settled(inputs).std() == pytest.approx(1, abs=0.1)
    assert not settled.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not a file of latency weights"),
        ({"version": 2}, "another Archwright"),
        ({"weights": {}}, "has no latency weights"),
        ({"weights": {"a": -1, "b": 2}}, "has no latency weights"),
        ({"weights": {"a": "x"}}, "has no latency weights"),
        ({"weights": {"a": 0.5, "b": 0.6}}, "sum to 1.1, not to 1"),
    ],
)
def test_files_that_are_no_weights_are_refused(tmp_path, change, message):
    PUBLISHED.save(tmp_path / "w.json")
    content = json.loads((tmp_path / "w.json").read_text()) | change
    (tmp_path / "w.json").write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=message):
        load_weights(tmp_path / "w.json")


@pytest.mark.parametrize(
    ("network", "operations", "how", "error", "message"),
    [
        (Small(), (), {}, SettingsError, "at least one operation"),
        (Small(), ("skip_connect",) * 2, {}, SettingsError, "each once"),
        (Small(), ("sep_conv_4x4",), {}, FamilyError, "unknown operation 'sep_conv_4x4'"),
        (Small(), ("skip_connect",), {"repeats": 0}, SettingsError, "at least 1"),
        (nn.Linear(3, 3), ("skip_connect",), {}, FamilyError, "Linear has no module called stem"),
    ],
)
def test_what_cannot_be_measured_is_refused(network, operations, how, error, message):
    with pytest.raises(error, match=message):
        measure_weights(network, operations, (3, 8, 8), **how)
