"""Our trainer against a bare PyTorch loop of the same steps. Prints the ratio of their times; 1.05 is the most it may be.

Both train equal networks on equal batches with the same optimiser, clipping and number of validations. The bare loop
knows nothing of schedules, seeds, time limits, losses that are not finite, learning curves or metrics beyond accuracy.
They take turns, so that a machine that slows down meets both, and the first quartile of each one's times counts, since
what else runs on a machine only ever adds. On a CPU the time is that of the process.

    python perf/trainer_overhead.py [--rounds 15] [--device cpu]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from archwright.data import Data, DeviceSplit, Split
from archwright.evaluate.devices import resolve_device, seeded, synchronize
from archwright.evaluate.optimizers import make_optimizer
from archwright.evaluate.settings import Training
from archwright.evaluate.training import device_splits, train
from archwright.families import get_family

LIMIT = 1.05
Splits = tuple[DeviceSplit, DeviceSplit]


def images(n: int, side: int, channels: int) -> Data:
    """Random images in ten classes; a fifth of them validate."""
    rng = np.random.default_rng(0)

    def split(size: int) -> Split:
        return Split(
            rng.integers(256, size=(size, channels, side, side), dtype=np.uint8), np.arange(size, dtype=np.int64) % 10
        )

    return Data("noise", split(n), split(n // 5), split(10), tuple(map(str, range(10))))


def bare(network: nn.Module, splits: Splits, training: Training) -> None:
    """What one writes by hand: inputs normalised beforehand, a shuffled index, forward, backward, step."""
    (inputs, targets), (held_inputs, held_targets) = ((s.prepared(slice(None)), s.targets) for s in splits)
    size, n = training.batch_size, len(targets)
    optimizer = make_optimizer(network, training)
    for epoch in range(1, training.epochs + 1):
        network.train()
        order = torch.randperm(n, device=targets.device)
        for start in range(0, n, size):
            batch = order[start : start + size]
            loss = functional.cross_entropy(network(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), training.gradient_clip)
            optimizer.step()
        if epoch % training.eval_every == 0 or epoch == training.epochs:
            network.eval()
            with torch.no_grad():
                parts = zip(held_inputs.split(2 * size), held_targets.split(2 * size))
                right = sum((network(x).argmax(1) == y).sum() for x, y in parts)
            float(right) / len(held_targets)


def ours(network: nn.Module, data: Data, splits: Splits, training: Training, device: torch.device) -> None:
    """The same with the library."""
    train(network, data, training, seed=0, device=device, splits=splits)


def ratio(make: Callable[[], nn.Module], data: Data, training: Training, device: torch.device, rounds: int) -> float:
    """Our time divided by the bare loop's."""
    splits = device_splits(data, training, device)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    for turn in range(rounds + 1):
        for name in ("ours", "bare") if turn % 2 else ("bare", "ours"):
            network = make().to(device)
            synchronize(device)
            started = clock()
            if name == "ours":
                ours(network, data, splits, training, device)
            else:
                bare(network, splits, training)
            synchronize(device)
            if turn:  # the first warms up
                seconds[name].append(clock() - started)
    return float(np.quantile(seconds["ours"], 0.25) / np.quantile(seconds["bare"], 0.25))


def main() -> None:
    """Measure, print, and end with an error when a ratio is over the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    cnn, cell = get_family("cnn"), get_family("nasbench201", channels=8, cells=1)
    cases: list[tuple[str, Callable[..., nn.Module], Data]] = [
        ("cnn, 8x8 grey", lambda s, c: cnn.build(cnn.default.replace(width=8), s, c), images(1000, 8, 1)),
        ("cnn, 28x28 grey", lambda s, c: cnn.build(cnn.default.replace(width=8), s, c), images(500, 28, 1)),
        ("nasbench201, 16x16 RGB", lambda s, c: cell.build(cell.default, s, c), images(500, 16, 3)),
    ]
    worst = 0.0
    for validations, every in (("one validation", 10**6), ("a validation each epoch", 1)):
        for name, build, data in cases:

            def make(build: Callable[..., nn.Module] = build, data: Data = data) -> nn.Module:
                with seeded(0):
                    return build(data.input_shape, data.num_classes)

            found = ratio(make, data, Training(epochs=4, batch_size=64, eval_every=every), device, arguments.rounds)
            worst = max(worst, found)
            print(f"{name:24} {validations:24} {found:.3f}")
    print(f"worst {worst:.3f}, at most {LIMIT}")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
