"""Policies that decide which conditions are looked at next (Ouertatani, section 4.3). Each is a searcher that minimises."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Goal
from archwright.failures.conditions import GOAL, all_of
from archwright.failures.deep import DeepBO
from archwright.searchers import Searcher
from archwright.searchers.random import RandomSearch
from archwright.searchers.surrogate import ForestBO
from archwright.space import Architecture, Space

if TYPE_CHECKING:
    from archwright.failures.subdomains import SubdomainTable


class GreedyBO(ForestBO):
    """Bayesian optimisation of a random forest by its mean alone: the greedy form of expected improvement.

    ::

        evaluate `initial` random conditions
        repeat:
            fit the forest: one-hot encoding -> accuracy
            evaluate the condition with the lowest predicted accuracy of all that are not known
    """

    summary: ClassVar[str] = "greedy Bayesian optimisation: what a random forest expects to be worst"

    def __init__(self, space: Space, goal: Goal = GOAL, *, seed: int = 0, initial: int = 10) -> None:
        super().__init__(space, goal, seed=seed, initial=initial)
        self.members = all_of(space)
        self._rows = space.encode(self.members, "one_hot")
        self._place = {member: i for i, member in enumerate(self.members)}

    def propose(self) -> Architecture | None:
        """A random condition at first, then the one that promises most."""
        told = {a: value[1] for a, value in self.known.items() if value[0] == 0}
        if len(self.known) + len(self.pending) < self.initial or not told:
            return self.fresh(self.starts)
        left = [i for i, member in enumerate(self.members) if self.is_new(member)]
        if not left:
            return None
        forest = self._model()
        forest._fit(self._rows[[self._place[a] for a in told]], np.array(list(told.values())))
        mean, _ = forest._predict(self._rows[left])
        best = np.flatnonzero(mean == mean.max())
        return self.members[left[int(self.rng.choice(best))]]


class Genetic(Searcher):
    """Genetic algorithm; the ``population`` best conditions so far are the parents.

    ::

        evaluate `population` random conditions
        repeat:
            child <- uniform crossover of two winners of tournaments, one attribute of it mutated
            evaluate the child, unless it is known or impossible: then draw again

    Args:
        population: parents.
        tournament: parents that are drawn for each place, of which the worst for the classifier wins.
        tries: draws before a random condition stands in for a child.
    """

    summary: ClassVar[str] = "genetic algorithm: crossover and mutation of the worst conditions so far"

    def __init__(
        self,
        space: Space,
        goal: Goal = GOAL,
        *,
        seed: int = 0,
        population: int = 20,
        tournament: int = 3,
        tries: int = 200,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if min(population, tournament, tries) < 1:
            raise SettingsError(
                f"population, tournament and tries must be at least 1, not {population}, {tournament} and {tries}"
            )
        self.population, self.tournament, self.tries = population, tournament, tries

    def propose(self) -> Architecture | None:
        """A random condition until there are enough parents, then a child."""
        if not self.known or len(self.known) + len(self.pending) < self.population:
            return self.fresh(self.starts)
        parents = sorted(self.known, key=lambda a: self.known[a], reverse=True)[: self.population]
        for _ in range(self.tries):
            child = self.space.crossover(self._winner(parents), self._winner(parents), self.rng)
            child = self.space.mutate(child, self.rng)
            if self.is_new(child):
                return child
        return self.fresh(self.rng)

    def _winner(self, parents: list[Architecture]) -> Architecture:
        return parents[int(self.rng.integers(len(parents), size=self.tournament).min())]


class Combinatorial(Searcher):
    """Combinatorial testing: a greedy pairwise covering array, then random conditions.

    Each next condition is the one with most pairs of values (of two attributes) that no condition has shown before.
    """

    summary: ClassVar[str] = "combinatorial testing: every pair of values once, then random"

    def __init__(self, space: Space, goal: Goal = GOAL, *, seed: int = 0) -> None:
        super().__init__(space, goal, seed=seed)
        self.members = all_of(space)

    @cached_property
    def _pairs(self) -> NDArray[np.int64]:
        """Numbers of the pairs of values that each condition shows, ``n x pairs of attributes``."""
        codes = self.space.codes(self.members) + 1
        high = int(codes.max()) + 1
        columns = [
            (k * high + codes[:, i]) * high + codes[:, j]
            for k, (i, j) in enumerate(combinations(range(codes.shape[1]), 2))
        ]
        if not columns:
            return codes
        return np.unique(np.stack(columns, axis=1), return_inverse=True)[1].reshape(len(codes), -1)

    def propose(self) -> Architecture | None:
        """What shows most new pairs; a random condition once all have been shown."""
        new = np.array([self.is_new(member) for member in self.members])
        open_pairs = np.ones(int(self._pairs.max()) + 1, bool)
        open_pairs[self._pairs[~new].ravel()] = False
        gains = np.where(new, open_pairs[self._pairs].sum(axis=1), 0)
        if not gains.any():
            return self.fresh(self.rng)
        return self.members[int(self.rng.choice(np.flatnonzero(gains == gains.max())))]


class Oracle(Searcher):
    """What nobody can do: the conditions of a table from the lowest accuracy to the highest.

    Args:
        table: of all answers; equal ones come in an order that its seed draws.
    """

    summary: ClassVar[str] = "the table's conditions in order of accuracy: the bound of all policies"

    def __init__(self, space: Space, goal: Goal = GOAL, *, seed: int = 0, table: SubdomainTable | None = None) -> None:
        super().__init__(space, goal, seed=seed)
        if table is None:
            raise SettingsError("the policy 'oracle' knows all answers and needs a table of them; use another policy")
        self._order = [table.members[i] for i in table.order]

    def propose(self) -> Architecture | None:
        """The lowest that is new."""
        return next((a for a in self._order if self.is_new(a)), None)


POLICIES: Mapping[str, type[Searcher]] = {
    "oracle": Oracle,
    "greedy-bo": GreedyBO,
    "deep-bo": DeepBO,
    "genetic": Genetic,
    "random": RandomSearch,
    "combinatorial": Combinatorial,
}

COMPARED = tuple(name for name in POLICIES if name != "deep-bo")
"""Those of a comparison that names none; training a network after every answer takes minutes."""


def make_policy(
    name: str, space: Space, *, seed: int = 0, table: SubdomainTable | None = None, **options: Any
) -> Searcher:
    """A policy by name.

    Raises:
        SettingsError: an unknown name or option, or the oracle without a table.
    """
    if name not in POLICIES:
        raise SettingsError(unknown("policy", name, POLICIES))
    if name == "oracle":
        options["table"] = table
    try:
        return POLICIES[name](space, GOAL, seed=seed, **options)
    except TypeError as error:
        raise SettingsError(f"policy {name!r}: {error}") from error
