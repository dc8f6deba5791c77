"""From a genotype to an architecture of the family ``darts``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archwright.errors import FamilyError
from archwright.families import Family, get_family
from archwright.families.cellspace import CELLS
from archwright.families.darts import OPERATIONS, cell_kinds
from archwright.genotypes.reading import INPUTS, NONE, Cells, Nodes
from archwright.space import Architecture


def darts_family(
    found: Cells, template: str | Mapping[str, Any] = "base", **options: Any
) -> tuple[Family, Architecture]:
    """The family ``darts`` with the options that these cells need, and their architecture in it.

    Args:
        found: normal and reduction cell (normal alone where the template replaces the other); edges that carry ``none``
            give zeros, unless the option ``none`` says otherwise.
        template: what surrounds the cells.
        options: further ones, such as ``channels``.

    Raises:
        FamilyError: the family has no such cells (other types, nodes left out of the output, numbers of inputs, operations).
    """
    kinds = cell_kinds(template)
    if set(found.kinds) != set(kinds):
        has = "a normal and a reduction cell" if kinds == CELLS else f"a normal cell alone in the template {template!r}"
        raise FamilyError(f"the family darts has {has}, not {', '.join(found.kinds) or 'none'}")
    nodes = len(found.kinds[CELLS[0]])
    whole = tuple(range(INPUTS, INPUTS + nodes))
    if any(tuple(found.concat[kind]) != whole for kind in kinds):
        raise FamilyError("the family darts has equally many nodes in both cells, and puts all of them out")
    used = list(dict.fromkeys(name for kind in kinds for node in found.kinds[kind] for name, _ in node))
    others = [name for name in used if name not in (*OPERATIONS, NONE)]
    needed: dict[str, Any] = {
        "nodes": nodes, "rule": _rule([found.kinds[kind] for kind in kinds]), "none": "zero" if NONE in used else "",
        "operations": "+".join((*OPERATIONS, *others)) if others else "darts", "template": template,
    }  # fmt: skip
    family = get_family("darts", **{**needed, **options})
    assert family.cells is not None
    return family, family.cells.architecture({kind: found.kinds[kind] for kind in kinds})


def _rule(cells: Sequence[Nodes]) -> str:
    every = [(j, node) for nodes in cells for j, node in enumerate(nodes)]
    if all(len(node) == 2 for _, node in every):
        return "darts" if all(len({i for _, i in node}) == 2 for _, node in every) else "idarts"
    if all(len(node) == j + INPUTS for j, node in every):
        return "xdarts"
    return "any"
