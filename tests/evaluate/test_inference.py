"""Seconds per batch over a test split."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.evaluate.inference import seconds_per_batch


class Watched(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        assert not self.training
        assert not torch.is_grad_enabled()
        return self.norm(x).flatten(1)[:, :10]


def test_only_whole_batches_of_the_test_split_are_timed():
    data, network = load_data("digits"), Watched()
    size = len(data.test) // 3 + 1
    found = seconds_per_batch(network, data, batch_size=size, warmup=1)
    assert network.sizes == [size] * 3
    assert (found["batches"], found["batch_size"]) == (2, size)
    assert found["seconds_per_batch"] > 0
    assert network.training
    assert network.norm.num_batches_tracked == 0


def test_a_batch_larger_than_the_data_is_the_data():
    data = load_data("digits")
    found = seconds_per_batch(Watched(), data, batch_size=10**6)
    assert (found["batches"], found["batch_size"], found["std"]) == (1, len(data.test), 0)


def test_nothing_per_batch_is_refused():
    with pytest.raises(SettingsError, match="at least 1, not 0"):
        seconds_per_batch(Watched(), load_data("digits"), batch_size=0)
