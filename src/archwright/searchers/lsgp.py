"""LS-GP: local search over the neighbours of good solutions, guided by a Gaussian process of the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.stats import rankdata

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth
from archwright.searchers.surrogate import expected_improvement
from archwright.space import Architecture, Space
from archwright.space.encodings import labels

Matrix = NDArray[np.float64]
NOISES = (0.01, 0.1, 0.3)
EVERY = 10
MOST = 400
SHARE = 0.4


class Shape(NamedTuple):
    """Of a kernel ``(1 - share) exp(-d / length) + share exp(-c / count_length)``."""

    length: float
    count_length: float
    share: float


PLAIN = tuple(Shape(length, 1.0, 0.0) for length in (1.0, 2.0, 4.0, 8.0, 16.0))
COUNTING = tuple(
    Shape(length, count, share) for length in (1.0, 2.0, 4.0, 8.0) for count in (1.0, 3.0) for share in (0.3, 0.6, 0.9)
)


class LSGP(Searcher):
    """Local search that stands on a good solution of its choice and tries the neighbour with the highest promise.

    ::

        evaluate `initial` random architectures
        repeat:
            a <- the best of what is left of the known ones when each is kept with probability 0.4
            pool <- neighbours of a, and random architectures, none known
            evaluate the member of the pool with the highest expected improvement

    Three things differ from LS-PON. The order of neighbours comes from a Gaussian process of the normalised ranks, which
    learns interactions and knows how sure it is. Its kernel is ``(1 - w) exp(-d / l) + w exp(-c / m)``: ``d`` is the number
    of parameters that differ; ``c`` compares how often each value is taken over all parameters that have the same values
    to take, wherever, so that a good operation is learnt from few evaluations. There is no climb that must be
    finished: every step may go on from any good solution, and since each considers another part of the history, none
    holds the search for ever. And no evaluation is spent on restarts: a random architecture is evaluated when it
    promises more than every neighbour.

    ``l``, ``m``, ``w`` and the noise are those of the highest marginal likelihood on a small grid, chosen anew every tenth
    evaluation. What failed or broke a bound ranks last, by how much it broke it; what is still out counts as the mean.
    Beyond 400 evaluations the process sees the 200 best and the 200 last ones.

    This searcher is ours. Settings were chosen on NAS-Bench-201 (CIFAR-10 validation, CIFAR-100) and NAS-Bench-Macro.
    It needs far fewer evaluations than LS-PON on ImageNet16-120 and more on NAS-Bench-101, where a network has many
    writings that the kernel takes for different ones.

    Args:
        initial: random architectures at the start.
        pool: random candidates beside the neighbours.
    """

    summary: ClassVar[str] = "local search guided by a Gaussian process of the ranks"

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, initial: int = 5, pool: int = 100) -> None:
        super().__init__(space, goal, seed=seed)
        if initial < 1 or pool < 0:
            raise SettingsError(f"initial must be at least 1 and pool at least 0, not {initial} and {pool}")
        self.initial = initial
        self.pool = pool
        self._sums = _value_counts(space)
        self._rows = np.empty((0, 0))
        self._distances = np.empty((2, 0, 0))
        self._seen: dict[Architecture, int] = {}
        self._chosen_at = -EVERY
        self._shape, self._noise = PLAIN[0], NOISES[0]
        self._drawn: list[Architecture] = []

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the most promising candidate."""
        done = len(self.known) + len(self.pending)
        if done < self.initial or not self.known:
            return self.fresh(self.starts)
        due = done >= self._chosen_at + EVERY
        if due:
            self._drawn = self.space.sample(self.rng, self.pool) if self.pool else []
        candidates = self._candidates()
        if not candidates:
            return self.fresh(self.rng)
        members = self._members()
        targets = self._targets(members)
        index = np.array([self._place(a) for a in members])
        between = self._distances[:, index[:, None], index]
        if due:
            shapes = COUNTING + PLAIN if self._sums.shape[1] else PLAIN
            self._shape, self._noise = _most_likely(between, targets, shapes)
            self._chosen_at = done
        mean, std = self._predict(index, between, targets, self.space.encode(candidates, "one_hot"))
        return candidates[int(np.argmax(expected_improvement(mean, std, float(targets.max()))))]

    def _candidates(self) -> list[Architecture]:
        known = list(self.known)
        among = [known[i] for i in np.flatnonzero(self.rng.random(len(known)) < SHARE)] or known
        best = max(among, key=lambda a: self.known[a])
        near = self.space.neighbours(best, self.rng)
        return [a for a in dict.fromkeys([*near, *self._drawn]) if self.is_new(a)]

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

    def _place(self, architecture: Architecture) -> int:
        """Row of the distances; a new architecture gets one."""
        found = self._seen.get(architecture)
        if found is not None:
            return found
        row = self.space.encode([architecture], "one_hot")[0]
        n = len(self._seen)
        if n == 0:
            self._rows, self._distances = np.empty((64, len(row))), np.zeros((2, 64, 64))
        elif n == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._distances = np.pad(self._distances, ((0, 0), (0, n), (0, n)))
        self._rows[n] = row
        distances = self._apart(row[None], self._rows[:n])[:, 0]
        self._distances[:, n, :n] = self._distances[:, :n, n] = distances
        self._seen[architecture] = n
        return n

    def _apart(self, rows: Matrix, others: Matrix) -> Matrix:
        """``2 x rows x others``: how many parameters differ, and how many values are taken more often."""
        squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others)[None]
        found = np.zeros((2, len(rows), len(others)))
        found[0] = np.maximum(squares / 2 - rows @ others.T, 0.0)
        if self._sums.shape[1]:
            found[1] = np.abs((rows @ self._sums)[:, None] - (others @ self._sums)[None]).sum(axis=2) / 2
        return found

    def _predict(
        self, index: NDArray[np.int64], between: Matrix, targets: Matrix, rows: Matrix
    ) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of candidates, ``c x columns``."""
        lower = _factor(_kernel(between, self._shape), self._noise)
        weights = solve_triangular(lower, targets, lower=True, check_finite=False)
        variance = float(weights @ weights) / len(targets)
        near = _kernel(self._apart(rows, self._rows[index]), self._shape)
        solved = solve_triangular(lower, near.T, lower=True, check_finite=False)
        left = np.maximum(1 - np.einsum("ij,ij->j", solved, solved), 1e-9)
        return solved.T @ weights, np.sqrt(left * variance)


def _value_counts(space: Space) -> Matrix:
    """Adds one-hot columns up: ``columns x values``, over parameters that have the same values to take."""
    kinds: dict[tuple[object, ...], list[int]] = {}
    at = 0
    for name, parameter in space.parameters.items():
        width = len(labels(name, parameter))
        if width > 1:
            kinds.setdefault(tuple(parameter.values or ()), []).append(at)
        at += width
    blocks = []
    for values, starts in kinds.items():
        if len(starts) > 1:
            block = np.zeros((at, len(values)))
            for start in starts:
                block[start + np.arange(len(values)), np.arange(len(values))] = 1.0
            blocks.append(block)
    return np.hstack(blocks) if blocks else np.zeros((at, 0))


def _kernel(apart: Matrix, shape: Shape) -> Matrix:
    kernel = np.exp(apart[0] / -shape.length)
    if shape.share:
        kernel = (1 - shape.share) * kernel + shape.share * np.exp(apart[1] / -shape.count_length)
    return np.asarray(kernel)


def _factor(kernel: Matrix, noise: float) -> Matrix:
    return np.asarray(cholesky(kernel + noise * np.eye(len(kernel)), lower=True, overwrite_a=True, check_finite=False))


def _most_likely(apart: Matrix, targets: Matrix, shapes: Sequence[Shape]) -> tuple[Shape, float]:
    """Shape and noise with the highest marginal likelihood, the scale of the process being its best one."""
    found: list[tuple[float, Shape, float]] = []
    for shape in shapes:
        kernel = _kernel(apart, shape)
        for noise in NOISES:
            lower = _factor(kernel, noise)
            weights = solve_triangular(lower, targets, lower=True, check_finite=False)
            variance = max(float(weights @ weights) / len(targets), 1e-12)
            likelihood = -0.5 * len(targets) * np.log(variance) - float(np.log(np.diag(lower)).sum())
            found.append((likelihood, shape, noise))
    _, shape, noise = max(found, key=lambda each: each[0])
    return shape, noise
