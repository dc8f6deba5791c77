"""The cell space of DARTS (Liu et al. 2019), and its relatives with other nodes, operations and edges.

By default 1.07e18 architectures: a normal and a reduction cell, four nodes with two inputs each, seven operations. Nothing
stands for "no operation": like the networks that the method ends with, and like NAS-Bench-301.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from archwright.errors import FamilyError, unknown
from archwright.families.base import Family, check_counts, needs_images
from archwright.families.cellspace import CELLS, CellSpace
from archwright.space import Architecture, Genotype
from archwright.space.cells import reductions

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
CELL_SPACE = CellSpace(OPERATIONS)
NONES = ("", "zero", "random")

PUBLISHED = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
"""What second-order DARTS found on CIFAR-10 (Liu et al. 2019, figures 4 and 5)."""


def darts(
    channels: int = 16,
    cells: int = 8,
    nodes: int = 4,
    operations: str = "darts",
    rule: str = "darts",
    none: str = "",
    tower: bool = False,
    template: str | Mapping[str, Any] = "base",
) -> Family:
    """The family; the paper searches with 16 channels and 8 cells and evaluates with 36 and 20.

    Args:
        channels: of the first cells' nodes; each reduction doubles them and halves the image.
        cells: how many; those at one and two thirds are reduction cells.
        nodes: of a cell.
        operations: a set of :data:`~archwright.layers.operations.OPERATION_SETS` (``darts``, ``basic``, ``simple``,
            ``mbconv``, ``master``) or names joined by ``+``.
        rule: which edges a node keeps: ``darts``, ``idarts``, ``xdarts`` or ``any`` set of them.
        none: what an edge without operation gives, ``zero`` or ``random`` noise; no such edges where it is empty.
        tower: an auxiliary head that is there while training (its weight in the loss: ``auxiliary_weight``), and is not
            deployed.
        template: what surrounds the cells, one of :data:`~archwright.layers.templates.TEMPLATES` or the attributes of a
            :class:`~archwright.layers.templates.Template`; where it replaces the
            reduction cells, there are normal ones alone.

    Raises:
        FamilyError: a number below 1, or an unknown name.
    """
    check_counts("darts", channels=channels, cells=cells, nodes=nodes)
    if none not in NONES:
        raise FamilyError("darts: " + unknown("stand-in for none", none, NONES[1:]))
    of = _cell_space(named_operations(operations), nodes, rule, bool(none), template)

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        from archwright.layers.cells import Cell, CellNetwork

        found = of.cells(architecture)

        def make(before: int, last: int, width: int, reduces: bool, last_reduced: bool) -> nn.Module:
            kind = "reduce" if reduces else "normal"
            standing = "random" if none == "random" else "zero"
            return Cell(before, last, width, reduces, last_reduced, found[kind], standing)  # type: ignore[arg-type]

        if template == "base":
            return CellNetwork(input_shape[0], num_classes, channels, cells, nodes, make, tower)
        from archwright.layers.templates import cell_network
        from archwright.layers.templates import template as read

        return cell_network(input_shape[0], num_classes, channels, cells, nodes, make, read(template), tower)

    return Family(
        name="darts",
        space=of.space(),
        build=build,
        summary="DARTS cells: normal and reduction, 4 nodes of 2 inputs, 7 operations; also NAS-Bench-301's space",
        options={
            "channels": channels, "cells": cells, "nodes": nodes, "operations": operations, "rule": rule,
            "none": none, "tower": tower, "template": template if isinstance(template, str) else dict(template),
        },
        default=from_text(PUBLISHED) if of == CELL_SPACE else None,
        canonical=None if rule == "darts" else of.key,
        check_shape=needs_images("darts", 2 ** len(reductions(cells))),
        genotypes=lambda a: {cell: of.graph(a, cell) for cell in of.kinds},
        cells=of,
        deployed=without_tower if tower else None,
    )  # fmt: skip


def _cell_space(
    operations: tuple[str, ...], nodes: int, rule: str, none: bool, template: str | Mapping[str, Any]
) -> CellSpace:
    if template == "base":
        return CellSpace(operations, nodes, rule, none)
    from archwright.layers.templates import template as read

    return CellSpace(read(template).candidates(operations), nodes, rule, none, cell_kinds(template))


def cell_kinds(template: str | Mapping[str, Any]) -> tuple[str, ...]:
    """The cells that a template leaves to the space.

    Raises:
        FamilyError: there is no such template.
    """
    if template == "base":
        return CELLS
    from archwright.layers.templates import template as read

    return CELLS if read(template).reduction == "cell" else CELLS[:1]


def without_tower(network: nn.Module) -> nn.Module:
    """A copy of a network without its auxiliary tower, which has no part in its predictions."""
    tower = network.tower
    network.tower = None  # type: ignore[assignment]
    try:
        return deepcopy(network)
    finally:
        network.tower = tower


def named_operations(text: str) -> tuple[str, ...]:
    """Operations of a set, or named one by one with ``+`` between.

    Raises:
        FamilyError: an unknown name.
    """
    if text == "darts":
        return OPERATIONS
    from archwright.layers.operations import OPERATION_SETS
    from archwright.layers.operations import OPERATIONS as KNOWN

    if text in OPERATION_SETS:
        return OPERATION_SETS[text]
    names = tuple(text.split("+"))
    for name in names:
        if name not in KNOWN:
            raise FamilyError("darts: " + unknown("operation or set of operations", name, [*OPERATION_SETS, *KNOWN]))
    if len(set(names)) < len(names):
        raise FamilyError(f"darts: an operation is named twice in {text!r}")
    return names


def edges(architecture: Mapping[str, Any], cell: str) -> list[tuple[int, int, str]]:
    """``(source, node, operation)`` of the eight edges of a cell of the default space, node by node, sources ascending."""
    nodes = CELL_SPACE.cells(architecture)[cell]
    return [(source, node, name) for node, pairs in enumerate(nodes, start=2) for name, source in pairs]


def graph(architecture: Mapping[str, Any], cell: str) -> Genotype:
    """A cell of the default space as a graph: nodes 0 and 1 are its inputs, the last one is the concatenation."""
    return CELL_SPACE.graph(architecture, cell)


def to_text(architecture: Mapping[str, Any]) -> str:
    """An architecture of the default space in the notation of the DARTS code."""
    return CELL_SPACE.to_text(architecture)


def from_text(text: str) -> Architecture:
    """The inverse of :func:`to_text`.

    Raises:
        FamilyError: the text is not in that notation, or is of another space.
    """
    return CELL_SPACE.from_text(text)
