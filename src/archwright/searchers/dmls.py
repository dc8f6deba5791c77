"""DMLS: dominance-based multi-objective local search."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Literal

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth, dominates
from archwright.searchers.pareto import Archive, Dominance, Pruning, crowding_distance
from archwright.space import Architecture, Space

Accept = Literal["archive", "dominates", "dominates-only", "exhaustive"]
FILL, RESTARTS, FREE = 500, 20, 200


class DMLS(Searcher):
    """Dominance-based multi-objective local search (Zouambi 2023, sections 5.2 and 5.3, algorithm 2; Liefooghe et al. 2012).

    ::

        repeat:
            archive <- what was given before the search (trivial solutions, a warm start)
            fill it with uniform random architectures until it holds `initial` non-dominated ones
            while a member is unvisited:
                s <- an unvisited member
                for u in a random permutation of the neighbours of s:
                    evaluate u                                   (free if its value is known)
                    accepted: insert u, end the scan
                mark s visited

    Args:
        initial: members of the first archive; larger archives start slower and lose fewer regions. One with one objective.
        accept: what ends a scan. ``archive``: u is dominated by no member (algorithm 2). ``dominates``: u dominates s;
            others that no member dominates are inserted on the way. ``dominates-only``: u dominates s, and nothing else is
            ever inserted. ``exhaustive``: nothing; all that no member dominates are inserted (Paquete et al. 2004).
        rescan: s stays unvisited until a scan of it ends without acceptance; finds more of the front late in a search.
        select: ``random`` among the unvisited members, or ``ranked``: the one with the largest crowding distance.
        members: how many are selected before the archive is looked at again; 0 means all unvisited.
        capacity: most members of the archive, ``None`` for no limit.
        pruning: ``crowding``, ``hypervolume`` or ``clustering`` (:class:`~archwright.searchers.pareto.Archive`).
        dominance: ``pareto`` or ``strict``.
    """

    several_objectives: ClassVar[bool] = True
    summary: ClassVar[str] = "Pareto local search with an archive"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        initial: int = 7,
        accept: Accept = "archive",
        rescan: bool = False,
        select: Literal["random", "ranked"] = "random",
        members: int = 1,
        capacity: int | None = None,
        pruning: Pruning = "crowding",
        dominance: Dominance = "pareto",
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if initial < 1 or members < 0:
            raise SettingsError(f"initial must be at least 1 and members at least 0, not {initial} and {members}")
        if accept not in ("archive", "dominates", "dominates-only", "exhaustive"):
            raise SettingsError(f"accept must be archive, dominates, dominates-only or exhaustive, not {accept!r}")
        if select not in ("random", "ranked"):
            raise SettingsError(f"select must be random or ranked, not {select!r}")
        self.initial = initial if len(goal.objectives) > 1 else 1
        self.accept = accept
        self.rescan = rescan
        self.select = select
        self.members = members
        self.archive = Archive(capacity, pruning, dominance)
        self._given: list[Architecture] = []
        self._visited: set[Architecture] = set()
        self._selected: deque[Architecture] = deque()
        self._current: Architecture | None = None
        self._scan: deque[Architecture] = deque()
        self._open: dict[Architecture, None] = {}
        self._draws = -1
        self._idle = 0
        self._free = 0

    def propose(self) -> Architecture | None:
        """The next start or neighbour whose value is not known."""
        if self._draws < 0:
            self._restart()
        while self._idle < RESTARTS:
            proposal = self._fill() if self._draws < FILL else self._neighbour()
            if proposal is not None:
                self._idle = 0
                self._free = 0
                return proposal
            if self._open:
                return None
        self._idle = RESTARTS - 1
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """Insert a start; judge a neighbour; a late answer of a scan that has ended may still enter."""
        if self._draws < 0:
            self._given.append(architecture)
        elif self._open.pop(architecture, 0) is None and self._current is not None:
            self._judge(architecture, value)
        elif self.accept != "dominates-only" or self._current is None:
            self._insert(architecture, value)

    def _restart(self) -> None:
        self.archive.clear()
        self._visited = set()
        self._selected.clear()
        self._current = None
        self._draws = 0
        for architecture in self._given:
            self._insert(architecture, self.known[architecture])

    def _fill(self) -> Architecture | None:
        """A start that is not known; none when the archive is filled or answers must come first."""
        while self._draws < FILL:
            if len(self.archive) >= self.initial:
                self._draws = FILL
                break
            if len(self.archive) + len(self._open) >= self.initial:
                return None
            self._draws += 1
            drawn = self.space.sample(self.starts)
            if drawn in self.known:
                self._insert(drawn, self.known[drawn])
            elif drawn not in self.pending:
                self._open[drawn] = None
                return drawn
        return None

    def _neighbour(self) -> Architecture | None:
        """The next neighbour that is not known; none when answers must come first or the archive is all visited."""
        if self._current is None:
            if self._open:
                return None
            self._free += 1
            if self._free <= FREE:
                self._choose()
            if self._current is None:
                self._idle += 1
                self._free = 0
                self._restart()
                return None
        while self._scan:
            candidate = self._scan.popleft()
            value = self.known.get(candidate)
            if value is not None:
                self._judge(candidate, value)
            else:
                self._open[candidate] = None
                if candidate not in self.pending:
                    return candidate
        if not self._open and self._current is not None:
            self._visited.add(self._current)
            self._current = None
        return None

    def _choose(self) -> None:
        self._selected = deque(a for a in self._selected if a in self.archive and a not in self._visited)
        if not self._selected:
            left = [a for a in self.archive if a not in self._visited]
            if not left:
                return
            if self.select == "ranked" and len(left) > 1:
                distance = dict(zip(self.archive, crowding_distance(self.archive.points())))
                order = sorted(left, key=lambda a: -distance[a])
            else:
                order = [left[i] for i in self.rng.permutation(len(left))]
            self._selected = deque(order[: self.members or len(order)])
        self._current = self._selected.popleft()
        near = self.space.neighbours(self._current, self.rng)
        self._scan = deque(near[i] for i in self.rng.permutation(len(near)))

    def _judge(self, candidate: Architecture, value: Worth) -> None:
        if self._current is None:
            raise RuntimeError("a neighbour is judged while none is scanned")
        better = dominates(value, self.known[self._current])
        if self.accept == "dominates-only":
            inserted = better and self._insert(candidate, value)
        else:
            inserted = self._insert(candidate, value)
        ends = {"archive": inserted, "exhaustive": False}.get(self.accept, better and inserted)
        if ends:
            if not self.rescan:
                self._visited.add(self._current)
            self._current = None
            self._scan.clear()
            self._open.clear()

    def _insert(self, architecture: Architecture, value: Worth) -> bool:
        inserted = self.archive.insert(architecture, value)
        if inserted:
            self._visited.intersection_update(self.archive.members)
        return inserted
