"""A graph network for cell graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from archwright.space import Architecture, Space
from archwright.surrogate.base import Matrix, Prediction, Regressor
from archwright.surrogate.perceptrons import stacked_layers, train


class GraphNetwork(Regressor):
    """An ensemble of graph networks that pass messages along and against the signal, as Wen et al. (2020).

    A vertex is an operation in the live part of a cell. In each of ``layers`` rounds a vertex sees itself and the sums over
    those before and after it: ``h <- relu(W [h, A^T h, A h])``. The sum over all vertices goes through a hidden layer to the
    prediction. Members differ in their initial weights and in the order of their examples; their spread is the
    uncertainty.

    Args:
        space, seed: see :class:`~archwright.surrogate.base.Regressor`.
        members: of the ensemble.
        layers, width: rounds, and units of a vertex.
        epochs, lr: of the training (Adam, mean absolute error, batches of 32).
    """

    summary: ClassVar[str] = "ensemble of graph networks on the live parts of cells"
    of_cells: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        members: int = 5,
        layers: int = 3,
        width: int = 64,
        epochs: int = 150,
        lr: float = 2e-3,
    ) -> None:
        super().__init__(space, seed=seed)
        self.members, self.layers, self.width, self.epochs, self.lr = members, layers, width, epochs, lr
        words = [(at, o) for at, cell in enumerate(space.cells) for o in ("input", "output", *cell.operations)]
        self._word = {word: i for i, word in enumerate(words)}
        self._vertices = sum(c.nodes if c.on == "nodes" else len(c.edges) + 2 for c in space.cells)

    def _describe(self, architectures: Sequence[Architecture], *, new: bool = False) -> Matrix:
        """``n x vertices x (vertices + words)``: which vertex follows, beside what each is; rows of zeros fill up."""
        rows = np.zeros((len(architectures), self._vertices, self._vertices + len(self._word)))
        for row, architecture in zip(rows, architectures):
            place: dict[tuple[int, object], int] = {}
            for at, cell in enumerate(self.space.cells):
                operations, arcs = cell.genotype(architecture).live(cell.none)
                for vertex, operation in operations.items():
                    place[at, vertex] = len(place)
                    row[place[at, vertex], self._vertices + self._word[at, operation]] = 1.0
                for i, j in arcs:
                    row[place[at, i], place[at, j]] = 1.0
        return rows

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        sizes = [len(self._word), *[self.width] * self.layers]
        self._rounds = [stacked_layers([3 * a, b], self.members, generator)[0] for a, b in zip(sizes, sizes[1:])]
        self._head = stacked_layers([self.width, self.width, 1], self.members, generator)
        layers = [*self._rounds, *self._head]
        train(self._forward, layers, rows, targets, epochs=self.epochs, lr=self.lr, generator=generator)

    @torch.no_grad()
    def _predict(self, rows: Matrix) -> Prediction:
        x = torch.from_numpy(rows).float().expand(self.members, *rows.shape)
        members = self._forward(x).double().numpy()
        return members.mean(axis=0), members.std(axis=0)

    def _forward(self, x: Tensor) -> Tensor:
        """``members x batch x vertices x (vertices + words)`` to ``members x batch``."""
        follows, h = x[..., : self._vertices], x[..., self._vertices :]
        there = h.sum(dim=-1, keepdim=True)
        for weight, bias in self._rounds:
            seen = torch.cat([h, follows.transpose(-1, -2) @ h, follows @ h], dim=-1)
            out = torch.baddbmm(bias, seen.flatten(1, 2), weight).relu()
            h = out.view(*seen.shape[:3], -1) * there
        out = h.sum(dim=2) / self._vertices
        for k, (weight, bias) in enumerate(self._head):
            out = torch.baddbmm(bias, out if k == 0 else out.relu(), weight)
        return out.squeeze(-1)
