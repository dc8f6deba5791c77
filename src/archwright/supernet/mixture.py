"""The sum of all operations into a node, with what several of them need computed once.

Equal to ``sum_ik w_ik o_k(x_i)`` edge by edge: a state is rectified once for all operations that begin with a ReLU, operations
without parameters run once per state, zeros not at all, and the last convolutions and norms of all separable and dilated operations
become one sum (:mod:`archwright.layers.normed`). Everything else runs as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.layers.blocks import DilatedConv, ReLUConvBN, SeparableConv
from archwright.layers.depthwise import DepthwiseConv
from archwright.layers.normed import Normed, channel_means, foldable, weighted_sum
from archwright.layers.operations import Random, Zero

Edge = tuple[nn.ModuleDict, Sequence[Tensor]]
"""Operations of an edge by name, and its weights."""


class State:
    """Values of a node, and what operations have made of them."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._made: dict[str, Tensor] = {}

    @cached_property
    def rectified(self) -> Tensor:
        """``relu(x)``."""
        return torch.relu(self.x)

    @cached_property
    def means(self) -> Tensor:
        """Of the channels of :attr:`rectified`."""
        return channel_means(self.rectified)

    def once(self, name: str, made: nn.Module) -> Tensor:
        """Output of an operation, which depends on its name alone."""
        if name not in self._made:
            self._made[name] = made(self.x)
        return self._made[name]


def mixture(states: Sequence[State], edges: Sequence[Edge], columns: Mapping[str, int]) -> Tensor:
    """The weighted sum of the operations of edges, edge ``i`` reading state ``i``.

    Args:
        states: at least as many as edges.
        edges: into one node.
        columns: place of every operation among an edge's weights.
    """
    normed: list[Normed] = []
    plain, scales, plain_scales = [], [], []
    for state, (operations, weights) in zip(states, edges):
        for name, made in operations.items():
            if isinstance(made, Zero):
                continue
            if isinstance(made, (SeparableConv, DilatedConv)) and foldable(made[-1]):
                normed.append(_unfinished(state, made))
                scales.append(weights[columns[name]])
            else:
                plain.append(_whole(state, name, made))
                plain_scales.append(weights[columns[name]])
    if not normed and not plain:
        return _nothing(states, edges)
    return weighted_sum(normed, scales, plain, plain_scales)


def _nothing(states: Sequence[State], edges: Sequence[Edge]) -> Tensor:
    """Zeros of the node's shape."""
    operations, weights = edges[0]
    zero: Tensor = next(iter(operations.values()))(states[0].x)
    return zero * weights[0]


def _unfinished(state: State, made: nn.Sequential) -> Normed:
    """An operation up to its last pointwise convolution and norm."""
    x, means, layers = state.rectified, state.means, list(made)
    for first in range(0, len(layers) - 4, 4):
        one = _normed(x, means, layers[first + 1 : first + 4])
        x = functional.relu(weighted_sum([one], [x.new_ones(())], [], []), inplace=True)
        means = channel_means(x)
    return _normed(x, means, layers[-3:])


def _normed(x: Tensor, means: Tensor, layers: Sequence[nn.Module]) -> Normed:
    depthwise, pointwise, norm = layers
    maps, centre = cast(DepthwiseConv, depthwise).centred(x, means)
    return Normed(maps, centre, cast(nn.Conv2d, pointwise), cast(nn.BatchNorm2d, norm))


def _whole(state: State, name: str, made: nn.Module) -> Tensor:
    if isinstance(made, ReLUConvBN):
        return cast(Tensor, made[2](made[1](state.rectified)))
    if isinstance(made, Random) or next(made.parameters(), None) is not None or next(made.buffers(), None) is not None:
        return cast(Tensor, made(state.x))
    return state.once(name, made)
