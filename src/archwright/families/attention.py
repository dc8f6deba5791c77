"""Efficient self-attention designs (Ouertatani 2024, 8.2.1): 10,560 mechanisms in the place of SwiftFormer's.

The ten variables are the thesis's. It does not print what values they have; these are an assignment that gives its 10,560 and
has SwiftFormer's and SnapFormer's mechanisms. The eleventh, a width coefficient, follows from the others and a latency:
:func:`width_coefficients`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from archwright.errors import FamilyError, unknown
from archwright.families.base import Family
from archwright.families.sizes import check_size, is_small, takes
from archwright.families.swiftformer import DEPTHS, SMALL_DEPTHS, SMALL_WIDTHS, WIDTHS, check_heads, network, stage
from archwright.families.widths import EqualWidth, equal_latency_width, scaled
from archwright.space import Architecture, Choice, Space

if TYPE_CHECKING:
    from torch import nn

BRANCH_OPERATIONS = ("norm", "softmax", "gelu", "silu")
VECTOR = {"b2_dim": ("n", "d")}
VARIABLES: Mapping[str, Choice] = {
    "b1_dim": Choice("n", "d"),
    "b2_dim": Choice("n", "d", "nxd"),
    "b1_op": Choice(*BRANCH_OPERATIONS),
    "b1_mat2": Choice("m1", "m2"),
    "b2_mat12": Choice("m1", "m2", "m3", when={"b2_dim": "nxd"}),
    "b2_op": Choice(*BRANCH_OPERATIONS, "identity", when=VECTOR),
    "b2_mat3": Choice("m1", "m2", "m3", when=VECTOR),
    "b2_mat4": Choice("m1", "m2", "m4", when=VECTOR),
    "comb_type": Choice("id-id", "id-lin", "lin-id", "lin-lin"),
    "comb_mat": Choice("m1", "m2", "m3", "m4"),
}
"""``m1`` and ``m2`` are projections of branch 1, ``m3`` and ``m4`` new ones of branch 2; ``comb_type`` is proj_1 and proj_2."""
READINGS = ("A", "B", "C")

SWIFTFORMER = Architecture(
    {"b1_dim": "d", "b2_dim": "nxd", "b1_op": "norm", "b1_mat2": "m1", "b2_mat12": "m3", "comb_type": "lin-lin",
     "comb_mat": "m1"}
)  # fmt: skip
SNAPFORMER = Architecture(
    {"b1_dim": "d", "b2_dim": "n", "b1_op": "norm", "b1_mat2": "m2", "b2_op": "norm", "b2_mat3": "m3", "b2_mat4": "m1",
     "comb_type": "id-id", "comb_mat": "m1"}
)  # fmt: skip


def attention(
    size: str = "auto",
    width: float = 1.0,
    coefficients: Mapping[str, float] | str | None = None,
    reading: str = "A",
    normalise: bool = True,
    heads: int = 1,
) -> Family:
    """The family: SwiftFormer-XS with another attention in the last block of each stage.

    Args:
        size: ``paper``; ``small``: 16 to 48 channels, stages of three blocks, and an image that is halved only as long as 4
            pixels are left; ``auto``: small for images below 64 pixels.
        width: coefficient of all widths.
        coefficients: of single designs, by :func:`code`; or a JSON file of them. Others have ``width``.
        reading: of n-dimensional branches, ``A``, ``B`` or ``C`` (:class:`~archwright.layers.DesignedAttention`).
        normalise: tokens of projections have length 1.
        heads: 2 adds a second classifier, which training sees as an auxiliary one.

    Raises:
        FamilyError: what there is not, or coefficients that cannot be read.
    """
    check_size("attention", size)
    check_heads("attention", heads)
    if reading not in READINGS:
        raise FamilyError("attention: " + unknown("reading", str(reading), READINGS))
    if not isinstance(normalise, bool):
        raise FamilyError(f"attention: normalise must be true or false, not {normalise!r}")
    own = _coefficients(coefficients)
    _check_coefficient("width", width)

    def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        from functools import partial

        from archwright.layers import DesignedAttention, conv_encoder, local_representation

        small = is_small(size, input_shape)
        widths, depths = (SMALL_WIDTHS, SMALL_DEPTHS) if small else (WIDTHS, DEPTHS)
        mixer = partial(DesignedAttention, design=dict(architecture), reading=reading, normalise=normalise)
        stages = [stage(depth, 1, conv_encoder, local_representation, mixer) for depth in depths]
        chosen = scaled(widths, own.get(code(architecture), width))
        return network(input_shape, num_classes, chosen, stages, small, heads)

    options = {"size": size, "width": width, "coefficients": own or None, "reading": reading, "normalise": normalise}
    return Family(
        name="attention",
        space=design_space(),
        build=build,
        summary="efficient self-attention by design: two branches, their product, projections; in SwiftFormer-XS's place",
        options=options | {"heads": heads},
        default=SWIFTFORMER,
        check_shape=takes("attention", size),
    )


def design_space() -> Space:
    """The 10,560 designs."""
    return Space(
        VARIABLES,
        constraints=[
            (_has_m2, "b2_mat12, b2_mat3 and b2_mat4 can be m2 only where branch 1 has it: b1_mat2 must be m2"),
            (_combines_used, "comb_mat must be a projection that one of the branches uses"),
        ],
    )


def _reused(architecture: Mapping[str, Any]) -> set[Any]:
    return {architecture[name] for name in ("b2_mat12", "b2_mat3", "b2_mat4") if name in architecture}


def _has_m2(architecture: Architecture) -> bool:
    return architecture["b1_mat2"] == "m2" or "m2" not in _reused(architecture)


def _combines_used(architecture: Architecture) -> bool:
    return architecture["comb_mat"] in {"m1", architecture["b1_mat2"], *_reused(architecture)}


def encoding(architecture: Mapping[str, Any]) -> tuple[int, ...]:
    """The thesis's ten numbers: places of the values, from 1; 0 for what is not used."""
    return tuple(
        list(choice.values).index(architecture[name]) + 1 if name in architecture else 0
        for name, choice in VARIABLES.items()
    )


def code(architecture: Mapping[str, Any]) -> str:
    """:func:`encoding` as a text of ten digits."""
    return "".join(map(str, encoding(architecture)))


def width_coefficients(
    architectures: Iterable[Architecture],
    latency: Callable[[nn.Module], float],
    *,
    input_shape: tuple[int, ...] = (3, 224, 224),
    num_classes: int = 1000,
    target: float | None = None,
    timings: int = 3,
    on_done: Callable[[Architecture, EqualWidth], None] | None = None,
    **options: Any,
) -> dict[str, EqualWidth]:
    """The width coefficient of each design that makes it as fast as SwiftFormer's, by :func:`code`.

    Args:
        architectures: designs.
        latency: of a network in evaluation mode, in any unit.
        target: latency to reach; by default that of SwiftFormer's design at width 1.
        timings: of each probe; their median counts.
        on_done: hears of each design.
        options: of :func:`attention`, and the bounds, steps and tolerance of
            :func:`~archwright.families.widths.equal_latency_width`.

    Raises:
        SettingsError: see there.
    """
    bisection = {name: options.pop(name) for name in ("low", "high", "steps", "tolerance") if name in options}

    def measured(architecture: Architecture, coefficient: float) -> float:
        family = attention(**options, width=coefficient)
        built = family.build(architecture, input_shape, num_classes).eval()
        return median(latency(built) for _ in range(timings))

    goal = measured(SWIFTFORMER, 1.0) if target is None else target
    found = {}
    for architecture in architectures:
        equal = equal_latency_width(lambda c, a=architecture: measured(a, c), goal, **bisection)  # type: ignore[misc]
        found[code(architecture)] = equal
        if on_done is not None:
            on_done(architecture, equal)
    return found


def _coefficients(given: Mapping[str, float] | str | None) -> dict[str, float]:
    """Coefficients by code, from a mapping or a file."""
    if isinstance(given, str):
        try:
            given = json.loads(Path(given).read_text())
        except (OSError, ValueError) as error:
            raise FamilyError(f"attention: the coefficients {given} cannot be read: {error}") from error
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise FamilyError(f"attention: coefficients must map codes of designs to numbers, not {type(given).__name__}")
    for name, value in given.items():
        if len(str(name)) != len(VARIABLES) or not str(name).isdigit():
            raise FamilyError(f"attention: {name!r} is not the code of a design, such as {code(SWIFTFORMER)}")
        _check_coefficient(f"the coefficient of {name}", value)
    return {str(name): float(value) for name, value in given.items()}


def _check_coefficient(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.1 <= value <= 10:
        raise FamilyError(f"attention: {what} must be a number from 0.1 to 10, not {value!r}")
