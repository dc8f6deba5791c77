import time

import pytest
import torch
from torch import nn
from torch.nn import functional

from archwright.errors import SettingsError
from archwright.evaluate.cost import PROFILED, latencies, profile_network
from archwright.evaluate.devices import is_out_of_memory, resolve_device, seeded


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.layer(self.embed(x)).mean(1))


class ValueDependent(nn.Module):
    """Cannot run on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.linear(x) if x.sum() > -1 else self.linear(x) * 2


class Caching(nn.Module):
    """Keeps a tensor from its first forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.positions = None

    def forward(self, x):
        if self.positions is None:
            self.positions = torch.arange(4, dtype=x.dtype, device=x.device)
        return self.linear(x + self.positions)


class Auxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.auxiliary = nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x):
        x = functional.relu(self.body(x))
        return (self.head(x), self.auxiliary(x)) if self.training else self.head(x)


def test_counts_of_a_small_network_are_those_by_hand():
    found = profile_network(convolutional(), (3, 32, 32), metrics=["params", "macs", "flops", "activation_mb"])
    assert found["params"] == 3 * 16 * 9 + 2 * 16 + (16 * 9 + 1) * 32 + 33 * 10
    assert found["macs"] == 3 * 16 * 9 * 32 * 32 + 16 * 32 * 9 * 16 * 16 + 32 * 10
    assert found["flops"] == 2 * found["macs"]
    outputs = 3 * 16 * 32 * 32 + 2 * 32 * 16 * 16 + 32 + 32 + 10
    assert found["activation_mb"] == pytest.approx(4 * outputs / 1e6)


def test_attention_is_counted_and_the_fast_path_is_left_switched_on():
    found = profile_network(Attention(), (16, 4), metrics=["macs"])
    assert found["macs"] == 16 * (4 * 32 + 32 * 96 + 32 * 32 + 2 * 32 * 64) + 2 * 16 * 16 * 32 + 32 * 10
    assert torch.backends.mha.get_fastpath_enabled()


def test_an_lstm_is_counted():
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(4, 32, batch_first=True), nn.Linear(32, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    assert profile_network(Recurrent(), (16, 4), metrics=["macs"])["macs"] == 16 * (4 * 128 + 32 * 128) + 320


def test_a_network_that_looks_at_values_is_counted_on_its_device():
    network = ValueDependent()
    found = profile_network(network, (4,), metrics=["macs", "peak_memory_mb", "training_memory_mb"])
    assert found["macs"] == 12
    assert found["training_memory_mb"] > found["peak_memory_mb"] > 0


def test_a_network_that_caches_tensors_still_works_afterwards():
    network = Caching()
    profile_network(network, (4,), metrics=["macs", "peak_memory_mb", "training_memory_mb"])
    network(torch.ones(2, 4)).sum().backward()
    assert network.linear.weight.grad is not None


def test_an_auxiliary_head_costs_parameters_but_no_operations():
    found = profile_network(Auxiliary(), (8,), metrics=["params", "macs"])
    assert found == {"params": 72 + 2 * 18, "macs": 64 + 16}


def test_frozen_and_shared_parameters():
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    network[1].weight = network[0].weight
    assert profile_network(network, (4,), metrics=["params"]) == {"params": 16}
    network[0].weight.requires_grad_(False)
    assert profile_network(network, (4,), metrics=["params", "trainable_params"]) == {
        "params": 16,
        "trainable_params": 0,
    }


def test_peak_memory_is_the_largest_live_set():
    """Of a chain of equal layers, two activations live at once, however long it is."""
    one = 4 * 1000 * 64

    def activations(layers: int) -> float:
        chain = nn.Sequential(*[nn.ReLU() for _ in range(layers)])
        return profile_network(chain, (1000,), metrics=["peak_memory_mb"], batch_size=64)["peak_memory_mb"] * 1e6

    assert activations(2) == activations(10) == 3 * one  # the input is held by the caller


def test_training_memory_grows_with_depth_and_batch():
    def memory(layers: int, batch: int) -> float:
        chain = nn.Sequential(*[nn.Sequential(nn.Linear(50, 50), nn.Sigmoid()) for _ in range(layers)])
        return (
            profile_network(chain, (50,), metrics=["training_memory_mb"], batch_size=batch)["training_memory_mb"] * 1e6
        )

    per_layer = memory(9, 128) - memory(8, 128)
    weights, saved = 4 * 50 * 51, 4 * 50 * 128
    # weights and two moments; gradients come when activations have begun to go
    assert per_layer == pytest.approx(3 * weights + saved)
    assert memory(8, 256) - memory(8, 128) == pytest.approx(8 * saved, rel=0.5)


def test_only_what_was_asked_for_comes_back_and_all_of_it_by_default():
    network = convolutional()
    assert set(profile_network(network, (3, 8, 8), metrics=["macs"])) == {"macs"}
    assert set(profile_network(network, (3, 8, 8), repeats=2)) == {*PROFILED, "latency_spread_ms"}


def test_a_larger_network_and_batch_take_longer():
    small, large = nn.Linear(16, 16), nn.Sequential(*[nn.Linear(512, 512) for _ in range(6)])
    quick = profile_network(small, (16,), metrics=["latency_ms", "throughput"])
    slow = profile_network(large, (512,), metrics=["latency_ms", "throughput"], batch_size=64)
    assert quick["latency_ms"] < slow["latency_ms"]
    assert slow["throughput"] == pytest.approx(64 / (slow["latency_ms"] / 1e3))
    assert quick["latency_spread_ms"] >= 0


class Sleeper(nn.Module):
    """Takes 20 ms once it is warm; the first calls take none and are counted all the same."""

    def __init__(self, warm_after: int) -> None:
        super().__init__()
        self.warm_after, self.calls = warm_after, 0

    def forward(self, x):
        self.calls += 1
        if self.calls > self.warm_after:
            time.sleep(0.02)
        return x


def test_latency_is_that_of_the_timed_runs_alone():
    network = Sleeper(warm_after=20)
    found = profile_network(network, (3,), metrics=["latency_ms", "throughput"], batch_size=64, warmup=20, repeats=15)
    assert network.calls == 20 + 15
    assert found["latency_ms"] == pytest.approx(20, rel=0.02)
    assert found["latency_ms"] * found["throughput"] / 1000 == pytest.approx(64, rel=1e-3)


def test_the_clock_runs_during_the_timed_runs_only():
    now = [0.0]

    class Steps(nn.Module):
        def forward(self, x):
            now[0] += 1.0
            return x

    times = latencies(Steps(), (3,), batch_size=2, warmup=20, repeats=5, clock=lambda: now[0])
    assert times.tolist() == [1.0] * 5
    assert now[0] == 25


def test_the_network_is_left_as_it_was():
    network = convolutional()
    network.train()
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    threads = torch.get_num_threads()
    profile_network(network, (3, 8, 8), repeats=2, threads=1, channels_last=True)
    assert [m.training for m in network] == [True, False, *[True] * 6]
    assert not any(m._forward_hooks for m in network.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" and p.is_contiguous() for p in network.parameters())
    assert torch.get_num_threads() == threads


def test_nonsense_is_refused():
    for wrong in (
        {"metrics": ["latency"]},
        {"metrics": ["accuracy"]},
        {"batch_size": 0},
        {"repeats": 0},
        {"threads": 0},
    ):
        with pytest.raises(SettingsError):
            profile_network(nn.Linear(2, 2), (2,), **wrong)


def test_a_device_that_is_not_there_is_refused():
    for name in ("cuda:99", "gpu", "meta2"):
        with pytest.raises(SettingsError, match="not available here; use auto or one of cpu"):
            resolve_device(name)
    assert resolve_device("auto").type in ("cuda", "mps", "cpu")


def test_seeded_draws_repeat_and_leave_the_global_state_alone():
    import random

    import numpy as np

    def draws():
        return float(torch.rand(())), random.random(), float(np.random.rand())  # noqa: NPY002

    def start():
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002

    start()
    expected = draws()
    start()
    with seeded(7):
        first = draws()
    assert draws() == expected
    with seeded(7):
        assert draws() == first
    with seeded(8):
        assert draws() != first


def test_what_counts_as_out_of_memory():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to"))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
