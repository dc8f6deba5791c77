"""Weighted sums of normalised pointwise convolutions against convolution, batch norm and product one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archwright.layers.normed import foldable, weighted_sum


def layers(dtype: torch.dtype) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    torch.manual_seed(0)
    return nn.Conv2d(8, 6, 1, bias=False).to(dtype), nn.BatchNorm2d(6, affine=False).to(dtype)


def outcome(dtype: torch.dtype, folded: bool, shift: float) -> list[Tensor]:
    """Value, gradients of maps, matrix and scale, and running statistics."""
    conv, norm = layers(dtype)
    x = (torch.randn(4, 8, 12, 12) + shift).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    scale = torch.tensor(0.7, dtype=dtype, requires_grad=True)
    y = weighted_sum([(x, conv, norm)], [scale], [], []) if folded else scale * norm(conv(x))
    g = torch.linspace(-1, 2, y.numel(), dtype=dtype).reshape(y.shape)
    gradients = torch.autograd.grad((y * g.square()).sum(), [x, conv.weight, scale])
    return [t.detach().double() for t in (y, *gradients, *norm.buffers())]


def errors(folded: bool, shift: float) -> list[float]:
    pairs = zip(outcome(torch.float32, folded, shift), outcome(torch.float64, False, shift), strict=True)
    return [float((a - b).norm() / b.norm()) for a, b in pairs]


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_equal_in_double_precision(shift: float) -> None:
    for a, b in zip(outcome(torch.float64, True, shift), outcome(torch.float64, False, shift), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_single_precision_is_about_as_good_as_one_by_one(shift: float) -> None:
    plain = max(errors(False, shift))
    assert max(errors(True, shift)) < 4 * plain


def test_one_value_per_channel_is_refused_as_by_batch_norm() -> None:
    conv, norm = layers(torch.float32)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        weighted_sum([(torch.randn(1, 8, 1, 1), conv, norm)], [torch.ones(())], [], [])


def test_statistics_that_are_not_tracked_stay() -> None:
    conv, norm = layers(torch.float32)
    norm.track_running_stats = False
    weighted_sum([(torch.randn(2, 8, 3, 3), conv, norm)], [torch.ones(())], [], [])
    assert norm.running_mean is not None
    assert not norm.running_mean.any()


def test_only_norms_of_the_batch_without_scale_fold() -> None:
    assert foldable(nn.BatchNorm2d(3, affine=False))
    assert not foldable(nn.BatchNorm2d(3))
    assert not foldable(nn.BatchNorm2d(3, affine=False).eval())
    assert not foldable(nn.Identity())
