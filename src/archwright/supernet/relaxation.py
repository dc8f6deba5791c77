"""Relaxations: from architecture parameters of one cell type to the weights of its operations.

Architecture parameters are ``edges x operations``. Edges are ordered node by node, and by predecessor within a node:
node ``j`` has the ``j + 2`` predecessors 0, 1 (inputs of the cell) and 2 .. ``j + 1`` (nodes before it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from archwright.errors import SettingsError, unknown

Relaxation = Callable[[Tensor, int, "torch.Generator | None"], Tensor]
"""``(alpha, nodes, generator) -> weights`` of the same shape; the generator is for the relaxations that sample."""


FAR = -1e4
"""Stands for minus infinity at operations that an edge does not have; its softmax and its gate are exactly 0."""


def bundles(nodes: int) -> list[slice]:
    """The rows of the edges that enter each node."""
    starts = [j * (j + 3) // 2 for j in range(nodes + 1)]
    return [slice(a, b) for a, b in zip(starts, starts[1:])]


def number_of_edges(nodes: int) -> int:
    """Edges of a cell: 9, 14, 20 for 3, 4, 5 nodes."""
    return nodes * (nodes + 3) // 2


def initial(nodes: int, operations: int, generator: torch.Generator) -> Tensor:
    """Architecture parameters to begin with: normal, of standard deviation 1e-3 (Liu et al. 2019)."""
    return 1e-3 * torch.randn(number_of_edges(nodes), operations, generator=generator)


def per_edge(alpha: Tensor, _nodes: int, _generator: torch.Generator | None = None) -> Tensor:
    """Softmax over the operations of each edge (DARTS, Liu et al. 2019, equation 2)."""
    return alpha.softmax(dim=1)


def per_node(alpha: Tensor, nodes: int, _generator: torch.Generator | None = None) -> Tensor:
    """One softmax over all pairs of predecessor and operation that enter a node (I-DARTS, Jiang et al. 2019)."""
    return torch.cat([alpha[rows].flatten().softmax(dim=0).view_as(alpha[rows]) for rows in bundles(nodes)])


def sigmoid(alpha: Tensor, _nodes: int, _generator: torch.Generator | None = None) -> Tensor:
    """Independent gates, so that operations do not compete (FairDARTS, Chu et al. 2020)."""
    return alpha.sigmoid()


def gumbel(alpha: Tensor, _nodes: int, generator: torch.Generator | None = None) -> Tensor:
    """Softmax per edge of parameters with Gumbel noise, temperature 1 (Jang et al. 2017)."""
    uniform = torch.rand(alpha.shape, generator=generator).clamp_min(1e-10).to(alpha)
    return (alpha - (-uniform.log()).clamp_min(1e-10).log()).softmax(dim=1)


RELAXATIONS: Mapping[str, Relaxation] = {
    "softmax": per_edge,
    "node-softmax": per_node,
    "sigmoid": sigmoid,
    "gumbel": gumbel,
}


def relaxation(name: str) -> Relaxation:
    """A relaxation by name.

    Raises:
        SettingsError: no relaxation has this name.
    """
    if name not in RELAXATIONS:
        raise SettingsError(unknown("relaxation", name, RELAXATIONS))
    return RELAXATIONS[name]
