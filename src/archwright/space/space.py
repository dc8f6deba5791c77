"""The space: parameters, conditions, constraints; sampling, neighbours, variation, encodings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space import encodings
from archwright.space.architecture import Architecture, Value
from archwright.space.cells import Cell
from archwright.space.parameters import Choice, Integer, Parameter, Real, parameter_from_json

Predicate = Callable[[Architecture], bool]
COUNTABLE = 2_000_000
COMPLETIONS = 32
DRAWS = 100_000


@dataclass(frozen=True)
class Constraint:
    """A rule that valid architectures keep, and the message for those that do not."""

    predicate: Predicate
    message: str

    def holds(self, architecture: Architecture) -> bool:
        """Apply the predicate.

        Raises:
            SpaceError: the predicate itself raised.
        """
        try:
            return bool(self.predicate(architecture))
        except Exception as error:
            raise SpaceError(
                f"the constraint {self.message!r} raised {type(error).__name__}: {error}, for {architecture}"
            ) from error


class Space:
    """What can be built: ordered parameters, some of them conditional, and constraints.

    ::

        Space(depth=Integer(1, 6), block=Choice("conv", "mbconv"), se=Choice(False, True, when={"block": "mbconv"}))

    Args:
        parameters: name -> parameter; also as keywords. Plain lists and tuples become a :class:`Choice`.
        constraints: :class:`Constraint` objects or ``(predicate, message)`` pairs.
        cells: cell graphs, whose parameters come first.

    Raises:
        SpaceError: no parameter, a name twice, a condition on an unknown parameter or value, conditions in a circle.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        /,
        *,
        constraints: Iterable[Constraint | tuple[Predicate, str]] = (),
        cells: Cell | Sequence[Cell] = (),
        **named: Any,
    ) -> None:
        self.cells: tuple[Cell, ...] = (cells,) if isinstance(cells, Cell) else tuple(cells)
        self.parameters: dict[str, Parameter] = {}
        for group in [*(cell.parameters() for cell in self.cells), parameters or {}, named]:
            for name, parameter in group.items():
                if name in self.parameters:
                    raise SpaceError(f"the parameter {name!r} is given twice")
                self.parameters[name] = _as_parameter(name, parameter)
        if not self.parameters:
            raise SpaceError("a space needs at least one parameter")
        self.constraints = tuple(c if isinstance(c, Constraint) else Constraint(*c) for c in constraints)
        self.names: tuple[str, ...] = tuple(self.parameters)
        self._order = _sorted_by_condition(self.parameters)
        self._parents = {parent for p in self.parameters.values() for parent, _ in p.when}

    def __repr__(self) -> str:
        return f"Space({len(self.names)} parameters, size {self.size})"

    def describe(self) -> list[tuple[str, str, str]]:
        """``(name, values, condition)`` of every parameter, in words."""
        return [
            (name, p.describe(), " and ".join(f"{parent} in {list(values)}" for parent, values in p.when))
            for name, p in self.parameters.items()
        ]

    # ---------------------------------------------------------------- size and membership

    @property
    def is_flat(self) -> bool:
        """No conditions, no constraints, all parameters finite: every combination is valid."""
        return not self.constraints and not self._parents and not self._has_real

    @cached_property
    def _has_real(self) -> bool:
        return any(p.values is None for p in self.parameters.values())

    @cached_property
    def size(self) -> int | None:
        """Exact number of architectures; ``None`` with a real parameter, or with constraints over too many to count."""
        if self._has_real:
            return None
        total = self._count(0, {})
        if not self.constraints:
            return total
        return sum(1 for _ in self.enumerate()) if total <= COUNTABLE else None

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, in the order of the parameters' values.

        Raises:
            SpaceError: the space has a real parameter.
        """
        if self._has_real:
            raise SpaceError("a space with a real parameter cannot be enumerated")
        for assignment in self._assignments(0, {}):
            architecture = self._architecture(assignment)
            if self._keeps_constraints(architecture):
                yield architecture

    def problems(self, architecture: Mapping[str, Any]) -> list[str]:
        """Why an architecture is not in the space; empty if it is."""
        found = [f"{name!r} is not a parameter of the space" for name in architecture if name not in self.parameters]
        for name, parameter in self.parameters.items():
            active = self._active(parameter, architecture)
            if active and name not in architecture:
                found.append(f"{name!r} has no value")
            elif not active and name in architecture:
                found.append(f"{name!r} has a value but is not active (its condition does not hold)")
            elif active and not parameter.allows(architecture[name]):
                found.append(f"{name!r} cannot be {architecture[name]!r}; it takes {parameter.describe()}")
        if not found:
            whole = architecture if isinstance(architecture, Architecture) else Architecture(architecture)
            found = [c.message for c in self.constraints if not c.holds(whole)]
        return found

    def __contains__(self, architecture: object) -> bool:
        return isinstance(architecture, Mapping) and not self.problems(architecture)

    def validate(self, architecture: Mapping[str, Any]) -> None:
        """Refuse what is not in the space.

        Raises:
            SpaceError: with the first reason.
        """
        problems = self.problems(architecture)
        if problems:
            raise SpaceError(f"not an architecture of this space: {problems[0]}")

    @cached_property
    def default(self) -> Architecture:
        """Every parameter at its default; the first valid architecture where constraints forbid that."""
        assignment: dict[str, Value] = {}
        for name in self._order:
            if self._active(self.parameters[name], assignment):
                assignment[name] = self.parameters[name].default
        architecture = self._architecture(assignment)
        if self._keeps_constraints(architecture):
            return architecture
        return self.sample(np.random.default_rng(0)) if self._has_real else next(self.enumerate())

    # ---------------------------------------------------------------- sampling

    @overload
    def sample(self, rng: np.random.Generator) -> Architecture: ...
    @overload
    def sample(self, rng: np.random.Generator, n: int) -> list[Architecture]: ...
    def sample(self, rng: np.random.Generator, n: int | None = None) -> Architecture | list[Architecture]:
        """One architecture, or ``n`` independent ones, uniform over all valid ones.

        Conditions are taken into account by exact counting, so that branches with more architectures are drawn
        more often; constraints by rejection. A real parameter counts as one value.

        Raises:
            SpaceError: no valid architecture was found.
        """
        if n is None:
            return self._sample_one(rng)
        if self.is_flat:
            columns = [rng.integers(p.count, size=n) for p in self.parameters.values()]
            return self.from_codes(np.stack(columns, axis=1))
        return [self._sample_one(rng) for _ in range(n)]

    def _sample_one(self, rng: np.random.Generator) -> Architecture:
        for _ in range(DRAWS):
            architecture = self._architecture(self._complete({}, rng))
            if self._keeps_constraints(architecture):
                return architecture
        raise SpaceError(
            f"none of {DRAWS:,} drawn architectures keeps the constraints: {'; '.join(c.message for c in self.constraints)}"
        )

    def _complete(self, fixed: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value]:
        """Values for all active parameters: those of ``fixed`` where given, the others drawn."""
        assignment: dict[str, Value] = {}
        for i, name in enumerate(self._order):
            parameter = self.parameters[name]
            if not self._active(parameter, assignment):
                continue
            if name in fixed:
                assignment[name] = fixed[name]
            elif name in self._parents and parameter.values is not None:
                weights = np.array([self._count(i + 1, {**assignment, name: v}) for v in parameter.values], dtype=float)
                index = int(rng.choice(len(weights), p=weights / weights.sum()))
                assignment[name] = parameter.values[index]
            else:
                assignment[name] = parameter.sample(rng)
        return assignment

    # ---------------------------------------------------------------- neighbours and variation

    def neighbours(
        self,
        architecture: Architecture,
        rng: np.random.Generator | None = None,
        *,
        ordered: Literal["all", "adjacent"] = "all",
    ) -> list[Architecture]:
        """All valid architectures that differ in exactly one parameter (Zouambi 2023, 2.3, after Hutter et al. 2011).

        Parameters that the change makes active take every combination of values if there are at most 32 (so that
        the relation is symmetric), else their defaults; those that it makes inactive vanish. Real parameters and
        integers of more than 32 values have four neighbours drawn from a Gaussian, which needs ``rng``.

        Args:
            ordered: ``adjacent`` moves ordered choices and integers by one step only.
        """
        found: dict[Architecture, None] = {}
        for name in self.names:
            if name not in architecture:
                continue
            parameter = self.parameters[name]
            values = parameter.others(architecture[name], rng)
            if ordered == "adjacent":
                values = _adjacent(parameter, architecture[name], values)
            for value in values:
                for changed in self._changed(architecture, name, value):
                    if self._keeps_constraints(changed):
                        found[changed] = None
        return list(found)

    def _changed(self, architecture: Architecture, name: str, value: Value) -> list[Architecture]:
        if name not in self._parents:
            return [architecture.replace(**{name: value})]
        partial: list[dict[str, Value]] = [{}]
        for other in self._order:
            parameter = self.parameters[other]
            grown: list[dict[str, Value]] = []
            for assignment in partial:
                if not self._active(parameter, assignment):
                    grown.append(assignment)
                elif other == name:
                    grown.append({**assignment, other: value})
                elif other in architecture:
                    grown.append({**assignment, other: architecture[other]})
                else:
                    options = (parameter.default,) if parameter.values is None else parameter.values
                    grown += [{**assignment, other: option} for option in options]
            if len(grown) > COMPLETIONS:
                grown = [self._with_defaults(architecture, name, value)]
                partial = grown
                break
            partial = grown
        return [self._architecture(assignment) for assignment in partial]

    def _with_defaults(self, architecture: Architecture, name: str, value: Value) -> dict[str, Value]:
        assignment: dict[str, Value] = {}
        for other in self._order:
            parameter = self.parameters[other]
            if self._active(parameter, assignment):
                assignment[other] = value if other == name else architecture.get(other, parameter.default)
        return assignment

    def mutate(
        self, architecture: Architecture, rng: np.random.Generator, probability: float | None = None
    ) -> Architecture:
        """A valid architecture near ``architecture``.

        Args:
            probability: each active parameter takes another value with this probability (the result may be the same
                architecture); by default exactly one parameter does.

        Raises:
            SpaceError: the architecture has no neighbour.
        """
        movable = [name for name in self.names if (name in architecture and self.parameters[name].count != 1) or
                   (name in architecture and self.parameters[name].values is None)]  # fmt: skip
        if not movable:
            raise SpaceError("a space of one architecture has nothing to mutate")
        for _ in range(100):
            if probability is None:
                names = [movable[int(rng.integers(len(movable)))]]
            else:
                names = [name for name in movable if rng.random() < probability]
            mutant = self._redraw(architecture, names, rng)
            if self._keeps_constraints(mutant) and (mutant != architecture or probability is not None):
                return mutant
        around = self.neighbours(architecture, rng)
        if not around:
            raise SpaceError(f"{architecture} has no valid neighbour")
        return around[int(rng.integers(len(around)))]

    def _redraw(self, architecture: Architecture, names: Sequence[str], rng: np.random.Generator) -> Architecture:
        fixed = dict(architecture)
        for name in names:
            others = self.parameters[name].others(architecture[name], rng)
            if others:
                fixed[name] = others[int(rng.integers(len(others)))]
        return self._architecture(self._complete(fixed, rng) if self._parents else fixed)

    def crossover(
        self,
        first: Architecture,
        second: Architecture,
        rng: np.random.Generator,
        kind: Literal["uniform", "two_point"] = "uniform",
    ) -> Architecture:
        """A child of two architectures; see :meth:`crossover_pair`."""
        return self.crossover_pair(first, second, rng, kind)[0]

    def crossover_pair(
        self,
        first: Architecture,
        second: Architecture,
        rng: np.random.Generator,
        kind: Literal["uniform", "two_point"] = "uniform",
    ) -> tuple[Architecture, Architecture]:
        """Two complementary children.

        ``uniform`` takes each parameter from either parent; ``two_point`` takes those between two cuts from the other
        one. An active parameter that one parent lacks comes from the other; one that both lack is drawn. A child that
        breaks constraints is tried again and finally replaced by its parent.

        Raises:
            SpaceError: another kind.
        """
        if kind not in ("uniform", "two_point"):
            raise SpaceError(f"crossover is 'uniform' or 'two_point', not {kind!r}")
        for _ in range(100):
            if kind == "uniform":
                swap = rng.random(len(self.names)) < 0.5
            else:
                cut = np.sort(rng.integers(0, len(self.names) + 1, size=2))
                swap = (np.arange(len(self.names)) >= cut[0]) & (np.arange(len(self.names)) < cut[1])
            children = (self._mix(first, second, swap, rng), self._mix(second, first, swap, rng))
            if all(self._keeps_constraints(child) for child in children):
                return children
        return first, second

    def _mix(
        self, base: Architecture, other: Architecture, swap: NDArray[np.bool_], rng: np.random.Generator
    ) -> Architecture:
        values = dict(other)
        values.update(base)
        for name, swapped in zip(self.names, swap):
            if swapped and name in other:
                values[name] = other[name]
        return self._architecture(self._complete(values, rng) if self._parents else values)

    # ---------------------------------------------------------------- encodings and exchange

    def codes(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """Index of every value, ``n x parameters``; -1 for a parameter that is not active.

        Raises:
            SpaceError: the space has a real parameter, or an architecture has a value that is not in the space.
        """
        return encodings.codes(self, architectures)

    def from_codes(self, codes: NDArray[np.int64]) -> list[Architecture]:
        """The inverse of :meth:`codes`."""
        values = [p.values or () for p in self.parameters.values()]
        return [
            Architecture({name: options[c] for name, options, c in zip(self.names, values, row) if c >= 0})
            for row in codes.tolist()
        ]

    def encode(self, architectures: Sequence[Architecture], kind: str = "one_hot") -> NDArray[np.float64]:
        """Numbers for models: ``n x width``, with columns named by :meth:`columns`.

        ``ordinal``: one column per parameter, the index of its value, or its place in the range from 0 to 1 where the
        parameter is real; -1 where it is not active. ``one_hot``: one column per value (one for a real or long integer
        parameter, its place in the range); zeros where not active. ``adjacency``, ``path``: of the cells.

        Raises:
            SpaceError: unknown kind, or one that needs a cell in a space without.
        """
        return encodings.encode(self, architectures, kind)

    def columns(self, kind: str = "one_hot") -> list[str]:
        """Names of the columns of :meth:`encode`."""
        return encodings.columns(self, kind)

    def to_json(self) -> dict[str, Any]:
        """Plain data; of constraints only the messages."""
        return {
            "parameters": {name: p.to_json() for name, p in self.parameters.items()},
            "cells": [cell.to_json() for cell in self.cells],
            "constraints": [c.message for c in self.constraints],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        """A space as described by :meth:`to_json`, without its constraints (they are code, which JSON cannot hold)."""
        if "listed" in data:
            from archwright.space.listed import ListedSpace

            return ListedSpace.from_json(data)
        cells = [Cell.from_json(cell) for cell in data["cells"]]
        of_cells = {name for cell in cells for name in cell.names}
        others = {name: parameter_from_json(p) for name, p in data["parameters"].items() if name not in of_cells}
        return cls(others, cells=cells)

    @property
    def fingerprint(self) -> str:
        """A short text that changes when the space does."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @staticmethod
    def listed(rows: Iterable[Mapping[str, Any] | Sequence[Any]], names: Sequence[str] | None = None) -> Space:
        """A space of exactly the given architectures; see :class:`~archwright.space.listed.ListedSpace`."""
        from archwright.space.listed import ListedSpace

        return ListedSpace(rows, names)

    def to_optuna(self) -> dict[str, Any]:
        """Optuna distributions by name."""
        from archwright.space.interop import to_optuna

        return to_optuna(self)

    @staticmethod
    def from_optuna(distributions: Mapping[str, Any]) -> Space:
        """A space with the parameters of Optuna distributions."""
        from archwright.space.interop import from_optuna

        return from_optuna(distributions)

    def to_configspace(self) -> Any:
        """A ``ConfigSpace.ConfigurationSpace``; needs the extra ``configspace``."""
        from archwright.space.interop import to_configspace

        return to_configspace(self)

    @staticmethod
    def from_configspace(configuration_space: Any) -> Space:
        """A space with the parameters, conditions and forbidden clauses of a ``ConfigurationSpace``."""
        from archwright.space.interop import from_configspace

        return from_configspace(configuration_space)

    # ---------------------------------------------------------------- within

    @staticmethod
    def _active(parameter: Parameter, assignment: Mapping[str, Any]) -> bool:
        return all(parent in assignment and assignment[parent] in values for parent, values in parameter.when)

    def _keeps_constraints(self, architecture: Architecture) -> bool:
        return all(c.holds(architecture) for c in self.constraints)

    def _architecture(self, assignment: Mapping[str, Value]) -> Architecture:
        return Architecture({name: assignment[name] for name in self.names if name in assignment})

    @cached_property
    def _live(self) -> list[tuple[str, ...]]:
        """Before each step of the order: the earlier parameters on which later conditions depend."""
        live = []
        for i in range(len(self._order) + 1):
            later = {parent for name in self._order[i:] for parent, _ in self.parameters[name].when}
            live.append(tuple(name for name in self._order[:i] if name in later))
        return live

    @cached_property
    def _counts(self) -> dict[tuple[Any, ...], int]:
        return {}

    def _count(self, step: int, assignment: Mapping[str, Value]) -> int:
        """Number of ways to complete the first ``step`` parameters, constraints aside."""
        if not self._parents:
            return prod(self.parameters[name].count for name in self._order[step:])
        if step == len(self._order):
            return 1
        state = (step, *(assignment.get(name, _ABSENT) for name in self._live[step]))
        if state not in self._counts:
            self._counts[state] = self._count_anew(step, assignment)
        return self._counts[state]

    def _count_anew(self, step: int, assignment: Mapping[str, Value]) -> int:
        name = self._order[step]
        parameter = self.parameters[name]
        if not self._active(parameter, assignment):
            return self._count(step + 1, assignment)
        if name not in self._parents or parameter.values is None:
            return parameter.count * self._count(step + 1, assignment)
        return sum(self._count(step + 1, {**assignment, name: value}) for value in parameter.values)

    def _assignments(self, step: int, assignment: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if step == len(self._order):
            yield assignment
            return
        name = self._order[step]
        parameter = self.parameters[name]
        if not self._active(parameter, assignment):
            yield from self._assignments(step + 1, assignment)
            return
        for value in parameter.values or ():
            yield from self._assignments(step + 1, {**assignment, name: value})


_ABSENT = object()


def _as_parameter(name: str, value: Any) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, (list, tuple)):
        return Choice(*value)
    raise SpaceError(f"the parameter {name!r} must be a Choice, an Integer, a Real or a list of values, not {value!r}")


def _sorted_by_condition(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Parents before children, children soon after their last parent.

    Raises:
        SpaceError: a condition names an unknown parameter, a value that it cannot have, or itself.
    """
    for name, parameter in parameters.items():
        for parent, values in parameter.when:
            if parent not in parameters:
                raise SpaceError(f"the parameter {name!r} depends on {parent!r}, which the space does not have")
            for value in values:
                if not parameters[parent].allows(value):
                    raise SpaceError(
                        f"the parameter {name!r} depends on {parent!r} being {value!r}, which it can never be"
                    )
    order: list[str] = []
    children: dict[str, list[str]] = {name: [] for name in parameters}
    for name, parameter in parameters.items():
        for parent, _ in parameter.when:
            children[parent].append(name)

    def place(name: str) -> None:
        if name in order or any(parent not in order for parent, _ in parameters[name].when):
            return
        order.append(name)
        for child in children[name]:
            place(child)

    for name in parameters:
        place(name)
    left = [name for name in parameters if name not in order]
    while left:
        before = len(order)
        for name in left:
            place(name)
        left = [name for name in parameters if name not in order]
        if len(order) == before:
            raise SpaceError(f"the conditions of {', '.join(left)} depend on each other in a circle")
    return tuple(order)


def _adjacent(parameter: Parameter, value: Value, others: list[Value]) -> list[Value]:
    if isinstance(parameter, Real) or parameter.values is None:
        return others
    if isinstance(parameter, Integer) or (isinstance(parameter, Choice) and parameter.ordered):
        index = parameter.values.index(value)
        return [parameter.values[i] for i in (index - 1, index + 1) if 0 <= i < len(parameter.values)]
    return others
