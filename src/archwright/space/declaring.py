"""What a space is declared with: parameters in any form that is understood, conditions, constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright.errors import SpaceError
from archwright.space.architecture import Architecture
from archwright.space.cells import Cell
from archwright.space.parameters import Choice, Parameter

Predicate = Callable[[Architecture], bool]


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


def as_constraints(given: Any) -> list[Constraint]:
    """One constraint or several, each an object or a pair ``(predicate, message)``.

    Raises:
        SpaceError: something else.
    """
    return [_as_constraint(rule) for rule in _as_list(given)]


def _as_list(constraints: Any) -> list[Any]:
    if isinstance(constraints, Constraint) or callable(constraints):
        return [constraints]
    given = list(constraints)
    return [tuple(given)] if len(given) == 2 and callable(given[0]) and isinstance(given[1], str) else given


def _as_constraint(given: Any) -> Constraint:
    if isinstance(given, Constraint):
        return given
    if isinstance(given, (tuple, list)) and len(given) == 2 and callable(given[0]) and isinstance(given[1], str):
        return Constraint(*given)
    raise SpaceError(f"a constraint is a pair (predicate, message), the message for whoever breaks it, not {given!r}")


def as_parameter(name: str, value: Any) -> Parameter:
    """A parameter as it was given, or a choice of a list of values.

    Raises:
        SpaceError: it is neither.
    """
    if not isinstance(name, str) or not name:
        raise SpaceError(f"the name of a parameter must be a text, not {name!r}")
    if isinstance(value, Parameter):
        return value
    if isinstance(value, (list, tuple)):
        try:
            return Choice(*value)
        except SpaceError as error:
            raise SpaceError(f"the parameter {name!r}: {error}") from error
    if isinstance(value, Cell):
        raise SpaceError(f"the parameter {name!r} is a Cell; give it as Space(cells=Cell(...))")
    raise SpaceError(f"the parameter {name!r} must be a Choice, an Integer, a Real or a list of values, not {value!r}")


def sorted_by_condition(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Parents before children, children soon after their last parent.

    Raises:
        SpaceError: a condition names an unknown parameter, a value that it cannot have, or itself.
    """
    for name, parameter in parameters.items():
        for parent, values in parameter.when:
            if parent not in parameters:
                raise SpaceError(f"the parameter {name!r} depends on {parent!r}, which the space does not have")
            if parameters[parent].values is None:
                raise SpaceError(
                    f"the parameter {name!r} depends on {parent!r}, which is real; only finite ones can be parents"
                )
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
