"""Self-attention over tokens, and the blocks made of it. All take and give ``batch x tokens x d`` unless they say otherwise.

With ``n`` tokens, softmax attention costs ``O(n^2 d)``, transposed attention ``O(n d^2)`` also in its products, and
separable and additive attention have products of ``O(n d)`` only. None has weights that depend on ``n``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.errors import FamilyError
from archwright.layers.blocks import DropPath


def check_heads(channels: int, heads: int) -> None:
    """Refuse heads that do not share out the channels.

    Raises:
        FamilyError: ``heads`` does not divide ``channels``.
    """
    if heads < 1 or channels % heads:
        raise FamilyError(f"attention: {heads} heads do not divide {channels} channels; choose a divisor")


class SelfAttention(nn.Module):
    """Softmax attention of several heads (Vaswani et al. 2017): ``softmax(Q K^T / sqrt(d / heads)) V``.

    Four ``d x d`` projections with bias: ``4 d^2 + 4 d`` parameters.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        check_heads(channels, heads)
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attention of every token to every one."""
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=2))
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class TransposedAttention(nn.Module):
    """Attention of channels to channels (Maaz et al. 2022, EdgeNeXt): the context is ``d x d``, from ``Q^T K``.

    Q and K have length 1 over the tokens; each head has a learned temperature. ``4 d^2 + 4 d + heads`` parameters.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        check_heads(channels, heads)
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attention within each head's channels."""
        q, k, v = (t.transpose(1, 2).unflatten(1, (self.heads, -1)) for t in self.qkv(x).chunk(3, dim=2))
        q, k = functional.normalize(q, dim=3), functional.normalize(k, dim=3)
        context = (q @ k.transpose(2, 3) * self.temperature).softmax(dim=3)
        out: Tensor = self.out((context @ v).flatten(1, 2).transpose(1, 2))
        return out


class SeparableAttention(nn.Module):
    """Attention with one context vector (Mehta and Rastegari 2022, MobileViTv2).

    ``s = softmax_n(x w)``, ``c = sum_i s_i (x W_K)_i``, ``out = (ReLU(x W_V) * c) W_O``; ``3 d^2 + 4 d + 1`` parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate every token by the context."""
        context = (self.score(x).softmax(dim=1) * self.key(x)).sum(dim=1, keepdim=True)
        out: Tensor = self.out(torch.relu(self.value(x)) * context)
        return out


class AdditiveAttention(nn.Module):
    """Efficient additive attention (Shaker et al. 2023, SwiftFormer): one context vector and no values.

    Q and K have length 1 over the channels, ``a = Q w / sqrt(d)`` has length 1 over the tokens, ``G = sum_i a_i Q_i``,
    ``out = W_out(W_mix(G * K) + Q)``. ``4 d^2 + 5 d`` parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.weight = nn.Parameter(torch.randn(channels))
        self.mix = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate every key by the context."""
        q, k = functional.normalize(self.query(x), dim=2), functional.normalize(self.key(x), dim=2)
        a = functional.normalize(q @ self.weight * x.shape[2] ** -0.5, dim=1)
        context = (a[:, :, None] * q).sum(dim=1, keepdim=True)
        out: Tensor = self.out(self.mix(context * k) + q)
        return out


class TokenMLP(nn.Sequential):
    """Two linear layers with GELU between: ``2 e d^2 + (e + 1) d`` parameters at expansion ``e``."""

    def __init__(self, channels: int, expansion: int = 4) -> None:
        super().__init__(
            nn.Linear(channels, expansion * channels), nn.GELU(), nn.Linear(expansion * channels, channels)
        )


class PreNorm(nn.Module):
    """Layer norm, then ``body``, without the shortcut around them."""

    def __init__(self, channels: int, body: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """The branch."""
        out: Tensor = self.body(self.norm(x))
        return out


class ViTBlock(nn.Module):
    """Transformer block with norms first (Dosovitskiy et al. 2021); ``attention`` makes its attention from ``d``."""

    def __init__(
        self,
        channels: int,
        heads: int = 1,
        expansion: int = 4,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        mixer = SelfAttention(channels, heads) if attention is None else attention(channels)
        self.attention = PreNorm(channels, mixer)
        self.mlp = PreNorm(channels, TokenMLP(channels, expansion))
        self.drop = DropPath()

    def forward(self, x: Tensor) -> Tensor:
        """Attention and MLP, each with its shortcut."""
        x = x + self.drop(self.attention(x))
        out: Tensor = x + self.drop(self.mlp(x))
        return out


class OnPixels(nn.Module):
    """A module of tokens applied to an image ``batch x channels x height x width``, every pixel a token."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """An image of the same size."""
        tokens: Tensor = self.body(x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(x.shape)
