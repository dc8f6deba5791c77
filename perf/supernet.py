"""A bilevel step of the DARTS supernet, as the searches run it, against a straightforward implementation of the equations.

A step is the gradient of the architecture parameters on one batch and that of the weights on another. Prints the ratios of seconds
(interleaved in one process, least of all rounds) and of peak memory (largest resident memory above that before the step, each in a process of
its own), how exact losses and gradients are, the ratio to the time that the step's floating-point operations would take at the measured speed
of a convolution, and with ``--growth`` how the step grows. ``python perf/supernet.py --help`` has the sizes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from branches import Taken, Written
from edge_by_edge import OPERATIONS, PlainSupernet
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archwright.supernet.micro import MicroSettings, micro_duo
from archwright.supernet.updates import frozen

Run = Callable[[Sequence[Tensor], Tensor], list[Tensor]]
"""``(two batches, classes) -> [loss, gradients of alpha, loss, gradients of the weights]``."""


@dataclass(frozen=True)
class Sizes:
    """Of the network and its batches."""

    cells: int = 8
    nodes: int = 4
    operations: int = len(OPERATIONS)
    channels: int = 16
    batch: int = 64
    size: int = 32

    @property
    def names(self) -> tuple[str, ...]:
        """The operations; convolutions first where there are fewer than all."""
        return OPERATIONS if self.operations == len(OPERATIONS) else OPERATIONS[3:][: self.operations]


def plain_step(network: PlainSupernet) -> Run:
    """Both losses backwards to everything."""

    def run(batches: Sequence[Tensor], y: Tensor) -> list[Tensor]:
        found = []
        for x, wanted in zip(batches, (list(network.alpha), network.weights())):
            network.zero_grad()
            loss = functional.cross_entropy(network(x), y)
            loss.backward()
            found += [loss.detach(), *(torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in wanted)]
        return found

    return run


def our_step(network: nn.Module, alpha: list[nn.Parameter], weights: Callable[[], dict[str, Tensor]]) -> Run:
    """As the joint search takes it."""
    own = list(network.parameters())

    def run(batches: Sequence[Tensor], y: Tensor) -> list[Tensor]:
        found = []
        for x, wanted in zip(batches, (alpha, own)):
            mix = weights() if wanted is alpha else {k: w.detach() for k, w in weights().items()}
            with frozen(own if wanted is alpha else []):
                loss = functional.cross_entropy(network.head(network.features(x, mix)[0]), y)  # type: ignore[operator]
            found += [loss.detach(), *torch.autograd.grad(loss, wanted)]
        return found

    return run


def both(sizes: Sizes, dtype: torch.dtype = torch.float32) -> dict[str, tuple[Run, list[Tensor], Tensor]]:
    """Steps of two networks with the same weights, and what they take."""
    micro = MicroSettings(
        operations=tuple(name for name in sizes.names if name != "none"),
        zeros="V0" if "none" in sizes.names else "V1",
        channels=sizes.channels,
        search_cells=sizes.cells,
        evaluation_cells=3,
        nodes=sizes.nodes,
    )
    duo, *_ = micro_duo(micro, 3, 10, 0)
    plain = PlainSupernet(sizes.channels, sizes.cells, sizes.nodes, sizes.names)
    alpha = list(duo.architecture.values())
    plain.load(list(duo.student.parameters()), alpha)
    for p in alpha:
        p.data = p.data.to(dtype)
    network = duo.student.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(sizes.batch, 3, sizes.size, sizes.size, generator=generator).to(dtype) for _ in range(2)]
    y = torch.arange(sizes.batch) % 10
    last = [x.contiguous(memory_format=torch.channels_last) for x in batches]
    return {
        "plain": (plain_step(plain.to(dtype)), batches, y),
        "ours": (our_step(network, alpha, duo.weights), last, y),
    }


def seconds(sizes: Sizes, rounds: int, names: Sequence[str] = ("plain", "ours")) -> dict[str, tuple[float, float]]:
    """Least seconds of the clock and of the processor per step, rounds interleaved."""
    steps = both(sizes)
    least = {name: (float("inf"), float("inf")) for name in names}
    for _ in range(rounds):
        for name in names:
            run, batches, y = steps[name]
            clock, processor = time.perf_counter(), time.process_time()
            run(batches, y)
            spent = time.perf_counter() - clock, time.process_time() - processor
            least[name] = min(least[name][0], spent[0]), min(least[name][1], spent[1])
    return least


def apart(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> tuple[float, float, float]:
    """Relative differences: largest of a loss, of all gradients as one vector, and of an entry to its gradient's largest."""
    pairs = [(a.double(), b.double()) for a, b in zip(found, wanted, strict=True)]
    losses = [float((a - b).abs() / b.abs()) for a, b in pairs if b.ndim == 0]
    gradients = [(a, b) for a, b in pairs if b.ndim > 0 and b.abs().max() > 0]
    entries = [float((a - b).abs().max() / b.abs().max()) for a, b in gradients]
    a, b = (torch.cat([part.flatten() for part in side]) for side in zip(*gradients))
    return max(losses), float((a - b).norm() / b.norm()), max(entries)


def differences(sizes: Sizes) -> None:
    """Print how far both implementations are from the straightforward one in double precision.

    In single precision twice: as they are, and with every ReLU and every maximum deciding as in the same network in double precision.
    """
    doubles, wanted = both(sizes, torch.float64), None
    for name, (run, batches, y) in both(sizes).items():
        with Written() as written:
            double = doubles[name][0](*doubles[name][1:])
        wanted = wanted or double
        with Taken(written.branches) as taken:
            smooth = run(batches, y)
        lines = {"double": double, "single": run(batches, y), f"single, {taken.others} branches set right": smooth}
        for what, found in lines.items():
            if found is wanted:
                continue
            loss, whole, entry = apart(found, wanted)
            print(
                f"{name}, {what}: losses {loss:.1e}, gradients {whole:.1e}, entries at most {entry:.1e} from the equations"
            )


def peak(sizes: Sizes, name: str) -> None:
    """Print by how many MB one step raises this process's largest resident memory."""
    run, batches, y = both(sizes)[name]
    run([x[:2] for x in batches], y[:2])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(batches, y)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def peaks(given: argparse.Namespace, names: Sequence[str]) -> dict[str, float]:
    """Of each implementation, in a process of its own; to be asked first, since a process starts with its parent's peak."""
    sizes = [f"--{name}={getattr(given, name)}" for name in Sizes.__dataclass_fields__]
    command = [sys.executable, str(Path(__file__)), *sizes, f"--threads={given.threads}", "--peak"]
    return {name: float(subprocess.check_output([*command, name], text=True)) for name in names}


def bound(sizes: Sizes) -> float:
    """Processor seconds that the convolutions of a step would take at the speed of one 3x3 convolution, forwards and backwards.

    A step is two passes forwards, two backwards to the maps and one to the weights, each with as many floating-point operations.
    """
    network = PlainSupernet(sizes.channels, sizes.cells, sizes.nodes, sizes.names)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.randn(2, 3, sizes.size, sizes.size))
    flops = 5 * counter.get_total_flops() * sizes.batch / 2
    c = 4 * sizes.channels
    conv = nn.Conv2d(c, c, 3, padding=1, bias=False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = (
        torch.randn(sizes.batch, c, sizes.size, sizes.size)
        .contiguous(memory_format=torch.channels_last)
        .requires_grad_()
    )
    least = float("inf")
    for _ in range(5):
        started = time.process_time()
        conv(x).sum().backward()
        least = min(least, time.process_time() - started)
    return flops / (3 * 2 * 9 * c * c * sizes.batch * sizes.size**2 / least)


def growth(sizes: Sizes, rounds: int) -> None:
    """Print how the step grows with cells, nodes and operations, relative to the smallest of each."""
    ranges = {"cells": (4, 8, 16), "nodes": (2, 3, 4, 5), "operations": (1, 2, 4)}
    for name, values in ranges.items():
        spent = [seconds(replace(sizes, **{name: v}), rounds, ["ours"])["ours"][1] for v in values]
        print(f"{name}: " + ", ".join(f"{v} {s:.2f} s ({s / spent[0]:.2f})" for v, s in zip(values, spent)))


def main() -> None:
    """Measure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    for name, field in Sizes.__dataclass_fields__.items():
        arguments.add_argument(f"--{name}", type=int, default=field.default)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument(
        "--growth", action="store_true", help="also with other numbers of cells, nodes and operations"
    )
    arguments.add_argument("--peak", choices=["plain", "ours"], help="measure the memory of this one and nothing else")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    sizes = Sizes(**{name: getattr(given, name) for name in Sizes.__dataclass_fields__})
    if given.peak:
        peak(sizes, given.peak)
        return
    memory = peaks(given, ("plain", "ours"))
    share = memory["ours"] / memory["plain"] if memory["plain"] else float("nan")
    print(f"memory: plain {memory['plain']:.0f} MB, ours {memory['ours']:.0f} MB, ratio {share:.2f}")
    differences(replace(sizes, batch=4))
    spent = seconds(sizes, given.rounds)
    for number, what in enumerate(("clock", "processor")):
        plain, ours = (spent[name][number] for name in ("plain", "ours"))
        print(f"{what}: plain {plain:.2f} s, ours {ours:.2f} s, ratio {plain / ours:.2f}")
    print(f"ours takes {spent['ours'][1] / bound(sizes):.1f} times as long as its operations at a convolution's speed")
    if given.growth:
        growth(sizes, given.rounds)


if __name__ == "__main__":
    main()
