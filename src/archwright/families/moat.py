"""Hybrid cells of MOAT, MobileNetV2 and ViT (Ouertatani 2024, 7.2): one of nine cells for each of four stages.

The macro-architecture is tiny-MOAT-0's (Yang et al. 2023). The thesis says what the cells are made of and that seven of
them are sequential and two parallel; which ones follows from the networks that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archwright.errors import FamilyError, unknown
from archwright.families.base import Family
from archwright.families.sizes import check_size, is_small, strides, takes
from archwright.space import Architecture, Choice, Space

if TYPE_CHECKING:
    from torch import nn

CELLS: Mapping[str, tuple[str, str, bool]] = {
    "mbconv": ("mbconv", "", False),
    "mbconv_se": ("mbconv_se", "", False),
    "mbconv-attention": ("mbconv", "attention", False),
    "mbconv_se-attention": ("mbconv_se", "attention", False),
    "attention-mlp": ("attention", "mlp", False),
    "mbconv-mlp": ("mbconv", "mlp", False),
    "mbconv_se-mlp": ("mbconv_se", "mlp", False),
    "mbconv|attention": ("mbconv", "attention", True),
    "mbconv_se|attention": ("mbconv_se", "attention", True),
}
"""First and second mini-block, and whether they are parallel, by the name of the cell."""
STAGES = ("stage1", "stage2", "stage3", "stage4")


@dataclass(frozen=True)
class Macro:
    """Channels of the stem and of the stages, blocks of the stages, channels of an attention head."""

    stem: int
    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    head: int = 32


CHANNELS: Mapping[str, Macro] = {
    "tiny-moat-0": Macro(32, (32, 64, 128, 256), (2, 3, 7, 2)),
    "moat-0": Macro(64, (96, 192, 384, 768), (2, 3, 7, 2)),
}
SMALL = Macro(16, (16, 24, 32, 48), (1, 2, 2, 1), 8)
GIVEN_UP = (1, 4, 0, 3, 2)
"""In which order a small network does without halving: attention in early stages should see few tokens."""

TINY_MOAT_0 = Architecture(dict(zip(STAGES, ("mbconv_se", "mbconv_se", "mbconv-attention", "mbconv-attention"))))
FOUND = Architecture(dict(zip(STAGES, ("mbconv", "mbconv-attention", "mbconv_se-mlp", "mbconv_se-attention"))))
"""What the thesis's search ends with (7.2.2)."""
MOBILENET_V2 = Architecture(dict.fromkeys(STAGES, "mbconv"))
VIT = Architecture(dict.fromkeys(STAGES, "attention-mlp"))


def moat(size: str = "auto", channels: str = "tiny-moat-0") -> Family:
    """The family.

    Args:
        size: ``paper``; ``small``: 16 to 48 channels, six blocks, and an image that is halved only as long as 4 pixels are
            left; ``auto``: small for images below 64 pixels.
        channels: of ``paper`` networks, ``tiny-moat-0`` or ``moat-0``.

    Raises:
        FamilyError: another size, or other channels.
    """
    check_size("moat", size)
    if channels not in CHANNELS:
        raise FamilyError("moat: " + unknown("channels", str(channels), CHANNELS))

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        small = is_small(size, input_shape)
        macro = SMALL if small else CHANNELS[channels]
        return _network(architecture, macro, strides(input_shape, small, GIVEN_UP), input_shape[0], num_classes)

    return Family(
        name="moat",
        space=Space({stage: Choice(*CELLS) for stage in STAGES}),
        build=build,
        summary="hybrid cells: one of nine for each of four stages, from MobileNetV2's over MOAT's to ViT's",
        options={"size": size, "channels": channels},
        default=TINY_MOAT_0,
        check_shape=takes("moat", size),
    )


def _network(
    architecture: Architecture, macro: Macro, steps: tuple[int, ...], c_in: int, num_classes: int
) -> nn.Module:
    from torch import nn

    from archwright.layers import ConvNormAct, GlobalPoolHead, HybridCell

    layers: list[nn.Module] = [
        ConvNormAct(c_in, macro.stem, 3, steps[0], act="gelu"),
        nn.Conv2d(macro.stem, macro.stem, 3, padding=1),
    ]
    c = macro.stem
    for stage, width, blocks, step in zip(STAGES, macro.channels, macro.blocks, steps[1:]):
        first, second, parallel = CELLS[str(architecture[stage])]
        cells = []
        for k in range(blocks):
            cells.append(HybridCell(c, width, 1 if k else step, first, second, parallel, macro.head))
            c = width
        layers.append(nn.Sequential(*cells))
    return nn.Sequential(*layers, nn.BatchNorm2d(c), GlobalPoolHead(c, num_classes))
