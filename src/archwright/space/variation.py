"""Moves in a space: neighbours, mutation, crossover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError
from archwright.space.architecture import Architecture, Value
from archwright.space.parameters import Choice, Integer, Parameter

if TYPE_CHECKING:
    from archwright.space.space import Space

Ordered = Literal["all", "adjacent"]
Kind = Literal["uniform", "two_point"]
COMPLETIONS = 32
TRIES = 100


def neighbours(
    space: Space, architecture: Architecture, rng: np.random.Generator | None, ordered: Ordered
) -> list[Architecture]:
    """See :meth:`archwright.space.Space.neighbours`."""
    if ordered not in ("all", "adjacent"):
        raise SpaceError(f"ordered is 'all' or 'adjacent', not {ordered!r}")
    found: list[Architecture] = []
    values = dict(architecture)
    try:
        for name in space.names:
            if name not in values:
                continue
            options = _options(space.parameters[name], values[name], rng, ordered)
            if name in space._parents:
                for option in options:
                    found += _changed(space, values, name, option)
            else:
                found += [Architecture.adopt({**values, name: option}) for option in options]
    except (KeyError, TypeError, ValueError):
        space.validate(architecture)
        raise
    return [a for a in found if space._keeps_constraints(a)] if space.constraints else found


def _options(parameter: Parameter, value: Value, rng: np.random.Generator | None, ordered: Ordered) -> Sequence[Value]:
    if ordered == "adjacent" and (
        isinstance(parameter, Integer) or (isinstance(parameter, Choice) and parameter.ordered)
    ):
        index = parameter.values.index(value)
        return [parameter.values[i] for i in (index - 1, index + 1) if 0 <= i < len(parameter.values)]
    return parameter.others(value, rng)


def _changed(space: Space, old: dict[str, Value], name: str, value: Value) -> list[Architecture]:
    """All ways to change one parameter on which others depend."""
    affected = space._descendants[name]
    base = {other: v for other, v in old.items() if other not in affected}
    base[name] = value
    partial = [dict(base)]
    for other in affected:
        parameter = space.parameters[other]
        active = [assignment for assignment in partial if parameter.is_active(assignment)]
        if other in old:
            for assignment in active:
                assignment[other] = old[other]
            continue
        if not active:
            continue
        options = (parameter.default,) if parameter.values is None else parameter.values
        if len(partial) + len(active) * (len(options) - 1) > COMPLETIONS:
            partial = [_with_defaults(space, base, old, affected)]
            break
        partial = _grown(partial, other, parameter, options)
    return [space._architecture(assignment) for assignment in partial]


def _grown(
    partial: list[dict[str, Value]], name: str, parameter: Parameter, options: Sequence[Value]
) -> list[dict[str, Value]]:
    """Every assignment with every option, where the parameter is active."""
    grown = []
    for assignment in partial:
        if parameter.is_active(assignment):
            grown += [{**assignment, name: option} for option in options]
        else:
            grown.append(assignment)
    return grown


def _with_defaults(
    space: Space, base: dict[str, Value], old: dict[str, Value], affected: Sequence[str]
) -> dict[str, Value]:
    whole = dict(base)
    for other in affected:
        parameter = space.parameters[other]
        if parameter.is_active(whole):
            whole[other] = old.get(other, parameter.default)
    return whole


def mutate(
    space: Space, architecture: Architecture, rng: np.random.Generator, probability: float | None
) -> Architecture:
    """See :meth:`archwright.space.Space.mutate`."""
    check_probability(probability)
    check_generator(rng)
    parameters = space.parameters
    movable = [name for name in space.names if name in architecture and parameters[name].is_movable]
    if not movable:
        raise SpaceError("a space of one architecture has nothing to mutate")
    for _ in range(TRIES):
        if probability is None:
            names = [movable[int(rng.integers(len(movable)))]]
        else:
            names = [name for name, at in zip(movable, rng.random(len(movable))) if at < probability]
        mutant = redraw(space, architecture, names, rng)
        if space._keeps_constraints(mutant) and (probability is not None or mutant != architecture):
            return mutant
    around = neighbours(space, architecture, rng, "all")
    if around:
        return around[int(rng.integers(len(around)))]
    return _anywhere_else(space, architecture, rng)


def _anywhere_else(space: Space, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    for _ in range(TRIES):
        drawn = space.sample(rng)
        if drawn != architecture:
            return drawn
    raise SpaceError(f"the space has no other architecture than {architecture} to mutate to")


def redraw(space: Space, architecture: Architecture, names: Sequence[str], rng: np.random.Generator) -> Architecture:
    """Another value for each of ``names``; constraints are not looked at."""
    values = dict(architecture)
    for name in names:
        try:
            others = space.parameters[name].others(values[name], rng)
        except (KeyError, TypeError, ValueError):
            space.validate(architecture)
            raise
        if others:
            values[name] = others[int(rng.integers(len(others)))]
    return space._complete(values, rng)


def crossover_pair(
    space: Space, first: Architecture, second: Architecture, rng: np.random.Generator, kind: Kind
) -> tuple[Architecture, Architecture]:
    """See :meth:`archwright.space.Space.crossover_pair`."""
    if kind not in ("uniform", "two_point"):
        raise SpaceError(f"crossover is 'uniform' or 'two_point', not {kind!r}")
    check_generator(rng)
    valid: list[Architecture | None] = [None, None]
    for _ in range(TRIES):
        swap = _swapped(len(space.names), rng, kind)
        children = (_mix(space, first, second, swap, rng), _mix(space, second, first, swap, rng))
        keeps = [space._keeps_constraints(child) for child in children]
        if all(keeps):
            return children
        valid = [old or (child if keep else None) for old, child, keep in zip(valid, children, keeps)]
    return valid[0] or first, valid[1] or second


def _swapped(n: int, rng: np.random.Generator, kind: Kind) -> NDArray[np.bool_]:
    """Which parameters come from the other parent."""
    if kind == "uniform":
        picked: NDArray[np.bool_] = rng.random(n) < 0.5
        return picked
    low, high = np.sort(rng.integers(0, n + 1, size=2))
    between: NDArray[np.bool_] = (np.arange(n) >= low) & (np.arange(n) < high)
    return between


def _mix(
    space: Space, base: Architecture, other: Architecture, swap: NDArray[np.bool_], rng: np.random.Generator
) -> Architecture:
    values = {**other, **base}
    for name, swapped in zip(space.names, swap.tolist()):
        if swapped and name in other:
            values[name] = other[name]
    return space._complete(values, rng)


def check_generator(rng: object) -> None:
    """Refuse a seed or nothing in place of a generator.

    Raises:
        SpaceError: not a NumPy generator.
    """
    if not isinstance(rng, np.random.Generator):
        raise SpaceError(f"this draws at random and needs a generator such as numpy.random.default_rng(0), not {rng!r}")


def check_probability(probability: float | None) -> None:
    """Refuse what is no probability.

    Raises:
        SpaceError: outside 0 to 1.
    """
    if probability is not None and not 0 <= probability <= 1:
        raise SpaceError(f"the probability of a mutation is between 0 and 1, not {probability!r}")
