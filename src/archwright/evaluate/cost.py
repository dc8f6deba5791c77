"""What a network costs, trained or not: parameters, operations, memory, time.

Conventions:

- MACs are multiply-accumulates of convolutions, linear layers, matrix products and attention for *one* example, in
  evaluation mode (no auxiliary head); FLOPs are twice that. Element-wise work, pooling and normalisation are not
  counted. They come from ``torch.utils.flop_counter``.
- MB are 10^6 bytes, with the types of the network's own tensors.
- ``activation_mb`` sums the outputs of leaf modules for one example. ``peak_memory_mb`` is the largest amount alive
  at one moment while predicting a batch, weights included: on CUDA what its allocator says, elsewhere computed from
  the lifetimes of all tensors (what a library takes for itself inside an operation is not seen).
  ``training_memory_mb`` is computed that way for a forward and a backward pass, with gradients and AdamW's two
  moments of every parameter.
- Counting happens on the meta device, where nothing is computed; a network that cannot run there runs on its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import resolve_device, synchronize
from archwright.evaluate.memory import peak_memory, training_memory
from archwright.evaluate.metrics import METRICS, Floats
from archwright.evaluate.twins import bytes_of, device_of, kept, on_twin, plain_attention

PROFILED = tuple(name for name, metric in METRICS.items() if metric.needs != "training")
"""Metrics that :func:`profile_network` knows."""


def profile_network(
    network: nn.Module,
    input_shape: tuple[int, ...],
    *,
    metrics: Iterable[str] | None = None,
    device: str | torch.device = "cpu",
    batch_size: int = 1,
    warmup: int = 5,
    repeats: int = 30,
    threads: int | None = None,
    channels_last: bool = False,
    deployed: nn.Module | None = None,
) -> dict[str, float]:
    """Costs of a network. It is left as it was, except that it stays on ``device``.

    Args:
        network: maps ``batch x *input_shape`` to logits.
        input_shape: without the batch.
        metrics: those wanted (:data:`PROFILED`); all by default. ``latency_ms`` brings ``latency_spread_ms``, the
            interquartile range.
        device: where it runs.
        batch_size: for memory, latency and throughput.
        warmup: runs before the clock starts.
        repeats: timed runs; the median counts.
        threads: CPU threads while timing; torch's current setting by default.
        channels_last: time convolutions in this memory format.
        deployed: the network as it is used, where that is another one than the one that is trained: all but
            ``trainable_params`` and ``training_memory_mb`` are its costs.

    Raises:
        SettingsError: unknown metric, or numbers that make no sense.
    """
    wanted = tuple(PROFILED if metrics is None else metrics)
    for name in wanted:
        if name not in PROFILED:
            raise SettingsError(unknown("cost metric", name, PROFILED))
    if batch_size < 1 or repeats < 1 or warmup < 0 or (threads is not None and threads < 1):
        raise SettingsError(
            f"batch size, repeats and threads must be at least 1, not {batch_size}, {repeats} and {threads}"
        )
    where = resolve_device(device)
    network.to(where)
    used = network if deployed is None else deployed.to(where)
    found: dict[str, float] = {}
    with kept(network), kept(used):
        network.eval()
        used.eval()
        found |= count_parameters(used)
        found["trainable_params"] = count_parameters(network)["trainable_params"]
        if {"macs", "flops", "activation_mb"} & set(wanted):
            found |= count_operations(used, input_shape)
        if "peak_memory_mb" in wanted:
            found["peak_memory_mb"] = peak_memory(used, input_shape, batch_size) / 1e6
        if "training_memory_mb" in wanted:
            found["training_memory_mb"] = training_memory(network, input_shape, batch_size) / 1e6
        if {"latency_ms", "throughput"} & set(wanted):
            times = latencies(used, input_shape, batch_size, warmup, repeats, threads, channels_last)
            found |= _summary(times, batch_size)
    names = [*wanted, *(["latency_spread_ms"] if "latency_ms" in wanted else [])]
    return {name: found[name] for name in names}


def count_parameters(network: nn.Module) -> dict[str, float]:
    """``params`` and ``trainable_params``; a shared parameter counts once."""
    parameters = list(network.parameters())
    return {
        "params": float(sum(p.numel() for p in parameters)),
        "trainable_params": float(sum(p.numel() for p in parameters if p.requires_grad)),
    }


def count_operations(network: nn.Module, input_shape: tuple[int, ...]) -> dict[str, float]:
    """``macs``, ``flops`` and ``activation_mb`` of one example; the network must be in evaluation mode."""

    def count(twin: nn.Module, inputs: Tensor) -> tuple[int, int]:
        outputs: list[int] = []
        hooks = [
            module.register_forward_hook(lambda _m, _i, output: outputs.append(bytes_of(tree_leaves(output))))
            for module in twin.modules()
            if not any(module.children())
        ]
        try:
            with torch.no_grad(), plain_attention(), FlopCounterMode(display=False) as counter:
                twin(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return counter.get_total_flops(), sum(outputs)

    flops, size = on_twin(network, (1, *input_shape), count)
    return {"macs": flops / 2, "flops": float(flops), "activation_mb": size / 1e6}


def latencies(
    network: nn.Module,
    input_shape: tuple[int, ...],
    batch_size: int = 1,
    warmup: int = 5,
    repeats: int = 30,
    threads: int | None = None,
    channels_last: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Floats:
    """Seconds by ``clock`` of each of ``repeats`` predictions of a batch, on the device where the network is."""
    device = device_of(network)
    inputs = torch.rand((batch_size, *input_shape), device=device, generator=_generator(device))
    if channels_last and inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    times = np.empty(repeats)
    with torch.no_grad(), cpu_threads(threads), _memory_format(network, channels_last):
        for _ in range(warmup):
            network(inputs)
        for i in range(repeats):
            synchronize(device)
            started = clock()
            network(inputs)
            synchronize(device)
            times[i] = clock() - started
    return times


def _summary(times: Floats, batch_size: int) -> dict[str, float]:
    low, median, high = (float(q) for q in np.percentile(times, (25, 50, 75)))
    return {"latency_ms": 1e3 * median, "latency_spread_ms": 1e3 * (high - low), "throughput": batch_size / median}


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """torch works with so many threads, and with as many as before afterwards; ``None`` changes nothing."""
    before = torch.get_num_threads()
    try:
        if number is not None:
            torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _memory_format(network: nn.Module, channels_last: bool) -> Iterator[None]:
    """Weights of convolutions in this memory format, and back."""
    if not channels_last:
        yield
        return
    before = [(p, p.data) for p in network.parameters()]
    for parameter, data in before:
        if data.dim() == 4:
            parameter.data = data.contiguous(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for parameter, data in before:
            parameter.data = data
