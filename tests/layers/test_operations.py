"""Every operation of cells keeps channels, divides sizes upwards and has finite gradients."""

from __future__ import annotations

import pytest
import torch

from archwright.errors import FamilyError
from archwright.families.darts import OPERATIONS as DARTS_OPERATIONS
from archwright.layers.operations import MASTER, OPERATION_SETS, OPERATIONS, operation, set_random_generator


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_shapes_and_gradients(name, stride):
    for size in (8, 9, 33):
        torch.manual_seed(0)
        module = operation(name, 8, stride)
        x = torch.randn(2, 8, size, size, requires_grad=True)
        y = module(x)
        assert y.shape == (2, 8, -(-size // stride), -(-size // stride))
        (y.square().mean() + 0 * x.sum()).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
        assert x.grad.isfinite().all()


def test_sets_have_the_published_sizes():
    sizes = {name: len(set(members)) for name, members in OPERATION_SETS.items()}
    assert sizes == {"basic": 12, "simple": 9, "darts": 7, "mbconv": 6, "master": 33, "master35": 35}
    assert OPERATION_SETS["darts"] == DARTS_OPERATIONS
    assert {*OPERATION_SETS["simple"], *OPERATION_SETS["mbconv"], *DARTS_OPERATIONS} <= set(MASTER)
    assert set(OPERATION_SETS["basic"]) - set(MASTER) == {"depthwise_3x3", "depthwise_5x5"}


@pytest.mark.parametrize("name", MASTER)
def test_without_affine_only_norms_lose_parameters(name):
    def norms(module):
        return sum(2 * m.num_features for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d))

    for stride in (1, 2):
        with_affine, plain = operation(name, 8, stride), operation(name, 8, stride, affine=False)
        lost = sum(p.numel() for p in with_affine.parameters()) - sum(p.numel() for p in plain.parameters())
        assert lost == norms(with_affine)
        assert plain(torch.randn(2, 8, 6, 6)).isfinite().all()


def test_parameters_known_by_hand():
    """C = 8: expansion 48 = 6 x 8; the gate of an MBConv is a quarter of the block's input channels wide."""

    def count(name):
        return sum(p.numel() for p in operation(name, 8, affine=False).parameters())

    assert count("mbconv_3x3") == 8 * 48 + 9 * 48 + 48 * 8
    assert count("mbconv_v2_3x3_g1") == 9 * 8 + (8 * 2 + 2) + (2 * 8 + 8) + 8 * 8
    assert count("mbconv_v2_5x5_g4") == 8 * 32 + 25 * 32 + (32 * 2 + 2) + (2 * 32 + 32) + 32 * 8
    assert count("fused_mbconv_3x3_g1") == 9 * 64
    assert count("fused_mbconv_3x3_g4") == 9 * 8 * 32 + 32 * 8
    assert count("nx1_conv_7") == 2 * 7 * 64
    assert count("depthwise_5x5") == 25 * 8


def test_random_is_new_at_every_call_and_repeats_with_its_generator():
    noise = operation("random", 8, 2).eval()
    x = torch.full((2, 8, 9, 9), float("nan"))
    assert set_random_generator(noise, torch.Generator().manual_seed(3)) == 1
    first, second = noise(x), noise(x)
    assert ((first >= 0) & (first < 1)).all()
    assert not torch.equal(first, second)
    set_random_generator(noise, torch.Generator().manual_seed(3))
    assert torch.equal(noise(x), first)


def test_zero_is_zero_whatever_comes_in():
    assert torch.equal(operation("zero", 8, 2)(torch.full((1, 8, 5, 5), float("inf"))), torch.zeros(1, 8, 3, 3))


def test_mistakes_are_named():
    with pytest.raises(FamilyError, match="did you mean"):
        operation("sep_conv_3x4", 8)
    with pytest.raises(FamilyError, match="stride must be 1 or 2, not 3"):
        operation("zero", 8, 3)
