"""How well a search over NAS-Bench-201's cells orders them, against a table of what they reach when trained alone.

Two orders come out of a search: that of the architecture parameters, in which a cell is worth the product of the softmax
weights of its operations, and that of the accuracy which the search network has as the cell, with the weights of the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from archwright.data import Data, DeviceSplit
from archwright.errors import SettingsError, TableError
from archwright.families.nasbench201 import CELL, EDGES, OPERATIONS, from_string, to_string
from archwright.proxies.correlation import Pairs
from archwright.space import Architecture, Space
from archwright.supernet.nasbench201 import MixedNetwork
from archwright.tables.table import Table

Floats = NDArray[np.float64]
TOP = 1000


def implied_scores(alpha: Sequence[Sequence[float]], operations: Sequence[str], codes: NDArray[np.int64]) -> Floats:
    """The sum over edges of the logarithm of the softmax weight of the cell's operation.

    Args:
        alpha: six rows, one column per operation.
        operations: columns of ``alpha``; cells with another one have minus infinity.
        codes: ``n x 6``, indices of the family's operations.
    """
    shares = log_softmax(np.asarray(alpha, dtype=np.float64), axis=1)
    full = np.full((len(shares), len(OPERATIONS)), -np.inf)
    full[:, [OPERATIONS.index(name) for name in operations]] = shares
    scores: Floats = full[np.arange(len(shares)), codes].sum(axis=1)
    return scores


@torch.no_grad()
def one_shot_accuracies(
    student: MixedNetwork, data: Data, count: int, *, seed: int, batch_size: int = 256
) -> list[tuple[str, float]]:
    """Validation accuracy of ``count`` random cells, in the benchmark's notation, with the weights of a search.

    Batch norms use the statistics of the batch: those that a search network keeps belong to no cell.

    Raises:
        SettingsError: a count below 3, or more than there are cells.
    """
    space, number = Space(cells=CELL), len(OPERATIONS)
    check_sample(count)
    chosen = np.random.default_rng(seed).choice(number ** len(EDGES), count, replace=False)
    cells = space.from_codes(np.stack(np.unravel_index(chosen, (number,) * len(EDGES)), axis=1))
    device = next(student.parameters()).device
    split = DeviceSplit(data.validation, data, device, channels_last=True)
    right = torch.zeros(count, device=device)
    student.train()
    for x, y in split.batches(batch_size):
        for k, cell in enumerate(cells):
            right[k] += (student.head(student.features(x, cell)[0]).argmax(1) == y).sum()
    return list(zip(map(to_string, cells), (right / len(split)).tolist()))


def check_sample(count: int) -> None:
    """Refuse a sample that there is not, or that orders nothing.

    Raises:
        SettingsError: it is one.
    """
    most = len(OPERATIONS) ** len(EDGES)
    if not 3 <= count <= most:
        raise SettingsError(f"a sample has from 3 to {most:,} cells, not {count}")


def check_table(table: Table) -> None:
    """Refuse a table of another space.

    Raises:
        TableError: it is one.
    """
    if table.space.fingerprint != Space(cells=CELL).fingerprint:
        raise TableError(f"table {table.name} is not of NAS-Bench-201's cells; nasbench201 and nasbench201-digits are")


def ranking(table: Table, worth: Floats, found: Mapping[str, Any]) -> dict[str, Any]:
    """Where the architecture of a search stands in a table, and how its orders agree with the table's.

    Args:
        table: of NAS-Bench-201's cells.
        worth: of its rows, higher is better; NaN where nothing is known.
        found: the result of a search: ``architecture``, and of its ``search`` as far as they are there ``alpha``,
            ``operations`` and ``one_shot``.

    Returns:
        ``accuracy``, ``rank`` (from 1; equal ones share the best), ``of`` and ``best`` of the table; ``order`` and ``top``,
        with ``n``, ``spearman`` and ``kendall`` of the order that alpha implies with the table's, over all cells and over the
        table's first :data:`TOP`; ``one_shot``, those of the sample's accuracies, and of alpha over the sample.

    Raises:
        TableError: a table of another space.
    """
    check_table(table)
    known = np.flatnonzero(~np.isnan(worth))
    row = table.row_of(Architecture(found["architecture"]))
    own = None if row is None or np.isnan(worth[row]) else float(worth[row])
    result: dict[str, Any] = {
        "accuracy": own,
        "rank": None if own is None else 1 + int((worth[known] > own).sum()),
        "of": len(known),
        "best": float(worth[known].max()),
    }
    if "alpha" not in found["search"]:
        return result
    implied = implied_scores(found["search"]["alpha"], found["search"]["operations"], table.codes)
    top = known[np.argsort(-worth[known], kind="stable")[:TOP]]
    result |= {"order": _agreement(implied[known], worth[known]), "top": _agreement(implied[top], worth[top])}
    sample = found["search"].get("one_shot")
    return result if not sample else result | {"one_shot": _sampled(table, worth, implied, sample)}


def _sampled(table: Table, worth: Floats, implied: Floats, sample: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Agreement of the sample's accuracies, and beside it of alpha's order over the same cells."""
    rows = [(table.row_of(from_string(text)), accuracy) for text, accuracy in sample]
    there = [(row, accuracy) for row, accuracy in rows if row is not None and not np.isnan(worth[row])]
    at, accuracies = np.array([row for row, _ in there], dtype=int), np.array([accuracy for _, accuracy in there])
    alone = _agreement(implied[at], worth[at])
    return _agreement(accuracies, worth[at]) | {"alpha_spearman": alone["spearman"], "alpha_kendall": alone["kendall"]}


def _agreement(scores: Floats, worth: Floats) -> dict[str, Any]:
    """``None`` where one of them is everywhere the same."""
    if len(worth) < 3 or len(np.unique(scores)) < 2 or len(np.unique(worth)) < 2:
        return {"n": len(worth), "spearman": None, "kendall": None}
    pairs = Pairs(scores, worth)
    return {"n": len(worth), "spearman": pairs.spearman(), "kendall": pairs.kendall()}
