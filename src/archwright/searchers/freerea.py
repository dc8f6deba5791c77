"""FreeREA: ageing evolution on metrics of untrained networks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, SetScore, Worth
from archwright.searchers.cellmoves import moves_of
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
IDLE = 200
"""Steps in a row without a new architecture, after which a random one is drawn."""


def set_scores(values: Matrix) -> Matrix:
    """The score of each member of a set: the sum of its values, each divided by the largest absolute one in the set.

    Args:
        values: ``n x metrics``, to be maximised. One that is not finite counts as the smallest finite one of its metric.

    Returns:
        ``n``; comparable within the set only.
    """
    finite = np.isfinite(values)
    lowest = np.where(finite, values, np.inf).min(axis=0, initial=np.inf)
    filled = np.where(finite, values, np.where(np.isfinite(lowest), lowest, 0.0))
    largest = np.abs(filled).max(axis=0, initial=0.0)
    return np.asarray((filled / (largest + 1e-9)).sum(axis=-1))


class FreeREA(Searcher):
    """Evolution with two parents, mutation, crossover and ageing (Cavagnero et al. 2023), on the sum of normalised objectives.

    ::

        population <- N random architectures, generation 0
        repeat:
            parents <- the two best of n different members drawn at random
            children <- each parent mutated, and one crossover of both        (a known child costs nothing, and grows young)
            remove one member of the oldest generation, at random
            population <- the N best of population and children
        result: the best of all that was ever evaluated

    "Best" is within the set that is compared: the sum over the objectives of ``value / (largest absolute value in the set +
    1e-9)``, each to be maximised. What failed or broke a bound is no member and no result. :meth:`ranked` has the
    result first: it is not a Pareto front.

    On cells with operations on their edges, and in spaces of other kinds, a mutation gives one parameter another value
    and crossover takes each from either parent. On cells with operations on their nodes (NAS-Bench-101) see
    :class:`~archwright.searchers.cellmoves.NodeCellMoves`.

    Args:
        population: N. The default, 25, and that of ``sample``, 5, are those of the original function; its published runs
            have 100 and 25.
        sample: n.
        parallel: mutations of each parent. A list, beside a list of ``consecutive``, does several kinds per step.
        consecutive: changes in one mutation.
        additions: random architectures that join the children of each step.
        variant: ``full``; or ``minus``, the ablation of the original's code: the best of ``sample`` members drawn with
            replacement is mutated once, and the child replaces the oldest member.
        patience: end when the result has not changed for so many steps; 0 for never. (The original's own rule for
            ``minus`` waits for the history to shrink, which it never does.)

    Raises:
        SettingsError: a number out of range, or lists that do not go together.
    """

    several_objectives: ClassVar[bool] = True
    set_score: ClassVar[SetScore | None] = staticmethod(set_scores)
    summary: ClassVar[str] = "FreeREA: ageing evolution with crossover on the sum of normalised objectives (proxies)"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        population: int = 25,
        sample: int = 5,
        parallel: int | Sequence[int] = 1,
        consecutive: int | Sequence[int] = 1,
        additions: int = 0,
        variant: str = "full",
        patience: int = 0,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if population < 1 or sample < 1:
            raise SettingsError(f"population and sample must be at least 1, not {population} and {sample}")
        if additions < 0 or patience < 0:
            raise SettingsError(f"additions and patience must be at least 0, not {additions} and {patience}")
        if variant not in ("full", "minus"):
            raise SettingsError(f"variant must be full or minus, not {variant!r}")
        self.kinds = _pairs(parallel, consecutive)
        self.size, self.sample, self.additions, self.patience = population, sample, additions, patience
        self.minus = variant == "minus"
        self.population: dict[Architecture, int] = {}
        self.line: deque[Architecture] = deque(maxlen=population)
        self.step = 0
        self._moves = moves_of(space)
        self._waiting: deque[Architecture] = deque()
        self._generation: dict[Architecture, int] = {}
        self._leader: Architecture | None = None
        self._since = 0

    def propose(self) -> Architecture | None:
        """A random architecture until the population is full, then the children of one step after another."""
        for _ in range(IDLE):
            while self._waiting:
                candidate = self._waiting.popleft()
                if self.is_new(candidate):
                    return candidate
            members = len(self.line if self.minus else self.population)
            if not members or (members + len(self.pending) < self.size and not self.step):
                return self.fresh(self.starts)
            if self._is_over():
                return None
            if self.minus:
                self._breed_once()
            else:
                self._breed()
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """A sound one joins the population, of the generation in which it was bred."""
        generation = self._generation.pop(architecture, self.step)
        if _is_sound(value):
            self._enter(architecture, generation)

    def ranked(self) -> list[Architecture]:
        """Everything sound that was ever evaluated, best first."""
        return self._best([a for a, value in self.known.items() if _is_sound(value)])

    def _best(self, members: list[Architecture]) -> list[Architecture]:
        scores = set_scores(np.array([self.known[a][1:] for a in members]))
        return [members[i] for i in np.argsort(-scores, kind="stable")]

    def _breed(self) -> None:
        """One step of the full variant, after the population was pruned."""
        if len(self.population) > self.size:
            self._prune()
            self._count_step()
        members = list(self.population)
        drawn = self.rng.choice(len(members), size=min(self.sample, len(members)), replace=False)
        parents = self._best([members[i] for i in drawn])[:2]
        children = []
        for times, changes in self.kinds:
            children += [self._mutant(parent, changes) for _ in range(times) for parent in parents]
            if len(parents) == 2:
                children.append(self._moves.cross(parents[0], parents[1], self.rng))
        self._expect(children + [self.space.sample(self.rng) for _ in range(self.additions)])

    def _breed_once(self) -> None:
        """One step of the minus variant."""
        self._count_step()
        drawn = [self.line[int(i)] for i in self.rng.integers(len(self.line), size=self.sample)]
        self._expect([self._mutant(self._best(drawn)[0], 1)])

    def _mutant(self, parent: Architecture, changes: int) -> Architecture:
        for _ in range(changes):
            parent = self._moves.mutate(parent, self.rng)
        return parent

    def _expect(self, children: list[Architecture]) -> None:
        """Known children enter at once, as young as new ones; the others wait for being asked for."""
        for child in children:
            if child not in self.known:
                self._generation[child] = self.step + 1
                self._waiting.append(child)
            elif _is_sound(self.known[child]):
                self._enter(child, self.step + 1)

    def _enter(self, architecture: Architecture, generation: int) -> None:
        if self.minus:
            self.line.append(architecture)
        else:
            self.population[architecture] = generation

    def _prune(self) -> None:
        """Ageing, then the survival of the best."""
        oldest = min(self.population.values())
        old = [a for a, generation in self.population.items() if generation == oldest]
        if len(old) < len(self.population):
            del self.population[old[int(self.rng.integers(len(old)))]]
        if len(self.population) > self.size:
            kept = self._best(list(self.population))[: self.size]
            self.population = {a: self.population[a] for a in kept}

    def _count_step(self) -> None:
        self.step += 1
        if self.patience:
            leader = self.ranked()[0]
            self._since = self._since + 1 if leader == self._leader else 0
            self._leader = leader

    def _is_over(self) -> bool:
        if not self.patience or self._since < self.patience:
            return False
        self.ended = f"the best architecture has not changed for {self.patience} steps"
        return True


def _is_sound(value: Worth) -> bool:
    return value[0] == 0 and any(map(math.isfinite, value[1:]))


def _pairs(parallel: int | Sequence[int], consecutive: int | Sequence[int]) -> list[tuple[int, int]]:
    """``(parallel, consecutive)`` of each kind of mutation."""
    times = [parallel] if isinstance(parallel, int) else list(parallel)
    changes = [consecutive] if isinstance(consecutive, int) else list(consecutive)
    if not times or len(times) != len(changes):
        raise SettingsError(f"parallel and consecutive must be lists of one length, not {parallel} and {consecutive}")
    for name, numbers in (("parallel", times), ("consecutive", changes)):
        if any(not isinstance(n, int) or n < 1 for n in numbers):
            raise SettingsError(f"{name} must be whole numbers of at least 1, not {numbers}")
    return list(zip(times, changes))
