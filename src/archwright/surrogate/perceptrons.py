"""Ensembles of small networks trained as one, with stacked weights; the perceptrons of BANANAS among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
        drawn = stacked_layers([inputs, *[width] * layers, 1], members, self.generator)
        tensors = [tensor.detach() for layer in drawn for tensor in layer]
        self._flat = torch.cat([tensor.flatten() for tensor in tensors])
        self._flat.grad = torch.zeros_like(self._flat)
        self.layers, self._slopes = (_views(flat, tensors) for flat in (self._flat, self._flat.grad))

    @torch.no_grad()
    def fit(self, rows: Matrix, targets: Matrix, *, epochs: int = 150) -> None:
        """Train from where the weights are, with Adam at rate 0.01 on the mean absolute error of batches of 32."""
        x, y = torch.from_numpy(rows).float(), torch.from_numpy(targets).float()
        optimizer = torch.optim.Adam([self._flat], lr=LR)
        for part in batches(len(x), self.members, epochs, self.generator):
            self._slope(x[part], y[part])
            optimizer.step()

    @torch.no_grad()
    def predict(self, rows: Matrix) -> Matrix:
        """``members x n``."""
        predicted = self._forward(torch.from_numpy(rows).float().expand(self.members, -1, -1))[-1].squeeze(-1)
        return np.asarray(predicted.double().numpy())

    def _forward(self, x: Tensor) -> list[Tensor]:
        """The input, what each hidden layer gives, and the output ``members x batch x 1``."""
        seen = [x]
        for weight, bias in self.layers[:-1]:
            seen.append(torch.baddbmm(bias, seen[-1], weight).relu_())
        weight, bias = self.layers[-1]
        return [*seen, torch.baddbmm(bias, seen[-1], weight)]

    def _slope(self, x: Tensor, y: Tensor) -> None:
        """Write the gradient of the sum over members of the mean absolute error; by hand, as layers this small cost mostly calls."""
        *seen, out = self._forward(x)
        slope = (out - y.unsqueeze(-1)).sign_() / y.shape[1]
        for k in reversed(range(len(self.layers))):
            weight_slope, bias_slope = self._slopes[k]
            torch.sum(slope, dim=1, keepdim=True, out=bias_slope)
            torch.bmm(seen[k].transpose(1, 2), slope, out=weight_slope)
            if k:
                slope = torch.bmm(slope, self.layers[k][0].transpose(1, 2)).mul_(seen[k] > 0)


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
    optimizer = torch.optim.Adam([*(w for w, _ in layers), *(b for _, b in layers)], lr=lr)
    for part in batches(len(x), len(layers[0][0]), epochs, generator):
        loss = (forward(x[part]) - y[part]).abs().mean(dim=1).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def batches(n: int, members: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Places ``members x batch`` of examples, all of them once in every epoch and each member in its own order."""
    for _ in range(epochs):
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(members)])
        yield from torch.split(order, BATCH, dim=1)


def _views(flat: Tensor, tensors: Sequence[Tensor]) -> list[Layer]:
    """Weights and biases in turn, shaped as ``tensors``, of which ``flat`` has all numbers."""
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    shaped = [part.view_as(tensor) for part, tensor in zip(parts, tensors)]
    return list(zip(shaped[::2], shaped[1::2]))
