"""Losses of differentiable methods beside cross-entropy: distillation and expected latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from archwright.errors import SettingsError
from archwright.hardware.shares import PUBLISHED
from archwright.supernet.relaxation import bundles

LATENCY: Mapping[str, float] = PUBLISHED.table()
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
