"""Convolutional blocks. All take and give ``batch x channels x height x width`` unless they say otherwise.

A stride of 2 gives ``ceil(height / 2) x ceil(width / 2)``, also for odd sizes, in every branch of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from archwright.errors import FamilyError, unknown
from archwright.layers.depthwise import DepthwiseConv

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
}


def activation(name: str) -> nn.Module:
    """An activation by name.

    Raises:
        FamilyError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        raise FamilyError(unknown("activation", name, ACTIVATIONS))
    return ACTIVATIONS[name]()


class DropPath(nn.Module):
    """Stochastic depth: while training, drops whole samples of a residual branch (Huang et al. 2016).

    Any shape that begins with the batch. What is kept is scaled by ``1 / (1 - rate)``.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drop, or pass on."""
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask / keep


def set_drop_path(network: nn.Module, rate: float, rising: bool = True) -> int:
    """Set the rates of all :class:`DropPath` modules; returns how many.

    Args:
        network: whose.
        rate: of the last, where they are ``rising`` linearly with depth; else of all.
        rising: which.
    """
    drops = [m for m in network.modules() if isinstance(m, DropPath)]
    for i, drop in enumerate(drops, start=1):
        drop.rate = rate * i / len(drops) if rising else rate
    return len(drops)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, activation (none where ``act`` is empty)."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: str = "relu"
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c_out),
        ]
        super().__init__(*layers, *([activation(act)] if act else []))


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch norm: the convolution of cell-based spaces."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(c_out),
        )


class DilatedConv(nn.Sequential):
    """ReLU, depthwise convolution of dilation 2, pointwise convolution, batch norm (Liu et al. 2019)."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            DepthwiseConv(channels, kernel, stride, dilation=2),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class SeparableConv(nn.Sequential):
    """Twice: ReLU, depthwise convolution, pointwise convolution, batch norm (Liu et al. 2019); the first has the stride."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        layers: list[nn.Module] = []
        for step in (stride, 1):
            layers += [
                nn.ReLU(),
                DepthwiseConv(channels, kernel, step),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            ]
        super().__init__(*layers)


def stride_before(c_in: int, stride: int) -> int:
    """What a strided 1x1 convolution leaves out of its input itself, as :func:`every` does, rather than by its stride.

    The backward pass of strided 1x1 convolutions with fewer than 16 input channels writes beyond its memory in channels-last
    layout (torch 2.13 on CPU, images of 64 pixels and more). With more channels the stride is faster.
    """
    return stride if c_in < 16 else 1


def every(x: Tensor, stride: int) -> Tensor:
    """Every ``stride``-th pixel in both directions."""
    return x if stride == 1 else x[:, :, ::stride, ::stride]


class FactorizedReduce(nn.Module):
    """Half the image, ``c_out`` channels: two 1x1 convolutions of stride 2, one moved by a pixel (Liu et al. 2019)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.before = stride_before(c_in, 2)
        self.even = nn.Conv2d(c_in, c_out // 2, 1, 2 // self.before, bias=False)
        self.odd = nn.Conv2d(c_in, c_out - c_out // 2, 1, 2 // self.before, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """The block; a side of odd length gets a row or column of zeros for the moved one."""
        x = torch.relu(x)
        moved = nn.functional.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))[:, :, 1:, 1:]
        out: Tensor = self.norm(
            torch.cat([self.even(every(x, self.before)), self.odd(every(moved, self.before))], dim=1)
        )
        return out


class SqueezeExcite(nn.Module):
    """Channel attention (Hu et al. 2018): global mean, two 1x1 convolutions, sigmoid gate."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.expand = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale every channel."""
        pooled = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(torch.relu(self.squeeze(pooled))))


class MBConv(nn.Module):
    """Inverted residual (Sandler et al. 2018): 1x1 expansion, depthwise convolution, optional SE, 1x1 projection.

    Args:
        expansion: width of the middle, in units of ``c_in``.
        residual: add the input, where stride is 1 and the channels agree.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 4,
        se: bool = False,
        act: str = "relu6",
        residual: bool = True,
    ) -> None:
        super().__init__()
        middle = expansion * c_in
        self.body = nn.Sequential(
            ConvNormAct(c_in, middle, 1, act=act),
            ConvNormAct(middle, middle, kernel, stride, groups=middle, act=act),
            SqueezeExcite(middle) if se else nn.Identity(),
            ConvNormAct(middle, c_out, 1, act=""),
        )
        self.residual = residual and stride == 1 and c_in == c_out
        self.drop = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y = self.body(x)
        out: Tensor = x + self.drop(y) if self.residual else y
        return out


class FusedMBConv(nn.Module):
    """MBConv whose expansion and depthwise convolution are one full convolution (Tan and Le 2021).

    A full convolution runs faster than a depthwise one where channels are few, at ``k^2 * expansion * c_in^2`` weights.

    Args:
        expansion: width of the middle, in units of ``c_in``; at 1 the convolution is the whole body.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 4,
        se: bool = False,
        act: str = "silu",
    ) -> None:
        super().__init__()
        middle = expansion * c_in if expansion > 1 else c_out
        self.body = nn.Sequential(
            ConvNormAct(c_in, middle, kernel, stride, act=act),
            SqueezeExcite(middle) if se else nn.Identity(),
            ConvNormAct(middle, c_out, 1, act="") if expansion > 1 else nn.Identity(),
        )
        self.residual = stride == 1 and c_in == c_out
        self.drop = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y = self.body(x)
        out: Tensor = x + self.drop(y) if self.residual else y
        return out


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016), the shortcut projected where shapes differ."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, se: bool = False, act: str = "relu"
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(c_in, c_out, kernel, stride, act=act),
            ConvNormAct(c_out, c_out, kernel, act=""),
            SqueezeExcite(c_out) if se else nn.Identity(),
        )
        same = stride == 1 and c_in == c_out
        self.before = stride_before(c_in, stride)
        self.shortcut = nn.Identity() if same else ConvNormAct(c_in, c_out, 1, stride // self.before, act="")
        self.act = activation(act)
        self.drop = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        y: Tensor = self.act(self.shortcut(every(x, self.before)) + self.drop(self.body(x)))
        return y


class GlobalPoolHead(nn.Module):
    """Global mean and a linear layer: ``batch x channels x h x w`` to ``batch x num_classes``."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        y: Tensor = self.classifier(x.mean((2, 3)))
        return y
