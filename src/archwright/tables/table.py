"""A :class:`Table`: a benchmark whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError, unknown
from archwright.space import Architecture, Space
from archwright.tables.column import Column

if TYPE_CHECKING:
    from archwright.families import Family


@dataclass(frozen=True)
class Table:
    """Architectures of a space and what they are worth.

    Attributes:
        name: a short one.
        space: where the architectures live; searchers move in it.
        codes: ``n x parameters``, as :meth:`archwright.space.Space.codes` gives them.
        columns: the metrics.
        family: ``{"name", "options"}`` of the family that builds the networks, if there is one.
        provenance: where it comes from, in words.

    Raises:
        TableError: an architecture twice or outside the space, columns that do not fit, no column.
    """

    name: str
    space: Space
    codes: NDArray[np.int64]
    columns: tuple[Column, ...]
    family: Mapping[str, Any] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.shape[1] != len(self.space.names):
            raise TableError(
                f"table {self.name}: codes of shape {self.codes.shape} do not fit {len(self.space.names)} parameters"
            )
        if not self.columns or not len(self):
            raise TableError(f"table {self.name} has no {'architectures' if self.columns else 'columns'}")
        for column in self.columns:
            if len(column.values) != len(self):
                raise TableError(f"table {self.name}: {column.label} has {len(column.values)} rows, not {len(self)}")
        keys = [(c.dataset, c.metric) for c in self.columns]
        for column, key in zip(self.columns, keys):
            if keys.count(key) > 1:
                raise TableError(f"table {self.name}: {column.label} is there twice")
        mixed = np.sort(self._mixed())
        if (mixed[1:] == mixed[:-1]).any():  # perhaps by chance; rows are compared only then
            different = np.unique(self.codes, axis=0, return_index=True)[1]
            if len(different) < len(self):
                first = sorted(set(range(len(self))) - set(different.tolist()))[0]
                raise TableError(f"table {self.name}: the architecture of row {first} is there twice")

    def _mixed(self) -> NDArray[np.int64]:
        """A number per row, equal for equal rows and hardly ever else."""
        weights = np.random.default_rng(0).integers(1, 2**62, size=self.codes.shape[1])
        return np.asarray(self.codes @ weights)

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """All of them, in the order of the rows."""
        return self.space.from_codes(self.codes)

    @cached_property
    def rows(self) -> dict[Architecture, int]:
        """The row of each architecture."""
        return {architecture: row for row, architecture in enumerate(self.architectures)}

    @cached_property
    def is_whole(self) -> bool:
        """Whether every architecture of the space is there, or every network where many are one."""
        family = own_family(self.family)
        if family is not None and family.identities is not None:
            return len(self) == family.networks
        return self.space.size == len(self)

    @cached_property
    def identify(self) -> Callable[[NDArray[np.int64]], NDArray[np.int64]] | None:
        """Where a row stands for all writings of a network: codes to numbers that are equal for equal networks."""
        family = own_family(self.family)
        return family.identities if family is not None else None

    @cached_property
    def _numbered(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of all rows in ascending order, and the row of each."""
        assert self.identify is not None
        found = self.identify(self.codes)
        order = np.argsort(found)
        return found[order], order

    def row_of(self, architecture: Architecture) -> int | None:
        """The row of an architecture, or of another writing of its network; ``None`` if the table lacks it."""
        if self.identify is None:
            return self.rows.get(architecture)
        ordered, rows = self._numbered
        number = self.identify(self.space.codes([architecture]))[0]
        at = int(np.searchsorted(ordered, number))
        return int(rows[at]) if at < len(ordered) and ordered[at] == number else None

    def architecture(self, row: int) -> Architecture:
        """That of a row."""
        return self.space.from_codes(self.codes[[row]])[0]

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of the data sets."""
        return tuple(dict.fromkeys(c.dataset for c in self.columns if c.dataset))

    def dataset(self, name: str | None = None) -> str:
        """A data set by its name; the first one by default.

        Raises:
            TableError: there is none of this name.
        """
        if name is None:
            return self.datasets[0] if self.datasets else ""
        if name not in self.datasets:
            raise TableError(f"table {self.name}: " + unknown("data set", name, self.datasets))
        return name

    def metrics(self, dataset: str) -> tuple[str, ...]:
        """The metrics on a data set, with those that need none."""
        return tuple(dict.fromkeys(c.metric for c in self.columns if c.dataset in (dataset, "")))

    def column(self, dataset: str, metric: str) -> Column:
        """A metric on a data set.

        Raises:
            TableError: there is no such data set or metric, with near matches.
        """
        if dataset or self.datasets:
            self.dataset(dataset)
        for column in self.columns:
            if column.metric == metric and column.dataset in (dataset, ""):
                return column
        raise TableError(f"table {self.name}, {dataset}: " + unknown("metric", metric, self.metrics(dataset)))

    def joined(self, other: Table) -> Table:
        """This table with the columns of another one of the same space; architectures it lacks get NaN.

        Raises:
            TableError: the spaces differ, or a column is in both.
        """
        if other.space.fingerprint != self.space.fingerprint:
            raise TableError(f"tables {self.name} and {other.name} are of different spaces and cannot be joined")
        theirs = {code.tobytes(): row for row, code in enumerate(np.ascontiguousarray(other.codes))}
        order = np.array([theirs.get(code.tobytes(), -1) for code in np.ascontiguousarray(self.codes)])
        taken = [
            Column(c.dataset, c.metric, c.direction, np.where((order >= 0)[:, None, None], c.values[order], np.nan), c.epochs, c.seeds)
            for c in other.columns
        ]  # fmt: skip
        return Table(
            self.name, self.space, self.codes, self.columns + tuple(taken), self.family,
            {**other.provenance, **self.provenance},
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """What is in it, as plain data."""
        return {
            "name": self.name,
            "architectures": len(self),
            "whole_space": self.is_whole,
            "family": dict(self.family) if self.family else None,
            "datasets": list(self.datasets),
            "columns": [self._facts(c) for c in self.columns],
            "provenance": dict(self.provenance),
        }

    def _facts(self, column: Column) -> dict[str, Any]:
        values = column.at()
        known = values[~np.isnan(values)]
        best = (known.max() if column.direction == "maximize" else known.min()) if known.size else np.nan
        return {
            "dataset": column.dataset, "metric": column.metric, "direction": column.direction,
            "epochs": list(column.epochs), "seeds": len(column.seeds) or 1,
            "missing": len(values) - len(known), "best": float(best),
            "median": float(np.median(known)) if known.size else math.nan,
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write the file, whole or not at all.

        Raises:
            TableError: it cannot be written.
        """
        from archwright.tables.files import write_table

        return write_table(self, Path(path))


def own_family(spec: Mapping[str, Any] | None) -> Family | None:
    """The family of ``{"name", "options"}``, if it is of the catalogue."""
    from archwright.families import CATALOGUE, get_family

    return get_family(spec["name"], **spec["options"]) if spec is not None and spec["name"] in CATALOGUE else None
