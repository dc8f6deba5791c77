"""LS-GP: local search over the neighbours of good solutions, guided by a Gaussian process of the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cholesky, solve_triangular
from scipy.sparse import csr_array
from scipy.stats import rankdata

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.acquisition import expected_improvement
from archwright.searchers.base import Searcher, Worth
from archwright.space import Architecture, Choice, Space
from archwright.space.encodings import labels, pooled
from archwright.space.parameters import Parameter
from archwright.space.structures import weisfeiler_lehman

Matrix = NDArray[np.float64]
NOISES = (0.01, 0.1, 0.3)
EVERY = 10
MOST = 400
SHARE = 0.4
TRIES = 50


DIFFERING, ORDERED, COUNTED, DRAWN = range(4)
"""Kinds of distance: of parameters, of parameters some of which have an order, of counted values, of cell graphs."""


class Shape(NamedTuple):
    """Of a kernel ``(1 - share) exp(-d / length) + share exp(-e / other_length)``.

    Attributes:
        first, length: which distance ``d`` is, and its scale.
        second, other_length, share: the same of ``e``.
    """

    first: int
    length: float
    second: int = DIFFERING
    other_length: float = 1.0
    share: float = 0.0


class Rows(NamedTuple):
    """Architectures as a model sees them.

    Attributes:
        one_hot: ``n x columns``.
        marks: of each, numbers of the local structures of its cell graphs.
    """

    one_hot: Matrix
    marks: list[list[int]]


PLAIN = [Shape(DIFFERING, length) for length in (1.0, 2.0, 4.0, 8.0, 16.0)]
IN_ORDER = [Shape(ORDERED, length) for length in (0.5, 1.0, 2.0, 4.0, 8.0)]
WITH_COUNTS = [
    Shape(DIFFERING, length, COUNTED, other, share)
    for length in (1.0, 2.0, 4.0, 8.0)
    for other in (1.0, 3.0)
    for share in (0.3, 0.6, 0.9)
]
WITH_GRAPHS = [
    Shape(DIFFERING, length, DRAWN, other, share)
    for length in (2.0, 4.0, 8.0)
    for other in (4.0, 8.0, 16.0, 32.0)
    for share in (0.3, 0.6, 0.9)
]


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
        self._sums = _value_counts(space)
        self._steps = _thermometer(space)
        self._shapes = [*PLAIN, *(WITH_COUNTS if self._sums.shape[1] else [])]
        self._shapes += [*(IN_ORDER if self._steps.size else []), *(WITH_GRAPHS if space.cells else [])]
        self._rows = np.empty((0, 0))
        self._marks: list[list[int]] = []
        self._numbers: dict[object, int] = {}
        self._marks_of: dict[Architecture, list[int]] = {}
        self._distances = np.empty((4, 0, 0))
        self._seen: dict[Architecture, int] = {}
        self._chosen_at = -EVERY
        self._shape, self._noise = PLAIN[1], NOISES[1]
        self._drawn: list[Architecture] = []
        self._identity: dict[Architecture, int] = {}

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
        index = np.array([self._place(a) for a in members])
        between = self._distances[:, index[:, None], index]
        if due:
            self._shape, self._noise = _most_likely(between, targets, self._shapes, self._noise)
            self._chosen_at = done
        mean, std = self._predict(index, between, targets, self._read(candidates))
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
        identify = self.space.identities
        if identify is None or not candidates:
            return candidates
        asked = [*self.known, *self.pending]
        unread = [a for a in (*asked, *candidates) if a not in self._identity]
        if unread:
            self._identity.update(zip(unread, identify(self.space.codes(unread)).tolist()))
        taken = {self._identity[a] for a in asked}
        one_each = {self._identity[a]: a for a in reversed(candidates)}
        return [a for number, a in reversed(one_each.items()) if number not in taken]

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
        row = self._read([architecture])
        n = len(self._seen)
        if n == 0:
            self._rows, self._distances = np.empty((64, row.one_hot.shape[1])), np.zeros((4, 64, 64))
        elif n == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._distances = np.pad(self._distances, ((0, 0), (0, n), (0, n)))
        distances = self._apart(row, Rows(self._rows[:n], self._marks))[:, 0]
        self._rows[n] = row.one_hot[0]
        self._marks.append(row.marks[0])
        self._distances[:, n, :n] = self._distances[:, :n, n] = distances
        self._seen[architecture] = n
        return n

    def _read(self, architectures: list[Architecture]) -> Rows:
        for a in architectures:
            if a not in self._marks_of:
                structures = local_structures(self.space, a)
                self._marks_of[a] = [self._numbers.setdefault(s, len(self._numbers)) for s in structures]
        return Rows(self.space.encode(architectures, "one_hot"), [self._marks_of[a] for a in architectures])

    def _apart(self, rows: Rows, others: Rows) -> Matrix:
        """``4 x rows x others``: distances of each kind."""
        found = np.zeros((4, len(rows.one_hot), len(others.one_hot)))
        found[DIFFERING] = _squared(rows.one_hot, others.one_hot) / 2
        if self._steps.size:
            found[ORDERED] = _squared(rows.one_hot @ self._steps, others.one_hot @ self._steps)
        if self._sums.shape[1]:
            counts, theirs = rows.one_hot @ self._sums, others.one_hot @ self._sums
            found[COUNTED] = np.abs(counts[:, None] - theirs[None]).sum(axis=2) / 2
        if self.space.cells:
            found[DRAWN] = _unlike(rows.marks, others.marks, len(self._numbers))
        return found

    def _predict(self, index: NDArray[np.int64], between: Matrix, targets: Matrix, rows: Rows) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of candidates, ``c x columns``."""
        lower = _factor(_kernel(between, self._shape), self._noise)
        weights = solve_triangular(lower, targets, lower=True, check_finite=False)
        variance = float(weights @ weights) / len(targets)
        near = _kernel(self._apart(rows, Rows(self._rows[index], [self._marks[i] for i in index])), self._shape)
        solved = solve_triangular(lower, near.T, lower=True, check_finite=False)
        left = np.maximum(1 - np.einsum("ij,ij->j", solved, solved), 1e-9)
        return solved.T @ weights, np.sqrt(left * variance)


def local_structures(space: Space, architecture: Architecture) -> list[tuple[object, ...]]:
    """What the live parts of an architecture's cells consist of: operations, and operations with those beside them.

    Returns:
        Each structure of :func:`~archwright.space.structures.weisfeiler_lehman` with a number, so that the third of its kind
        differs from the first. All writings of a network have the same ones.
    """
    found = weisfeiler_lehman(space, architecture).items()
    return [(*structure, k + 1) for structure, times in found for k in range(times)]


def _squared(rows: Matrix, others: Matrix) -> Matrix:
    """Squared Euclidean distances, ``rows x others``."""
    squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others)[None]
    return np.asarray(np.maximum(squares - 2 * rows @ others.T, 0.0))


def _unlike(marks: list[list[int]], others: list[list[int]], width: int) -> Matrix:
    """How many marks one has and the other has not, ``marks x others``."""
    rows, columns = _sparse(marks, width), _sparse(others, width)
    sizes = np.array([len(m) for m in marks])[:, None] + np.array([len(m) for m in others], dtype=int)[None]
    return np.asarray(sizes - 2 * (rows @ columns.T).toarray())


def _sparse(marks: list[list[int]], width: int) -> Any:
    """``marks x width`` of zeros and ones."""
    ends = np.cumsum([0, *(len(m) for m in marks)])
    columns = np.fromiter((i for m in marks for i in m), np.int64, int(ends[-1]))
    return csr_array((np.ones(len(columns)), columns, ends), shape=(len(marks), width))


def _thermometer(space: Space) -> Matrix:
    """Turns one-hot columns, ``columns x columns``, so that squared distances count steps between ordered values.

    From the first to the last value of a parameter is 1, as is one value to another where there is no order. Without
    ordered parameters it is empty.
    """
    blocks = []
    any_ordered = False
    for name, parameter in space.parameters.items():
        width = len(labels(name, parameter))
        ordered = width > 2 and _is_ordered(parameter)
        any_ordered |= ordered
        blocks.append(np.tri(width) / (width - 1) ** 0.5 if ordered else np.eye(width) * 0.5**0.5)
    return np.asarray(block_diag(*blocks)) if any_ordered else np.zeros((0, 0))


def _is_ordered(parameter: Parameter) -> bool:
    """Integers, numbers to choose from, and choices that are said to be."""
    if isinstance(parameter, Choice):
        return parameter.ordered or all(isinstance(v, (int, float)) for v in parameter.values)
    return True


def _value_counts(space: Space) -> Matrix:
    """Adds one-hot columns up: ``columns x values``, over parameters that share their values with another one."""
    matrix = pooled(space)[1]
    return np.asarray(matrix[:, matrix.sum(axis=0) > 1])


def _kernel(apart: Matrix, shape: Shape) -> Matrix:
    kernel = np.exp(apart[shape.first] / -shape.length)
    if shape.share:
        kernel = (1 - shape.share) * kernel + shape.share * np.exp(apart[shape.second] / -shape.other_length)
    return np.asarray(kernel)


def _factor(kernel: Matrix, noise: float) -> Matrix:
    return np.asarray(cholesky(kernel + noise * np.eye(len(kernel)), lower=True, overwrite_a=True, check_finite=False))


def _most_likely(apart: Matrix, targets: Matrix, shapes: Sequence[Shape], noise: float) -> tuple[Shape, float]:
    """Shape with the highest marginal likelihood at a noise, then the noise of the highest one at that shape."""
    shape = max(shapes, key=lambda each: _likelihood(_kernel(apart, each), targets, noise))
    kernel = _kernel(apart, shape)
    return shape, max(NOISES, key=lambda each: _likelihood(kernel, targets, each))


def _likelihood(kernel: Matrix, targets: Matrix, noise: float) -> float:
    """The logarithm of the marginal likelihood but for a constant, the scale of the process being its best one."""
    lower = _factor(kernel, noise)
    weights = solve_triangular(lower, targets, lower=True, check_finite=False)
    variance = max(float(weights @ weights) / len(targets), 1e-12)
    return -0.5 * len(targets) * float(np.log(variance)) - float(np.log(np.diag(lower)).sum())
