"""A table of conditions ("subdomains") with the accuracy of a classifier in each."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError, TableError, unknown
from archwright.space import Architecture, Space


@dataclass(frozen=True, eq=False)
class SubdomainTable:
    """Every condition with its accuracy.

    Attributes:
        members: the conditions, each once.
        accuracies: ``n``, finite.
        seed: of the order of equal accuracies.

    Raises:
        TableError: lengths that differ, a condition twice, or an accuracy that is not a finite number.
    """

    members: Sequence[Architecture]
    accuracies: NDArray[np.float64]
    seed: int = 0
    space: Space = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.members) != len(self.accuracies):
            raise TableError(f"there are {len(self.members)} conditions and {len(self.accuracies)} accuracies")
        if not np.isfinite(self.accuracies).all():
            bad = int(np.flatnonzero(~np.isfinite(self.accuracies))[0])
            raise TableError(f"condition {bad} has the accuracy {self.accuracies[bad]}; give a finite number")
        try:
            object.__setattr__(self, "space", Space.listed(self.members))
        except SpaceError as error:
            raise TableError(f"the table of conditions: {error}") from error

    def __len__(self) -> int:
        return len(self.members)

    @cached_property
    def _answers(self) -> dict[Architecture, float]:
        return dict(zip(self.members, self.accuracies.tolist()))

    def __call__(self, condition: Architecture) -> float:
        """The accuracy of a condition."""
        return self._answers[condition]

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Indices of the conditions from the lowest accuracy to the highest; equal ones in random order."""
        chance = np.random.default_rng(self.seed).random(len(self))
        return np.lexsort((chance, self.accuracies))

    def worst(self, share: float = 0.1) -> frozenset[Architecture]:
        """The ``share`` of conditions with the lowest accuracies, rounded to a whole number, one at least."""
        count = max(1, round(share * len(self)))
        return frozenset(self.members[i] for i in self.order[:count])


def coverage(visited: Sequence[Architecture], table: SubdomainTable, share: float = 0.1) -> NDArray[np.float64]:
    """Share of the table's worst conditions among the first 1, 2, ... visited ones (Ouertatani, section 4.3, metric 1)."""
    worst = table.worst(share)
    found: NDArray[np.float64] = np.cumsum([condition in worst for condition in visited]) / len(worst)
    return found


def read_subdomains(path: str | Path, value: str = "accuracy", *, seed: int = 0) -> SubdomainTable:
    """A table from a CSV file with a header: the column ``value``, every other column an attribute (text).

    Raises:
        TableError: no such file or column, no rows, or a value that is not a finite number.
    """
    file = Path(path)
    header, rows = _rows(file)
    if value not in header:
        raise TableError(f"{file}: {unknown('column', value, header)}; name the accuracies' column with --value")
    if len(header) < 2:
        raise TableError(f"{file} has no column beside {value!r}; each attribute of the conditions needs one")
    accuracies = [_number(row[value], f"{file}, line {line}: {value}") for line, row in rows]
    members = [Architecture({n: v for n, v in row.items() if n != value}) for _, row in rows]
    return SubdomainTable(members, np.array(accuracies), seed)


def _rows(file: Path) -> tuple[list[str], list[tuple[int, Mapping[str, Any]]]]:
    """Header, and rows with their lines."""
    if not file.is_file():
        raise TableError(f"there is no file {file}")
    try:
        with file.open(newline="", encoding="utf-8") as text:
            reader = csv.DictReader(text)
            rows: list[tuple[int, Mapping[str, Any]]] = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError as error:
        raise TableError(f"{file} is not a CSV file in UTF-8") from error
    for line, row in rows:
        if None in row or None in row.values():
            raise TableError(f"{file}, line {line}: its number of values is not that of the header")
    if not rows:
        raise TableError(f"{file} has no rows below its header")
    return list(reader.fieldnames or ()), rows


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TableError(f"{where} is {text!r}; it must be a finite number")
    return value
