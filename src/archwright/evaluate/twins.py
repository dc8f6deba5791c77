"""Running a copy of a network that computes nothing, or, failing that, one that does; the network is left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


def on_twin(network: nn.Module, shape: tuple[int, ...], count: Callable[[nn.Module, Tensor], T]) -> T:
    """``count`` on a copy that computes nothing if it can run, else on a real copy, else on the network itself."""
    try:
        return count(meta_twin(network), torch.empty(shape, device="meta"))
    except Exception:
        inputs = torch.zeros(shape, device=device_of(network))
    try:
        twin = copy.deepcopy(network)
    except Exception:
        twin = network
    return count(twin, inputs)


def meta_twin(network: nn.Module) -> nn.Module:
    """A copy on the meta device; no weight is copied."""
    stand_ins: dict[int, Any] = {}
    for parameter in network.parameters():
        empty = torch.empty_like(parameter, device="meta")
        stand_ins[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in network.buffers():
        stand_ins[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(network, stand_ins)


def state(network: nn.Module) -> dict[str, Tensor]:
    return dict(network.named_parameters()) | dict(network.named_buffers())


def device_of(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in state(network).values()), torch.device("cpu"))


def bytes_of(tensors: Iterable[Any]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))


@contextmanager
def kept(network: nn.Module) -> Iterator[None]:
    """Puts every module back into the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention in single operations, which can be counted, instead of torch's fused inference path."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
