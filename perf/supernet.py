"""A bilevel step of the DARTS supernet: as the searches run it, against backward passes that compute everything.

Prints seconds and their ratio for one step (architecture on one batch, weights on another), and how far the gradients differ in
double precision (in single precision ties of max pooling and kinks of ReLU let rounding grow). ``python perf/supernet.py --help`` has the sizes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.supernet.micro import MicroSettings, micro_duo


def plain_step(
    network: nn.Module, alpha: list[Tensor], weights: Callable[[], object], batches: list[Tensor], y: Tensor
) -> list[Tensor]:
    """Both losses backwards to everything, in torch's usual memory layout."""
    found = []
    for x, wanted in zip(batches, (alpha, list(network.parameters()))):
        for p in (*alpha, *network.parameters()):
            p.grad = None
        functional.cross_entropy(network.head(network.features(x, weights())[0]), y).backward()
        found += [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in wanted]
    return found


def our_step(
    network: nn.Module, alpha: list[Tensor], weights: Callable[[], object], batches: list[Tensor], y: Tensor
) -> list[Tensor]:
    """Each loss backwards to what it updates, channels last."""
    found = []
    for x, wanted in zip(batches, (alpha, list(network.parameters()))):
        mix = weights() if wanted is alpha else {k: v.detach() for k, v in weights().items()}
        loss = functional.cross_entropy(network.head(network.features(x, mix)[0]), y)
        found += torch.autograd.grad(loss, wanted)
    return found


def timed(given: argparse.Namespace, dtype: torch.dtype, batch: int, rounds: int) -> tuple[dict[str, float], float]:
    """Least seconds by step, and the largest difference of a gradient, relative to its largest entry."""
    micro = MicroSettings(channels=given.channels, search_cells=given.cells, evaluation_cells=3)
    duo, *_ = micro_duo(micro, 3, 10, 0)
    network, alpha = duo.student.to(dtype), list(duo.architecture.values())
    for parameter in alpha:
        parameter.data = parameter.data.to(dtype)
    torch.manual_seed(0)
    batches = [torch.randn(batch, 3, given.size, given.size, dtype=dtype) for _ in range(2)]
    y = torch.arange(batch) % 10
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    gradients: dict[str, list[Tensor]] = {}
    for _ in range(rounds):
        for name, step, layout in (
            ("plain", plain_step, torch.contiguous_format),
            ("ours", our_step, torch.channels_last),
        ):
            network.to(memory_format=layout)
            inputs = [x.contiguous(memory_format=layout) for x in batches]
            started = time.perf_counter()
            gradients[name] = step(network, alpha, duo.weights, inputs, y)
            seconds[name].append(time.perf_counter() - started)
    apart = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(*gradients.values()) if a.abs().max() > 0)
    return {name: min(values) for name, values in seconds.items()}, apart


def main() -> None:
    """Measure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    for name, default in (("cells", 8), ("channels", 16), ("batch", 64), ("size", 32), ("rounds", 2)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    given = arguments.parse_args()
    _, apart = timed(given, torch.float64, 4, 1)
    seconds, _ = timed(given, torch.float32, given.batch, given.rounds)
    print(
        f"plain {seconds['plain']:.2f} s, ours {seconds['ours']:.2f} s, ratio {seconds['plain'] / seconds['ours']:.2f}"
    )
    print(f"gradients in double precision differ by {apart:.1e} of their largest entry")


if __name__ == "__main__":
    main()
