"""Optimisers by name, with weight decay only where it belongs, and an average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from archwright.evaluate.checkpoint import copy_into, network_tensors
from archwright.evaluate.settings import Training


def make_optimizer(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    """An optimiser of all trainable parameters; which of them decay is the training's ``decay``."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    least = 0 if training.decay == "all" else 2
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() >= least], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.dim() < least], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    settings: dict[str, Any] = {"lr": training.lr}
    kind: Any = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[training.optimizer]
    if training.optimizer == "sgd":
        settings |= {"momentum": training.momentum, "nesterov": training.nesterov and training.momentum > 0}
    try:
        optimizer: torch.optim.Optimizer = kind(groups, **settings, fused=True)
    except RuntimeError:  # no fused kernel for this device or type
        optimizer = kind(groups, **settings)
    return optimizer


class Average:
    """Exponential moving average of everything a network learns or keeps statistics of.

    Args:
        network: whose tensors are averaged.
        decay: in the long run; ``(1 + t) / (10 + t)`` at first, so that short trainings are averaged too.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.tensors = {name: t.detach().clone() for name, t in network_tensors(network).items()}
        self.steps = 0
        self._decay = decay
        self._network = network

    def update(self) -> None:
        """Move towards the network's present state."""
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        real: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, value in network_tensors(self._network).items():
            if value.is_floating_point():
                real[0].append(self.tensors[name])
                real[1].append(value)
            else:
                self.tensors[name].copy_(value)
        torch._foreach_lerp_(real[0], real[1], 1 - decay)

    def swap(self) -> None:
        """Exchange the average with the network's own values."""
        own = network_tensors(self._network)
        kept = {name: value.clone() for name, value in own.items()}
        copy_into(own, self.tensors)
        copy_into(self.tensors, kept)
