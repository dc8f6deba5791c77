"""A :class:`Family`: a space together with a way to build its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archwright.errors import FamilyError
from archwright.space import Architecture, Genotype, Space

if TYPE_CHECKING:
    from torch import nn

    from archwright.families.cellspace import CellSpace


class Build(Protocol):
    """Builds the network of an architecture, with fresh weights from torch's global generator."""

    def __call__(self, architecture: Architecture, input_shape: tuple[int, ...], num_classes: int, /) -> nn.Module: ...


@dataclass(frozen=True)
class Morph:
    """How the weights of one network of a family become those of another one.

    Attributes:
        names: parent's module by child's module, where they differ; what is inside goes along.
        identities: the child's new modules that can start as the identity.
        widens: widening by repeating units keeps the function: all widths grow together, and no operation mixes units
            otherwise than by weights (so no group norm, no concatenation).
    """

    names: Mapping[str, str] = field(default_factory=dict)
    identities: tuple[str, ...] = ()
    widens: bool = False


@dataclass(frozen=True)
class Family:
    """A space and the networks it stands for.

    Attributes:
        name: as given on the command line.
        space: what can be built.
        build: ``(architecture, input_shape, num_classes) -> nn.Module``; ``input_shape`` is without the
            batch, ``(channels, height, width)`` for images and ``(features,)`` for tables; the module maps
            ``batch x *input_shape`` to logits ``batch x num_classes`` (or a tuple ``(logits, auxiliary
            logits)`` in training mode).
        summary: one line for ``archwright list``.
        options: the settings this family was made with (channels, cells, ...), JSON-able.
        default: a sensible architecture that a person would have tried first.
        canonical: architecture -> key; equal keys mean equal networks (isomorphic cells share one).
        equivalent: architecture -> key; equal keys mean networks that compute the same, though they may differ in weights
            that do nothing. Not needed where ``canonical`` says the same.
        identities: ``canonical`` for many at once: codes ``n x parameters`` -> ``n`` whole numbers. A family has it whose
            networks have many writings, so that a table holds each network once.
        networks: how many different ones there are, where ``identities`` tells them apart and it is known.
        check_shape: raises :class:`~archwright.errors.FamilyError` for an input shape it cannot take.
        genotypes: architecture -> the cell graphs it denotes, by name, for cell-based families.
        deployed: trained network -> the one that is used in its place and computes the same in evaluation mode (branches
            fused, say), a copy. It is what is exported and what inference costs are measured on; training is the other's.
        morph: ``(child, parent, input_shape)`` -> how the parent's weights become the child's, for weight inheritance;
            without it, tensors of the same name are copied as far as their shapes agree.
        cells: the cells that its architectures stand for, where a supernet can search them.
        takes_bands: its networks take examples of several images themselves: ``build`` gets
            :class:`~archwright.shapes.Bands` for a shape, the module ``batch x values``. Without it, they are merged before.
        source: the user's file, when the family comes from one.
    """

    name: str
    space: Space
    build: Build
    summary: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    default: Architecture | None = None
    canonical: Callable[[Architecture], str] | None = None
    equivalent: Callable[[Architecture], str] | None = None
    identities: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None
    networks: int | None = None
    check_shape: Callable[[tuple[int, ...]], None] | None = None
    genotypes: Callable[[Architecture], Mapping[str, Genotype]] | None = None
    deployed: Callable[[nn.Module], nn.Module] | None = None
    morph: Callable[[Architecture, Architecture, tuple[int, ...]], Morph] | None = None
    cells: CellSpace | None = None
    takes_bands: bool = False
    source: str | None = None

    def key(self, architecture: Architecture) -> str:
        """The key under which equal networks are one (the architecture's own when nothing better is known)."""
        return self.canonical(architecture) if self.canonical is not None else architecture.key

    def deploy(self, network: nn.Module) -> nn.Module:
        """The network as it is used after training: itself, where nothing else is known."""
        return network if self.deployed is None else self.deployed(network)


def check_counts(family: str, **counts: object) -> None:
    """Refuse options of a family that are no whole numbers of at least 1.

    Raises:
        FamilyError: the first one that is none.
    """
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise FamilyError(f"{family}: {name} must be a whole number of at least 1, not {value!r}")


def needs_images(name: str, smallest: int) -> Callable[[tuple[int, ...]], None]:
    """A ``check_shape`` for families of images with at least ``smallest`` pixels a side."""

    def check(input_shape: tuple[int, ...]) -> None:
        if len(input_shape) != 3:
            raise FamilyError(
                f"{name} takes images (channels, height, width), and the data has shape {input_shape}; mlp takes any shape"
            )
        if min(input_shape[1:]) < smallest:
            raise FamilyError(
                f"{name} halves the image several times and needs at least {smallest} x {smallest} pixels; the data has "
                f"{input_shape[1]} x {input_shape[2]}: use fewer stages, cnn, or larger images"
            )

    return check
