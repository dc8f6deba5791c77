"""Ensembles of small networks trained as one, with stacked weights; the perceptrons of BANANAS among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.float64]
Layer = tuple[Tensor, Tensor]
BATCH = 32
LR = 0.01


class Perceptrons:
    """``members`` perceptrons that differ in their initial weights and in the order of their examples (White et al. 2021).

    Args:
        inputs: length of an encoding.
        members: how many.
        layers, width: hidden layers of each, and units of a layer.
        seed: of weights and orders.
    """

    def __init__(self, inputs: int, *, members: int = 5, layers: int = 10, width: int = 20, seed: int = 0) -> None:
        self.members = members
        self.generator = torch.Generator().manual_seed(seed)
        self.layers = stacked_layers([inputs, *[width] * layers, 1], members, self.generator)

    def fit(self, rows: Matrix, targets: Matrix, *, epochs: int = 150) -> None:
        """Train from where the weights are, with Adam at rate 0.01 on the mean absolute error of batches of 32."""
        train(self._forward, self.layers, rows, targets, epochs=epochs, lr=LR, generator=self.generator)

    @torch.no_grad()
    def predict(self, rows: Matrix) -> Matrix:
        """``members x n``."""
        predicted = self._forward(torch.from_numpy(rows).float().expand(self.members, -1, -1))
        return np.asarray(predicted.double().numpy())

    def _forward(self, x: Tensor) -> Tensor:
        for weight, bias in self.layers[:-1]:
            x = torch.baddbmm(bias, x, weight).relu()
        weight, bias = self.layers[-1]
        return torch.baddbmm(bias, x, weight).squeeze(-1)


def stacked_layers(sizes: Sequence[int], members: int, generator: torch.Generator) -> list[Layer]:
    """Weights ``members x in x out``, uniform as of Glorot and Bengio (2010), and zero biases ``members x 1 x out``."""
    made = []
    for a, b in zip(sizes, sizes[1:]):
        bound = (6 / (a + b)) ** 0.5
        weight = torch.empty(members, a, b).uniform_(-bound, bound, generator=generator).requires_grad_()
        made.append((weight, torch.zeros(members, 1, b, requires_grad=True)))
    return made


def train(
    forward: Callable[[Tensor], Tensor],
    layers: Sequence[Layer],
    rows: Matrix,
    targets: Matrix,
    *,
    epochs: int,
    lr: float,
    generator: torch.Generator,
) -> None:
    """Train all members at once by Adam on the mean absolute error; each has its own order of the examples.

    Args:
        forward: ``members x batch x ...`` to ``members x batch``.
        layers: what is trained.
        rows: ``n x ...``.
        targets: of each.
        epochs, lr: passes over the data, rate.
        generator: of the orders.
    """
    x, y = torch.from_numpy(rows).float(), torch.from_numpy(targets).float()
    members = len(layers[0][0])
    optimizer = torch.optim.Adam([*(w for w, _ in layers), *(b for _, b in layers)], lr=lr)
    for _ in range(epochs):
        order = torch.stack([torch.randperm(len(x), generator=generator) for _ in range(members)])
        for part in torch.split(order, BATCH, dim=1):
            loss = (forward(x[part]) - y[part]).abs().mean(dim=1).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
