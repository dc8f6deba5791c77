"""The MobileOne block (Vasu et al. 2023): branches while training, one convolution when used. ``batch x c x h x w`` all over."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.layers.blocks import ConvNormAct, SqueezeExcite, every, stride_before

SE_REDUCTION = 16


class MobileOneConv(nn.Module):
    """Sum of convolution branches, SE if wanted, ReLU.

    The branches: ``branches`` convolutions ``kernel x kernel``, a 1x1 convolution where ``kernel`` is larger, and the
    identity where channels and size stay the same; each with its batch norm. With ``g = c_in / groups`` that is
    ``branches * c_out * (g * kernel^2 + 2)``, plus ``c_out * (g + 2)`` and ``2 c_out`` parameters; fused,
    ``c_out * (g * kernel^2 + 1)``.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        branches: int = 1,
        se: bool = False,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(ConvNormAct(c_in, c_out, kernel, stride, groups, act="") for _ in range(branches))
        self.before = stride_before(c_in, stride)
        self.scale = ConvNormAct(c_in, c_out, 1, stride // self.before, groups, act="") if kernel > 1 else None
        self.skip = nn.BatchNorm2d(c_out) if c_in == c_out and stride == 1 else None
        self.se = SqueezeExcite(c_out, SE_REDUCTION) if se else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        total = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        if self.scale is not None:
            total = total + self.scale(every(x, self.before))
        if self.skip is not None:
            total = total + self.skip(x)
        out: Tensor = self.act(self.se(total))
        return out

    def fused(self) -> nn.Sequential:
        """One convolution with bias, SE and ReLU that give the same in evaluation mode."""
        convolutions = [cast(ConvNormAct, branch) for branch in self.branches]
        first = cast(nn.Conv2d, convolutions[0][0])
        fused = nn.Conv2d(
            first.in_channels,
            first.out_channels,
            cast("tuple[int, int]", first.kernel_size),
            cast("tuple[int, int]", first.stride),
            cast("tuple[int, int]", first.padding),
            groups=first.groups,
            device=first.weight.device,
            dtype=first.weight.dtype,
        )
        parts = [folded(branch) for branch in convolutions]
        if self.scale is not None:
            parts.append(folded(self.scale))
        if self.skip is not None:
            parts.append(_scaled(_identity(fused), self.skip))
        margin = first.kernel_size[0] // 2
        with torch.no_grad():
            assert fused.bias is not None
            fused.weight.copy_(torch.stack([_padded(weight, margin) for weight, _ in parts]).sum(0))
            fused.bias.copy_(torch.stack([bias for _, bias in parts]).sum(0))
        return nn.Sequential(fused, copy.deepcopy(self.se), nn.ReLU())


class MobileOneBlock(nn.Sequential):
    """A depthwise 3x3 and a pointwise :class:`MobileOneConv`; the first has the stride, both have the SE."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1, branches: int = 1, se: bool = False) -> None:
        super().__init__(
            MobileOneConv(c_in, c_in, 3, stride, c_in, branches, se),
            MobileOneConv(c_in, c_out, 1, 1, 1, branches, se),
        )


def folded(block: ConvNormAct) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution together with its batch norm in evaluation mode."""
    return _scaled(cast(nn.Conv2d, block[0]).weight, cast(nn.BatchNorm2d, block[1]))


def fuse(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode with every :class:`MobileOneConv` fused; the network is left as it was."""
    copied = copy.deepcopy(network).eval()
    if isinstance(copied, MobileOneConv):
        return copied.fused().eval()
    for parent in list(copied.modules()):
        for name, child in parent.named_children():
            if isinstance(child, MobileOneConv):
                setattr(parent, name, child.fused().eval())
    return copied


def _scaled(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """``W gamma / sqrt(var + eps)`` and ``beta - mean gamma / sqrt(var + eps)``."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    with torch.no_grad():
        factor = norm.weight / torch.sqrt(variance + norm.eps)
        return weight * factor[:, None, None, None], norm.bias - mean * factor


def _identity(convolution: nn.Conv2d) -> Tensor:
    """Weights of a convolution of this shape that changes nothing."""
    weight = torch.empty_like(convolution.weight)
    return nn.init.dirac_(weight, convolution.groups)


def _padded(weight: Tensor, margin: int) -> Tensor:
    """A 1x1 kernel in the middle of a larger one."""
    return functional.pad(weight, [margin] * 4) if weight.shape[-1] == 1 and margin else weight
