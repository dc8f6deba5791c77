"""NAS-Bench-101 (Ying et al. 2019): cells of up to seven vertices and nine edges, operations on vertices.

A cell is written on seven vertices; those that are on no way from the input to the output do not count, so that many
writings stand for one network. :func:`identities` gives all writings of a network the same number.

Source of what is not in the paper (channels of vertices, projections): the benchmark's reference implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archwright.families.base import Family, check_counts, needs_images
from archwright.space import Architecture, Cell, Genotype, Space

if TYPE_CHECKING:
    from torch import Tensor, nn

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
VERTICES, EDGES = 7, 9
CELL = Cell(VERTICES, OPERATIONS, on="nodes", max_edges=EDGES)
INNER = VERTICES - 2
CHUNK = 4096
Codes = NDArray[np.int64]


def nasbench101(channels: int = 128, cells: int = 3, stacks: int = 3) -> Family:
    """The family.

    Args:
        channels: of the stem and the first stack; each further stack doubles them and halves the image.
        cells: per stack.
        stacks: 3 in the benchmark.

    Raises:
        FamilyError: a number below 1.
    """
    check_counts("nasbench101", channels=channels, cells=cells, stacks=stacks)

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        return _network(architecture, input_shape[0], num_classes, channels, cells, stacks)

    chain = {(k, k + 1) for k in range(INNER + 1)}
    edges = {CELL.edge_name(i, j): (i, j) in chain for i, j in CELL.edges}
    return Family(
        name="nasbench101",
        space=Space(cells=CELL, identities=identities),
        build=build,
        summary="NAS-Bench-101 cells: up to 7 vertices and 9 edges, operations on vertices, official skeleton",
        options={"channels": channels, "cells": cells, "stacks": stacks},
        default=Architecture({n: edges.get(n, OPERATIONS[0]) for n in CELL.names}),
        canonical=canonical,
        identities=identities,
        networks=423_624,
        check_shape=needs_images("nasbench101", 2 ** (stacks - 1)),
        genotypes=lambda a: {"cell": CELL.genotype(a)},
    )


def canonical(architecture: Architecture) -> str:
    """One text for all writings of a network."""
    return str(int(identities(_space().codes([architecture]))[0]))


@cache
def _space() -> Space:
    return Space(cells=CELL)


def codes_of(vertices: Codes, edges: Codes, operations: Codes) -> Codes:
    """Codes of the space from cells with fewer vertices.

    Args:
        vertices: ``n``, of each cell.
        edges: ``n x 21``, present or not, in the order of destinations, then sources; beyond a cell's own edges 0.
        operations: ``n x 5``, of the inner vertices; beyond a cell's own anything.

    Returns:
        ``n x 26``; the output is moved to the last vertex, and vertices that a cell lacks are without edges.
    """
    pairs = list(CELL.edges)
    place = {pair: k for k, pair in enumerate(pairs)}
    found = np.zeros((len(vertices), len(pairs) + INNER), dtype=np.int64)
    for n in np.unique(vertices):
        rows = np.flatnonzero(vertices == n)
        own = [(i, j) for j in range(n) for i in range(j)]
        for k, (i, j) in enumerate(own):
            to = VERTICES - 1 if j == n - 1 else j
            found[rows, place[i, to]] = edges[rows, k]
        for k in range(n - 2):
            found[rows, len(pairs) + k] = operations[rows, k]
    return found


def identities(codes: Codes) -> Codes:
    """Numbers that are equal exactly where cells are isomorphic after what does not count is taken away.

    Args:
        codes: ``n x 26``, as :meth:`archwright.space.Space.codes` gives them.

    Returns:
        ``n``: the smallest, over all orders of the inner vertices, of a number that writes the graph out.
    """
    n = len(codes)
    adjacency = np.zeros((n, VERTICES, VERTICES), dtype=bool)
    for k, (i, j) in enumerate(CELL.edges):
        adjacency[:, i, j] = codes[:, k] == 1
    live = _live(adjacency)
    adjacency &= live[:, :, None] & live[:, None, :]
    colours = np.where(live[:, 1:-1], codes[:, len(CELL.edges) :] + 1, 0)
    edge_weights, vertex_weights = _weights()
    best = np.empty(n, dtype=np.int64)
    for low in range(0, n, CHUNK):
        part = slice(low, low + CHUNK)
        values = adjacency[part].reshape(-1, VERTICES**2) @ edge_weights + colours[part] @ vertex_weights
        best[part] = values.min(axis=1)
    return best


@cache
def _weights() -> tuple[Codes, Codes]:
    """What every edge (``49 x 120``) and operation (``5 x 120``) adds to the number, for every order of the vertices."""
    orders = np.array(list(permutations(range(INNER))), dtype=np.int64)
    place = np.full((len(orders), VERTICES), VERTICES - 1)
    place[:, 0] = 0
    place[:, 1:-1] = 1 + orders
    edges = np.int64(1) << (place[:, :, None] * VERTICES + place[:, None, :])
    vertices = np.int64(1) << (VERTICES**2 + 2 * orders)
    return edges.reshape(len(orders), -1).T.copy(), vertices.T.copy()


def _live(adjacency: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``n x 7``: vertices on a way from the input to the output; input and output always."""
    forward = np.zeros(adjacency.shape[:2], dtype=bool)
    backward = forward.copy()
    forward[:, 0] = backward[:, -1] = True
    for k in range(1, VERTICES):
        forward[:, k] = (forward & adjacency[:, :, k]).any(axis=1)
    for k in range(VERTICES - 2, -1, -1):
        backward[:, k] = (backward & adjacency[:, k, :]).any(axis=1)
    live = forward & backward
    live[:, 0] = live[:, -1] = True
    return np.asarray(live)


def live_part(genotype: Genotype) -> tuple[list[int], list[tuple[int, int]]]:
    """Vertices on a way from the input to the output, and the edges among them."""
    adjacency = np.zeros((1, VERTICES, VERTICES), dtype=bool)
    for i, j, _ in genotype.edges:
        adjacency[0, i, j] = True
    live = _live(adjacency)[0]
    return [int(v) for v in np.flatnonzero(live)], [(i, j) for i, j, _ in genotype.edges if live[i] and live[j]]


def vertex_channels(c_in: int, c_out: int, vertices: Sequence[int], edges: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Channels of every vertex: the output's are shared among those that enter it (the first ones get what is left
    over), and every other vertex has as many as the largest of those it leads to."""
    last = vertices[-1]
    channels = {vertices[0]: c_in, last: c_out}
    arriving = [v for v in vertices[1:-1] if (v, last) in edges]
    for k, vertex in enumerate(arriving):
        channels[vertex] = c_out // len(arriving) + (k < c_out % len(arriving))
    for vertex in reversed(vertices[1:-1]):
        if vertex not in channels:
            channels[vertex] = max(channels[j] for i, j in edges if i == vertex and j != last)
    return channels


def _network(
    architecture: Mapping[str, object], c_in: int, num_classes: int, channels: int, cells: int, stacks: int
) -> nn.Module:
    from torch import nn

    from archwright.layers import ConvNormAct, GlobalPoolHead

    layers: list[nn.Module] = [ConvNormAct(c_in, channels, 3)]
    width = channels
    for stack in range(stacks):
        if stack:
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        for k in range(cells):
            out = 2 * width if stack and k == 0 else width
            layers.append(_cell(architecture, width, out))
            width = out
    return nn.Sequential(*layers, GlobalPoolHead(width, num_classes))


def _cell(architecture: Mapping[str, object], c_in: int, c_out: int) -> nn.Module:
    import torch
    from torch import nn

    from archwright.layers import ConvNormAct

    genotype = CELL.genotype(architecture)  # type: ignore[arg-type]
    vertices, edges = live_part(genotype)
    channels = vertex_channels(c_in, c_out, vertices, edges)
    last = vertices[-1]

    def operation(name: str | None, width: int) -> nn.Module:
        if name == "maxpool3x3":
            return nn.MaxPool2d(3, 1, 1)
        return ConvNormAct(width, width, 3 if name == "conv3x3-bn-relu" else 1)

    class CellNetwork(nn.Module):
        """Vertices add up what enters them, the output stacks it; a projection brings the input to their channels."""

        def __init__(self) -> None:
            super().__init__()
            self.operations = nn.ModuleDict(
                {str(v): operation(genotype.operations[v], channels[v]) for v in vertices[1:-1]}
            )
            self.projections = nn.ModuleDict({str(j): ConvNormAct(c_in, channels[j], 1) for i, j in edges if i == 0})

        def forward(self, x: Tensor) -> Tensor:
            values: dict[int, Tensor] = {}
            for j in vertices[1:]:
                arriving = [values[i][:, : channels[j]] for i, to in edges if to == j and i != 0 and j != last]
                if j != last:
                    arriving += [self.projections[str(j)](x)] if (0, j) in edges else []
                    total = arriving[0]
                    for term in arriving[1:]:
                        total = total + term
                    values[j] = self.operations[str(j)](total)
            stacked = [values[i] for i in vertices[1:-1] if (i, last) in edges]
            output = torch.cat(stacked, dim=1) if len(stacked) > 1 else stacked[0] if stacked else None
            if (0, last) not in edges:
                return output  # type: ignore[return-value]
            shortcut: Tensor = self.projections[str(last)](x)
            return shortcut if output is None else shortcut + output

    return CellNetwork()
