"""Given cells in a template that is to be chosen: the spaces of hierarchical ICDARTS (Herron 2023, chapter 6).

Version ``skips``: cell ``m`` reads the cell before it and any one of the outputs before that, the stem's among them; 19! networks
of 20 cells. Version ``types``: at every depth stands one of the given types of cells; 4^20 networks of 20 cells and four types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archwright.errors import FamilyError, unknown
from archwright.families.base import Family, check_counts, needs_images
from archwright.families.cellspace import CELLS
from archwright.families.darts import CELL_SPACE, PUBLISHED, from_text, without_tower
from archwright.genotypes.reading import Cells, parse_cells
from archwright.space import Architecture, Choice, Space
from archwright.space.cells import reductions

if TYPE_CHECKING:
    from torch import nn

VERSIONS = ("skips", "types", "types-pooled")


def hierarchical(
    version: str = "skips",
    genotype: Mapping[str, Any] | str | None = None,
    channels: int = 16,
    cells: int = 8,
    tower: bool = False,
) -> Family:
    """The family.

    Args:
        version: ``skips`` or ``types``; or ``types-pooled``, where pooling halves the image and nothing is chosen there.
        genotype: the cells, as plain data or text; an edge may carry ``none``, which gives zeros. ``normal`` and
            ``reduce`` for skips (those of second-order DARTS by default), ``type0``, ``type1`` ... for types.
        channels: of the first cells' nodes; at one and two thirds of the network they double and the image is halved.
        cells: how many, at least three.
        tower: an auxiliary head that is there while training, and is not deployed.

    Raises:
        FamilyError: an unknown version, cells that do not go with it, or a number out of range.
    """
    check_counts("hierarchical", channels=channels, cells=cells)
    if version not in VERSIONS:
        raise FamilyError("hierarchical: " + unknown("version", version, VERSIONS))
    if cells < 3:
        raise FamilyError(f"hierarchical: a template has at least three cells, not {cells}")
    found = parse_cells(_published() if genotype is None else genotype)
    _check_cells(version, found)
    space = Space(
        {f"skip{m}": Choice(*range(m)) for m in range(2, cells)}
        if version == "skips"
        else {f"type{m}": Choice(*range(len(found.kinds))) for m in range(cells)}
    )

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        from archwright.layers.hierarchy import NETWORKS

        choice = template_of(version, architecture)
        return NETWORKS[version](found.kinds, input_shape[0], num_classes, channels, cells, choice, tower=tower)

    return Family(
        name="hierarchical",
        space=space,
        build=build,
        summary="given cells, and which earlier output each also reads (skips) or which type stands where (types)",
        options={
            "version": version, "genotype": None if genotype is None else found.to_json(), "channels": channels,
            "cells": cells, "tower": tower,
        },
        default=architecture_of(version, initial_template(version, cells, len(found.kinds))),
        check_shape=needs_images("hierarchical", 2 ** len(reductions(cells))),
        deployed=without_tower if tower else None,
    )  # fmt: skip


def template_of(version: str, architecture: Mapping[str, Any]) -> tuple[int, ...]:
    """The choices of an architecture, as :mod:`archwright.layers.hierarchy` takes them: of skips from the second cell on."""
    chosen = tuple(int(value) for value in architecture.values())
    return (0, *chosen) if version == "skips" else chosen


def architecture_of(version: str, template: Sequence[int]) -> Architecture:
    """The inverse of :func:`template_of`."""
    if version == "skips":
        return Architecture({f"skip{m}": int(chosen) for m, chosen in enumerate(template, start=1) if m > 1})
    return Architecture({f"type{m}": int(chosen) for m, chosen in enumerate(template)})


def initial_template(version: str, cells: int, types: int = 4) -> tuple[int, ...]:
    """The template before its search: two cells back each; types in turn."""
    return tuple(range(cells - 1)) if version == "skips" else tuple(m % types for m in range(cells))


def _published() -> dict[str, Any]:
    return CELL_SPACE.to_json(from_text(PUBLISHED))


def _check_cells(version: str, found: Cells) -> None:
    names, numbers = set(found.kinds), {len(nodes) for nodes in found.kinds.values()}
    wanted = set(CELLS) if version == "skips" else {f"type{t}" for t in range(max(2, len(names)))}
    if names != wanted:
        raise FamilyError(
            f"hierarchical: version {version!r} takes cells named {', '.join(sorted(wanted))}, not {', '.join(found.kinds)}"
        )
    if version != "skips" and len(numbers) != 1:
        raise FamilyError(f"hierarchical: types of cells need equally many nodes, not {sorted(numbers)}")
    if any(found.concat[kind] != tuple(range(2, len(nodes) + 2)) for kind, nodes in found.kinds.items()):
        raise FamilyError("hierarchical: cells put out all of their nodes")
