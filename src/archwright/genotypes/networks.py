"""From a genotype to an architecture of the family ``darts``."""

from __future__ import annotations

from typing import Any

from archwright.errors import FamilyError
from archwright.families import Family, get_family
from archwright.families.cellspace import CELLS
from archwright.families.darts import OPERATIONS
from archwright.genotypes.reading import INPUTS, NONE, Cells
from archwright.space import Architecture


def darts_family(found: Cells, **options: Any) -> tuple[Family, Architecture]:
    """The family ``darts`` with the options that these cells need, and their architecture in it.

    Args:
        found: normal and reduction cell; edges that carry ``none`` give zeros.
        options: further ones, such as ``channels``.

    Raises:
        FamilyError: the family has no such cells (other types, nodes left out of the output, numbers of inputs, operations).
    """
    if set(found.kinds) != set(CELLS):
        raise FamilyError(f"the family darts has a normal and a reduction cell, not {', '.join(found.kinds) or 'none'}")
    nodes = len(found.kinds[CELLS[0]])
    whole = tuple(range(INPUTS, INPUTS + nodes))
    if any(tuple(found.concat[kind]) != whole for kind in CELLS):
        raise FamilyError("the family darts has equally many nodes in both cells, and puts all of them out")
    used = list(dict.fromkeys(name for kind in CELLS for node in found.kinds[kind] for name, _ in node))
    others = [name for name in used if name not in (*OPERATIONS, NONE)]
    family = get_family(
        "darts", nodes=nodes, rule=_rule(found), none="zero" if NONE in used else "",
        operations="+".join((*OPERATIONS, *others)) if others else "darts", **options,
    )  # fmt: skip
    assert family.cells is not None
    return family, family.cells.architecture({kind: found.kinds[kind] for kind in CELLS})


def _rule(cells: Cells) -> str:
    every = [(j, node) for kind in CELLS for j, node in enumerate(cells.kinds[kind])]
    if all(len(node) == 2 for _, node in every):
        return "darts" if all(len({i for _, i in node}) == 2 for _, node in every) else "idarts"
    if all(len(node) == j + INPUTS for j, node in every):
        return "xdarts"
    raise FamilyError("nodes of the family darts have two inputs each, or as many as there are states before them")
