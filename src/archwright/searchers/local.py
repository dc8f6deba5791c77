"""Local search: hill climbing over one-exchange neighbours, with restarts."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Literal, NamedTuple

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Clues, Searcher, Worth
from archwright.searchers.guide import HALF_LIFE, POOL, Guide
from archwright.space import Architecture, Space

Explore = Literal["first", "best", "worst"]
RESTARTS = 1000
PROBES = 4


class Step(NamedTuple):
    """A move to a better solution.

    Attributes:
        evaluations: all that were known when it was made.
        tried: neighbours tried in the scan that led to it, the improving one included.
        paid: those of them whose value was not known before.
    """

    evaluations: int
    tried: int
    paid: int


class LocalSearch(Searcher):
    """Hill climbing with random restarts (Zouambi 2023, section 3.2; White et al. 2020).

    ::

        a <- uniform random architecture, evaluated
        repeat:
            for u in a random permutation of the neighbours of a:
                evaluate u
                first: move to u at once if it is better
            best / worst: move to the best / least improving of those that are better, ties at random
            if there was no move: a <- new uniform random architecture   (restart)

    Values already known are used at no cost. Moves compare with the *current* solution, not with the best
    one ever seen, which would forbid climbing after a restart.

    With several workers, the neighbours of one scan are evaluated side by side; an improvement is taken as
    soon as it is told. Where a move must wait for answers, the start of the next restart is evaluated ahead.

    With clues, neighbours are tried in the order of what they promise, and a climb starts at the most promising of ``pool``
    random architectures, as far as the clues are to be trusted (:class:`~archwright.searchers.guide.Guide`). The first climb
    starts at the best of :data:`PROBES` architectures, every other one drawn without regard to clues.

    Args:
        explore: ``first`` (default), ``best`` or ``worst`` improvement.
        ties: also move to a neighbour that is exactly as good, unless this climb has been there already.
        revisits: ``cache``: a known neighbour takes part in the scan with its known value; ``skip``: it is
            left out of the scan.
        clues: of architectures, or ``None``.
        pool, half_life: of the guide, where there are clues.

    Attributes:
        steps: the moves to better solutions so far.
    """

    takes_clues: ClassVar[bool] = True
    summary: ClassVar[str] = "hill climbing over one-exchange neighbours, first improvement, restarts"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        explore: Explore = "first",
        ties: bool = False,
        revisits: Literal["cache", "skip"] = "cache",
        clues: Clues | None = None,
        pool: int = POOL,
        half_life: int = HALF_LIFE,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if explore not in ("first", "best", "worst"):
            raise SettingsError(f"explore must be first, best or worst, not {explore!r}")
        if revisits not in ("cache", "skip"):
            raise SettingsError(f"revisits must be cache or skip, not {revisits!r}")
        self.explore = explore
        self.ties = ties
        self.revisits = revisits
        self.guide = None if clues is None else Guide(space, clues, self.rng, pool=pool, half_life=half_life)
        self.current: Architecture | None = None
        self._scan: deque[Architecture] = deque()
        self._open: dict[Architecture, None] = {}
        self._better: list[Architecture] = []
        self._climb: set[Architecture] = set()
        self._ahead: Architecture | None = None
        self._begun = False
        self.steps: list[Step] = []
        self._tried = self._paid = 0

    def propose(self) -> Architecture | None:
        """The next neighbour or start whose value is not known."""
        if self.guide is not None and not self._begun:
            if len(self.known) + len(self.pending) < PROBES:
                return self._probe()
            if self.pending:
                return None
        for _ in range(RESTARTS):
            while self._scan:
                candidate = self._scan.popleft()
                value = self.known.get(candidate)
                if value is not None:
                    self._consider(candidate, value)
                elif candidate in self.pending:
                    self._open[candidate] = None
                else:
                    self._open[candidate] = None
                    return candidate
            if self._open:
                return self._look_ahead()
            self._end_scan()
        return None

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """Move if the answer belongs to the present scan and is an improvement."""
        if self.guide is not None:
            self.guide.tell(architecture, value)
        if architecture in self._open:
            del self._open[architecture]
            self._paid += 1
            self._consider(architecture, value)

    def _consider(self, candidate: Architecture, value: Worth) -> None:
        if self.current is None:
            self._move(candidate)
            return
        here = self.known[self.current]
        self._tried += 1
        improves = value > here or (self.ties and value == here and candidate not in self._climb)
        if improves and self.explore == "first":
            self._move(candidate)
        elif improves:
            self._better.append(candidate)

    def _move(self, to: Architecture) -> None:
        if self.current is not None:
            self.steps.append(Step(len(self.known), self._tried, self._paid))
        self._tried = self._paid = 0
        self.current = to
        self._climb.add(to)
        around = self.space.neighbours(to, self.rng)
        if self.revisits == "skip":
            around = [a for a in around if a not in self.known]
        self._scan = deque(self.order(to, around))
        self._open = {}
        self._better = []

    def order(self, current: Architecture, neighbours: list[Architecture]) -> list[Architecture]:
        """In which order the neighbours of the current solution are tried: any, drawn anew for each scan, or as guided."""
        if self.guide is not None:
            return [neighbours[i] for i in self.guide.order(neighbours)]
        return [neighbours[i] for i in self.rng.permutation(len(neighbours))]

    def _end_scan(self) -> None:
        if self._better:
            values = [self.known[a] for a in self._better]
            target = max(values) if self.explore == "best" else min(values)
            ties = [a for a, value in zip(self._better, values) if value == target]
            self._move(ties[int(self.rng.integers(len(ties)))])
        else:
            self._restart()

    def _restart(self) -> None:
        """Begin a climb anywhere; the first one begins at the best of a warm start if there was one."""
        self.current = None
        self._climb = set()
        if not self._begun and self.known:
            start = max(self.known, key=lambda a: self.known[a])
        else:
            start = self._ahead or self._start()
            self._ahead = None
        self._begun = True
        self._scan = deque([start])

    def _probe(self) -> Architecture | None:
        plain = (len(self.known) + len(self.pending)) % 2 == 0
        start = self.space.sample(self.starts) if plain else self._start()
        return start if self.is_new(start) else self.fresh(self.starts)

    def _start(self) -> Architecture:
        if self.guide is not None:
            new = [a for a in self.guide.pool if self.is_new(a)]
            if new:
                return new[self.guide.order(new)[0]]
        return self.space.sample(self.starts)

    def remarks(self) -> list[str]:
        """What came of the clues."""
        return [] if self.guide is None else self.guide.remarks()

    def _look_ahead(self) -> Architecture | None:
        if self._ahead is None and self._begun:
            self._ahead = self._start()
            if self.is_new(self._ahead):
                return self._ahead
        return None


class BestImprove(LocalSearch):
    """:class:`LocalSearch` that evaluates all neighbours and moves to the best."""

    summary: ClassVar[str] = "local search that evaluates all neighbours and moves to the best"

    def __init__(
        self, space: Space, goal: Goal, *, seed: int = 0, ties: bool = False, clues: Clues | None = None, pool: int = POOL,
        half_life: int = HALF_LIFE,
    ) -> None:  # fmt: skip
        super().__init__(space, goal, seed=seed, explore="best", ties=ties, clues=clues, pool=pool, half_life=half_life)


class WorstImprove(LocalSearch):
    """:class:`LocalSearch` that evaluates all neighbours and moves to the least improving one."""

    summary: ClassVar[str] = "local search that evaluates all neighbours and moves to the least improving"

    def __init__(
        self, space: Space, goal: Goal, *, seed: int = 0, ties: bool = False, clues: Clues | None = None, pool: int = POOL,
        half_life: int = HALF_LIFE,
    ) -> None:  # fmt: skip
        super().__init__(
            space, goal, seed=seed, explore="worst", ties=ties, clues=clues, pool=pool, half_life=half_life
        )
