"""Families of one image on examples of several images of different sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archwright.families.base import Build, Family, Morph
from archwright.shapes import Bands, merged
from archwright.space import Architecture

if TYPE_CHECKING:
    from torch import nn


def for_shape(family: Family, input_shape: tuple[int, ...]) -> Family:
    """The family as it takes inputs of this shape.

    It is the family itself, except for :class:`~archwright.shapes.Bands`: unless it takes them itself
    (:attr:`~archwright.families.Family.takes_bands`), its networks get a part in front that merges the bands to one image
    (:class:`~archwright.layers.MergeBands`), and it is told of that image only.
    """
    if not isinstance(input_shape, Bands) or family.takes_bands:
        return family
    return replace(
        family,
        build=merging(family.build),
        check_shape=None if family.check_shape is None else _Check(family.check_shape),
        morph=None if family.morph is None else _Morph(family.morph),
        deployed=None if family.deployed is None else _Deploy(family.deployed),
        takes_bands=True,
    )


def merging(build: Build) -> Build:
    """A builder for one image as a builder for bands too."""
    return _Merging(build)


@dataclass(frozen=True)
class _Merging:
    build: Build

    def __call__(self, architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        if not isinstance(input_shape, Bands):
            return self.build(architecture, input_shape, num_classes)
        from archwright.layers import on_bands

        return on_bands(self.build(architecture, input_shape.merged, num_classes), input_shape)


@dataclass(frozen=True)
class _Check:
    check: Callable[[tuple[int, ...]], None]

    def __call__(self, input_shape: tuple[int, ...]) -> None:
        self.check(merged(input_shape))


@dataclass(frozen=True)
class _Morph:
    morph: Callable[[Architecture, Architecture, tuple[int, ...]], Morph]

    def __call__(self, child: Architecture, parent: Architecture, input_shape: tuple[int, ...]) -> Morph:
        inner = self.morph(child, parent, merged(input_shape))
        names = {f"network.{a}": f"network.{b}" for a, b in inner.names.items()}
        return replace(inner, names=names, identities=tuple(f"network.{name}" for name in inner.identities))


@dataclass(frozen=True)
class _Deploy:
    deployed: Callable[[nn.Module], nn.Module]

    def __call__(self, network: Any) -> nn.Module:
        from archwright.layers import MergeBands, on_bands

        if not isinstance(getattr(network, "merge", None), MergeBands):
            return self.deployed(network)
        made = on_bands(self.deployed(network.network), network.merge.bands)
        made.merge = copy.deepcopy(network.merge)
        made.training = network.training
        return made
