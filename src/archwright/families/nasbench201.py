"""NAS-Bench-201 (Dong and Yang 2020): a cell of four nodes, every edge one of five operations, 15,625 cells.

Two things differ from the benchmark's own code, neither in what a live cell computes: an operation whose input is
always zero, or whose output reaches nothing, is not run unless ``run_dead`` says so (its parameters exist, so that counts
agree; the benchmark runs it, and adds the bias of its batch norm), and pooling between stages rounds odd sizes up, as the
convolution beside it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from archwright.errors import FamilyError
from archwright.families.base import Family, check_counts, needs_images
from archwright.space import Architecture, Cell, Space

if TYPE_CHECKING:
    from torch import Tensor, nn

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
CELL = Cell(4, OPERATIONS, EDGES)
_DEAD = "#"


def nasbench201(channels: int = 16, cells: int = 5, stages: int = 3, run_dead: bool = False) -> Family:
    """The family.

    Args:
        channels: C, of the first stage; each further stage doubles them and halves the image.
        cells: N, per stage.
        stages: 3 in the benchmark.
        run_dead: run operations that change nothing, as the benchmark's code does; other people's ``nwot`` and ``zen`` count
            them.

    Raises:
        FamilyError: a number below 1, or ``run_dead`` that is neither true nor false.
    """
    check_counts("nasbench201", channels=channels, cells=cells, stages=stages)
    if not isinstance(run_dead, bool):
        raise FamilyError(f"nasbench201: run_dead must be true or false, not {run_dead!r}")

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        return _network(architecture, input_shape[0], num_classes, channels, cells, stages, run_dead)

    return Family(
        name="nasbench201",
        space=Space(cells=CELL),
        build=build,
        summary="NAS-Bench-201 cells: 4 nodes, 5 operations on 6 edges, official skeleton",
        options={"channels": channels, "cells": cells, "stages": stages, "run_dead": run_dead},
        default=Architecture(dict.fromkeys(CELL.names, "nor_conv_3x3")),
        canonical=canonical,
        equivalent=isomorphism_class,
        check_shape=needs_images("nasbench201", 2 ** (stages - 1)),
        genotypes=lambda a: {"cell": CELL.genotype(a)},
    )


def to_string(architecture: Mapping[str, object]) -> str:
    """The benchmark's notation: ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|``."""
    nodes = []
    for j in (1, 2, 3):
        nodes.append("|" + "|".join(f"{architecture[f'{i}-{j}']}~{i}" for i in range(j)) + "|")
    return "+".join(nodes)


def from_string(text: str) -> Architecture:
    """The inverse of :func:`to_string`.

    Raises:
        FamilyError: the text is not in that notation.
    """
    found = re.findall(r"\|?([a-z0-9_]+)~(\d)\|", text)
    expected = [str(i) for j in (1, 2, 3) for i in range(j)]
    if [source for _, source in found] != expected or any(op not in OPERATIONS for op, _ in found):
        raise FamilyError(
            f"{text!r} is not a NAS-Bench-201 cell such as {to_string(dict.fromkeys(CELL.names, 'none'))!r}"
        )
    names = [f"{i}-{j}" for j in (1, 2, 3) for i in range(j)]
    return Architecture(dict(zip(names, (op for op, _ in found))))


def isomorphism_class(architecture: Mapping[str, object]) -> str:
    """The benchmark's own text for isomorphic cells; 6,466 different ones stand for the 15,625 cells.

    A node is the sorted sum of what enters it; ``skip_connect`` passes a text on, and ``none``, or anything applied to
    nothing, is ``#``.
    """
    nodes = ["0"]
    for j in (1, 2, 3):
        terms = []
        for i in range(j):
            operation = architecture[f"{i}-{j}"]
            if operation == "none" or nodes[i] == _DEAD:
                terms.append(_DEAD)
            elif operation == "skip_connect":
                terms.append(nodes[i])
            else:
                terms.append(f"({nodes[i]})@{operation}")
        live = "+".join(sorted(terms))
        nodes.append(live)
    return nodes[3]


def canonical(architecture: Architecture) -> str:
    """Equal for cells of one isomorphism class that also have equal parameter counts.

    Dead convolutions change nothing but the count, which is a metric of its own.
    """
    weights = [sum(v == op for v in architecture.values()) for op in ("nor_conv_1x1", "nor_conv_3x3")]
    return f"{isomorphism_class(architecture)} {weights[0]}/{weights[1]}"


def _network(
    architecture: Architecture, c_in: int, num_classes: int, channels: int, cells: int, stages: int, run_dead: bool
) -> nn.Module:
    from torch import nn

    from archwright.layers.skeletons import staged

    return nn.Sequential(
        *staged(c_in, num_classes, channels, cells, stages, lambda width: _cell(architecture, width, run_dead))
    )


def _cell(architecture: Architecture, channels: int, run_dead: bool) -> nn.Module:
    import torch
    from torch import nn

    from archwright.layers.skeletons import edge_operation

    genotype = CELL.genotype(architecture)
    edges = genotype.edges if run_dead else genotype.live_edges()
    run = {(i, j) for i, j, op in edges if op != "none"}

    class CellNetwork(nn.Module):
        """A cell: every node is the sum of its incoming edges' outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.edges = nn.ModuleDict(
                {f"{i}-{j}": edge_operation(str(op), channels) for i, j, op in genotype.edges if op != "none"}
            )

        def forward(self, x: Tensor) -> Tensor:
            nodes: dict[int, Tensor] = {0: x}
            for j in range(1, genotype.nodes):
                arriving = [self.edges[f"{i}-{j}"](nodes[i]) for i in range(j) if (i, j) in run]
                if run_dead and not arriving:
                    arriving = [torch.zeros_like(x)]
                if arriving:
                    total = arriving[0]
                    for term in arriving[1:]:
                        total = total + term
                    nodes[j] = total
            output = nodes.get(genotype.nodes - 1)
            return torch.zeros_like(x) if output is None else output

    return CellNetwork()
