"""Measuring latency weights: operations put into the stem of a network, several in a row (Herron 2023, section 4.3)."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from archwright.errors import FamilyError, SettingsError
from archwright.evaluate.cost import latencies
from archwright.evaluate.devices import resolve_device, seeded
from archwright.hardware.profile import CLOCKS
from archwright.hardware.shares import LatencyWeights, weights_of
from archwright.layers.operations import operation

WARMUP = 2
"""Unmeasured passes with each operation."""


def measure_weights(
    network: nn.Module,
    operations: Sequence[str],
    input_shape: tuple[int, ...],
    *,
    batch_size: int = 16,
    copies: int = 10,
    repeats: int = 20,
    threads: int | None = None,
    device: str | torch.device = "cpu",
    clock: str = "wall",
    name: str = "",
    on_done: Callable[[str], None] = lambda _: None,
) -> LatencyWeights:
    """Measure the network alone, and with ``copies`` of each operation behind its stem; means over ``repeats`` passes.

    Evaluation mode with batch norms that have seen a batch, no gradients, after a few unmeasured passes, the device
    synchronised. Passes go round over all operations, so that what slows the machine for a while slows all alike.

    Args:
        network: untrained is enough; its module ``stem`` gives ``batch x channels x height x width``. A copy is measured.
        operations: names of :data:`archwright.layers.operations.OPERATIONS`.
        input_shape: without the batch.
        threads: CPU threads; torch's current setting by default.
        clock: a name of :data:`~archwright.hardware.profile.CLOCKS`.
        name: of the device, in words.
        on_done: called with a word after each pass over a network.

    Raises:
        SettingsError: numbers below 1, no operation or one twice, or no operation that takes time.
        FamilyError: the network has no stem, or an operation is unknown.
    """
    if min(batch_size, copies, repeats, threads or 1) < 1:
        raise SettingsError(
            f"batch, copies, repeats and threads must be at least 1, not {batch_size}, {copies}, {repeats}"
        )
    if not operations or len(set(operations)) < len(operations):
        raise SettingsError("give at least one operation, and each once")
    stem = getattr(network, "stem", None)
    if not isinstance(stem, nn.Module):
        raise FamilyError(f"{type(network).__name__} has no module called stem to put operations into")
    where = resolve_device(device)
    inputs = torch.rand((max(2, batch_size), *input_shape), generator=torch.Generator().manual_seed(0)).to(where)
    network = copy.deepcopy(network).to(where)
    settle(network, inputs)
    stems = _stems(network.get_submodule("stem"), operations, copies, inputs)
    times: dict[str, list[float]] = {key: [] for key in stems}
    for passed in range(repeats + WARMUP):
        for key, changed in stems.items():
            network.stem = changed
            (seconds,) = latencies(network, input_shape, batch_size, 0, 1, threads, clock=CLOCKS[clock])
            if passed >= WARMUP:
                times[key].append(1e3 * float(seconds))
            on_done(key or "the network itself")
    means = {key: float(np.mean(found)) for key, found in times.items()}
    base = means.pop("")
    settings = {
        "device": str(where), "batch_size": batch_size, "copies": copies, "repeats": repeats, "clock": clock,
        "threads": threads or torch.get_num_threads(), "input_shape": list(input_shape),
        "spread_ms": {key or "base": float(np.std(found)) for key, found in times.items()},
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }  # fmt: skip
    return LatencyWeights(name or platform.machine(), weights_of(base, means), base, means, settings)


def _stems(stem: nn.Module, operations: Sequence[str], copies: int, inputs: Tensor) -> dict[str, nn.Module]:
    """The stem as it is, under an empty name, and followed by copies of each operation."""
    with torch.no_grad():
        width = stem(inputs[:2]).shape[1]
    found: dict[str, nn.Module] = {"": stem}
    with seeded(0, inputs.device):
        for name in operations:
            found[name] = nn.Sequential(stem, *(operation(name, width) for _ in range(copies))).to(inputs.device)
            settle(found[name], inputs)
    return found


def settle(network: nn.Module, inputs: Tensor) -> None:
    """Let batch norms take their statistics from a batch; the network is in evaluation mode afterwards.

    Without it the signal of an untrained network in evaluation mode shrinks from layer to layer, with enough of them below the
    smallest normal number (1e-38 in float32), where processors compute 10 to 100 times more slowly.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(inputs)
    network.eval()
