"""Blocks keep their shape rules, and stochastic depth its expectation."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from archwright.errors import FamilyError
from archwright.layers import (
    ConvNormAct,
    DropPath,
    FactorizedReduce,
    MBConv,
    ReLUConvBN,
    ResidualBlock,
    SqueezeExcite,
    activation,
    set_drop_path,
)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda s: ConvNormAct(4, 6, 3, s),
        lambda s: ReLUConvBN(4, 6, 3, s),
        lambda s: MBConv(4, 6, 5, s, 2, se=True),
        lambda s: ResidualBlock(4, 6, 3, s, se=True),
    ],
)
def test_stride_two_rounds_odd_sizes_up(make, size, stride):
    y = make(stride).eval()(torch.randn(2, 4, *size))
    assert y.shape == (2, 6, *(-(-n // stride) for n in size))


def test_drop_path_keeps_the_mean_and_drops_whole_samples():
    drop = DropPath(0.3).train()
    torch.manual_seed(0)
    y = drop(torch.ones(20_000, 2, 1, 1))
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert (y[:, 0] == y[:, 1]).all()
    assert y.mean() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(drop.eval()(torch.ones(3, 1)), torch.ones(3, 1))


def test_drop_path_rates_rise_with_depth():
    network = torch.nn.Sequential(*(MBConv(4, 4) for _ in range(4)))
    assert set_drop_path(network, 0.2) == 4
    rates = [m.rate for m in network.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert set_drop_path(network, 0.2, rising=False) == 4
    assert [m.rate for m in network.modules() if isinstance(m, DropPath)] == [0.2] * 4


def test_mbconv_is_residual_only_where_shapes_allow():
    assert MBConv(4, 4).residual
    assert not MBConv(4, 8).residual
    assert not MBConv(4, 4, stride=2).residual
    assert not MBConv(4, 4, residual=False).residual


def test_squeeze_excite_scales_channels_between_nothing_and_all():
    x = torch.rand(2, 8, 3, 3) + 0.1
    share = SqueezeExcite(8)(x) / x
    assert ((share > 0) & (share < 1)).all()
    assert torch.allclose(share, share[:, :, :1, :1].expand_as(share), atol=1e-6)


def test_unknown_activation_names_near_ones():
    with pytest.raises(FamilyError, match="did you mean"):
        activation("relu7")


def test_the_factorised_reduction_is_two_strided_convolutions():
    for side, c_in in ((7, 3), (8, 3), (7, 16), (8, 16)):
        made, x = FactorizedReduce(c_in, 5).eval(), torch.randn(2, c_in, side, side)
        moved = torch.nn.functional.pad(x.relu(), (0, side % 2, 0, side % 2))[:, :, 1:, 1:]
        parts = [
            torch.nn.functional.conv2d(own, conv.weight, stride=2)
            for own, conv in ((x.relu(), made.even), (moved, made.odd))
        ]
        torch.testing.assert_close(made(x), made.norm(torch.cat(parts, dim=1)))


def test_halving_large_images_of_few_channels_leaves_memory_as_it_is():
    """In a process of its own: strided 1x1 convolutions would break the heap here."""
    code = """
import torch
from archwright.layers import FactorizedReduce, MobileOneConv, ResidualBlock
from archwright.layers.templates import PlainReduction
for made in (FactorizedReduce(4, 4), PlainReduction("conv", 4, 4), ResidualBlock(4, 8, 3, 2), MobileOneConv(4, 8, 3, 2)):
    made.to(memory_format=torch.channels_last)
    for side in (64, 66, 128):
        x = torch.randn(8, 4, side, side).contiguous(memory_format=torch.channels_last).requires_grad_(True)
        y = made(x, x) if isinstance(made, PlainReduction) else made(x)
        torch.autograd.grad(y.square().sum(), [x, *made.parameters()])
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
