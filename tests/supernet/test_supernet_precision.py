"""Losses and gradients of whole search networks against the plain implementation, in both precisions."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

PERF = Path(__file__).parents[2] / "perf"


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PERF))
    return importlib.import_module("supernet")


def test_single_precision_with_the_branches_of_double_precision(measures: ModuleType) -> None:
    sizes = measures.Sizes(cells=4, nodes=2, channels=4, batch=4, size=8)
    doubles, singles = measures.both(sizes, torch.float64), measures.both(sizes)
    run, *given = doubles["plain"]
    wanted = run(*given)
    run, *given = doubles["ours"]
    with measures.Written() as written:
        assert max(measures.apart(run(*given), wanted)) < 1e-12
    run, *given = singles["ours"]
    with measures.Taken(written.branches):
        loss, whole, entry = measures.apart(run(*given), wanted)
    assert max(loss, whole) < 1e-5
    assert entry < 3e-5


def test_branches_are_taken_as_written(measures: ModuleType) -> None:
    network = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.ReLU(inplace=True))
    x = torch.tensor([[[[1.0, -2.0], [3.0, 0.5]]]])
    with measures.Written() as written:
        wanted = network(x)
    with measures.Taken(written.branches) as taken:
        torch.testing.assert_close(network(x), wanted)
    assert taken.others == 0
    with measures.Taken(written.branches) as taken:
        torch.testing.assert_close(network(-x), -wanted)
    assert taken.others == 8
