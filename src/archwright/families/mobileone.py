"""MobileOne, tuned (Ouertatani 2024, 7.3): depth and width of four stages, SE, and branches while training.

A network is a stem and four stages of MobileOne blocks (Vasu et al. 2023), the first of each halving the image. Only
networks about as large as MobileOne-s0 are in the space: 19 to 22 blocks, and a fused network of ten classes that has
s0's parameters, give or take 200,000. Two readings of a stage of depth 0:

- ``block``: one block with SE, whatever ``se`` says, and not counted in the depth. That is what the public code makes of
  it, and the only reading that gives the published 55,870 architectures.
- ``absent``: there is no such stage, and no width of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import FamilyError, unknown
from archwright.families.base import Family, check_counts
from archwright.families.sizes import check_size, is_small, strides, takes
from archwright.space import Architecture, Choice, Space

if TYPE_CHECKING:
    from torch import nn

BASE = (64, 128, 256, 512)
"""Channels of the four stages at a width of 1."""
DEPTHS = (0, 1, 2, 5, 8, 10)
WIDTHS = tuple(0.25 * k for k in range(1, 17))
BRANCHES = (1, 4)
STAGES = (1, 2, 3, 4)
TOTAL_DEPTH = (19, 22)
MARGIN = 200_000
FILTER_CLASSES = 10
ZERO_DEPTHS = ("block", "absent")
SMALL_SHARE = 4
"""Small networks have a fourth of the channels."""
S0 = Architecture(
    {"depth1": 2, "depth2": 8, "depth3": 10, "depth4": 1, "width1": 0.75, "width2": 1.0, "width3": 1.0, "width4": 2.0,
     "se": False, "branches": 4}
)  # fmt: skip


def mobileone(size: str = "auto", zero_depth: str = "block", stem_branches: int = 1) -> Family:
    """The family.

    Args:
        size: ``paper``; ``small``: a fourth of the channels, and an image that is halved only as long as 4 pixels are left;
            ``auto``: small for images below 64 pixels. What is in the space is decided on ``paper`` networks.
        zero_depth: ``block`` or ``absent``, the readings above.
        stem_branches: convolutions of the stem's block while training; the public code has one whatever ``branches`` says.

    Raises:
        FamilyError: another size or reading, or a number below 1.
    """
    check_size("mobileone", size)
    check_counts("mobileone", stem_branches=stem_branches)
    if zero_depth not in ZERO_DEPTHS:
        raise FamilyError("mobileone: " + unknown("zero_depth", str(zero_depth), ZERO_DEPTHS))
    absent = zero_depth == "absent"

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        return _network(architecture, input_shape, num_classes, is_small(size, input_shape), absent, stem_branches)

    def deployed(network: nn.Module) -> nn.Module:
        from archwright.layers import fuse

        return fuse(network)

    return Family(
        name="mobileone",
        space=mobileone_space(absent),
        build=build,
        summary="MobileOne: depth and width of four stages, SE, branches that are fused after training; as large as s0",
        options={"size": size, "zero_depth": zero_depth, "stem_branches": stem_branches},
        default=S0,
        check_shape=takes("mobileone", size),
        deployed=deployed,
    )


def mobileone_space(absent: bool = False) -> Space:
    """The space of either reading."""
    parameters: dict[str, Any] = {f"depth{i}": Choice(*DEPTHS, ordered=True) for i in STAGES}
    for i in STAGES:
        when = {f"depth{i}": [d for d in DEPTHS if d]} if absent else None
        parameters[f"width{i}"] = Choice(*WIDTHS, ordered=True, when=when)
    low, high = window()
    return Space(
        parameters | {"se": Choice(False, True), "branches": Choice(*BRANCHES, ordered=True)},
        constraints=[
            (_depth_is_right, f"the depths must add up to between {TOTAL_DEPTH[0]} and {TOTAL_DEPTH[1]}"),
            (_widths_rise, "the width of a stage must not be below that of the stage before"),
            (
                lambda a: low <= fused_parameters(stages(a, absent)) < high,
                f"a fused network of {FILTER_CLASSES} classes must have {low:,} parameters or more, and fewer than {high:,}",
            ),
        ],
        valid=partial(valid_codes, absent),
    )


def window() -> tuple[int, int]:
    """Parameters of MobileOne-s0, fused, give or take the margin; the upper end is not included."""
    middle = int(fused_parameters(stages(S0)))
    return middle - MARGIN, middle + MARGIN


@dataclass(frozen=True)
class Stage:
    """A stage that is there.

    Attributes:
        channels: a whole number, or an array of them for many networks at once.
        blocks: how many.
        with_se: how many of them, the last ones, have SE.
    """

    channels: Any
    blocks: int
    with_se: int


def stages(architecture: Mapping[str, Any], absent: bool = False, base: Sequence[int] = BASE) -> list[Stage | None]:
    """The four stages of an architecture; ``None`` for one that is absent."""
    depths = [int(architecture[f"depth{i}"]) for i in STAGES]
    widths = [float(architecture.get(f"width{i}", 0.0)) for i in STAGES]
    channels = [int(c * width) for c, width in zip(base, widths)]
    return _stages(depths, channels, bool(architecture["se"]), absent)


def _stages(depths: Sequence[int], channels: Sequence[Any], se: bool, absent: bool) -> list[Stage | None]:
    """SE is for the last half of stage 3 and all of stage 4; the one block of a stage of depth 0 always has it."""
    with_se = [0, 0, depths[2] // 2, depths[3]] if se else [0, 0, 0, 0]
    return [
        Stage(c, depth, number) if depth else None if absent else Stage(c, 1, 1)
        for c, depth, number in zip(channels, depths, with_se)
    ]


def fused_parameters(given: Sequence[Stage | None], classes: int = FILTER_CLASSES, c_in: int = 3) -> Any:
    """Parameters of fused networks with such stages, without building them."""
    c = np.minimum(BASE[0], given[0].channels) if given[0] is not None else BASE[0]
    total = c * (9 * c_in + 1)
    for stage in given:
        if stage is None:
            continue
        out, more = stage.channels, stage.blocks - 1
        total = total + _block(c, out) + more * _block(out, out)
        if stage.with_se:
            first_has = int(stage.with_se == stage.blocks)
            total = total + first_has * _se(c) + (2 * stage.with_se - first_has) * _se(out)
        c = out
    return total + classes * (c + 1)


def _block(c: Any, out: Any) -> Any:
    """A depthwise 3x3 and a pointwise convolution, with biases."""
    return 10 * c + out * (c + 1)


def _se(channels: Any) -> Any:
    hidden = np.maximum(1, channels // 16)
    return 2 * channels * hidden + channels + hidden


def _depth_is_right(architecture: Mapping[str, Any]) -> bool:
    return TOTAL_DEPTH[0] <= sum(int(architecture[f"depth{i}"]) for i in STAGES) <= TOTAL_DEPTH[1]


def _widths_rise(architecture: Mapping[str, Any]) -> bool:
    widths = [float(architecture[f"width{i}"]) for i in STAGES if f"width{i}" in architecture]
    return widths == sorted(widths)


def valid_codes(absent: bool = False) -> NDArray[np.int64]:
    """Codes of all architectures of the space, solved for all widths at once; sorted.

    Each of the few depths that are right goes with all rising widths, whose parameters are counted in one go.
    """
    low, high = window()
    parts = []
    for depths in product(range(len(DEPTHS)), repeat=len(STAGES)):
        blocks = [DEPTHS[k] for k in depths]
        if not TOTAL_DEPTH[0] <= sum(blocks) <= TOTAL_DEPTH[1]:
            continue
        widths = _rising(tuple(n > 0 or not absent for n in blocks))
        channels = [(base * np.array(WIDTHS)[column]).astype(np.int64) for base, column in zip(BASE, widths.T)]
        for se in (0, 1):
            counts = fused_parameters(_stages(blocks, channels, bool(se), absent))
            kept = widths[(counts >= low) & (counts < high)]
            for branches in range(len(BRANCHES)):
                ends = np.tile([se, branches], (len(kept), 1))
                parts.append(np.hstack([np.tile(depths, (len(kept), 1)), kept, ends]))
    codes = np.concatenate(parts).astype(np.int64)
    return codes[np.lexsort(codes.T[::-1])]


@lru_cache
def _rising(there: tuple[bool, ...]) -> NDArray[np.int64]:
    """Codes of widths that do not fall; -1 for a stage that is not there."""
    values = range(len(WIDTHS))
    codes = np.array(list(product(*(values if t else (-1,) for t in there))), dtype=np.int64)
    return codes[(np.diff(codes[:, list(there)], axis=1) >= 0).all(axis=1)]


def _network(
    architecture: Architecture,
    input_shape: tuple[int, ...],
    num_classes: int,
    small: bool,
    absent: bool,
    stem_branches: int,
) -> nn.Module:
    from torch import nn

    from archwright.layers import GlobalPoolHead, MobileOneBlock, MobileOneConv

    share = SMALL_SHARE if small else 1
    base = [channels // share for channels in BASE]
    made = stages(architecture, absent, base)
    steps = strides(input_shape, small, range(1 + len(STAGES)))
    c = min(base[0], made[0].channels) if made[0] is not None else base[0]
    layers: list[nn.Module] = [MobileOneConv(input_shape[0], c, 3, steps[0], branches=stem_branches)]
    branches = int(str(architecture["branches"]))
    for stage, first in zip(made, steps[1:]):
        if stage is None:
            continue
        blocks = []
        for k in range(stage.blocks):
            se = k >= stage.blocks - stage.with_se
            blocks.append(MobileOneBlock(c, stage.channels, 1 if k else first, branches, se))
            c = stage.channels
        layers.append(nn.Sequential(*blocks))
    return nn.Sequential(*layers, GlobalPoolHead(c, num_classes))
