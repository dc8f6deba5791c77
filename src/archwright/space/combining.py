"""All combinations of values that conditions leave possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from archwright.space.architecture import Value
from archwright.space.parameters import Parameter


def combinations(parameters: Mapping[str, Parameter], order: Sequence[str]) -> Iterator[dict[str, Value]]:
    """Every assignment, named in the order of ``parameters``; the last parameter varies fastest.

    Args:
        parameters: by name, none of them real.
        order: of their names, parents before children.
    """
    if not any(parameter.when for parameter in parameters.values()):
        for values in product(*(p.values or () for p in parameters.values())):
            yield dict(zip(parameters, values))
        return
    assignment: dict[str, Value] = {}
    trail: list[tuple[str, int, Iterator[Value]]] = []
    step: int | None = 0
    while step is not None:
        for at, name in enumerate(order[step:], step):
            if parameters[name].is_active(assignment):
                values_left = iter(parameters[name].values or ())
                assignment[name] = next(values_left)
                trail.append((name, at, values_left))
        yield {name: assignment[name] for name in parameters if name in assignment}
        step = _advance(assignment, trail)


def _advance(assignment: dict[str, Value], trail: list[tuple[str, int, Iterator[Value]]]) -> int | None:
    """Move the last parameter that can to its next value, forget the later ones; the step after it, if there is one."""
    while trail:
        name, at, values_left = trail[-1]
        for value in values_left:
            assignment[name] = value
            return at + 1
        trail.pop()
        del assignment[name]
    return None
