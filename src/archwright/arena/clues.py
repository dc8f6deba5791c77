"""Clues of a table: columns that cost no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, TableError
from archwright.space import Architecture
from archwright.tables.table import Table

RANDOM = "random"


@dataclass(frozen=True)
class TableClues:
    """Columns of a table as :class:`~archwright.searchers.Clues`.

    Attributes:
        names: of the clues, see :func:`read_clues`.
        values: ``rows x names``.
        space: knows the row of an architecture.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    space: Any

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """``n x names``."""
        return self.values[[self.space.row(a) for a in architectures]]


def read_clues(table: Table, dataset: str, names: Sequence[str], space: Any) -> TableClues:
    """Clues by name: columns that need no training, more is better; ``-NAME`` where less is.

    ``random`` is a number drawn for each row, for trying what a clue does that says nothing.

    Raises:
        SettingsError: a name twice.
        TableError: no such column, or one that is the result of a training.
    """
    if len(set(names)) < len(names):
        raise SettingsError(f"name each clue once, not {', '.join(names)}")
    columns = [_values(table, dataset, name.removeprefix("-")) * (-1 if name.startswith("-") else 1) for name in names]
    return TableClues(tuple(names), np.stack(columns, axis=1), space)


def _values(table: Table, dataset: str, name: str) -> NDArray[np.float64]:
    if name == RANDOM:
        return np.random.default_rng(0).random(len(table))
    column = table.column(dataset, name)
    if column.epochs:
        raise TableError(f"{column.label} is what trainings gave; a clue is a column that needs none, such as params")
    return column.at()
