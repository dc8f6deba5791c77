"""What a failure search is after, and in which conditions."""

from __future__ import annotations

from archwright.errors import SettingsError
from archwright.evaluation import Goal, Objective
from archwright.space import Architecture, Space

MOST = 200_000
"""Conditions that a policy may have to list and look through."""

GOAL = Goal((Objective("accuracy", "minimize"),))


def all_of(space: Space) -> list[Architecture]:
    """Every condition of a space.

    Raises:
        SettingsError: they cannot be counted, or are more than :data:`MOST`.
    """
    size = space.size
    if size is None or size > MOST:
        raise SettingsError(
            f"the space has {'uncounted' if size is None else size} conditions and at most {MOST} can be looked through; "
            "leave out attributes or values"
        )
    return list(space.enumerate())
