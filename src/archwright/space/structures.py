"""Local structures of cell graphs: what Weisfeiler-Lehman kernels count."""

from __future__ import annotations

from collections import Counter

from archwright.space.architecture import Architecture
from archwright.space.space import Space

Structure = tuple[object, ...]


def weisfeiler_lehman(space: Space, architecture: Architecture, depth: int = 1) -> Counter[Structure]:
    """How often each operation, with what is around it, is in the live parts of an architecture's cells.

    All writings of a network have the same structures (Shervashidze et al. 2011; for cells Ru et al. 2021).

    Args:
        space: has the cells.
        architecture: of it.
        depth: how many steps around an operation are looked at, along and against the signal; 0 for operations alone.
    """
    found: Counter[Structure] = Counter()
    for at, cell in enumerate(space.cells):
        operations, arcs = cell.genotype(architecture).live(cell.none)
        labels: dict[object, Structure] = {vertex: (operation,) for vertex, operation in operations.items()}
        before: dict[object, list[object]] = {vertex: [] for vertex in operations}
        after: dict[object, list[object]] = {vertex: [] for vertex in operations}
        for i, j in arcs:
            before[j].append(i)
            after[i].append(j)
        found.update((at, 0, *label) for label in labels.values())
        for step in range(1, depth + 1):
            labels = {v: (o, _sorted(labels, before[v]), _sorted(labels, after[v])) for v, o in operations.items()}
            found.update((at, step, *label) for label in labels.values())
    return found


def _sorted(labels: dict[object, Structure], vertices: list[object]) -> Structure:
    return tuple(sorted(labels[v] for v in vertices))
