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

import copy
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import resolve_device, synchronize
from archwright.evaluate.metrics import METRICS

T = TypeVar("T")

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
    found: dict[str, float] = {}
    with _kept(network):
        network.eval()
        found |= count_parameters(network)
        if {"macs", "flops", "activation_mb"} & set(wanted):
            found |= count_operations(network, input_shape)
        if "peak_memory_mb" in wanted:
            found["peak_memory_mb"] = peak_memory(network, input_shape, batch_size) / 1e6
        if "training_memory_mb" in wanted:
            found["training_memory_mb"] = training_memory(network, input_shape, batch_size) / 1e6
        if {"latency_ms", "throughput"} & set(wanted):
            times = latencies(network, input_shape, batch_size, warmup, repeats, threads, channels_last)
            found |= _summary(times, batch_size)
    kept = [*wanted, *(["latency_spread_ms"] if "latency_ms" in wanted else [])]
    return {name: found[name] for name in kept}


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
            module.register_forward_hook(lambda _m, _i, output: outputs.append(_bytes(tree_leaves(output))))
            for module in twin.modules()
            if not any(module.children())
        ]
        try:
            with torch.no_grad(), _plain_attention(), FlopCounterMode(display=False) as counter:
                twin(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return counter.get_total_flops(), sum(outputs)

    flops, size = _on_twin(network, (1, *input_shape), count)
    return {"macs": flops / 2, "flops": float(flops), "activation_mb": size / 1e6}


def peak_memory(network: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> float:
    """Bytes alive at most while predicting a batch, weights and input included."""
    device = _device_of(network)
    if device.type == "cuda":
        inputs = torch.zeros((batch_size, *input_shape), device=device)
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device) - _bytes([*_state(network).values(), inputs])
        torch.cuda.reset_peak_memory_stats(device)
        with torch.no_grad():
            network(inputs)
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before)

    def count(twin: nn.Module, inputs: Tensor) -> int:
        with torch.no_grad(), _plain_attention(), _Lifetimes() as lifetimes:
            twin(inputs)
        return lifetimes.peak

    shape = (batch_size, *input_shape)
    held = _bytes(_state(network).values()) + 4 * int(np.prod(shape))
    return float(held + _on_twin(network, shape, count))


def training_memory(network: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> float:
    """Bytes that a training step needs at most, by estimate."""

    def count(twin: nn.Module, inputs: Tensor) -> int:
        twin.train()
        with torch.enable_grad(), _plain_attention(), _Lifetimes() as lifetimes:
            outputs = [o for o in tree_leaves(twin(inputs)) if isinstance(o, Tensor) and o.requires_grad]
            if outputs:
                torch.autograd.backward([o.float().sum() for o in outputs])
        return lifetimes.peak

    shape = (max(2, batch_size), *input_shape)
    trainable = [p for p in network.parameters() if p.requires_grad]
    held = _bytes(_state(network).values()) + 2 * _bytes(trainable) + 4 * int(np.prod(shape))
    with _kept(network), _values_kept(network):
        return float(held + _on_twin(network, shape, count))


def latencies(
    network: nn.Module,
    input_shape: tuple[int, ...],
    batch_size: int = 1,
    warmup: int = 5,
    repeats: int = 30,
    threads: int | None = None,
    channels_last: bool = False,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds of each of ``repeats`` predictions of a batch, on the device where the network is."""
    device = _device_of(network)
    inputs = torch.rand((batch_size, *input_shape), device=device, generator=_generator(device))
    if channels_last and inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    times = np.empty(repeats)
    with torch.no_grad(), _threads(threads), _memory_format(network, channels_last):
        for _ in range(warmup):
            network(inputs)
        for i in range(repeats):
            synchronize(device)
            started = time.perf_counter()
            network(inputs)
            synchronize(device)
            times[i] = time.perf_counter() - started
    return times


def _summary(times: np.ndarray[Any, np.dtype[np.float64]], batch_size: int) -> dict[str, float]:
    low, median, high = (float(q) for q in np.percentile(times, (25, 50, 75)))
    return {"latency_ms": 1e3 * median, "latency_spread_ms": 1e3 * (high - low), "throughput": batch_size / median}


class _Lifetimes(TorchDispatchMode):
    """Adds up the bytes of tensors made within, from their making to their end; ``peak`` is the most at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = 0
        self.peak = 0
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in given:
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = size
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._remove, size)

    def _remove(self, size: int) -> None:
        self.alive -= size


def _on_twin(network: nn.Module, shape: tuple[int, ...], count: Callable[[nn.Module, Tensor], T]) -> T:
    """``count`` on a copy that computes nothing if it can run, else on a real copy, else on the network itself."""
    try:
        return count(_meta_twin(network), torch.empty(shape, device="meta"))
    except Exception:
        inputs = torch.zeros(shape, device=_device_of(network))
    try:
        twin = copy.deepcopy(network)
    except Exception:
        twin = network
    return count(twin, inputs)


def _meta_twin(network: nn.Module) -> nn.Module:
    """A copy on the meta device; no weight is copied."""
    stand_ins: dict[int, Any] = {}
    for parameter in network.parameters():
        empty = torch.empty_like(parameter, device="meta")
        stand_ins[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in network.buffers():
        stand_ins[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(network, stand_ins)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return dict(network.named_parameters()) | dict(network.named_buffers())


def _device_of(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in _state(network).values()), torch.device("cpu"))


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)


def _bytes(tensors: Iterable[Any]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))


@contextmanager
def _kept(network: nn.Module) -> Iterator[None]:
    """Puts every module back into the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _values_kept(network: nn.Module) -> Iterator[None]:
    """Puts back gradients and buffers, should the passes have run on the network itself."""
    gradients = [(p, p.grad) for p in network.parameters()]
    buffers = [(b, b.detach().clone()) for b in network.buffers()]
    try:
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention in single operations, which can be counted, instead of torch's fused inference path."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
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
