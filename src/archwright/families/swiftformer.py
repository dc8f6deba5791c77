"""SwiftFormer and MobileOne mixed (Ouertatani 2024, 7.4): for each of four stages, its convolution and where attention is.

The macro-architecture is SwiftFormer-XS's (Shaker et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from archwright.errors import FamilyError
from archwright.families.base import Family
from archwright.families.sizes import check_size, is_small, strides, takes
from archwright.space import Architecture, Choice, Space

if TYPE_CHECKING:
    from torch import nn

CONVOLUTIONS = ("conv-enc", "mo", "mo-se")
ATTENTION = ("none", "last-1", "last-2", "all")
STAGES = (1, 2, 3, 4)
WIDTHS, DEPTHS = (48, 56, 112, 220), (3, 3, 6, 4)
SMALL_WIDTHS, SMALL_DEPTHS = (16, 24, 32, 48), (3, 3, 3, 3)
HALVINGS = range(1 + len(STAGES))
"""Two convolutions at the start, and one before each stage but the first; a small network does without the first ones."""


def _everywhere(convolution: str, attention: str) -> Architecture:
    return Architecture({f"conv{i}": convolution for i in STAGES} | {f"attention{i}": attention for i in STAGES})


SWIFTFORMER_XS = _everywhere("conv-enc", "last-1")
MOBILEONE_LIKE = _everywhere("mo", "none")


def swiftformer(size: str = "auto", branches: int = 1, heads: int = 1) -> Family:
    """The family.

    Args:
        size: ``paper``; ``small``: 16 to 48 channels, stages of three blocks, and an image that is halved only as long as 4
            pixels are left; ``auto``: small for images below 64 pixels.
        branches: of MobileOne blocks while training; the thesis searches with 4 and with 1.
        heads: 2 adds a second classifier, which training sees as an auxiliary one; predictions are their mean.

    Raises:
        FamilyError: another size, or numbers that there are not.
    """
    check_size("swiftformer", size)
    check_heads("swiftformer", heads)
    if branches not in (1, 4):
        raise FamilyError(f"swiftformer: branches must be 1 or 4, not {branches!r}")

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        from archwright.layers import AdditiveAttention

        small = is_small(size, input_shape)
        widths, depths = (SMALL_WIDTHS, SMALL_DEPTHS) if small else (WIDTHS, DEPTHS)
        stages = []
        for i, depth in zip(STAGES, depths):
            plain, local = _makers(str(architecture[f"conv{i}"]), branches)
            attentive = attention_blocks(str(architecture[f"attention{i}"]), depth)
            stages.append(stage(depth, attentive, plain, local, AdditiveAttention))
        return network(input_shape, num_classes, widths, stages, small, heads)

    def deployed(network: nn.Module) -> nn.Module:
        from archwright.layers import fuse

        return fuse(network)

    parameters = {f"conv{i}": Choice(*CONVOLUTIONS) for i in STAGES}
    return Family(
        name="swiftformer",
        space=Space(parameters | {f"attention{i}": Choice(*ATTENTION, ordered=True) for i in STAGES}),
        build=build,
        summary="SwiftFormer mixed with MobileOne: convolution and attention of four stages, SwiftFormer-XS's widths",
        options={"size": size, "branches": branches, "heads": heads},
        default=SWIFTFORMER_XS,
        check_shape=takes("swiftformer", size),
        deployed=deployed,
    )


def check_heads(family: str, heads: object) -> None:
    """Refuse other than one or two classifiers.

    Raises:
        FamilyError: with what there is.
    """
    if heads not in (1, 2):
        raise FamilyError(f"{family}: heads must be 1 or 2, not {heads!r}")


def attention_blocks(where: str, depth: int) -> int:
    """How many of a stage's blocks, the last ones, have attention."""
    return {"none": 0, "last-1": 1, "last-2": 2}.get(where, depth)


def stage(
    depth: int,
    attentive: int,
    plain: Callable[[int], nn.Module],
    local: Callable[[int], nn.Module],
    attention: Callable[[int], nn.Module],
) -> list[Callable[[int], nn.Module]]:
    """The makers of a stage's blocks: plain ones, then ``attentive`` with attention after a ``local`` convolution."""
    from archwright.layers import Encoder

    def encoder(channels: int) -> nn.Module:
        return Encoder(channels, attention(channels), local)

    return [plain] * (depth - attentive) + [encoder] * attentive


def network(
    input_shape: tuple[int, ...],
    num_classes: int,
    widths: Sequence[int],
    stages: Sequence[Sequence[Callable[[int], nn.Module]]],
    small: bool,
    heads: int,
) -> nn.Module:
    """SwiftFormer's macro-architecture around ``stages``."""
    from archwright.layers import GlobalPoolHead, TwoHeads, swiftformer_network

    head = (TwoHeads if heads == 2 else GlobalPoolHead)(widths[-1], num_classes)
    return swiftformer_network(input_shape[0], widths, stages, strides(input_shape, small, HALVINGS), head)


def _makers(convolution: str, branches: int) -> tuple[Callable[[int], nn.Module], Callable[[int], nn.Module]]:
    """Of a block without attention, and of the convolution before attention."""
    from archwright.layers import MobileOneBlock, conv_encoder, local_representation

    if convolution == "conv-enc":
        return conv_encoder, local_representation
    mobile = partial(_mobile, MobileOneBlock, branches, convolution == "mo-se")
    return mobile, mobile


def _mobile(block: Callable[..., nn.Module], branches: int, se: bool, channels: int) -> nn.Module:
    return block(channels, channels, branches=branches, se=se)
