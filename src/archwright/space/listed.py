"""A space given by the list of its members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space import variation
from archwright.space.architecture import Architecture
from archwright.space.parameters import Choice, is_scalar, plain
from archwright.space.space import Space


class ListedSpace(Space):
    """Exactly the architectures of a list; everything drawn or varied stays inside it.

    Neighbours are the members that differ in one parameter; where there are none, those that differ in the fewest. A column of
    numbers is an ordered choice: with more than 32 different ones, such as measurements or learned embeddings, models see
    its place in their order (:meth:`Space.encode`).

    Args:
        rows: mappings with the same names, or sequences of equal length.
        names: of the positions of sequences; ``x0``, ``x1``, ... by default.

    Raises:
        SpaceError: no rows, rows that do not fit together, or repeated ones.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any] | Sequence[Any]], names: Sequence[str] | None = None) -> None:
        rows = rows.tolist() if hasattr(rows, "tolist") else rows  # of NumPy or torch: plain numbers
        if not isinstance(rows, Iterable):
            raise SpaceError(f"a list of architectures must hold mappings or sequences of values, not be {rows!r}")
        members = [_member(i, row, names) for i, row in enumerate(rows)]
        if not members:
            raise SpaceError("a list of architectures must not be empty")
        first = members[0]
        for i, member in enumerate(members):
            if set(member) != set(first):
                raise SpaceError(
                    f"architecture {i} of the list has {len(member)} values ({', '.join(member)}), the first has {len(first)}; "
                    "all need the same names"
                )
        members = _alike(members)
        super().__init__({name: _parameter([member[name] for member in members]) for name in first})
        places: dict[Architecture, int] = {}
        for i, member in enumerate(members):
            if places.setdefault(member, i) != i:
                raise SpaceError(f"architecture {i} of the list is there twice: {member}")
        self._places = places
        self.members = tuple(members)

    @property
    def is_flat(self) -> bool:
        """Never: not every combination is a member."""
        return False

    @cached_property
    def size(self) -> int | None:
        """Number of members."""
        return len(self.members)

    @cached_property
    def _codes(self) -> NDArray[np.int64]:
        return self.codes(self.members)

    @cached_property
    def _columns(self) -> NDArray[np.int32]:
        """The codes, one row per parameter, for fast comparison."""
        return np.ascontiguousarray(self._codes.T.astype(np.int32))

    def _distances(self, architecture: Architecture) -> NDArray[np.int32]:
        """In how many parameters each member differs."""
        distances = np.zeros(len(self.members), np.int32)
        for column, code in zip(self._columns, self.codes([architecture])[0].tolist()):
            distances += column != code
        return distances

    def enumerate(self) -> Iterator[Architecture]:
        """The members, as listed."""
        return iter(self.members)

    def problems(self, architecture: Mapping[str, Any]) -> list[str]:
        """Why an architecture is not in the list."""
        return super().problems(architecture) or self._unlisted(architecture)

    def _unlisted(self, architecture: Mapping[str, Any]) -> list[str]:
        listed = Architecture(architecture) in self._places
        return [] if listed else ["it is not in the list of architectures"]

    @cached_property
    def default(self) -> Architecture:
        """The first member."""
        return self.members[0]

    def _sample_one(self, rng: np.random.Generator) -> Architecture:
        return self.members[int(rng.integers(len(self.members)))]

    def neighbours(
        self,
        architecture: Architecture,
        rng: np.random.Generator | None = None,
        *,
        ordered: Literal["all", "adjacent"] = "all",
    ) -> list[Architecture]:
        """The members at the smallest Hamming distance (one, where there are such)."""
        distance = self._distances(architecture)
        nearest = distance[distance > 0].min(initial=len(self.names) + 1)
        return [self.members[i] for i in np.flatnonzero(distance == nearest)]

    def mutate(
        self, architecture: Architecture, rng: np.random.Generator, probability: float | None = None
    ) -> Architecture:
        """A neighbour; with ``probability``, a member near a free mutation."""
        variation.check_probability(probability)
        if len(self.members) == 1:
            raise SpaceError("a space of one architecture has nothing to mutate")
        if probability is not None:
            chosen = [name for name, at in zip(self.names, rng.random(len(self.names))) if at < probability]
            return self._nearest(variation.redraw(self, architecture, chosen, rng), rng)
        around = self.neighbours(architecture)
        return around[int(rng.integers(len(around)))]

    def crossover_pair(
        self,
        first: Architecture,
        second: Architecture,
        rng: np.random.Generator,
        kind: Literal["uniform", "two_point"] = "uniform",
    ) -> tuple[Architecture, Architecture]:
        """The members nearest to two free children."""
        children = super().crossover_pair(first, second, rng, kind)
        return self._nearest(children[0], rng), self._nearest(children[1], rng)

    def _nearest(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        distance = self._distances(architecture)
        nearest = np.flatnonzero(distance == distance.min())
        return self.members[int(rng.choice(nearest))]

    def to_json(self) -> dict[str, Any]:
        """Plain data: the members' codes and the values they stand for."""
        return super().to_json() | {"listed": self._codes.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ListedSpace:
        """The inverse of :meth:`to_json`."""
        values = {name: p["values"] for name, p in data["parameters"].items()}
        rows = [{name: values[name][c] for name, c in zip(values, row)} for row in data["listed"]]
        return cls(rows)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _alike(members: list[Architecture]) -> list[Architecture]:
    """The members, whole numbers as floats in columns of numbers that have a float: ``1`` and ``1.0`` are one value there."""
    kinds = {name: {type(member[name]) for member in members} for name in members[0]}
    mixed = {name for name, types in kinds.items() if types == {int, float}}
    if not mixed:
        return members
    return [Architecture({n: float(v) if n in mixed else v for n, v in member.items()}) for member in members]  # type: ignore[arg-type]


def _parameter(values: list[Any]) -> Choice | list[Any]:
    """The different values of one column, in order if all are numbers; ``1`` and ``True`` together are refused."""
    different = list({(type(value), value): value for value in values}.values())
    if all(map(_is_number, different)):
        return Choice(*sorted(different), ordered=True)
    return different


def _member(position: int, row: Mapping[str, Any] | Sequence[Any], names: Sequence[str] | None) -> Architecture:
    if isinstance(row, Mapping):
        return _checked(position, {name: plain(v) for name, v in row.items()})
    if isinstance(row, (str, bytes)):
        raise SpaceError(f"architecture {position} of the list is the text {row!r}; give its values one by one")
    if not isinstance(row, (Sequence, np.ndarray)):
        raise SpaceError(f"architecture {position} of the list must be a mapping or a sequence of values, not {row!r}")
    values = [plain(v) for v in row]
    labels = list(names) if names is not None else [f"x{i}" for i in range(len(values))]
    if len(labels) != len(values):
        raise SpaceError(f"architecture {position} of the list has {len(values)} values for {len(labels)} names")
    return _checked(position, dict(zip(labels, values)))


def _checked(position: int, values: Mapping[str, Any]) -> Architecture:
    for name, value in values.items():
        if not is_scalar(value):
            shown = repr(value).replace("\n", " ")
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise SpaceError(
                f"architecture {position} of the list has {shown} as {name}, which is not a text, a finite number, a truth "
                "value or None"
            )
    return Architecture(values)
