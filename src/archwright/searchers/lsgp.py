"""LS-GP: local search over the neighbours of good solutions, guided by a Gaussian process of the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from scipy.linalg import solve_triangular
from scipy.stats import rankdata

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.acquisition import expected_improvement
from archwright.searchers.base import Searcher, Worth
from archwright.searchers.kernels import PLAIN, Distances, Matrix, Shape, factor, kernel
from archwright.searchers.writings import Writings
from archwright.space import Architecture, Space

NOISES = (0.01, 0.1, 0.3)
EVERY = 10
MOST = 400
SHARE = 0.4
TRIES = 50


class LSGP(Searcher):
    """Local search that stands on a good solution of its choice and tries the neighbour with the highest promise.

    ::

        evaluate `initial` random architectures
        repeat:
            a <- the best of what is left of the known ones when each is kept with probability 0.4
            pool <- neighbours of a, `far` neighbours of neighbours of a, `pool` random architectures; none known
            evaluate the member of the pool with the highest expected improvement

    Four things differ from LS-PON. The order of neighbours comes from a Gaussian process of the normalised ranks, which
    learns interactions and knows how sure it is. Its kernel is ``exp(-d / l)`` or ``(1 - w) exp(-d / l) + w exp(-e / m)``
    with distances of four kinds: how many parameters differ; the same with steps between the values of ordered
    parameters; how often each value is taken over all parameters with the same values to take; and, where the space
    has cells, what is there of operations and of operations with those before and after them, in that part of the cell
    which lies between input and output (Weisfeiler-Lehman features of depth 1, as Ru et al. 2021), which no writing of
    a network changes. There is no climb that must be finished: every step may go on from any good solution, and since
    each considers another part of the history, none holds the search for ever. Moves of two steps lead out where no
    single change is better, or allowed. And no evaluation is spent on restarts: a random architecture is evaluated when
    it promises more than every neighbour.

    Distances, ``l``, ``m``, ``w`` and the noise are those of the highest marginal likelihood on a small grid, chosen anew
    every tenth evaluation. Of the writings of one network (:attr:`Space.identities`) one is proposed. What failed or
    broke a bound ranks last, by how much it broke it; what is still out counts as the mean. Beyond 400 evaluations the
    process sees the 200 best and the 200 last ones.

    This searcher is ours. ``docs/searchers.md`` says on which tables its settings were chosen.

    Args:
        initial: random architectures at the start.
        pool: random candidates beside the neighbours.
        far: candidates that are neighbours of neighbours.
    """

    summary: ClassVar[str] = "local search guided by a Gaussian process of the ranks"

    def __init__(
        self, space: Space, goal: Goal, *, seed: int = 0, initial: int = 5, pool: int = 100, far: int = 30
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if initial < 1 or pool < 0 or far < 0:
            raise SettingsError(f"initial must be at least 1, pool and far at least 0, not {initial}, {pool} and {far}")
        self.initial = initial
        self.pool = pool
        self.far = far
        self._distances = Distances(space)
        self._chosen_at = -EVERY
        self._shape, self._noise = PLAIN[1], NOISES[1]
        self._drawn: list[Architecture] = []
        self._writings = Writings(space)

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the most promising candidate."""
        done = len(self.known) + len(self.pending)
        if done < self.initial or not self.known:
            return self._random(self.starts)
        due = done >= self._chosen_at + EVERY
        if due:
            self._drawn = self.space.sample(self.rng, self.pool) if self.pool else []
        candidates = self._candidates()
        if not candidates:
            return self._random(self.rng)
        members = self._members()
        targets = self._targets(members)
        between = self._distances.between(members)
        if due:
            self._shape, self._noise = _most_likely(between, targets, self._distances.shapes, self._noise)
            self._chosen_at = done
        mean, std = self._predict(members, between, targets, candidates)
        return candidates[int(np.argmax(expected_improvement(mean, std, float(targets.max()))))]

    def _candidates(self) -> list[Architecture]:
        known = list(self.known)
        among = [known[i] for i in np.flatnonzero(self.rng.random(len(known)) < SHARE)] or known
        best = max(among, key=lambda a: self.known[a])
        near = self.space.neighbours(best, self.rng)
        starts = self.rng.integers(len(near), size=self.far if near else 0)
        far = [self.space.mutate(near[i], self.rng) for i in starts]
        return self._different([a for a in dict.fromkeys([*near, *far, *self._drawn]) if self.is_new(a)])

    def _random(self, rng: np.random.Generator) -> Architecture | None:
        """A random architecture, of a new network if some draws find one."""
        for _ in range(TRIES):
            architecture = self.fresh(rng)
            if architecture is None or self._different([architecture]):
                return architecture
        return architecture

    def _different(self, candidates: list[Architecture]) -> list[Architecture]:
        """Without other writings of networks that are known or out, and one writing of each."""
        return self._writings.different(candidates, [*self.known, *self.pending])

    def _members(self) -> list[Architecture]:
        """What the process is fitted to."""
        known = list(self.known)
        if len(known) > MOST:
            order = sorted(known, key=lambda a: self.known[a], reverse=True)
            known = list(dict.fromkeys([*order[: MOST // 2], *known[-MOST // 2 :]]))
        return known + list(self.pending)

    def _targets(self, members: list[Architecture]) -> Matrix:
        """Ranks, higher is better, scaled to mean 0 and variance 1; 0 for what is still out."""
        worths: list[Worth] = [self.known[a] for a in members if a in self.known]
        ranks = rankdata(np.unique(np.array(worths), axis=0, return_inverse=True)[1].reshape(-1))
        scale = float(ranks.std()) or 1.0
        return np.concatenate([(ranks - ranks.mean()) / scale, np.zeros(len(members) - len(worths))])

    def _predict(
        self, members: list[Architecture], between: Matrix, targets: Matrix, candidates: list[Architecture]
    ) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of the candidates."""
        lower = factor(kernel(between, self._shape), self._noise)
        weights = solve_triangular(lower, targets, lower=True, check_finite=False)
        variance = float(weights @ weights) / len(targets)
        near = kernel(self._distances.to(self._distances.read(candidates), members), self._shape)
        solved = solve_triangular(lower, near.T, lower=True, check_finite=False)
        left = np.maximum(1 - np.einsum("ij,ij->j", solved, solved), 1e-9)
        return solved.T @ weights, np.sqrt(left * variance)


def _most_likely(apart: Matrix, targets: Matrix, shapes: Sequence[Shape], noise: float) -> tuple[Shape, float]:
    """Shape with the highest marginal likelihood at a noise, then the noise of the highest one at that shape."""
    shape = max(shapes, key=lambda each: _likelihood(kernel(apart, each), targets, noise))
    covariance = kernel(apart, shape)
    return shape, max(NOISES, key=lambda each: _likelihood(covariance, targets, each))


def _likelihood(covariance: Matrix, targets: Matrix, noise: float) -> float:
    """The logarithm of the marginal likelihood but for a constant, the scale of the process being its best one."""
    lower = factor(covariance, noise)
    weights = solve_triangular(lower, targets, lower=True, check_finite=False)
    variance = max(float(weights @ weights) / len(targets), 1e-12)
    return -0.5 * len(targets) * float(np.log(variance)) - float(np.log(np.diag(lower)).sum())
