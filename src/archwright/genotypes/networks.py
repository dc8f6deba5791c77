"""From a genotype to an architecture of the family ``darts``."""

from __future__ import annotations

from archwright.families.darts import from_text
from archwright.genotypes.reading import Cells
from archwright.space import Architecture


def darts_architecture(cells: Cells) -> Architecture:
    """The architecture of these cells.

    Raises:
        FamilyError: the space does not hold them (other operations, numbers of nodes or of inputs).
    """
    return from_text(darts_text(cells))


def darts_text(cells: Cells) -> str:
    """The notation of the DARTS code: flat lists where every node keeps two pairs, else one list per node."""
    parts = []
    for kind, nodes in cells.kinds.items():
        flat = all(len(node) == 2 for node in nodes)
        pairs = [pair for node in nodes for pair in node] if flat else [list(node) for node in nodes]
        parts += [f"{kind}={pairs}", f"{kind}_concat={list(cells.concat[kind])}"]
    return f"Genotype({', '.join(parts)})"
