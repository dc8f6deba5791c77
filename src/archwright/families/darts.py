"""The cell space of DARTS (Liu et al. 2019): a normal and a reduction cell, four nodes with two inputs each.

A node adds up two operations, each applied to another one of the cell's two inputs and the nodes before; the cell puts
out all four nodes, concatenated. 1.07e18 architectures. Nothing stands for "no operation": like the networks that the
method ends with, and like NAS-Bench-301, the space has the seven others.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from archwright.errors import FamilyError
from archwright.families.base import Family, check_counts, needs_images
from archwright.space import Architecture, Choice, Genotype, Space

if TYPE_CHECKING:
    from torch import Tensor, nn

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
CELLS = ("normal", "reduce")
NODES = (2, 3, 4, 5)
"""Numbers of the nodes; 0 and 1 are the cell's inputs: the outputs of the cell before the last one, and of the last."""

PUBLISHED = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
"""What second-order DARTS found on CIFAR-10 (Liu et al. 2019, figures 4 and 5)."""


def darts(channels: int = 16, cells: int = 8) -> Family:
    """The family; the paper searches with 16 channels and 8 cells and evaluates with 36 and 20.

    Args:
        channels: of the first cells' nodes; each reduction doubles them and halves the image.
        cells: how many; those at one and two thirds are reduction cells.

    Raises:
        FamilyError: a number below 1.
    """
    check_counts("darts", channels=channels, cells=cells)

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        return _network(architecture, input_shape[0], num_classes, channels, cells)

    return Family(
        name="darts",
        space=Space(_parameters()),
        build=build,
        summary="DARTS cells: normal and reduction, 4 nodes of 2 inputs, 7 operations; also NAS-Bench-301's space",
        options={"channels": channels, "cells": cells},
        default=from_text(PUBLISHED),
        check_shape=needs_images("darts", 2 ** len(reductions(cells))),
        genotypes=lambda a: {cell: graph(a, cell) for cell in CELLS},
    )


def _parameters() -> dict[str, Choice]:
    found: dict[str, Choice] = {}
    for cell in CELLS:
        for node in NODES:
            pairs = [f"{i}-{j}" for i, j in combinations(range(node), 2)]
            if len(pairs) > 1:
                found[f"{cell}{node}_inputs"] = Choice(*pairs)
            for which in "ab":
                found[f"{cell}{node}_{which}"] = Choice(*OPERATIONS)
    return found


def edges(architecture: Mapping[str, Any], cell: str) -> list[tuple[int, int, str]]:
    """``(source, node, operation)`` of the eight edges of a cell, node by node, sources ascending."""
    found = []
    for node in NODES:
        sources = str(architecture.get(f"{cell}{node}_inputs", "0-1")).split("-")
        found += [(int(s), node, str(architecture[f"{cell}{node}_{w}"])) for s, w in zip(sources, "ab")]
    return found


def graph(architecture: Mapping[str, Any], cell: str) -> Genotype:
    """A cell as a graph: nodes 0 and 1 are its inputs, the last one is the concatenation."""
    last = NODES[-1] + 1
    return Genotype(last + 1, (*edges(architecture, cell), *((node, last, None) for node in NODES)))


def to_text(architecture: Mapping[str, Any]) -> str:
    """The notation of the DARTS code: ``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], ...)``."""
    parts = []
    for cell in CELLS:
        pairs = [(operation, source) for source, _, operation in edges(architecture, cell)]
        parts.append(f"{cell}={pairs}, {cell}_concat={list(NODES)}")
    return f"Genotype({', '.join(parts)})"


def from_text(text: str) -> Architecture:
    """The inverse of :func:`to_text`; a node's two edges may come in any order, ``range(2, 6)`` is understood.

    Raises:
        FamilyError: the text is not in that notation, or is of another space (other operations, a node with the same
            input twice, another concatenation).
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("no call with named arguments")
        given = {str(word.arg): _read(word.value) for word in call.keywords}
        values: dict[str, Any] = {}
        for cell in CELLS:
            if list(given[f"{cell}_concat"]) != list(NODES):
                raise ValueError(f"{cell}_concat must be {list(NODES)}")
            values |= _cell_values(cell, given[cell])
    except (SyntaxError, ValueError, KeyError, TypeError) as error:
        raise FamilyError(f"not a genotype of the DARTS space such as {PUBLISHED[:60]}...: {error}") from error
    return Architecture({name: values[name] for name in _parameters()})


def _read(value: ast.expr) -> Any:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "range":
        return list(range(*(ast.literal_eval(a) for a in value.args)))
    return ast.literal_eval(value)


def _cell_values(cell: str, pairs: Any) -> dict[str, Any]:
    if len(pairs) != 2 * len(NODES):
        raise ValueError(f"{cell} must have {2 * len(NODES)} pairs, not {len(pairs)}")
    values: dict[str, Any] = {}
    for i, node in enumerate(NODES):
        (first, a), (second, b) = sorted(pairs[2 * i : 2 * i + 2], key=lambda pair: pair[1])
        if not 0 <= a < b < node:
            raise ValueError(f"{cell}: node {node} must have two different inputs below {node}, not {a} and {b}")
        for operation in (first, second):
            if operation not in OPERATIONS:
                raise ValueError(f"{cell}: unknown operation {operation!r}; there are {', '.join(OPERATIONS)}")
        values |= {f"{cell}{node}_inputs": f"{a}-{b}", f"{cell}{node}_a": first, f"{cell}{node}_b": second}
    return values


def reductions(cells: int) -> set[int]:
    """Positions of the reduction cells."""
    return {cells // 3, 2 * cells // 3}


def _network(architecture: Architecture, c_in: int, num_classes: int, channels: int, cells: int) -> nn.Module:
    import torch
    from torch import nn

    from archwright.layers import FactorizedReduce, GlobalPoolHead, ReLUConvBN

    class Cell(nn.Module):
        """Two inputs, four nodes, their concatenation."""

        def __init__(self, before: int, last: int, width: int, reduces: bool, last_reduced: bool) -> None:
            super().__init__()
            self.first = FactorizedReduce(before, width) if last_reduced else ReLUConvBN(before, width, 1)
            self.second = ReLUConvBN(last, width, 1)
            self.edges = edges(architecture, "reduce" if reduces else "normal")
            self.operations = nn.ModuleList(
                _operation(operation, width, 2 if reduces and source < 2 else 1) for source, _, operation in self.edges
            )

        def forward(self, before: Tensor, last: Tensor) -> Tensor:
            states = [self.first(before), self.second(last)]
            for k in range(0, len(self.edges), 2):
                (i, *_), (j, *_) = self.edges[k : k + 2]
                states.append(self.operations[k](states[i]) + self.operations[k + 1](states[j]))
            return torch.cat(states[2:], dim=1)

    class DartsNetwork(nn.Module):
        """Stem, cells, head."""

        def __init__(self) -> None:
            super().__init__()
            stem = 3 * channels
            self.stem = nn.Sequential(nn.Conv2d(c_in, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
            before, last, width, last_reduced = stem, stem, channels, False
            made = []
            for position in range(cells):
                reduces = position in reductions(cells)
                width *= 1 + reduces
                made.append(Cell(before, last, width, reduces, last_reduced))
                before, last, last_reduced = last, len(NODES) * width, reduces
            self.cells = nn.ModuleList(made)
            self.head = GlobalPoolHead(last, num_classes)

        def forward(self, x: Tensor) -> Tensor:
            before = last = self.stem(x)
            for cell in self.cells:
                before, last = last, cell(before, last)
            logits: Tensor = self.head(last)
            return logits

    return DartsNetwork()


def _operation(name: str, width: int, stride: int) -> nn.Module:
    from torch import nn

    from archwright.layers import DilatedConv, DropPath, FactorizedReduce, SeparableConv

    if name == "skip_connect" and stride == 1:
        return nn.Identity()
    kernel = int(name[-1]) if name != "skip_connect" else 1
    made: nn.Module
    if name == "max_pool_3x3":
        made = nn.MaxPool2d(3, stride, 1)
    elif name == "avg_pool_3x3":
        made = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    elif name == "skip_connect":
        made = FactorizedReduce(width, width)
    elif name.startswith("sep"):
        made = SeparableConv(width, kernel, stride)
    else:
        made = DilatedConv(width, kernel, stride)
    return nn.Sequential(made, DropPath())
