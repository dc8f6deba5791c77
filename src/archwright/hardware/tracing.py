"""Which operations a network runs, without running it; and how long one of them takes on a device.

An operation is one call that reaches a device: a kernel of torch's ATen library with its arguments. Its *signature* is
text such as ``convolution(1x16x32x32, 16x16x3x3, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)``: tensors by shape,
the type only where it is not float32. Views and empty tensors are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from archwright.evaluate.devices import synchronize
from archwright.evaluate.twins import device_of, kept, on_twin, plain_attention


@dataclass(frozen=True)
class Operation:
    """One call of a kernel.

    Attributes:
        function: of ``torch.ops.aten``.
        arguments, options: as it was called, with a :class:`TensorLike` for every tensor.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    @property
    def signature(self) -> str:
        """Equal for calls that do the same work."""
        name = str(self.function).removeprefix("aten.").removesuffix(".default")
        words = [_text(a) for a in self.arguments]
        words += [f"{key}={_text(value)}" for key, value in sorted(self.options.items()) if key != "device"]
        return f"{name}({', '.join(words)})"

    def seconds(
        self, device: torch.device, warmup: int, repeats: int, limit: float, clock: Callable[[], float]
    ) -> list[float]:
        """By ``clock``, of each of up to ``repeats`` calls on random tensors; at least five, then no longer than ``limit`` in all."""
        arguments = tree_map(lambda a: a.made(device) if isinstance(a, TensorLike) else a, self.arguments)
        options = {key: _on(device, key, value) for key, value in self.options.items()}
        times: list[float] = []
        began = time.perf_counter()
        with torch.no_grad():
            for i in range(warmup + repeats):
                if len(times) >= 5 and time.perf_counter() - began > limit:
                    break
                synchronize(device)
                started = clock()
                self.function(*arguments, **options)
                synchronize(device)
                if i >= warmup:
                    times.append(clock() - started)
        return times


@dataclass(frozen=True)
class TensorLike:
    """A tensor's shape, type and order in memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return shape if self.dtype == torch.float32 else f"{shape}:{str(self.dtype).removeprefix('torch.')}"

    def made(self, device: torch.device) -> Tensor:
        """One of this kind, with values in [0, 1) (zeros where it holds whole numbers, which may be indices)."""
        own = [min(n, 1) if stride == 0 else n for n, stride in zip(self.shape, self.strides)]
        dense = torch.empty_strided(own, self.strides, dtype=self.dtype, device=device)
        filled = dense.uniform_() if self.dtype.is_floating_point else dense.zero_()
        return filled.expand(self.shape)


def trace(network: nn.Module, input_shape: tuple[int, ...], batch_size: int = 1) -> list[Operation]:
    """The operations of one prediction, in order. The network is left as it was.

    Nothing is computed where the network can do with tensors that have shapes but no values; else it runs once.
    """

    def record(twin: nn.Module, inputs: Tensor) -> list[Operation]:
        with torch.no_grad(), plain_attention(), _Recorder() as recorder:
            twin(inputs)
        found: list[Operation] = recorder.operations
        return found

    shape = (batch_size, *input_shape)
    with kept(network):
        network.eval()
        if device_of(network).type == "meta":
            return record(network, torch.empty(shape, device="meta"))
        return on_twin(network, shape, record)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        result = func(*args, **options)
        if func.namespace == "aten" and not _moves_no_data(func):
            arguments, described = tree_map(_described, (tuple(args), options))
            self.operations.append(Operation(func, arguments, described))
        return result


def _moves_no_data(func: Any) -> bool:
    """Whether the result is an argument seen another way, or memory without content."""
    if func._schema.name.startswith("aten::empty"):
        return True
    returned = [r.alias_info for r in func._schema.returns]
    return bool(returned) and all(alias is not None and not alias.is_write for alias in returned)


def _described(value: Any) -> Any:
    return TensorLike(tuple(value.shape), tuple(value.stride()), value.dtype) if isinstance(value, Tensor) else value


def _on(device: torch.device, key: str, value: Any) -> Any:
    if key == "device":
        return device
    return value.made(device) if isinstance(value, TensorLike) else value


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def median_and_spread(seconds: list[float]) -> tuple[float, float]:
    """Milliseconds: the median, and the interquartile range."""
    low, median, high = (1e3 * float(q) for q in np.percentile(seconds, (25, 50, 75)))
    return median, high - low
