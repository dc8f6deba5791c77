"""What networks of cells consist of: operations, depths (Herron 2023, section 3.4.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

NONE = "none"
Cells = Mapping[str, Sequence[Sequence[tuple[str, int]]]]
"""Per cell type and node its pairs of operation and predecessor; 0 and 1 are the cell's inputs."""


def operation_counts(cells: Cells, counts: Mapping[str, int]) -> dict[str, int]:
    """How often each operation is in a network with ``counts`` cells of each type; ``none`` counts too."""
    found: Counter[str] = Counter()
    for kind, nodes in cells.items():
        for pairs in nodes:
            for name, _ in pairs:
                found[name] += counts[kind]
    return dict(found)


def depth(nodes: Sequence[Sequence[tuple[str, int]]]) -> int:
    """The largest number of nodes on a path from an input of the cell to its output; ``none`` connects nothing."""
    longest = [0, 0]
    for pairs in nodes:
        longest.append(1 + max((longest[i] for name, i in pairs if name != NONE), default=0))
    return max(longest)


def depths(cells: Cells, counts: Mapping[str, int]) -> dict[int, int]:
    """How many cells of a network have which depth."""
    found: Counter[int] = Counter()
    for kind, nodes in cells.items():
        found[depth(nodes)] += counts[kind]
    return dict(found)
