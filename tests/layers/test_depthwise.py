"""The fast backward pass of depthwise convolutions is that of torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archwright.layers.depthwise import DepthwiseConv

SIZES = st.integers(1, 13)


def gradients(conv: DepthwiseConv, x: Tensor, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Output, and gradients of input and weights for a loss with another weight at every pixel."""
    x = x.detach().requires_grad_()
    y = conv(x)
    scale = torch.linspace(-1, 2, y.numel(), dtype=dtype).reshape(y.shape)
    return y, *torch.autograd.grad((y * scale).sum(), [x, conv.weight])


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]), stride=st.sampled_from([1, 2]), dilation=st.sampled_from([1, 2, 3]), height=SIZES,
    width=SIZES, channels=st.sampled_from([1, 3, 8]), batch=st.sampled_from([1, 3]), seed=st.integers(0, 99),
)  # fmt: skip
def test_output_and_gradients_are_those_of_the_plain_convolution(
    kernel: int, stride: int, dilation: int, height: int, width: int, channels: int, batch: int, seed: int
) -> None:
    torch.manual_seed(seed)
    conv = DepthwiseConv(channels, kernel, stride, dilation).double()
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    plain = torch.nn.Conv2d(
        channels, channels, kernel, stride, dilation * (kernel // 2), dilation, groups=channels, bias=False
    ).double()
    plain.load_state_dict(conv.state_dict())
    for ours, wanted in zip(
        gradients(conv, x.contiguous(memory_format=torch.channels_last)), gradients(plain, x), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-11, atol=1e-11)


def test_frozen_weights_get_no_gradient_and_pass_it_on() -> None:
    conv = DepthwiseConv(4, 5, dilation=2).requires_grad_(False)
    x = torch.randn(2, 4, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    conv(x).square().sum().backward()
    assert x.grad is not None
    assert conv.weight.grad is None


def test_gradients_have_gradients() -> None:
    conv = DepthwiseConv(2, 5, dilation=2).double()
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()

    def twice(layer: torch.nn.Module) -> Tensor:
        (first,) = torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    plain = torch.nn.Conv2d(2, 2, 5, 1, 4, 2, groups=2, bias=False).double()
    plain.load_state_dict(conv.state_dict())
    torch.testing.assert_close(twice(conv), twice(plain))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_wide_and_dilated_kernels_use_no_slow_convolution(kernel: int, stride: int) -> None:
    conv = DepthwiseConv(8, kernel, stride, 2)
    x = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = conv(x)
    with torch.profiler.profile(record_shapes=True) as profile:
        y.sum().backward()
    shapes = [e.input_shapes for e in profile.events() if e.name == "aten::convolution_backward"]
    assert shapes
    assert all(weight[-1] <= 3 and weight[-2] <= image[-2] for _, image, weight, *_ in shapes)


def test_gradients_for_a_batch_of_vectors() -> None:
    conv = DepthwiseConv(3, 5, dilation=2).double()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = conv(x)
    vectors = torch.randn(3, *y.shape, dtype=torch.float64)
    at_once = torch.autograd.grad(y, [x, conv.weight], vectors, is_grads_batched=True, retain_graph=True)
    for i, g in enumerate(vectors):
        for a, b in zip(at_once, torch.autograd.grad(y, [x, conv.weight], g, retain_graph=True), strict=True):
            torch.testing.assert_close(a[i], b)
