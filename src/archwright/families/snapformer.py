"""SnapFormer XXS, XS and S, and the SwiftFormers beside which they stand (Ouertatani 2024, 8.3 and Table 8.2), by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from archwright.errors import FamilyError, unknown
from archwright.families.attention import BRANCH_OPERATIONS, READINGS, SNAPFORMER, SWIFTFORMER
from archwright.families.base import Family
from archwright.families.sizes import check_size, is_small, takes
from archwright.families.swiftformer import check_heads, network, stage
from archwright.families.widths import scaled
from archwright.space import Architecture, Choice, Space

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Model:
    """Blocks of the stages, how many of them, the last ones, have attention, channels, and whose mechanism it is."""

    blocks: tuple[int, ...]
    attentive: tuple[int, ...]
    widths: tuple[int, ...]
    snap: bool = True


_XS, _S = ((3, 3, 6, 4), (1, 1, 1, 1), (48, 56, 112, 220)), ((3, 3, 9, 6), (1, 1, 1, 1), (48, 64, 168, 224))
MODELS: Mapping[str, Model] = {
    "snapformer-xxs": Model((3, 3, 5, 4), (0, 2, 2, 2), (48, 56, 96, 192)),
    "snapformer-xs": Model((3, 3, 6, 4), (0, 2, 2, 2), (48, 64, 138, 232)),
    "snapformer-s": Model((3, 3, 9, 6), (0, 2, 2, 2), (48, 64, 182, 256)),
    "swiftformer-xs": Model(*_XS, snap=False),
    "swiftformer-xs-snap": Model(*_XS),
    "swiftformer-s": Model(*_S, snap=False),
    "swiftformer-s-snap": Model(*_S),
}
"""``-snap`` has SnapFormer's mechanism in SwiftFormer's place and is otherwise SwiftFormer."""
SMALL_SHARE = 0.25


def snapformer(
    size: str = "auto",
    op1: str = "norm",
    op2: str = "norm",
    reused: str = "m1",
    combined: str = "m1",
    reading: str = "A",
    normalise: bool = True,
    heads: int = 1,
) -> Family:
    """The family of seven networks.

    What the thesis shows only as a picture are options, their defaults a reconstruction.

    Args:
        size: ``paper``; ``small``: a fourth of the channels, and an image that is halved only as long as 4 pixels are left;
            ``auto``: small for images below 64 pixels.
        op1, op2: operation of either branch.
        reused: the projection of branch 1 that branch 2 reuses, ``m1`` or ``m2``.
        combined: the projection that is added, ``m1``, ``m2`` or ``m3``.
        reading: of the n-dimensional branch, ``A``, ``B`` or ``C`` (:class:`~archwright.layers.DesignedAttention`).
        normalise: tokens of projections have length 1.
        heads: 2, as published, adds a second classifier, which training sees as an auxiliary one.

    Raises:
        FamilyError: what there is not.
    """
    check_size("snapformer", size)
    check_heads("snapformer", heads)
    if not isinstance(normalise, bool):
        raise FamilyError(f"snapformer: normalise must be true or false, not {normalise!r}")
    for what, value, known in (
        ("op1", op1, BRANCH_OPERATIONS),
        ("op2", op2, (*BRANCH_OPERATIONS, "identity")),
        ("reused", reused, ("m1", "m2")),
        ("combined", combined, ("m1", "m2", "m3")),
        ("reading", reading, READINGS),
    ):
        if value not in known:
            raise FamilyError("snapformer: " + unknown(what, str(value), known))
    snap = SNAPFORMER.replace(b1_op=op1, b2_op=op2, b2_mat4=reused, comb_mat=combined)

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        from archwright.layers import DesignedAttention, conv_encoder, local_representation

        model = MODELS[str(architecture["model"])]
        design = dict(snap if model.snap else SWIFTFORMER)
        mixer = partial(DesignedAttention, design=design, reading=reading, normalise=normalise or not model.snap)
        stages = [
            stage(depth, attentive, conv_encoder, local_representation, mixer)
            for depth, attentive in zip(model.blocks, model.attentive)
        ]
        small = is_small(size, input_shape)
        widths = scaled(model.widths, SMALL_SHARE) if small else model.widths
        return network(input_shape, num_classes, widths, stages, small, heads)

    options: dict[str, Any] = {"size": size, "op1": op1, "op2": op2, "reused": reused, "combined": combined}
    return Family(
        name="snapformer",
        space=Space(model=Choice(*MODELS)),
        build=build,
        summary="SnapFormer XXS, XS and S by name, and SwiftFormer XS and S with and without their mechanism",
        options=options | {"reading": reading, "normalise": normalise, "heads": heads},
        default=Architecture({"model": "snapformer-xs"}),
        check_shape=takes("snapformer", size),
    )
