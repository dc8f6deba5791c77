"""The space of a table, as a searcher moves in it: all of it, the part that is there, or one of many writings of each network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.tables.table import Table


class TableSpace(Space):
    """The space of a whole table: neighbours are worked out once for all runs, architectures are shared objects.

    A sample is a row drawn at random, which is uniform over the space as well.
    """

    def __init__(self, table: Table) -> None:
        self.__dict__.update(table.space.__dict__)
        self._table = table
        self._near: dict[Architecture, list[Architecture]] = {}
        self._encoded: dict[str, NDArray[np.float64]] = {}

    def row(self, architecture: Architecture) -> int:
        """The row that answers for an architecture of this space."""
        return self._table.rows[architecture]

    def neighbours(
        self, architecture: Architecture, rng: np.random.Generator | None = None, *, ordered: str = "all"
    ) -> list[Architecture]:
        """As in the space itself."""
        if ordered != "all":
            return super().neighbours(architecture, rng, ordered=ordered)  # type: ignore[arg-type]
        near = self._near.get(architecture)
        if near is None:
            table = self._table
            near = [table.architectures[table.rows[a]] for a in super().neighbours(architecture, rng)]
            self._near[architecture] = near
        return near

    def encode(self, architectures: Sequence[Architecture], kind: str = "one_hot") -> NDArray[np.float64]:
        """As in the space itself; the whole table is encoded once."""
        if kind not in self._encoded:
            self._encoded[kind] = super().encode(self._table.architectures, kind)
        rows = self._table.rows
        return self._encoded[kind][[rows[a] for a in architectures]]

    def _sample_one(self, rng: np.random.Generator) -> Architecture:
        return self._table.architectures[rng.integers(len(self._table))]


class PartialSpace(TableSpace):
    """The architectures of a table that lacks some: a move leads to the nearest ones that are there.

    Distance is the number of parameters that differ, counting those that come and go.
    """

    @property
    def size(self) -> int:
        """Of the table."""
        return len(self._table)

    @property
    def is_flat(self) -> bool:
        """Never: parameters cannot be drawn one by one."""
        return False

    def problems(self, architecture: Mapping[str, Any]) -> list[str]:
        """As in the space, or that the table lacks it."""
        found = super().problems(architecture)
        return found or ([] if Architecture(architecture) in self._table.rows else ["the table does not have it"])

    def enumerate(self) -> Iterator[Architecture]:
        """The table's architectures, in its order."""
        return iter(self._table.architectures)

    def neighbours(
        self, architecture: Architecture, rng: np.random.Generator | None = None, *, ordered: str = "all"
    ) -> list[Architecture]:
        """Those at the smallest distance."""
        near = self._near.get(architecture)
        if near is None:
            distance = self._distances(self._table.codes[self._table.rows[architecture]])
            least = distance[distance > 0].min(initial=len(self.names) + 1)
            near = [self._table.architectures[i] for i in np.flatnonzero(distance == least)]
            self._near[architecture] = near
        return near

    def mutate(
        self, architecture: Architecture, rng: np.random.Generator, probability: float | None = None
    ) -> Architecture:
        """A neighbour; with a probability per parameter perhaps the architecture itself."""
        if probability is not None and not (rng.random(len(architecture)) < probability).any():
            return architecture
        near = self.neighbours(architecture)
        return near[int(rng.integers(len(near)))]

    def crossover_pair(
        self, first: Architecture, second: Architecture, rng: np.random.Generator, kind: str = "uniform"
    ) -> tuple[Architecture, Architecture]:
        """The architectures nearest to the two children."""
        a, b = (self._table.codes[self._table.rows[parent]] for parent in (first, second))
        if kind == "uniform":
            swapped = rng.random(len(a)) < 0.5
        else:
            low, high = sorted(rng.integers(len(a), size=2).tolist())
            swapped = (np.arange(len(a)) >= low) & (np.arange(len(a)) < high)
        return self._nearest(np.where(swapped, b, a), rng), self._nearest(np.where(swapped, a, b), rng)

    def _nearest(self, codes: NDArray[np.int64], rng: np.random.Generator) -> Architecture:
        distance = self._distances(codes)
        nearest = np.flatnonzero(distance == distance.min())
        return self._table.architectures[int(rng.choice(nearest))]

    def _distances(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray((self._table.codes != codes).sum(axis=1))


class WritingsSpace(Space):
    """The space of a table that has every network once: all writings, of which any may be asked for."""

    def __init__(self, table: Table) -> None:
        self.__dict__.update(table.space.__dict__)
        self.identities = table.identify
        self._table = table
        self._row: dict[Architecture, int] = {}
        self._near: dict[Architecture, list[Architecture]] = {}

    def row(self, architecture: Architecture) -> int:
        """The row that answers for an architecture of this space."""
        found = self._row.get(architecture)
        if found is None:
            found = self._row[architecture] = cast(int, self._table.row_of(architecture))
        return found

    def neighbours(
        self, architecture: Architecture, rng: np.random.Generator | None = None, *, ordered: str = "all"
    ) -> list[Architecture]:
        """As in the space itself."""
        if ordered != "all":
            return super().neighbours(architecture, rng, ordered=ordered)  # type: ignore[arg-type]
        if architecture not in self._near:
            self._near[architecture] = super().neighbours(architecture, rng)
        return self._near[architecture]
