"""Attention layers: shapes, parameters by formula, formulas, cost in the number of tokens."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archwright.errors import FamilyError
from archwright.layers import (
    AdditiveAttention,
    OnPixels,
    SelfAttention,
    SeparableAttention,
    TokenMLP,
    TransposedAttention,
    ViTBlock,
)

D = 12
LAYERS = {
    "softmax": (lambda: SelfAttention(D, 3), 4 * D * D + 4 * D),
    "transposed": (lambda: TransposedAttention(D, 3), 4 * D * D + 4 * D + 3),
    "separable": (lambda: SeparableAttention(D), 3 * D * D + 4 * D + 1),
    "additive": (lambda: AdditiveAttention(D), 4 * D * D + 5 * D),
    "mlp": (lambda: TokenMLP(D, 4), 8 * D * D + 5 * D),
}


def macs(layer, n):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(torch.randn(1, n, D))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("name", LAYERS)
def test_layers_have_the_parameters_that_their_formula_says_and_keep_shapes(name):
    make, number = LAYERS[name]
    layer = make()
    assert sum(p.numel() for p in layer.parameters()) == number
    for n in (1, 7, 16):
        x = torch.randn(2, n, D, requires_grad=True)
        y = layer(x)
        assert y.shape == x.shape
        y.square().sum().backward()
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", ["transposed", "separable", "additive"])
def test_cost_of_efficient_attention_is_linear_in_the_tokens(name):
    layer = LAYERS[name][0]()
    assert macs(layer, 32) == 2 * macs(layer, 16) == 4 * macs(layer, 8)


def test_softmax_attention_is_the_textbook_formula():
    layer, x = SelfAttention(D, 2), torch.randn(2, 5, D)
    q, k, v = layer.qkv(x).chunk(3, dim=2)
    heads = []
    for h in range(2):
        part = slice(6 * h, 6 * h + 6)
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / 6**0.5).softmax(2)
        heads.append(weights @ v[..., part])
    assert torch.allclose(layer(x), layer.out(torch.cat(heads, 2)), atol=1e-6)


def test_transposed_attention_attends_to_channels():
    layer, x = TransposedAttention(D), torch.randn(1, 5, D)
    q, k, v = (t[0].T for t in layer.qkv(x).chunk(3, dim=2))
    context = (functional.normalize(q, dim=1) @ functional.normalize(k, dim=1).T).softmax(1)
    assert torch.allclose(layer(x)[0], layer.out((context @ v).T), atol=1e-6)


@pytest.mark.parametrize("layer", [SelfAttention(D), SeparableAttention(D), AdditiveAttention(D), ViTBlock(D, 2)])
def test_attention_without_positions_does_not_know_the_order_of_tokens(layer):
    x, order = torch.randn(2, 6, D), torch.randperm(6)
    assert torch.allclose(layer(x)[:, order], layer(x[:, order]), atol=1e-5)


def test_pixels_are_tokens_row_by_row():
    x = torch.randn(2, D, 3, 4)
    mlp = TokenMLP(D)
    y = OnPixels(mlp)(x)
    assert y.shape == x.shape
    assert torch.allclose(y[1, :, 2, 1], mlp(x[1, :, 2, 1]), atol=1e-6)


def test_vit_block_takes_another_attention():
    block = ViTBlock(D, attention=AdditiveAttention)
    assert isinstance(block.attention.body, AdditiveAttention)
    assert block(torch.randn(2, 4, D)).shape == (2, 4, D)


@pytest.mark.parametrize("heads", [0, 5])
def test_heads_must_divide_the_channels(heads):
    with pytest.raises(FamilyError, match="choose a divisor"):
        SelfAttention(D, heads)
