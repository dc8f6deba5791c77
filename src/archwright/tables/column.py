"""A :class:`Column`: one metric of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError
from archwright.evaluation import Direction

Floats = NDArray[np.floating[Any]]
Seed = int | Literal["mean", "random"]


@dataclass(frozen=True)
class Column:
    """One metric on one data set.

    Attributes:
        dataset: its name; empty for what does not depend on the data (parameters).
        metric: its name.
        direction: where it should go.
        values: ``n x epochs x seeds``.
        epochs: length of the training behind each value; empty for what needs none.
        seeds: names of the trainings.
    """

    dataset: str
    metric: str
    direction: Direction
    values: Floats
    epochs: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        expected = (max(1, len(self.epochs)), max(1, len(self.seeds)))
        if self.values.ndim != 3 or self.values.shape[1:] != expected:
            raise TableError(
                f"{self.label}: values of shape {self.values.shape}, wanted n x {expected[0]} x {expected[1]}"
            )

    @property
    def label(self) -> str:
        """``metric on dataset``."""
        return f"{self.metric} on {self.dataset}" if self.dataset else self.metric

    def at(self, epoch: int | None = None, seed: Seed = "mean") -> NDArray[np.float64]:
        """The values of all architectures.

        Args:
            epoch: after how many epochs; the last by default.
            seed: one training, or the ``mean`` of all.

        Raises:
            TableError: the table has no such epoch or seed.
        """
        at = self._epoch(epoch)
        if seed == "mean":
            block = self.values[:, at].astype(np.float64)
            if block.shape[1] == 1:
                return block[:, 0]
            known = ~np.isnan(block)
            total = np.where(known, block, 0.0).sum(axis=1)
            count = known.sum(axis=1)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)
        if seed not in self.seeds:
            raise TableError(
                f"{self.label} has no seed {seed}; it has {_listed(self.seeds) or 'none of its own'}, or mean"
            )
        return self.values[:, at, self.seeds.index(seed)].astype(np.float64)

    def _epoch(self, epoch: int | None) -> int:
        if epoch is None:
            return -1
        if epoch not in self.epochs:
            raise TableError(
                f"{self.label} is not known after {epoch} epochs; it is after {_listed(self.epochs) or 'none'}"
            )
        return self.epochs.index(epoch)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(str(v) for v in values)
