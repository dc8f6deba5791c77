"""A plain convolutional family for images of any size, from 8 x 8 grey to photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright.families.base import Family, Morph, needs_images
from archwright.space import Architecture, Choice, Integer, Space

if TYPE_CHECKING:
    from torch import nn

LARGE = 96
"""Images with a longer side than this are brought down by a stem of stride 4."""


def cnn() -> Family:
    """Stages of equal blocks; each further stage doubles the channels and halves the image."""
    space = Space(
        stages=Integer(1, 3),
        depth=Integer(1, 3),
        width=Choice(8, 16, 32, 64, ordered=True),
        block=Choice("conv", "residual", "mbconv"),
        kernel=Choice(3, 5, ordered=True),
        expansion=Choice(2, 4, ordered=True, when={"block": "mbconv"}),
        se=Choice(False, True, when={"block": ("residual", "mbconv")}),
        activation=Choice("relu", "silu"),
    )
    default = {
        "stages": 3,
        "depth": 2,
        "width": 16,
        "block": "residual",
        "kernel": 3,
        "se": False,
        "activation": "relu",
    }
    return Family(
        name="cnn",
        space=space,
        build=build,
        summary="plain convolutional networks: stages, depth, width, block, kernel, SE, activation",
        morph=morph,
        default=Architecture(default),
        check_shape=needs_images("cnn", 4),
    )


def _blocks(architecture: Architecture, input_shape: tuple[int, ...]) -> dict[tuple[int, int], int]:
    """Position in the network by stage and place in it."""
    first = 2 if max(input_shape[1:]) > LARGE else 1
    stages, depth = (int(str(architecture[name])) for name in ("stages", "depth"))
    return {(stage, i): first + stage * depth + i for stage in range(stages) for i in range(depth)}


def morph(child: Architecture, parent: Architecture, input_shape: tuple[int, ...]) -> Morph:
    """Block by block of the same stage; widening and larger kernels keep the function.

    A further block of a stage starts as the identity, which keeps the function where blocks are ``mbconv``, or the
    activation is ReLU. A further stage, another kind of block or SE starts fresh.
    """
    ours, theirs = _blocks(child, input_shape), _blocks(parent, input_shape)
    same = child["block"] == parent["block"]
    names = {str(at): str(theirs[place]) if same and place in theirs else "none" for place, at in ours.items()}
    names[str(max(ours.values()) + 1)] = str(max(theirs.values()) + 1)
    last_stage = int(str(parent["stages"]))
    identities = tuple(
        str(at) for place, at in ours.items() if same and place not in theirs and place[0] < last_stage and place[1] > 0
    )
    return Morph(names, identities, widens=True)


def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """The network; ``input_shape`` is ``(channels, height, width)``."""
    from torch import nn

    from archwright.layers import ConvNormAct, GlobalPoolHead

    act = str(architecture["activation"])
    width, stages, depth = (int(str(architecture[name])) for name in ("width", "stages", "depth"))
    c = width
    layers: list[nn.Module] = [ConvNormAct(input_shape[0], c, 3, 2 if max(input_shape[1:]) > LARGE else 1, act=act)]
    if max(input_shape[1:]) > LARGE:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for stage in range(stages):
        for i in range(depth):
            stride = 2 if stage and i == 0 else 1
            c_out = width * 2**stage
            layers.append(_block(architecture, c, c_out, stride, act))
            c = c_out
    return nn.Sequential(*layers, GlobalPoolHead(c, num_classes))


def _block(architecture: Architecture, c_in: int, c_out: int, stride: int, act: str) -> nn.Module:
    from archwright.layers import ConvNormAct, MBConv, ResidualBlock

    kernel = int(str(architecture["kernel"]))
    if architecture["block"] == "conv":
        return ConvNormAct(c_in, c_out, kernel, stride, act=act)
    se = bool(architecture["se"])
    if architecture["block"] == "residual":
        return ResidualBlock(c_in, c_out, kernel, stride, se, act)
    return MBConv(c_in, c_out, kernel, stride, int(str(architecture["expansion"])), se, act)
