"""Losses of differentiable methods beside cross-entropy: distillation and expected latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from archwright.errors import SettingsError
from archwright.supernet.discretisation import NONE
from archwright.supernet.relaxation import bundles

LATENCY: Mapping[str, float] = {
    "avg_pool_3x3": 0.06, "max_pool_3x3": 0.04, "sep_conv_3x3": 0.24, "sep_conv_5x5": 0.36,
    "dil_conv_3x3": 0.11, "dil_conv_5x5": 0.15, "skip_connect": 0.04, NONE: 0.0,
}  # fmt: skip
"""Share of each operation in their summed latency (Herron 2023, table 4.6)."""


def distillation(
    student: Tensor, teacher: Tensor, temperature: float = 2.0, reduction: Literal["batchmean", "mean"] = "batchmean"
) -> Tensor:
    """``T^2 KL(teacher || student)`` of softened logits, ``rows x classes`` (Herron 2023, equation 3.7).

    Gradients reach both arguments; detach the one that must not learn.
    """
    p, q = (teacher / temperature).log_softmax(1), (student / temperature).log_softmax(1)
    divergence = (p.exp() * (p - q)).sum() / (len(p) if reduction == "batchmean" else p.numel())
    return temperature**2 * divergence


def latency_weights(base: float, measured: Mapping[str, float]) -> dict[str, float]:
    """Share of each operation in their summed extra latency over ``base``; one faster than the base gets 0.

    Raises:
        SettingsError: no operation is slower than the base.
    """
    extra = {name: max(0.0, seconds - base) for name, seconds in measured.items()}
    total = sum(extra.values())
    if total <= 0:
        raise SettingsError(f"no operation took longer than the network without it, {base} s; measure again")
    return {name: value / total for name, value in extra.items()}


def expected_latency(
    weights: Mapping[str, Tensor], nodes: int, operations: Sequence[str], counts: Mapping[str, int],
    table: Mapping[str, float] = LATENCY,
) -> Tensor:  # fmt: skip
    """Expected latency of a network, differentiable in the weights (Herron 2023, algorithm 3).

    Args:
        weights: per cell type ``edges x operations``, from any relaxation; scaled here to sum to 1 at every node.
        nodes: of a cell.
        operations: names of the columns.
        counts: per cell type, how many cells the network has.
        table: latency of each operation.

    Raises:
        SettingsError: the table lacks an operation.
    """
    missing = [name for name in operations if name not in table]
    if missing:
        raise SettingsError(f"the latency table has no entry for {', '.join(missing)}; measure these operations")
    parts = []
    for kind, rows in weights.items():
        own = rows.new_tensor([table[name] for name in operations])
        node = _nodes(rows, own, nodes)
        parts.append(counts[kind] * (node * node.softmax(0)).sum())
    return torch.stack(parts).sum()


def _nodes(weights: Tensor, own: Tensor, nodes: int) -> Tensor:
    """Expected latency of every node: of the operations that enter it and of the nodes that these read."""
    found: list[Tensor] = []
    for rows in bundles(nodes):
        shares = weights[rows] / weights[rows].sum()
        before = torch.stack([own.new_zeros(()), own.new_zeros(()), *found])
        found.append(((own + before[:, None]) * shares).sum())
    return torch.stack(found)
