"""Archives of non-dominated architectures, and crowding distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.searchers.base import Worth, dominates
from archwright.space import Architecture

Matrix = NDArray[np.float64]
Dominance = Literal["pareto", "strict"]
Pruning = Literal["crowding", "hypervolume", "clustering"]


def crowding_distance(points: Matrix) -> Matrix:
    """Of each of ``n x objectives`` points of one front (Deb et al. 2002), averaged over the objectives.

    The gap between a point's two neighbours in each objective, relative to the front's range; infinite at the ends.
    """
    n, k = points.shape
    distance = np.zeros(n)
    for column in points.T:
        order = np.argsort(column, kind="stable")
        ends = order[[0, -1]]
        width = column[order[-1]] - column[order[0]]
        if width > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / width
        distance[ends] = np.inf
    return np.asarray(distance / k)


class Archive:
    """Architectures of which none is better than another, at most ``capacity`` of them.

    Args:
        capacity: ``None`` for no limit. Beyond it one member is pruned after another; the best in each objective stay
            (but with ``clustering``).
        pruning: the member with the smallest ``crowding`` distance goes, or the one with the smallest exclusive
            ``hypervolume``; ``clustering`` keeps the member nearest to the centre of each of ``capacity`` clusters
            (average linkage).
        dominance: ``pareto``; or ``strict``: only what is worse in all objectives is kept out. Vectors that are in the
            archive already are kept out in either case.
    """

    def __init__(
        self, capacity: int | None = None, pruning: Pruning = "crowding", dominance: Dominance = "pareto"
    ) -> None:
        if capacity is not None and capacity < 2:
            raise SettingsError(f"an archive holds at least 2 members, not {capacity}")
        if pruning not in ("crowding", "hypervolume", "clustering"):
            raise SettingsError(f"pruning must be crowding, hypervolume or clustering, not {pruning!r}")
        if dominance not in ("pareto", "strict"):
            raise SettingsError(f"dominance must be pareto or strict, not {dominance!r}")
        self.capacity = capacity
        self.pruning = pruning
        self._beats = dominates if dominance == "pareto" else strictly_dominates
        self.members: dict[Architecture, Worth] = {}

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Architecture]:
        return iter(self.members)

    def __contains__(self, architecture: object) -> bool:
        return architecture in self.members

    def clear(self) -> None:
        """Leave nobody in."""
        self.members = {}

    def insert(self, architecture: Architecture, value: Worth) -> bool:
        """Take it in unless a member dominates or equals it; members that it dominates leave. Whether it was taken."""
        if value[0] == -np.inf or architecture in self.members:
            return False
        if any(theirs == value or self._beats(theirs, value) for theirs in self.members.values()):
            return False
        self.members = {a: theirs for a, theirs in self.members.items() if not self._beats(value, theirs)}
        self.members[architecture] = value
        if self.capacity is not None and len(self.members) > self.capacity:
            self._prune(self.capacity)
        return architecture in self.members

    def points(self) -> Matrix:
        """``members x objectives``, to be maximised."""
        return np.array([value[1:] for value in self.members.values()])

    def _prune(self, capacity: int) -> None:
        names = list(self.members)
        keep = list(range(len(names)))
        if self.pruning == "clustering":
            keep = _centres(_scaled(self.points()), capacity)
        while len(keep) > capacity:
            points = _scaled(self.points()[keep])
            worth = crowding_distance(points) if self.pruning == "crowding" else _contributions(points)
            del keep[int(np.argmin(worth))]
        self.members = {names[i]: self.members[names[i]] for i in keep}


def strictly_dominates(a: Worth, b: Worth) -> bool:
    """Better in every objective; feasibility first."""
    return a[0] > b[0] if a[0] != b[0] else all(x > y for x, y in zip(a[1:], b[1:]))


def _scaled(points: Matrix) -> Matrix:
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray((points - low) / np.where(high > low, high - low, 1.0))


def _contributions(points: Matrix) -> Matrix:
    """Exclusive hypervolumes, infinite for the best of each objective."""
    from moocore import hv_contributions

    found = np.array(hv_contributions(1 - points, ref=np.full(points.shape[1], 1.1)))
    found[np.argmax(points, axis=0)] = np.inf
    return found


def _centres(points: Matrix, clusters: int) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage

    which = fcluster(linkage(points, "average"), clusters, "maxclust")
    keep = []
    for cluster in np.unique(which):
        inside = np.flatnonzero(which == cluster)
        gaps = np.linalg.norm(points[inside] - points[inside].mean(axis=0), axis=1)
        keep.append(int(inside[np.argmin(gaps)]))
    return sorted(keep)
