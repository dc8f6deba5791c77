"""Architectures drawn at random: uniform over all valid ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from archwright.errors import SpaceError
from archwright.space.architecture import Architecture

if TYPE_CHECKING:
    from archwright.space.space import Space

DRAWS = 100_000
"""Draws in search of one that keeps the constraints."""
LISTED, MISSES = 2000, 100
"""For different architectures: a space of up to so many is listed; from a larger one they are drawn, until so many draws in a
row are known."""


def sample_many(space: Space, rng: np.random.Generator, n: int) -> list[Architecture]:
    """``n`` independent ones.

    Raises:
        SpaceError: a negative number, or no valid architecture was found.
    """
    if n < 0:
        raise SpaceError(f"the number of samples must not be negative: {n}")
    if space.is_flat:
        columns = [rng.integers(p.count, size=n) for p in space.parameters.values()]
        return space.from_codes(np.stack(columns, axis=1))
    return [space._sample_one(rng) for _ in range(n)]


def sample_one(space: Space, rng: np.random.Generator) -> Architecture:
    """By exact counting where there are conditions, by rejection or from a list where there are constraints.

    Raises:
        SpaceError: no valid architecture was found.
    """
    if space.valid is not None:
        row = int(rng.integers(len(space._valid_codes)))
        return space.from_codes(space._valid_codes[row : row + 1])[0]
    if space._few is not None:
        if not space._few:
            raise SpaceError(f"no architecture keeps the constraints: {space._rules}")
        return space._few[int(rng.integers(len(space._few)))]
    for _ in range(DRAWS):
        architecture = space._complete({}, rng)
        if space._keeps_constraints(architecture):
            return architecture
    raise SpaceError(f"none of {DRAWS:,} drawn architectures keeps the constraints: {space._rules}")


def rejects_too_many(space: Space, combinations: int, most: int) -> bool:
    """Whether rejection would draw too long for one architecture that keeps the constraints.

    Decided by draws of its own, so that what a generator gives does not depend on what was asked before.

    Args:
        combinations: of the space, constraints aside.
        most: that are ever gone through.
    """
    enough = 40 if combinations <= most // 20 else 1
    rng = np.random.default_rng(0)
    kept = (space._keeps_constraints(space._complete({}, rng)) for _ in range(2000))
    return sum(islice(filter(None, kept), enough)) < enough


def different(space: Space, rng: np.random.Generator, known: Iterable[Architecture]) -> Iterator[Architecture]:
    """Architectures in random order, none twice and none of ``known``; it ends when there are no more, or hardly any."""
    seen = set(known)
    size = space.size
    if size is not None and size <= LISTED:
        listed = list(space.enumerate())
        yield from (a for a in (listed[i] for i in rng.permutation(len(listed))) if a not in seen)
        return
    misses = 0
    while misses < MISSES:
        drawn = space.sample(rng)
        misses = misses + 1 if drawn in seen else 0
        if drawn not in seen:
            seen.add(drawn)
            yield drawn
