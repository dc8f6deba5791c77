"""What a network is made of: how often each operation occurs in it, and how deep its cells are (Herron 2023, 3.4.3)."""

from __future__ import annotations

from collections import Counter

from archwright.genotypes.reading import INPUTS, NONE, Cells


def operation_counts(cells: Cells, length: int = 20) -> Counter[str]:
    """How often each operation occurs in the whole stacked network of ``length`` cells; ``none`` is counted like any other."""
    found: Counter[str] = Counter()
    own = {kind: Counter(op for node in nodes for op, _ in node) for kind, nodes in cells.kinds.items()}
    for kind in cells.stack(length):
        found += own[kind]
    return found


def depth(cells: Cells, kind: str) -> int:
    """Largest number of nodes on a way from an input of the cell to its output; 0 where there is no way.

    Edges that carry ``none`` are no connections. At most the number of nodes.
    """
    reached: list[int | None] = [0] * INPUTS
    for node in cells.kinds[kind]:
        before = [reached[source] for op, source in node if op != NONE]
        ways = [d for d in before if d is not None]
        reached.append(max(ways) + 1 if ways else None)
    return max((reached[i] or 0 for i in cells.concat[kind]), default=0)


def depth_counts(cells: Cells, length: int = 20) -> Counter[int]:
    """How many cells of the whole stacked network have each depth."""
    own = {kind: depth(cells, kind) for kind in cells.kinds}
    return Counter(own[kind] for kind in cells.stack(length))
