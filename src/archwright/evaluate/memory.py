"""How much memory a network needs, from the lifetimes of its tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archwright.evaluate.twins import bytes_of, device_of, kept, on_twin, plain_attention, state


def peak_memory(network: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> float:
    """Bytes alive at most while predicting a batch, weights and input included."""
    device = device_of(network)
    if device.type == "cuda":
        inputs = torch.zeros((batch_size, *input_shape), device=device)
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device) - bytes_of([*state(network).values(), inputs])
        torch.cuda.reset_peak_memory_stats(device)
        with torch.no_grad():
            network(inputs)
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before)

    def count(twin: nn.Module, inputs: Tensor) -> int:
        with torch.no_grad(), plain_attention(), Lifetimes() as lifetimes:
            twin(inputs)
        return int(lifetimes.peak)

    shape = (batch_size, *input_shape)
    held = bytes_of(state(network).values()) + 4 * int(np.prod(shape))
    return float(held + on_twin(network, shape, count))


def training_memory(network: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> float:
    """Bytes that a training step needs at most, by estimate."""

    def count(twin: nn.Module, inputs: Tensor) -> int:
        twin.train()
        with torch.enable_grad(), plain_attention(), Lifetimes() as lifetimes:
            outputs = [o for o in tree_leaves(twin(inputs)) if isinstance(o, Tensor) and o.requires_grad]
            if outputs:
                torch.autograd.backward([o.float().sum() for o in outputs])
        return int(lifetimes.peak)

    shape = (max(2, batch_size), *input_shape)
    trainable = [p for p in network.parameters() if p.requires_grad]
    held = bytes_of(state(network).values()) + 2 * bytes_of(trainable) + 4 * int(np.prod(shape))
    with kept(network), values_kept(network):
        return float(held + on_twin(network, shape, count))


class Lifetimes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of tensors made within, from their making to their end; ``peak`` is the most at one time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = 0
        self.peak: int = 0
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


@contextmanager
def values_kept(network: nn.Module) -> Iterator[None]:
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
