"""SwiftFormer (Shaker et al. 2023): its blocks, and its macro-architecture around any blocks. ``batch x c x h x w`` all over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from archwright.layers.attention import OnPixels
from archwright.layers.blocks import DropPath

Block = Callable[[int], nn.Module]
"""Makes a block that keeps the shape, from the number of channels."""


class Scaled(nn.Module):
    """``x + scale * body(x)`` with a learned scale for every channel, which begins at ``start``."""

    def __init__(self, channels: int, body: nn.Module, start: float = 1.0) -> None:
        super().__init__()
        self.body = body
        self.scale = nn.Parameter(torch.full((channels, 1, 1), start))
        self.drop = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        out: Tensor = x + self.drop(self.scale * self.body(x))
        return out


def pixel_mlp(channels: int, expansion: int) -> list[nn.Module]:
    """Two 1x1 convolutions with GELU between."""
    middle = expansion * channels
    return [nn.Conv2d(channels, middle, 1), nn.GELU(), nn.Conv2d(middle, channels, 1)]


def _spatial(channels: int, expansion: int) -> Scaled:
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
    return Scaled(channels, nn.Sequential(depthwise, nn.BatchNorm2d(channels), *pixel_mlp(channels, expansion)))


def conv_encoder(channels: int) -> nn.Module:
    """Depthwise 3x3 and an MLP of expansion 4 on every pixel: ``8 d^2 + 18 d`` parameters."""
    return _spatial(channels, 4)


def local_representation(channels: int) -> nn.Module:
    """What goes before the attention: as the encoder, with expansion 1: ``2 d^2 + 15 d`` parameters."""
    return _spatial(channels, 1)


class Encoder(nn.Sequential):
    """A convolution block, attention over the pixels, and an MLP with batch norm; the last two begin at scale 1e-5.

    Args:
        attention: maps ``batch x tokens x d`` to itself.
        local: makes the convolution block.
    """

    def __init__(self, channels: int, attention: nn.Module, local: Block = local_representation) -> None:
        mlp = nn.Sequential(nn.BatchNorm2d(channels), *pixel_mlp(channels, 4))
        super().__init__(local(channels), Scaled(channels, OnPixels(attention), 1e-5), Scaled(channels, mlp, 1e-5))


class TwoHeads(nn.Module):
    """Two linear heads after the mean over the image: logits and auxiliary logits while training, their mean otherwise."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(channels, num_classes)
        self.auxiliary = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits."""
        pooled = x.mean((2, 3))
        first, second = self.classifier(pooled), self.auxiliary(pooled)
        return (first, second) if self.training else (first + second) / 2


def swiftformer_network(
    c_in: int,
    widths: Sequence[int],
    stages: Sequence[Sequence[Block]],
    steps: Sequence[int],
    head: nn.Module,
) -> nn.Sequential:
    """Two convolutions, stages of blocks with a convolution between them, batch norm, ``head``.

    Args:
        widths: channels of the stages.
        stages: the makers of each stage's blocks.
        steps: strides of the two convolutions and of those between stages, one more than there are stages.
    """
    first = max(1, widths[0] // 2)
    layers: list[nn.Module] = [*_step(c_in, first, steps[0]), nn.ReLU(), *_step(first, widths[0], steps[1]), nn.ReLU()]
    for i, (width, blocks) in enumerate(zip(widths, stages)):
        if i:
            layers += _step(widths[i - 1], width, steps[1 + i])
        layers.append(nn.Sequential(*(make(width) for make in blocks)))
    network = nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), head)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def _step(c_in: int, c_out: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 3, stride, 1), nn.BatchNorm2d(c_out)]
