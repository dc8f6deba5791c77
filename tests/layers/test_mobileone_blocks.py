"""MobileOne blocks compute the same before and after fusing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archwright.layers import FusedMBConv, MobileOneBlock, MobileOneConv, fuse


def with_lived_in_norms(network):
    """Batch norms as after a training: no statistic and no weight at its start."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network


@pytest.mark.parametrize("branches", [1, 4])
@pytest.mark.parametrize("se", [False, True])
@pytest.mark.parametrize(
    ("c_in", "c_out", "kernel", "stride", "groups"),
    [(3, 16, 3, 2, 1), (16, 16, 3, 1, 16), (16, 16, 3, 2, 16), (16, 32, 1, 1, 1), (16, 16, 1, 1, 1), (8, 8, 5, 1, 2)],
)
def test_fused_block_gives_the_same(branches, se, c_in, c_out, kernel, stride, groups):
    torch.manual_seed(0)
    block = with_lived_in_norms(MobileOneConv(c_in, c_out, kernel, stride, groups, branches, se)).eval()
    x = torch.randn(2, c_in, 9, 7)
    assert torch.allclose(fuse(block)(x), block(x), atol=1e-5)
    g, se_weights = c_in // groups, sum(p.numel() for p in block.se.parameters())
    same = c_in == c_out and stride == 1
    trained = branches * c_out * (g * kernel**2 + 2) + (kernel > 1) * c_out * (g + 2) + same * 2 * c_out
    assert sum(p.numel() for p in block.parameters()) == trained + se_weights
    assert sum(p.numel() for p in fuse(block).parameters()) == c_out * (g * kernel**2 + 1) + se_weights


def test_fusing_leaves_the_network_alone_and_works_at_any_depth():
    network = nn.Sequential(nn.Sequential(with_lived_in_norms(MobileOneBlock(4, 8, 2, 4, True))), nn.Flatten()).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    fused = fuse(network)
    assert network.training
    assert not fused.training
    assert not any(isinstance(m, (MobileOneConv, nn.BatchNorm2d)) for m in fused.modules())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    x = torch.randn(2, 4, 6, 6)
    assert torch.allclose(fused(x), network.eval()(x), atol=1e-5)


@pytest.mark.parametrize("expansion", [1, 4])
def test_fused_mbconv_halves_and_adds_its_input_where_shapes_allow(expansion):
    assert FusedMBConv(4, 8, 3, 2, expansion, se=True)(torch.randn(2, 4, 7, 5)).shape == (2, 8, 4, 3)
    block = FusedMBConv(4, 4, expansion=expansion).eval()
    x = torch.randn(2, 4, 5, 5)
    assert torch.allclose(block(x) - block.body(x), x, atol=1e-6)
