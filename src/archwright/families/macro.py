"""Chains of MBConv and identity cells: the space of MacroNASBenchmark (den Ottelander et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archwright.errors import FamilyError
from archwright.families.base import Family, needs_images
from archwright.space import Architecture, Choice, Space

if TYPE_CHECKING:
    from torch import nn

BLOCKS: Mapping[str, tuple[int, int] | None] = {"identity": None, "mbconv_e3_k3": (3, 3), "mbconv_e6_k5": (6, 5)}
SYMBOLS = {"identity": "I", "mbconv_e3_k3": "1", "mbconv_e6_k5": "2"}
HEAD = 1280


def macro(cells: Sequence[int] = (4, 4, 4, 2), width: int = 32, head: int = HEAD) -> Family:
    """The family.

    Args:
        cells: searchable cells per stage (14 in the benchmark); before each stage but the first a fixed block halves
            the image and doubles the channels.
        width: channels of the first stage.
        head: channels of the last 1x1 convolution.

    Raises:
        FamilyError: no cell, or a number below 1.
    """
    stages = tuple(int(n) for n in cells)
    if not stages or min(stages) < 0 or sum(stages) < 1 or width < 1 or head < 1:
        raise FamilyError(f"macro: cells per stage, width and head must be positive, not {cells}, {width}, {head}")
    names = [f"cell{k}" for k in range(1, sum(stages) + 1)]

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        return _network([str(architecture[n]) for n in names], stages, width, head, input_shape[0], num_classes)

    return Family(
        name="macro",
        space=Space({name: Choice(*BLOCKS) for name in names}),
        build=build,
        summary="chain of MBConv and identity cells in stages (MacroNASBenchmark: 14 cells, 3 options each)",
        options={"cells": list(stages), "width": width, "head": head},
        default=Architecture(dict.fromkeys(names, "mbconv_e3_k3")),
        canonical=lambda a: canonical(a, stages),
        check_shape=needs_images("macro", 2 ** (len(stages) - 1)),
    )


def to_string(architecture: Mapping[str, object]) -> str:
    """One symbol per cell: ``I`` identity, ``1`` expansion 3 kernel 3, ``2`` expansion 6 kernel 5."""
    return "".join(SYMBOLS[str(architecture[f"cell{k}"])] for k in range(1, len(architecture) + 1))


def from_string(text: str) -> Architecture:
    """The inverse of :func:`to_string`; ``0`` also stands for identity.

    Raises:
        FamilyError: another symbol.
    """
    blocks = {symbol: block for block, symbol in SYMBOLS.items()} | {"0": "identity"}
    if not text or set(text) - set(blocks):
        raise FamilyError(f"{text!r} is not a chain of the symbols I (or 0), 1 and 2")
    return Architecture({f"cell{k}": blocks[symbol] for k, symbol in enumerate(text, start=1)})


def canonical(architecture: Mapping[str, object], stages: Sequence[int] = (4, 4, 4, 2)) -> str:
    """Identity cells vanish: what counts is the order of the others within each stage (208,537 networks)."""
    text = to_string(architecture)
    parts, at = [], 0
    for n in stages:
        parts.append(text[at : at + n].replace("I", ""))
        at += n
    return "/".join(parts)


def macro_mmacs(
    text: str, num_classes: int, *, side: int = 32, stages: Sequence[int] = (4, 4, 4, 2), c_in: int = 3
) -> float:
    """Millions of multiply-accumulates as MacroNASBenchmark's profiler counts them.

    Convolutions, twice the elements of every batch norm's output, pooling and the linear layer.

    Args:
        text: the cells, as in :func:`to_string`.
    """
    blocks = [BLOCKS[str(block)] for block in from_string(text).values()]
    c, r = 32, side
    macs, norm = c * r**2 * c_in * 9, c * r**2
    at = 0
    for stage, n in enumerate(stages):
        if stage:
            cost, elements = _mbconv_cost(c, 2 * c, 3, 2, 3, r)
            macs, norm, c, r = macs + cost, norm + elements, 2 * c, r // 2
        for block in blocks[at : at + n]:
            if block is not None:
                cost, elements = _mbconv_cost(c, c, block[1], 1, block[0], r)
                macs, norm = macs + cost, norm + elements
        at += n
    macs, norm = macs + HEAD * c * r**2, norm + HEAD * r**2
    return (macs + 2 * norm + HEAD * (r**2 + 1) + (2 * HEAD - 1) * num_classes) / 1e6


def _mbconv_cost(c_in: int, c_out: int, kernel: int, stride: int, expansion: int, r: int) -> tuple[int, int]:
    """MACs of the convolutions, and elements of the batch norms' outputs."""
    middle, out = expansion * c_in, r // stride
    macs = middle * r**2 * c_in + middle * out**2 * kernel**2 + c_out * out**2 * middle
    return macs, middle * r**2 + middle * out**2 + c_out * out**2


def _network(
    blocks: Sequence[str], stages: Sequence[int], width: int, head: int, c_in: int, num_classes: int
) -> nn.Module:
    from torch import nn

    from archwright.layers import ConvNormAct, GlobalPoolHead, MBConv

    layers: list[nn.Module] = [ConvNormAct(c_in, width, 3, act="relu6")]
    c, at = width, 0
    for stage, n in enumerate(stages):
        if stage:
            layers.append(MBConv(c, 2 * c, 3, 2, expansion=3))
            c *= 2
        for block in blocks[at : at + n]:
            shape = BLOCKS[block]
            if shape is not None:
                layers.append(MBConv(c, c, shape[1], expansion=shape[0]))
        at += n
    return nn.Sequential(*layers, ConvNormAct(c, head, 1, act="relu6"), GlobalPoolHead(head, num_classes))
