"""Depthwise convolution whose backward pass is as fast as its forward pass, on CPU and channels last.

The libraries behind torch run some backward passes of depthwise convolutions many times slower than the forward pass: with
dilation, with kernels wider than 3 (gradient of the weights), and with kernels higher than the image. Here

* the gradient of the input, at stride 1, is the forward convolution with the kernel turned round;
* the gradient of the weights, at stride 1, is put together from kernels at most 3 wide, on shifted copies of the input where needed;
* columns that are two apart lie next to each other when an image of ``w`` columns and ``c`` channels is read as one of
  ``w / 2`` columns and ``2 c`` channels, so that dilation 2 needs no dilated convolution (rows in between are left out);
* a convolution with dilation 2 and stride 2 is one without either on every second row and column.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDEST = 3
"""Columns of the widest kernel whose weights' gradient runs fast."""


class DepthwiseConv(nn.Conv2d):
    """``nn.Conv2d(c, c, kernel, stride, padding, dilation, groups=c, bias=False)`` that keeps the size, with a fast backward pass.

    Args:
        channels: of input and output.
        kernel: odd.
        stride, dilation: in both directions.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, dilation * (kernel // 2), dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """``batch x channels x ceil(h / stride) x ceil(w / stride)``."""
        return self._convolved(x, None)

    def centred(self, x: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution of ``x`` less what it makes of the channels' means away from the border, and that, a number per channel.

        What is subtracted counts as constant: gradients are those of :meth:`forward`.
        """
        centre = self.weight.detach().sum((1, 2, 3)) * mean.detach()
        return self._convolved(x, -centre), centre

    def _convolved(self, x: Tensor, bias: Tensor | None) -> Tensor:
        stride, dilation = self.stride[0], self.dilation[0]
        if not _pays(x):
            return functional.conv2d(x, self.weight, bias, stride, self.padding, dilation, self.groups)
        if stride == dilation == 2:
            x = x[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)
            stride = dilation = 1
        return cast(Tensor, _Depthwise.apply(x, self.weight, bias, stride, dilation))  # type: ignore[no-untyped-call]


def _pays(x: Tensor) -> bool:
    """Whether the backward passes below are the faster ones."""
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.compiler.is_compiling()
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return functional.conv2d(
            x, weight, bias, stride, dilation * (weight.shape[-1] // 2), dilation, groups=len(weight)
        )

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        try:
            g = g.contiguous(memory_format=torch.channels_last)
        except RuntimeError:  # many vectors g at once have no memory format
            return *_differentiable(g, x, weight, ctx.stride, ctx.dilation), None, None, None
        if torch.is_grad_enabled():
            return *_differentiable(g, x, weight, ctx.stride, ctx.dilation), None, None, None
        of_x = input_gradient(g, x, weight, ctx.stride, ctx.dilation) if wanted[0] else None
        of_weight = weight_gradient(g, x, weight, ctx.stride, ctx.dilation) if wanted[1] else None
        return of_x, of_weight, None, None, None


def input_gradient(g: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Gradient of a depthwise convolution's input, given its output's ``g``; kernel odd, padded to keep the size."""
    padding = dilation * (weight.shape[-1] // 2)
    if stride == 1:
        return functional.conv2d(g, weight.flip(2, 3), None, 1, padding, dilation, groups=len(weight))
    return _plain(g, x, weight, (padding, padding), stride, dilation, (True, False))[0]


def weight_gradient(g: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Gradient of a depthwise convolution's weights, given its output's ``g``; kernel odd, padded to keep the size."""
    size = weight.shape[-1]
    reach = size // 2
    if stride == dilation == 1:
        return _narrow_kernels(g, x, (size, size), (reach, reach))
    if dilation == 2 and stride == 1 and x.shape[-1] % 2 == 0:
        return _second_columns(g, x, (4 * reach + 1, size), (2 * reach, reach))[:, :, ::2]
    return _plain(g, x, weight, (dilation * reach, dilation * reach), stride, dilation, (False, True))[1]


def _second_columns(g: Tensor, x: Tensor, kernel: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Gradient of a kernel's weights whose columns lie two apart; an even number of columns, stride 1."""
    c = x.shape[1]
    found = _narrow_kernels(_pairs(g), _pairs(x), kernel, padding)
    return found[:c] + found[c:]


def _pairs(x: Tensor) -> Tensor:
    """``n x c x h x w``, channels last, read as ``n x 2c x h x w/2``: even columns, then odd ones; no copy."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, h, w // 2, 2 * c).permute(0, 3, 1, 2)


def _narrow_kernels(
    g: Tensor, x: Tensor, kernel: tuple[int, int], padding: tuple[int, int]
) -> Tensor:  # fmt: skip
    """Gradient of a depthwise kernel's weights, three columns at a time; stride 1.

    Of five columns, the first, third and last lie two apart, and the others are among the middle three: no copies.
    """
    c, height, width = x.shape[1:]
    if padding[1] > width or (kernel[1] <= WIDEST and kernel[0] <= height):
        return _plain(g, x, x.new_empty(c, 1, *kernel), padding, 1, 1, (False, True))[1]
    if kernel[0] > height:
        x, padding = functional.pad(x, (0, 0, padding[0], padding[0])), (0, padding[1])
        return _narrow_kernels(g, x, kernel, padding)
    if kernel[1] == 5 and width % 2 == 0:
        found = x.new_empty(c, 1, *kernel)
        found[..., ::2] = _second_columns(g, x, (kernel[0], 3), (padding[0], 1))
        found[..., 1::2] = _narrow_kernels(g, x, (kernel[0], 3), (padding[0], 1))[..., ::2]
        return found
    parts = []
    for first in range(0, kernel[1], WIDEST):
        columns, left = min(WIDEST, kernel[1] - first), padding[1] - first
        right = columns - 1 - left
        part = x.new_empty(c, 1, kernel[0], columns)
        moved = functional.pad(x, (left, right))
        parts.append(_plain(g, moved, part, (padding[0], 0), 1, 1, (False, True))[1])
    return torch.cat(parts, dim=3)


def _differentiable(
    g: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Both gradients by operations that have gradients themselves, and take batches of ``g``."""
    padding = dilation * (weight.shape[-1] // 2)
    return _plain(g, x, weight, (padding, padding), stride, dilation, (True, True))


def _plain(
    g: Tensor, x: Tensor, weight: Tensor, padding: tuple[int, int], stride: int, dilation: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Torch's own gradients of input and weights, where wanted."""
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        g,
        x,
        weight,
        None,
        [stride, stride],
        padding,
        [dilation, dilation],
        False,
        [0, 0],
        len(weight),
        [*wanted, False],
    )
    return of_x, of_weight
