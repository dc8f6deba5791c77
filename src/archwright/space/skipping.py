"""How far a cell's connections jump: the skip metric of FreeREA (Cavagnero et al. 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space.cells import Cell
from archwright.space.space import Space

SKIPS = ("skip_connect", "skip", "identity")
"""Names of the operation that passes its input on."""


def mean_skip(space: Space, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean number of nodes that a skip connection jumps over; 0 without one, and the mean over the cells of a space.

    With operations on edges (NAS-Bench-201) the skip connections are the edges whose operation is one of :data:`SKIPS`, and
    one that jumps over no node counts as 0. With operations on nodes (NAS-Bench-101) they are the edges that jump over a
    node, in the cell without the nodes that are on no way from the input to the output.

    Args:
        space: with cells.
        codes: ``n x parameters``, as :meth:`Space.codes` gives them.

    Returns:
        ``n``.

    Raises:
        SpaceError: the space has no cell.
    """
    if not space.cells:
        raise SpaceError("the skip metric is of cell graphs, and this space has none (NAS-Bench-201 and 101 have)")
    column = {name: k for k, name in enumerate(space.names)}
    cells = [_of_cell(cell, codes[:, [column[name] for name in cell.names]]) for cell in space.cells]
    return np.asarray(np.mean(cells, axis=0))


def _of_cell(cell: Cell, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    source, destination = np.array(cell.edges, dtype=np.int8).T
    if cell.on == "edges":
        which = [k for k, operation in enumerate(cell.operations) if operation in SKIPS]
        there = np.isin(codes, which)
        jumped = np.broadcast_to(destination - source - 1, there.shape)
    else:
        present = codes[:, : len(cell.edges)] == 1
        alive = _alive(cell, present)
        place = alive.cumsum(axis=1, dtype=np.int8)
        jumped = place[:, destination] - place[:, source] - 1
        there = present & alive[:, source] & alive[:, destination] & (jumped > 0)
    return np.asarray((jumped * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _alive(cell: Cell, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``n x nodes``: those on a way from the input to the output."""
    forward = np.zeros((len(present), cell.nodes), dtype=bool)
    backward = forward.copy()
    forward[:, 0] = backward[:, -1] = True
    for k in sorted(range(len(cell.edges)), key=lambda k: cell.edges[k]):
        i, j = cell.edges[k]
        forward[:, j] |= forward[:, i] & present[:, k]
    for k in sorted(range(len(cell.edges)), key=lambda k: cell.edges[k][1], reverse=True):
        i, j = cell.edges[k]
        backward[:, i] |= backward[:, j] & present[:, k]
    return np.asarray(forward & backward)
