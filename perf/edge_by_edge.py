"""The supernet of DARTS, straightforward: every operation of every edge a module, a weighted sum, nothing shared.

Written from the equations (Liu et al. 2019; Herron 2023, 2.1 and 2.2) with torch alone, as a baseline for speed and memory. ``load`` copies
the weights of Archwright's search network, whose parameters come in the same order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "none",
)  # fmt: skip


class Nothing(nn.Module):
    """Zeros."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Of the output's size."""
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class Halve(nn.Module):
    """Factorised reduction; even sizes."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after // 2, 1, 2, bias=False)
        self.second = nn.Conv2d(before, after - after // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(after, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Half the size."""
        x = torch.relu(x)
        return self.norm(torch.cat([self.first(x), self.second(x[:, :, 1:, 1:])], 1))


def convolution(c: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    """ReLU, depthwise, pointwise, norm."""
    return [
        nn.ReLU(),
        nn.Conv2d(c, c, kernel, stride, dilation * (kernel // 2), dilation, groups=c, bias=False),
        nn.Conv2d(c, c, 1, bias=False),
        nn.BatchNorm2d(c, affine=False),
    ]


def operation(name: str, c: int, stride: int) -> nn.Module:
    """One of the eight operations."""
    if name == "none":
        return Nothing(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(c, c)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    kernel = int(name[-1])
    if name.startswith("dil"):
        return nn.Sequential(*convolution(c, kernel, stride, 2))
    return nn.Sequential(*convolution(c, kernel, stride, 1), *convolution(c, kernel, 1, 1))


def preparation(before: int, after: int) -> nn.Module:
    """ReLU, 1x1 convolution, norm."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after, affine=False))


class Edge(nn.Module):
    """All operations, weighted."""

    def __init__(self, c: int, stride: int, operations: tuple[str, ...]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operation(name, c, stride) for name in operations)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """``sum_o w_o o(x)``."""
        return sum(w * o(x) for w, o in zip(weights, self.operations))  # type: ignore[return-value]


class PlainCell(nn.Module):
    """A cell of mixed edges."""

    def __init__(
        self, before: int, last: int, c: int, reduces: bool, halved: bool, nodes: int, operations: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.first = Halve(before, c) if halved else preparation(before, c)
        self.second = preparation(last, c)
        self.nodes = nodes
        self.edges = nn.ModuleList(
            Edge(c, 2 if reduces and i < 2 else 1, operations) for j in range(nodes) for i in range(j + 2)
        )

    def forward(self, before: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        """All nodes, concatenated."""
        states, e = [self.first(before), self.second(last)], 0
        for _ in range(self.nodes):
            inputs = len(states)
            states.append(sum(self.edges[e + i](states[i], weights[e + i]) for i in range(inputs)))
            e += inputs
        return torch.cat(states[2:], 1)


class PlainSupernet(nn.Module):
    """Stem, cells with reductions at thirds, mean and linear layer; ``alpha`` for both cell types."""

    def __init__(
        self,
        channels: int = 16,
        cells: int = 8,
        nodes: int = 4,
        operations: tuple[str, ...] = OPERATIONS,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        before = last = 3 * channels
        halved, made, self.reduces = False, [], []
        for m in range(cells):
            reduces = m in (cells // 3, 2 * cells // 3)
            channels *= 1 + reduces
            made.append(PlainCell(before, last, channels, reduces, halved, nodes, operations))
            self.reduces.append(reduces)
            before, last, halved = last, nodes * channels, reduces
        self.cells = nn.ModuleList(made)
        self.classifier = nn.Linear(last, classes)
        edges = nodes * (nodes + 3) // 2
        self.alpha = nn.ParameterList(nn.Parameter(1e-3 * torch.randn(edges, len(operations))) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        weights = [a.softmax(1) for a in self.alpha]
        before = last = self.stem(x)
        for cell, reduces in zip(self.cells, self.reduces):
            before, last = last, cell(before, last, weights[reduces])
        return self.classifier(last.mean((2, 3)))

    def weights(self) -> list[nn.Parameter]:
        """All but alpha."""
        return [p for name, p in self.named_parameters() if not name.startswith("alpha")]

    @torch.no_grad()
    def load(self, weights: list[Tensor], alpha: list[Tensor]) -> None:
        """Copy parameters given in this network's order.

        Raises:
            ValueError: other shapes or another number.
        """
        for own, given in zip([*self.weights(), *self.alpha], [*weights, *alpha], strict=True):
            if own.shape != given.shape:
                raise ValueError(f"a parameter of shape {tuple(given.shape)} does not fit {tuple(own.shape)}")
            own.copy_(given)
