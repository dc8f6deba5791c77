"""Networks of stacked cells with two inputs each (Liu et al. 2019; Herron 2023, section 3.1 and template of CDARTS).

A cell reads the outputs of the two cells before it; those at one and two thirds of the network halve the image and double
the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from archwright.layers.blocks import DropPath, FactorizedReduce, GlobalPoolHead, ReLUConvBN
from archwright.layers.operations import operation, without_affine
from archwright.space.cells import reductions

NONE = "none"
Pair = tuple[str, int]
Nodes = Sequence[Sequence[Pair]]
"""Per node its ``(operation, predecessor)``; predecessors 0 and 1 are the cell's inputs."""
MakeCell = Callable[[int, int, int, bool, bool], nn.Module]
"""``(channels of the input before, of the last input, of a node, whether it reduces, whether the last one did)``."""


class CellInputs(nn.Module):
    """Brings both inputs of a cell to its channels and size."""

    def __init__(self, before: int, last: int, width: int, last_reduced: bool, affine: bool = True) -> None:
        super().__init__()
        first = FactorizedReduce(before, width) if last_reduced else ReLUConvBN(before, width, 1)
        second = ReLUConvBN(last, width, 1)
        self.first = first if affine else without_affine(first)
        self.second = second if affine else without_affine(second)

    def forward(self, before: Tensor, last: Tensor) -> list[Tensor]:
        """Two tensors ``batch x width x h x w``."""
        return [self.first(before), self.second(last)]


class Cell(nn.Module):
    """A discrete cell: each node adds up its operations, the output is all nodes, concatenated.

    Args:
        before, last: channels of the inputs.
        width: channels of a node.
        reduces: operations on the cell's inputs have stride 2.
        last_reduced: the last input is half the size of the one before.
        nodes: of the cell; predecessors may repeat, and a node without any gives zeros.
        none: what stands for ``none``: zeros, or noise (Herron 2023, table 3.1).
    """

    def __init__(
        self, before: int, last: int, width: int, reduces: bool, last_reduced: bool, nodes: Nodes,
        none: Literal["zero", "random"] = "zero",
    ) -> None:  # fmt: skip
        super().__init__()
        self.inputs = CellInputs(before, last, width, last_reduced)
        nodes = [pairs or [("zero", 0)] for pairs in nodes]
        self.nodes = [[predecessor for _, predecessor in pairs] for pairs in nodes]
        self.operations = nn.ModuleList(
            _droppable(none if name == NONE else name, width, 2 if reduces and predecessor < 2 else 1)
            for pairs in nodes
            for name, predecessor in pairs
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """``batch x nodes * width x h' x w'``."""
        states = self.inputs(before, last)
        operations = iter(self.operations)
        for predecessors in self.nodes:
            states.append(sum_of([next(operations)(states[i]) for i in predecessors]))
        return torch.cat(states[2:], dim=1)


def sum_of(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of at least one tensor."""
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


def _droppable(name: str, width: int, stride: int) -> nn.Module:
    made = operation(name, width, stride)
    return made if isinstance(made, nn.Identity) else nn.Sequential(made, DropPath())


class CellNetwork(nn.Module):
    """Stem, cells, head; while training with a tower, ``(logits, tower's logits)``.

    Args:
        c_in: channels of the images.
        num_classes: of the data.
        channels: of the first cells' nodes.
        cells: how many.
        nodes: of every cell.
        make: makes a cell.
        tower: an auxiliary head on the second reduction cell, for training alone.
    """

    def __init__(
        self, c_in: int, num_classes: int, channels: int, cells: int, nodes: int, make: MakeCell, tower: bool = False
    ) -> None:
        super().__init__()
        stem = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(c_in, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        before, last, width, last_reduced = stem, stem, channels, False
        made, self.reduced_channels = [], []
        for position in range(cells):
            reduces = position in reductions(cells)
            width *= 1 + reduces
            made.append(make(before, last, width, reduces, last_reduced))
            before, last, last_reduced = last, nodes * width, reduces
            self.reduced_channels += [last] if reduces else []
        self.cells = nn.ModuleList(made)
        self.reductions = sorted(reductions(cells))
        self.head = GlobalPoolHead(last, num_classes)
        self.tower = Tower(self.reduced_channels[-1], num_classes) if tower else None

    def features(self, x: Tensor, *to_cells: object) -> tuple[Tensor, list[Tensor]]:
        """Output of the last cell, and those of the reduction cells; ``to_cells`` is passed on to every cell."""
        before = last = self.stem(x)
        reduced = []
        for position, cell in enumerate(self.cells):
            before, last = last, cell(before, last, *to_cells)
            if position in self.reductions:
                reduced.append(last)
        return last, reduced

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits ``batch x num_classes``."""
        last, reduced = self.features(x)
        logits: Tensor = self.head(last)
        return (logits, self.tower(reduced[-1])) if self.tower is not None and self.training else logits


class Pooled(nn.Module):
    """Average pooling without the padding; to 2x2 where the map is too small for that."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """At least 2 x 2 pixels."""
        if min(x.shape[-2:]) < self.kernel + self.stride:
            return nn.functional.adaptive_avg_pool2d(x, 2)
        return nn.functional.avg_pool2d(x, self.kernel, self.stride, count_include_pad=False)


class Tower(nn.Sequential):
    """The auxiliary tower of retraining (Liu et al. 2019): pooling 5, 1x1 to 128, 2x2 to 768, mean, linear."""

    def __init__(self, c_in: int, num_classes: int) -> None:
        super().__init__(*_auxiliary(c_in, num_classes, Pooled(5, 3), True, True))


class DistillationHead(nn.Sequential):
    """A head on a reduction cell whose logits join the distillation (Yu et al. 2022): pooling 6, 1x1 to 128, 2x2 to 768.

    Its batch norms use the batch's statistics, also in evaluation mode, so that two networks can share it.
    """

    def __init__(self, c_in: int, num_classes: int) -> None:
        super().__init__(*_auxiliary(c_in, num_classes, Pooled(6, 2), False, False))


def _auxiliary(c_in: int, num_classes: int, pool: nn.Module, affine: bool, track: bool) -> list[nn.Module]:
    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, affine=affine, track_running_stats=track)

    return [
        nn.ReLU(), pool, nn.Conv2d(c_in, 128, 1, bias=False), norm(128), nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False), norm(768), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(768, num_classes),
    ]  # fmt: skip
