"""The space: parameters, conditions, constraints; sampling, neighbours, variation, encodings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space import encodings, sampling, variation
from archwright.space.architecture import Architecture, Value
from archwright.space.cells import Cell
from archwright.space.combining import combinations
from archwright.space.counting import Completions
from archwright.space.declaring import Constraint, Predicate, as_constraints, as_parameter, sorted_by_condition
from archwright.space.parameters import Parameter, parameter_from_json

COUNTABLE = 2_000_000
"""Most combinations that are gone through to count those that keep the constraints."""
LOOK = 20_000
"""Combinations that are looked at, from the first on, for a default that keeps the constraints."""


class Space:
    """What can be built: ordered parameters, some of them conditional, and constraints.

    ::

        Space(depth=Integer(1, 6), block=Choice("conv", "mbconv"), se=Choice(False, True, when={"block": "mbconv"}))

    Args:
        parameters: name -> parameter; also as keywords. Plain lists and tuples become a :class:`Choice`.
        constraints: :class:`Constraint` objects or ``(predicate, message)`` pairs.
        cells: cell graphs, whose parameters and constraints come first.
        identities: where networks have many writings: codes ``n x parameters`` -> ``n`` whole numbers, equal for equal
            networks. A searcher may use it to propose only one of them.
        valid: gives the codes of all valid architectures, ``size x parameters``, in the order of enumeration: for constraints
            that leave few of very many combinations, and are quicker solved than tried.

    Raises:
        SpaceError: no parameter, a name twice, a condition on an unknown parameter or value, conditions in a circle;
            ``identities`` with a real parameter, which has no codes.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        /,
        *,
        constraints: Iterable[Constraint | tuple[Predicate, str]] = (),
        cells: Cell | Sequence[Cell] = (),
        identities: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None,
        valid: Callable[[], NDArray[np.int64]] | None = None,
        **named: Any,
    ) -> None:
        self.cells: tuple[Cell, ...] = (cells,) if isinstance(cells, Cell) else tuple(cells)
        self.parameters: dict[str, Parameter] = {}
        for group in [*(cell.parameters() for cell in self.cells), parameters or {}, named]:
            for name, parameter in group.items():
                if name in self.parameters:
                    raise SpaceError(f"the parameter {name!r} is given twice")
                self.parameters[name] = as_parameter(name, parameter)
        if not self.parameters:
            raise SpaceError("a space needs at least one parameter")
        own = [rule for cell in self.cells for rule in cell.constraints]
        self.constraints = (*as_constraints(own), *as_constraints(constraints))
        self.names: tuple[str, ...] = tuple(self.parameters)
        self._order = sorted_by_condition(self.parameters)
        self._parents = {parent for p in self.parameters.values() for parent, _ in p.when}
        self.identities = identities
        self.valid = valid
        if identities is not None and self._has_real:
            raise SpaceError("identities are read from codes, which a space with a real parameter does not have")

    @property
    def parents_first(self) -> tuple[str, ...]:
        """The parameters' names, each after those that its condition names."""
        return self._order

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:6]) + (", ..." if len(self.names) > 6 else "")
        rules = f", {len(self.constraints)} constraints" if self.constraints else ""
        if "size" in self.__dict__ or not self.constraints or self._has_real:
            size = "infinite" if self._has_real else f"{self.size:,}" if self.size is not None else "unknown"
        else:
            size = f"at most {self._combinations:,}"
        return f"{type(self).__name__}({len(self.names)} parameters: {shown}{rules}; size {size})"

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
        if self.valid is not None:
            return len(self._valid_codes)
        total = self._combinations
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
        if self.valid is not None:
            yield from self.from_codes(self._valid_codes)
            return
        for architecture in self._combine():
            if self._keeps_constraints(architecture):
                yield architecture

    def problems(self, architecture: Mapping[str, Any]) -> list[str]:
        """Why an architecture is not in the space; empty if it is."""
        given: Any = architecture
        if not isinstance(given, Mapping):
            return [f"an architecture is a mapping of names to values, not {given!r}"]
        found = [f"{name!r} is not a parameter of the space" for name in architecture if name not in self.parameters]
        for name, parameter in self.parameters.items():
            active = parameter.is_active(architecture)
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
            if self.parameters[name].is_active(assignment):
                assignment[name] = self.parameters[name].default
        architecture = self._architecture(assignment)
        if self._keeps_constraints(architecture):
            return architecture
        if self.valid is not None:
            return self.from_codes(self._valid_codes[:1])[0]
        if not self._has_real and max(p.count for p in self.parameters.values()) <= LOOK:
            for candidate in islice(self._combine(), LOOK):
                if self._keeps_constraints(candidate):
                    return candidate
        return self.sample(np.random.default_rng(0))

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
        variation.check_generator(rng)
        if n is None:
            return self._sample_one(rng)
        return sampling.sample_many(self, rng, n)

    def different(self, rng: np.random.Generator, known: Iterable[Architecture] = ()) -> Iterator[Architecture]:
        """Architectures in random order, none twice and none of ``known``; it ends when there are no more, or hardly any."""
        return sampling.different(self, rng, known)

    def _sample_one(self, rng: np.random.Generator) -> Architecture:
        return sampling.sample_one(self, rng)

    @cached_property
    def _valid_codes(self) -> NDArray[np.int64]:
        assert self.valid is not None
        codes = self.valid()
        if not len(codes):
            raise SpaceError(f"no architecture keeps the constraints: {self._rules}")
        return codes

    @cached_property
    def _few(self) -> tuple[Architecture, ...] | None:
        """All valid architectures, if the space can be enumerated and rejection would draw too long for one."""
        if not self.constraints or self._has_real or self._combinations > COUNTABLE:
            return None
        return tuple(self.enumerate()) if sampling.rejects_too_many(self, self._combinations, COUNTABLE) else None

    @property
    def _rules(self) -> str:
        return "; ".join(c.message for c in self.constraints)

    def _complete(self, fixed: Mapping[str, Value], rng: np.random.Generator) -> Architecture:
        """An architecture with the values of ``fixed`` where those are active, and drawn ones elsewhere."""
        if self._parents:
            return self._architecture(self._completions.draw(fixed, rng))
        return Architecture.adopt({n: fixed[n] if n in fixed else p.sample(rng) for n, p in self.parameters.items()})

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

        Raises:
            SpaceError: ``rng`` is needed and missing, or the architecture is not in the space.
        """
        return variation.neighbours(self, architecture, rng, ordered)

    def mutate(
        self, architecture: Architecture, rng: np.random.Generator, probability: float | None = None
    ) -> Architecture:
        """A valid architecture near ``architecture``.

        Args:
            probability: each active parameter takes another value with this probability (the result may be the same
                architecture); by default exactly one parameter does. Parameters that become active are drawn. Where
                constraints leave no neighbour at all, another architecture is drawn from the whole space.

        Raises:
            SpaceError: there is no other architecture, or the probability is not between 0 and 1.
        """
        return variation.mutate(self, architecture, rng, probability)

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
        return variation.crossover_pair(self, first, second, rng, kind)

    # ---------------------------------------------------------------- encodings and exchange

    def codes(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """Index of every value, ``n x parameters``; -1 for a parameter that is not active.

        Raises:
            SpaceError: the space has a real parameter, or an architecture has a value that is not in the space.
        """
        return encodings.codes(self, architectures)

    def from_codes(self, codes: NDArray[np.int64]) -> list[Architecture]:
        """The inverse of :meth:`codes`.

        Raises:
            SpaceError: codes of another shape or outside the parameters' values.
        """
        return encodings.from_codes(self, codes)

    def encode(self, architectures: Sequence[Architecture], kind: str = "one_hot") -> NDArray[np.float64]:
        """Numbers for models: ``n x width``, with columns named by :meth:`columns`.

        ``ordinal``: one column per parameter, the index of its value, or its place in the range from 0 to 1 where the
        parameter is real; -1 where it is not active. ``one_hot``: one column per value (one for a real parameter, and for
        an integer or ordered choice of more than 32 values: its place in the range); zeros where not active.
        ``thermometer``: the same, but integers and ordered choices have ones up to their value (*at least this*), so that
        near values are alike. ``adjacency``, ``path``: of the cells.

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
        """A space as described by :meth:`to_json`, without its constraints (they are code, which JSON cannot hold).

        Those of cells come back with the cells.

        Raises:
            SpaceError: something is missing.
        """
        if "listed" in data:
            from archwright.space.listed import ListedSpace

            return ListedSpace.from_json(data)
        if "parameters" not in data:
            raise SpaceError("this is no description of a space: it has no 'parameters'")
        cells = [Cell.from_json(cell) for cell in data.get("cells", ())]
        of_cells = {name for cell in cells for name in cell.names}
        others = {name: parameter_from_json(p) for name, p in data["parameters"].items() if name not in of_cells}
        return cls(others, cells=cells)

    @property
    def fingerprint(self) -> str:
        """A short text that changes when the space does, or the order of its parameters, which seeds depend on."""
        text = json.dumps(self.to_json())
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

    def _keeps_constraints(self, architecture: Architecture) -> bool:
        return all(c.holds(architecture) for c in self.constraints)

    def _architecture(self, assignment: Mapping[str, Value]) -> Architecture:
        return Architecture.adopt({name: assignment[name] for name in self.names if name in assignment})

    @cached_property
    def _descendants(self) -> dict[str, tuple[str, ...]]:
        """For every parent, all that depend on it, directly or not, parents first."""
        below: dict[str, set[str]] = {}
        for name in reversed(self._order):
            below.setdefault(name, set())
            for parent, _ in self.parameters[name].when:
                below.setdefault(parent, set()).update({name}, below[name])
        return {parent: tuple(n for n in self._order if n in below[parent]) for parent in self._parents}

    @cached_property
    def _completions(self) -> Completions:
        return Completions(self.parameters, self._order)

    @cached_property
    def _combinations(self) -> int:
        """Number of architectures, constraints aside."""
        return self._completions.total if self._parents else prod(p.count for p in self.parameters.values())

    def _combine(self) -> Iterator[Architecture]:
        """All architectures, constraints aside, the last parameter varying fastest."""
        return map(Architecture.adopt, combinations(self.parameters, self._order))
