"""Blocks of MOAT (Yang et al. 2023) and of the cells around it: ``batch x c x h x w`` to ``batch x c_out x h' x w'``.

A cell is ``x + a(x)`` then ``x + b(x)``, or ``x + a(x) + b(x)`` in parallel, of mini-blocks: MBConv with or without SE,
self-attention, MLP. A stride of 2 gives ``ceil(h / 2) x ceil(w / 2)``.
"""

from __future__ import annotations

from torch import Tensor, nn

from archwright.layers.attention import OnPixels, PreNorm, SelfAttention, TokenMLP
from archwright.layers.blocks import ConvNormAct, DropPath, SqueezeExcite


class Shrink(nn.Sequential):
    """Mean of 2 x 2 pixels where ``stride`` is 2, then a 1x1 convolution where ``project`` says so."""

    def __init__(self, c_in: int, c_out: int, stride: int, project: bool) -> None:
        layers: list[nn.Module] = [nn.AvgPool2d(2, 2, ceil_mode=True)] if stride == 2 else []
        super().__init__(*layers, *([nn.Conv2d(c_in, c_out, 1)] if project else []))


class PreNormMBConv(nn.Module):
    """Inverted residual with batch norm first, GELU and a biased projection, without its shortcut.

    The middle has ``expansion * c_out`` channels.
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 1, expansion: int = 4, se: bool = False) -> None:
        super().__init__()
        middle = expansion * c_out
        self.body = nn.Sequential(
            nn.BatchNorm2d(c_in),
            ConvNormAct(c_in, middle, 1, act="gelu"),
            ConvNormAct(middle, middle, 3, stride, groups=middle, act="gelu"),
            SqueezeExcite(middle, 4 * expansion) if se else nn.Identity(),
            nn.Conv2d(middle, c_out, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The branch."""
        out: Tensor = self.body(x)
        return out


class HybridCell(nn.Module):
    """A cell of two mini-blocks.

    The stride is carried by the depthwise convolution where the cell begins with an MBConv, with a pooled and, where
    channels differ, projected shortcut; elsewhere the image is pooled and projected before the cell.

    Args:
        first, second: ``mbconv``, ``mbconv_se``, ``attention``, ``mlp``; no second one where it is empty.
        parallel: both see the input.
        head: channels of a head of the attention; fewer where they do not divide the channels.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        first: str,
        second: str = "",
        parallel: bool = False,
        head: int = 32,
        expansion: int = 4,
    ) -> None:
        super().__init__()
        carries = first.startswith("mbconv") and not parallel
        changes = stride == 2 or c_in != c_out
        self.before = nn.Identity() if carries or not changes else Shrink(c_in, c_out, stride, project=True)
        self.shortcut = Shrink(c_in, c_out, stride, c_in != c_out) if carries else nn.Identity()
        start = (c_in, stride) if carries else (c_out, 1)
        self.first = _mini_block(first, *start, c_out, head, expansion)
        self.second = _mini_block(second, c_out, 1, c_out, head, expansion) if second else None
        self.parallel = parallel
        self.drop = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """The cell."""
        x = self.before(x)
        out: Tensor = self.shortcut(x) + self.drop(self.first(x))
        if self.second is not None:
            out = out + self.drop(self.second(x if self.parallel else out))
        return out


def _mini_block(kind: str, c_in: int, stride: int, c_out: int, head: int, expansion: int) -> nn.Module:
    if kind.startswith("mbconv"):
        return PreNormMBConv(c_in, c_out, stride, expansion, kind.endswith("_se"))
    heads = max(1, c_out // head) if c_out % head == 0 else 1
    body = SelfAttention(c_out, heads) if kind == "attention" else TokenMLP(c_out, expansion)
    return OnPixels(PreNorm(c_out, body))
