"""Operations of cells, by name: each keeps the channels and maps a side of ``n`` pixels to ``ceil(n / stride)``.

Four spaces and their union of 33 operations, for cells like those of DARTS (Herron 2023, tables 4.1 and 4.2; the exact
layers of what the tables only name are those of the papers that introduced them). ``operation(name, ...)`` builds one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from archwright.errors import FamilyError, unknown
from archwright.layers.blocks import (
    ConvNormAct,
    DilatedConv,
    FactorizedReduce,
    ReLUConvBN,
    SeparableConv,
    SqueezeExcite,
)

Make = Callable[[int, int], nn.Module]
"""``(channels, stride) -> module``."""


class Zero(nn.Module):
    """Zeros of the output's shape."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """``batch x channels x ceil(h / stride) x ceil(w / stride)``; nothing flows back."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Random(nn.Module):
    """Uniform noise in [0, 1) of the output's shape, new at every call, also in evaluation mode (Herron 2023, 3.2.2).

    Attributes:
        generator: what the noise is drawn from, on the input's device; torch's global one where None. Set those of a
            whole network with :func:`set_random_generator`.
    """

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``batch x channels x ceil(h / stride) x ceil(w / stride)``; nothing flows back."""
        shape = x[:, :, :: self.stride, :: self.stride].shape
        return torch.rand(shape, generator=self.generator, dtype=x.dtype, device=x.device)


def set_random_generator(network: nn.Module, generator: torch.Generator | None) -> int:
    """Let all :class:`Random` modules draw from one generator; returns how many there are."""
    found = [m for m in network.modules() if isinstance(m, Random)]
    for module in found:
        module.generator = generator
    return len(found)


class Residual(nn.Module):
    """``x + body(x)``."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        out: Tensor = x + self.body(x)
        return out


def operation(name: str, channels: int, stride: int = 1, affine: bool = True) -> nn.Module:
    """The operation of that name.

    Args:
        name: one of :data:`OPERATIONS`.
        channels: of input and output.
        stride: 1 or 2.
        affine: whether the operation's batch norms scale and shift.

    Raises:
        FamilyError: there is no such operation, or the stride is another one.
    """
    if name not in OPERATIONS:
        raise FamilyError(unknown("operation", name, OPERATIONS))
    if stride not in (1, 2):
        raise FamilyError(f"operation {name!r}: the stride must be 1 or 2, not {stride}")
    made = OPERATIONS[name](channels, stride)
    return made if affine else without_affine(made)


def check_operation(name: str, channels: int) -> None:
    """Run an operation, at both strides, on a few pixels of odd sides.

    Raises:
        FamilyError: it cannot take them, or changes their shape otherwise than operations of cells may.
    """
    rule = "operations of cells keep the channels and map a side of n pixels to ceil(n / stride)"
    x = torch.zeros(2, channels, 5, 7)
    for stride in (1, 2):
        wanted = (2, channels, -(-5 // stride), -(-7 // stride))
        try:
            with torch.no_grad():
                found = tuple(operation(name, channels, stride)(x).shape)
        except (RuntimeError, ValueError, TypeError) as error:
            raise FamilyError(f"operation {name!r} cannot take {tuple(x.shape)} at stride {stride}: {error}") from error
        if found != wanted:
            raise FamilyError(
                f"operation {name!r} makes {found} of {tuple(x.shape)} at stride {stride}; {rule}: {wanted}"
            )


def without_affine(module: nn.Module) -> nn.Module:
    """The same module, its batch norms without scale and shift."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.affine = False
            norm.register_parameter("weight", None)
            norm.register_parameter("bias", None)
    return module


def with_affine(module: nn.Module) -> nn.Module:
    """The same module, all its batch norms with scale and shift."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d) and not norm.affine:
            norm.affine = True
            norm.weight = nn.Parameter(torch.ones(norm.num_features))
            norm.bias = nn.Parameter(torch.zeros(norm.num_features))
    return module


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)


def _pointwise(function: Callable[[], nn.Module]) -> Make:
    """A function without parameters; behind a factorised reduction where the stride is 2."""
    return lambda c, s: function() if s == 1 else nn.Sequential(FactorizedReduce(c, c), function())


def _batch_norm(channels: int, stride: int) -> nn.Module:
    norm = nn.BatchNorm2d(channels)
    return norm if stride == 1 else nn.Sequential(FactorizedReduce(channels, channels), norm)


def _max_pool(kernel: int) -> Make:
    return lambda _, s: nn.MaxPool2d(kernel, s, kernel // 2)


def _avg_pool(kernel: int) -> Make:
    return lambda _, s: nn.AvgPool2d(kernel, s, kernel // 2, count_include_pad=False)


def _conv(kernel: int, depthwise: bool = False) -> Make:
    return lambda c, s: nn.Conv2d(c, c, kernel, s, kernel // 2, groups=c if depthwise else 1, bias=False)


def _min_conv(kernel: int) -> Make:
    return lambda c, s: ConvNormAct(c, c, kernel, s, act="")


def _std_conv(kernel: int) -> Make:
    return lambda c, s: ReLUConvBN(c, c, kernel, s)


def _factorised_conv(n: int) -> Make:
    """ReLU, ``n x 1`` and ``1 x n`` convolution, batch norm; each axis padded (and strided) by its own convolution."""

    def make(channels: int, stride: int) -> nn.Module:
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (n, 1), (stride, 1), (n // 2, 0), bias=False),
            nn.Conv2d(channels, channels, (1, n), (1, stride), (0, n // 2), bias=False),
            nn.BatchNorm2d(channels),
        )

    return make


def _mbconv(kernel: int, expansion: int, act: str, se: bool) -> Make:
    """Inverted residual (Sandler et al. 2018; with SiLU and SE, Tan and Le 2019); no expansion layer for 1.

    The gate's inner width is a quarter of the block's input channels.
    """

    def make(channels: int, stride: int) -> nn.Module:
        middle = expansion * channels
        body = nn.Sequential(
            ConvNormAct(channels, middle, 1, act=act) if expansion > 1 else nn.Identity(),
            ConvNormAct(middle, middle, kernel, stride, groups=middle, act=act),
            SqueezeExcite(middle, 4 * expansion) if se else nn.Identity(),
            ConvNormAct(middle, channels, 1, act=""),
        )
        return Residual(body) if stride == 1 else body

    return make


def _fused_mbconv(kernel: int, expansion: int) -> Make:
    """Expanding convolution and 1x1 projection (Tan and Le 2021); one convolution for expansion 1."""

    def make(channels: int, stride: int) -> nn.Module:
        middle = expansion * channels
        layers = [ConvNormAct(channels, middle, kernel, stride, act="silu")]
        layers += [ConvNormAct(middle, channels, 1, act="")] if expansion > 1 else []
        body = nn.Sequential(*layers)
        return Residual(body) if stride == 1 else body

    return make


OPERATIONS: Mapping[str, Make] = {
    "relu": _pointwise(nn.ReLU),
    "leaky_relu": _pointwise(nn.LeakyReLU),
    "sigmoid": _pointwise(nn.Sigmoid),
    "tanh": _pointwise(nn.Tanh),
    "batch_norm": _batch_norm,
    "skip_connect": _skip,
    "conv_3x3": _conv(3),
    "conv_5x5": _conv(5),
    "max_pool_3x3": _max_pool(3),
    "max_pool_5x5": _max_pool(5),
    "avg_pool_3x3": _avg_pool(3),
    "avg_pool_5x5": _avg_pool(5),
    "min_conv_3x3": _min_conv(3),
    "min_conv_5x5": _min_conv(5),
    "std_conv_3x3": _std_conv(3),
    "std_conv_5x5": _std_conv(5),
    "nx1_conv_7": _factorised_conv(7),
    "nx1_conv_9": _factorised_conv(9),
    "sep_conv_3x3": lambda c, s: SeparableConv(c, 3, s),
    "sep_conv_5x5": lambda c, s: SeparableConv(c, 5, s),
    "dil_conv_3x3": lambda c, s: DilatedConv(c, 3, s),
    "dil_conv_5x5": lambda c, s: DilatedConv(c, 5, s),
    "mbconv_3x3": _mbconv(3, 6, "relu6", se=False),
    "mbconv_5x5": _mbconv(5, 6, "relu6", se=False),
    **{f"mbconv_v2_{k}x{k}_g{g}": _mbconv(k, g, "silu", se=True) for k in (3, 5) for g in (1, 4, 6)},
    **{f"fused_mbconv_3x3_g{g}": _fused_mbconv(3, g) for g in (1, 4, 6)},
    "depthwise_3x3": _conv(3, depthwise=True),
    "depthwise_5x5": _conv(5, depthwise=True),
    "zero": lambda _, s: Zero(s),
    "random": lambda _, s: Random(s),
}
"""Every operation, those of the master space first and in its order."""

MASTER = tuple(name for name in OPERATIONS if name not in ("depthwise_3x3", "depthwise_5x5", "zero", "random"))
"""The 33 operations of Herron 2023, table 4.2."""

_POOLS_AND_SKIP = ("max_pool_3x3", "avg_pool_3x3", "skip_connect")

OPERATION_SETS: Mapping[str, tuple[str, ...]] = {
    "basic": (
        *_POOLS_AND_SKIP, "conv_3x3", "conv_5x5", "depthwise_3x3", "depthwise_5x5",
        "relu", "leaky_relu", "sigmoid", "tanh", "batch_norm",
    ),
    "simple": (
        *_POOLS_AND_SKIP, "min_conv_3x3", "min_conv_5x5", "std_conv_3x3", "std_conv_5x5", "nx1_conv_7", "nx1_conv_9",
    ),
    "darts": (*_POOLS_AND_SKIP, "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
    "mbconv": (*_POOLS_AND_SKIP, "mbconv_3x3", "mbconv_v2_3x3_g1", "fused_mbconv_3x3_g1"),
    "master": MASTER,
    "master35": (*MASTER, "depthwise_3x3", "depthwise_5x5"),
}  # fmt: skip
"""Sets of operations by name: spaces 1 to 4 of Herron 2023, table 4.1, and their union, which has no depthwise convolutions
in table 4.2, and has them in ``master35``, as the text has it."""
