"""Small data and networks, good and broken, for the tests of this room."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from archwright.data import Split


def quadrants(n: int, seed: int, classes: int = 4, side: int = 8) -> Split:
    """Noise with one bright quadrant, whose number is the class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n, dtype=np.int64) % classes
    inputs = rng.integers(0, 100, size=(n, 1, side, side), dtype=np.uint8)
    half = side // 2
    for c, (i, j) in enumerate([(0, 0), (0, half), (half, 0), (half, half)][:classes]):
        inputs[targets == c, :, i : i + half, j : j + half] += 60
    return Split(inputs, targets)


def small_network(input_shape: tuple[int, ...] = (1, 8, 8), num_classes: int = 4, width: int = 4) -> nn.Module:
    """A convolution with batch norm, dropout and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(16 * width, num_classes),
    )


class Faulty(nn.Module):
    """Works until it is trained; then it does ``fault``."""

    def __init__(self, inner: nn.Module, fault: str) -> None:
        super().__init__()
        self.inner, self.fault = inner, fault

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The inner network's answer, or trouble."""
        logits = self.inner(x)
        if not self.training:
            return logits
        if self.fault == "nan":
            return logits * torch.nan
        if self.fault == "oom":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if self.fault == "raise":
            raise RuntimeError("the shapes\ndo not fit")
        if self.fault == "slow":
            import time

            time.sleep(0.05)
        return logits


def build(architecture, input_shape, num_classes) -> nn.Module:
    """A network, good or not, as the architecture says."""
    kind = architecture["kind"]
    if kind == "build":
        raise ValueError("no such block")
    if kind == "exit":
        raise SystemExit(1)
    if kind == "object":
        return "a network"  # type: ignore[return-value]
    if kind == "size":
        return small_network(input_shape, num_classes + 1)
    network = small_network(input_shape, num_classes, architecture["width"])
    return network if kind == "good" else Faulty(network, kind)


KINDS = ("good", "build", "exit", "object", "size", "nan", "oom", "raise", "slow")
