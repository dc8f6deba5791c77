"""How alike two architectures are: distances of several kinds, and kernels of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cholesky
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from archwright.space import Architecture, Choice, Space
from archwright.space.encodings import labels, pooled
from archwright.space.parameters import Parameter
from archwright.space.structures import weisfeiler_lehman

Matrix = NDArray[np.float64]
Marks = NDArray[np.int64]

DIFFERING, ORDERED, COUNTED, DRAWN, WEIGHED = range(5)
KINDS = 5
KEPT = (DIFFERING, ORDERED, COUNTED, DRAWN)
"""Kinds of distance: of parameters, of parameters some of which have an order, of counted values, of cell graphs; and of parameters
that have a weight each."""


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
    marks: list[Marks]


PLAIN = [Shape(DIFFERING, length) for length in (1.0, 2.0, 4.0, 8.0, 16.0)]
IN_ORDER = [Shape(ORDERED, length) for length in (0.5, 1.0, 2.0, 4.0, 8.0)]
BY_RELEVANCE = Shape(WEIGHED, 1.0)
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


class Distances:
    """Distances between architectures of a space; those among evaluated ones are worked out once, but for weighed ones.

    Attributes:
        shapes: kernels that the space has distances for, without weights.
        parameters: how many weights there are: one for each parameter, where some have an order, else none.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._sums = _value_counts(space)
        self._steps = _thermometer(space)
        self.shapes = [*PLAIN, *(WITH_COUNTS if self._sums.shape[1] else [])]
        self.shapes += [*(IN_ORDER if self._steps.size else []), *(WITH_GRAPHS if space.cells else [])]
        self._values, self._owner = _values_in_order(space)
        self.parameters = len(space.parameters) if _any_numbers(space) else 0
        self._rows = np.empty((0, 0))
        self._marks: list[Marks] = []
        self._numbers: dict[object, int] = {}
        self._marks_of: dict[Architecture, Marks] = {}
        self._distances = np.empty((len(KEPT), 0, 0))
        self._seen: dict[Architecture, int] = {}

    def read(self, architectures: list[Architecture]) -> Rows:
        """Architectures as :meth:`to` takes them."""
        for a in architectures:
            if a not in self._marks_of:
                structures = local_structures(self.space, a)
                numbers = [self._numbers.setdefault(s, len(self._numbers)) for s in structures]
                self._marks_of[a] = np.array(numbers, dtype=np.int64)
        return Rows(self.space.encode(architectures, "one_hot"), [self._marks_of[a] for a in architectures])

    def between(
        self, members: Sequence[Architecture], kinds: Collection[int] = KEPT, weights: Sequence[float] = ()
    ) -> Matrix:
        """``kinds x members x members``; zeros for other kinds than those asked for, and for weighed distances without weights."""
        index = np.array([self._place(a) for a in members])
        found = np.zeros((KINDS, len(index), len(index)))
        for kind in KEPT:
            if kind in kinds:
                found[kind] = self._distances[kind][np.ix_(index, index)]
        if weights and WEIGHED in kinds:
            columns = self._weighed(self._rows[index], weights)
            found[WEIGHED] = _squared(columns, columns)
        return found

    def to(
        self,
        rows: Rows,
        members: Sequence[Architecture],
        kinds: Collection[int] = KEPT,
        weights: Sequence[float] = (),
    ) -> Matrix:
        """``kinds x rows x members``, as :meth:`between`."""
        index = [self._place(a) for a in members]
        found = self._apart(rows, Rows(self._rows[index], [self._marks[i] for i in index]), kinds)
        if weights and WEIGHED in kinds:
            found[WEIGHED] = _squared(self._weighed(rows.one_hot, weights), self._weighed(self._rows[index], weights))
        return found

    def by_parameter(self, members: Sequence[Architecture]) -> Matrix:
        """What each parameter adds to the weighed distance at weight 1, ``parameters x members x members``."""
        index = [self._place(a) for a in members]
        columns = self._rows[index] @ self._values
        parts = [columns[:, self._owner == k] for k in range(self.parameters)]
        return np.stack([_squared(part, part) for part in parts])

    def _weighed(self, one_hot: Matrix, weights: Sequence[float]) -> Matrix:
        return np.asarray((one_hot @ self._values) * np.sqrt(np.array(weights)[self._owner]))

    def _place(self, architecture: Architecture) -> int:
        """Row of the distances; a new architecture gets one."""
        found = self._seen.get(architecture)
        if found is not None:
            return found
        row = self.read([architecture])
        n = len(self._seen)
        if n == 0:
            self._rows, self._distances = np.empty((64, row.one_hot.shape[1])), np.zeros((len(KEPT), 64, 64))
        elif n == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._distances = np.pad(self._distances, ((0, 0), (0, n), (0, n)))
        distances = self._apart(row, Rows(self._rows[:n], self._marks))[: len(KEPT), 0]
        self._rows[n] = row.one_hot[0]
        self._marks.append(row.marks[0])
        self._distances[:, n, :n] = self._distances[:, :n, n] = distances
        self._seen[architecture] = n
        return n

    def _apart(self, rows: Rows, others: Rows, kinds: Collection[int] = KEPT) -> Matrix:
        """``kinds x rows x others``: distances of each kind that is kept."""
        found = np.zeros((KINDS, len(rows.one_hot), len(others.one_hot)))
        if DIFFERING in kinds:
            found[DIFFERING] = _squared(rows.one_hot, others.one_hot) / 2
        if ORDERED in kinds and self._steps.size:
            found[ORDERED] = _squared(rows.one_hot @ self._steps, others.one_hot @ self._steps)
        if COUNTED in kinds and self._sums.shape[1]:
            found[COUNTED] = cdist(rows.one_hot @ self._sums, others.one_hot @ self._sums, "cityblock") / 2
        if DRAWN in kinds and self.space.cells:
            found[DRAWN] = _unlike(rows.marks, others.marks, len(self._numbers))
        return found


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


def _unlike(marks: list[Marks], others: list[Marks], width: int) -> Matrix:
    """How many marks one has and the other has not, ``marks x others``."""
    sizes = np.array([len(m) for m in marks])[:, None] + np.array([len(m) for m in others], dtype=int)[None]
    return np.asarray(sizes - 2 * (_sparse(marks, width) @ _sparse(others, width).toarray().T))


def _sparse(marks: list[Marks], width: int) -> Any:
    """``marks x width`` of zeros and ones."""
    ends = np.cumsum([0, *(len(m) for m in marks)])
    columns = np.concatenate(marks) if marks else np.zeros(0, dtype=np.int64)
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


def _values_in_order(space: Space) -> tuple[Matrix, NDArray[np.int64]]:
    """Turns one-hot columns so that squared distances are 1 between other values, and squares of steps between ordered ones.

    Returns:
        ``columns x new columns``, and for each new column the number of its parameter.
    """
    blocks = []
    for name, parameter in space.parameters.items():
        width = len(labels(name, parameter))
        ordered = width > 2 and _is_ordered(parameter)
        blocks.append(np.linspace(0, 1, width)[:, None] if ordered else np.eye(width) * (0.5**0.5 if width > 1 else 1))
    owner = np.concatenate([np.full(block.shape[1], k) for k, block in enumerate(blocks)])
    return np.asarray(block_diag(*blocks)), owner


def _is_ordered(parameter: Parameter) -> bool:
    """Integers, numbers to choose from, and choices that are said to be."""
    if isinstance(parameter, Choice):
        return parameter.ordered or all(isinstance(v, (int, float)) for v in parameter.values)
    return True


def _any_numbers(space: Space) -> bool:
    """Whether some parameter has an order of more than two values."""
    return any(len(labels(name, p)) != 2 and _is_ordered(p) for name, p in space.parameters.items())


def _value_counts(space: Space) -> Matrix:
    """Adds one-hot columns up: ``columns x values``, over parameters that share their values with another one."""
    matrix = pooled(space)[1]
    return np.asarray(matrix[:, matrix.sum(axis=0) > 1])


def kernel(apart: Matrix, shape: Shape) -> Matrix:
    """Of distances ``kinds x ...``; 1 where they are 0."""
    found = np.exp(apart[shape.first] / -shape.length)
    if shape.share:
        found = (1 - shape.share) * found + shape.share * np.exp(apart[shape.second] / -shape.other_length)
    return np.asarray(found)


def factor(covariance: Matrix, noise: float | Matrix) -> Matrix:
    """Lower Cholesky factor of a covariance with noise on its diagonal."""
    return np.asarray(
        cholesky(covariance + noise * np.eye(len(covariance)), lower=True, overwrite_a=True, check_finite=False)
    )
