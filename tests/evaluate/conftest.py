"""Fixtures of this room's tests."""

from __future__ import annotations

import pytest
from specimens import KINDS, build, quadrants

from archwright.data import Data
from archwright.families import Family, family_from
from archwright.space import Choice, Space


@pytest.fixture(scope="session")
def data() -> Data:
    """Four classes, 8 x 8, learned within a few epochs."""
    return Data("quadrants", quadrants(192, 0), quadrants(80, 1), quadrants(80, 2), ("a", "b", "c", "d"))


@pytest.fixture(scope="session")
def family() -> Family:
    """Networks of two widths, of which all kinds but ``good`` are broken."""
    return family_from(Space(kind=Choice(*KINDS), width=Choice(2, 4, 8, ordered=True)), build, "small")
