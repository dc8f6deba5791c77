"""Networks whose template is a choice: which earlier output each cell also reads, or which cell stands at each depth.

Hierarchical search mixes all choices in one network; with a choice, a network has the modules of that alone (Herron 2023,
chapter 6).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from archwright.errors import SettingsError
from archwright.layers.blocks import FactorizedReduce, GlobalPoolHead, ReLUConvBN
from archwright.layers.cells import Cell, Nodes, Tower, sum_of
from archwright.layers.operations import without_affine
from archwright.layers.templates import PlainReduction
from archwright.space.cells import reductions

POOLING = "pooling"
"""What stands in the place of cells where pooling halves the image."""


class MacroNetwork(nn.Module, ABC):
    """Stem, body, head; while training with a tower, ``(logits, tower's logits)``.

    Attributes:
        choice: the discrete template, where the network has one of its own.
        reduced_channels: of the maps that heads and tower read.
    """

    def __init__(self, c_in: int, num_classes: int, channels: int, choice: Sequence[int] | None, tower: bool) -> None:
        super().__init__()
        stem = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(c_in, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.num_classes, self.choice, self.with_tower = num_classes, choice, tower
        self.reduced_channels: list[int] = []
        self.tower: Tower | None = None

    def _end(self, last: int) -> None:
        self.head = GlobalPoolHead(last, self.num_classes)
        if self.with_tower and self.reduced_channels:
            self.tower = Tower(self.reduced_channels[-1], self.num_classes)

    @abstractmethod
    def features(self, x: Tensor, mix: Any) -> tuple[Tensor, list[Tensor]]:
        """Output of the last cell and those of the reduction cells, under weights or a choice."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits ``batch x num_classes`` of the network's own template."""
        last, reduced = self.features(x, self.choice)
        logits: Tensor = self.head(last)
        return (logits, self.tower(reduced[-1])) if self.tower is not None and self.training else logits


class SkipNetwork(MacroNetwork):
    """Version 1: cell ``m`` reads cell ``m - 1`` and a mixture of, or one of, the outputs before that; 0 is the stem's.

    Args:
        cells: genotype of ``normal`` and ``reduce``.
        c_in, num_classes, channels, depth: of the network.
        choice: for each cell from the second on the output it reads, 0 for the stem's and ``i + 1`` for cell ``i``'s; only its
            projections are made.
        affine: of the batch norms behind the stem.
        tower: with an auxiliary tower.
    """

    def __init__(
        self, cells: Mapping[str, Nodes], c_in: int, num_classes: int, channels: int, depth: int,
        choice: Sequence[int] | None = None, affine: bool = True, tower: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(c_in, num_classes, channels, choice, tower)
        outs, levels, width = [3 * channels], [0], channels
        self.reductions = sorted(reductions(depth))
        self.cells, self.skips = nn.ModuleList(), nn.ModuleList()
        for m in range(depth):
            reduces = m in self.reductions
            width *= 1 + reduces
            sources = range(max(1, m)) if choice is None else [0 if m == 0 else choice[m - 1]]
            self.skips.append(
                nn.ModuleDict({str(i): _projection(outs[i], width, levels[-1] - levels[i]) for i in sources})
            )
            nodes = cells["reduce" if reduces else "normal"]
            cell = Cell(width, outs[-1], width, reduces, False, nodes)
            cell.inputs.first = nn.Identity()
            self.cells.append(cell)
            outs.append(len(nodes) * width)
            levels.append(levels[-1] + reduces)
            self.reduced_channels += [outs[-1]] if reduces else []
        if not affine:
            for module in (self.cells, self.skips):
                without_affine(module)
        self._end(outs[-1])

    def features(self, x: Tensor, mix: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
        """See the base class; ``mix`` has for each cell from the second on a number, or weights over the outputs before."""
        outs, reduced = [self.stem(x)], []
        for m, (cell, skips) in enumerate(zip(self.cells, self.skips)):
            own = 0 if m == 0 else mix[m - 1]
            if isinstance(own, Tensor):
                second = sum_of([own[i] * skips[str(i)](outs[i]) for i in range(m)])  # type: ignore[index]
            else:
                second = skips[str(own)](outs[own])  # type: ignore[index]
            outs.append(cell(second, outs[-1]))
            if m in self.reductions:
                reduced.append(outs[-1])
        return outs[-1], reduced


def _projection(c_in: int, width: int, halvings: int) -> nn.Module:
    """What stands in the place of a cell's first preprocessing: a factorised reduction for every halving, else a 1x1."""
    if halvings == 0:
        return ReLUConvBN(c_in, width, 1)
    return nn.Sequential(*(FactorizedReduce(width if i else c_in, width) for i in range(halvings)))


class TypeNetwork(MacroNetwork):
    """Version 2: at every depth cells of all types side by side, mixed, or the one that is chosen.

    Args:
        cells: genotype of ``type0``, ``type1``, ...
        c_in, num_classes, channels, depth: of the network.
        choice: the type at every depth; only those cells are made.
        affine: of the batch norms behind the stem.
        tower: with an auxiliary tower.

    Attributes:
        pooled: whether pooling halves the image in the place of cells.
    """

    pooled = False

    def __init__(
        self, cells: Mapping[str, Nodes], c_in: int, num_classes: int, channels: int, depth: int,
        choice: Sequence[int] | None = None, affine: bool = True, tower: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(c_in, num_classes, channels, choice, tower)
        nodes = _equal_nodes(cells)
        before, last, width, last_reduced = 3 * channels, 3 * channels, channels, False
        self.reductions = sorted(reductions(depth))
        self.cells = nn.ModuleList()
        for m in range(depth):
            reduces = m in self.reductions
            width *= 1 + reduces
            if reduces and self.pooled:
                self.cells.append(nn.ModuleDict({POOLING: PlainReduction("maxpool", last, nodes * width)}))
                before, last, last_reduced = last, nodes * width, True
                self.reduced_channels += [last]
                continue
            types = range(len(cells)) if choice is None else [choice[m]]
            made = {str(t): Cell(before, last, width, reduces, last_reduced, cells[f"type{t}"]) for t in types}
            self.cells.append(nn.ModuleDict(made))
            before, last, last_reduced = last, nodes * width, reduces
            self.reduced_channels += [last] if reduces else []
        if not affine:
            without_affine(self.cells)
        self._end(last)

    def features(self, x: Tensor, mix: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
        """See the base class; ``mix`` has a type for each depth, or weights of the types."""
        before = last = self.stem(x)
        reduced = []
        for m, types in enumerate(self.cells):
            own = mix[m]
            if POOLING in types:  # type: ignore[operator]
                out = types[POOLING](before, last)  # type: ignore[index]
            elif isinstance(own, Tensor):
                out = sum_of([own[int(t)] * cell(before, last) for t, cell in types.items()])  # type: ignore[operator]
            else:
                out = types[str(own)](before, last)  # type: ignore[index]
            before, last = last, out
            if m in self.reductions:
                reduced.append(last)
        return last, reduced


class PooledTypeNetwork(TypeNetwork):
    """The same with 3x3 max pooling of stride 2 and a 1x1 convolution at one and two thirds, where then nothing is chosen."""

    pooled = True


def _equal_nodes(cells: Mapping[str, Nodes]) -> int:
    numbers = {len(nodes) for nodes in cells.values()}
    if len(numbers) != 1:
        raise SettingsError(f"cell types that stand in for each other need equally many nodes, not {sorted(numbers)}")
    return numbers.pop()


NETWORKS: Mapping[str, type[SkipNetwork] | type[TypeNetwork]] = {
    "skips": SkipNetwork, "types": TypeNetwork, "types-pooled": PooledTypeNetwork,
}  # fmt: skip
"""By version of hierarchical search."""
