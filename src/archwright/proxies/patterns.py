"""Activations of an untrained network on a batch: which ones are on, and what the proxies make of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

GATED: frozenset[Callable[..., Any]] = frozenset(
    {
        functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.selu, functional.celu,
        functional.gelu, functional.silu, functional.mish, functional.hardswish,
        functional.hardtanh, functional.prelu, functional.rrelu,
        torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, torch.selu, torch.celu, torch.prelu,
    }
)  # fmt: skip
"""Activations that pass positive inputs and hold back negative ones: where the sign of the input is a pattern."""


class Watch(TorchFunctionMode):
    """Notes what goes into and out of activations, and what the last global pooling reads."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.patterns: list[Tensor] = []
        self.activated: list[Tensor] = []
        self.pooled: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = args[0] if args else None
        watched = False
        if isinstance(inputs, Tensor) and func in GATED and inputs.ndim > 1 and len(inputs) == self.samples:
            watched = True
            self.patterns.append((inputs.detach() > 0).reshape(self.samples, -1))
        if isinstance(inputs, Tensor) and inputs.ndim > 2 and _pools(func, inputs, args, kwargs or {}):
            self.pooled = inputs
        output = func(*args, **(kwargs or {}))
        if watched:
            self.activated.append(output)
        return output


def _pools(func: Any, inputs: Tensor, args: Any, kwargs: Mapping[str, Any]) -> bool:
    if func in (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d):
        return True
    if func not in (torch.mean, torch.Tensor.mean):
        return False
    dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
    wanted = {d % inputs.ndim for d in ([dims] if isinstance(dims, int) else dims or [])}
    return wanted == set(range(2, inputs.ndim))


def nwot(watch: Watch, output: Tensor | None) -> float | str:
    """log |det K|, K the number of activations on which two examples agree; with ``output``, of those that reach it."""
    patterns = watch.patterns
    if output is not None:
        able = [i for i, a in enumerate(watch.activated) if a.requires_grad]
        reach = torch.autograd.grad(
            output.sum(), [watch.activated[i] for i in able], retain_graph=True, allow_unused=True
        )
        patterns = [patterns[i] for i, g in zip(able, reach) if g is not None and bool(g.any())]
    if not patterns:
        return "no activation like ReLU was met"
    value = float(torch.linalg.slogdet(pattern_kernel(patterns, watch.samples).cpu())[1])
    return value if math.isfinite(value) else "two examples have the same activation pattern"


def pattern_kernel(patterns: Sequence[Tensor], samples: int) -> Tensor:
    """``samples x samples``: on how many activations two examples agree."""
    kernel = torch.zeros(samples, samples, dtype=torch.float64, device=patterns[0].device)
    for pattern in patterns:
        on = pattern.float()
        both, units = on @ on.T, on.sum(dim=1)
        kernel += (pattern.shape[1] - units[:, None] - units[None, :] + 2 * both).double()
    return kernel


def swap(patterns: Sequence[Tensor]) -> float | str:
    """How many different patterns over the batch the activations have (Peng et al. 2024)."""
    if not patterns:
        return "no activation like ReLU was met"
    return float(len(torch.unique(torch.cat([_over_the_batch(p) for p in patterns]))))


def _over_the_batch(pattern: Tensor) -> Tensor:
    """``samples x units`` bits to a number per unit, equal for equal patterns; above 62 examples, by a hash of 64 bits."""
    words = torch.zeros(pattern.shape[1], dtype=torch.int64, device=pattern.device)
    for start in range(0, len(pattern), 62):
        part = pattern[start : start + 62].long()
        bits = (part << torch.arange(len(part), device=part.device)[:, None]).sum(dim=0)
        words = words * 6364136223846793005 + bits
    return words
