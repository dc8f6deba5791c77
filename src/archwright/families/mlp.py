"""Multi-layer perceptrons, for tables of numbers (images are flattened)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archwright.errors import FamilyError
from archwright.families.base import Family, Morph
from archwright.space import Architecture, Choice, Integer, Space

if TYPE_CHECKING:
    from torch import nn


def mlp(max_depth: int = 4) -> Family:
    """One width per hidden layer.

    Args:
        max_depth: most hidden layers.

    Raises:
        FamilyError: ``max_depth`` below 1.
    """
    if not isinstance(max_depth, int) or max_depth < 1:
        raise FamilyError(f"mlp: max_depth must be a whole number of at least 1, not {max_depth!r}")
    widths = {
        f"width{k}": Choice(16, 32, 64, 128, 256, ordered=True, when={"depth": range(k, max_depth + 1)})
        for k in range(1, max_depth + 1)
    }
    space = Space(
        {"depth": Integer(1, max_depth), **widths},
        activation=Choice("relu", "silu", "gelu"),
        norm=Choice(False, True),
        dropout=Choice(0.0, 0.1, 0.3, ordered=True),
    )
    depth = min(2, max_depth)
    default = {"depth": depth, **{f"width{k}": 64 for k in range(1, depth + 1)}}
    return Family(
        name="mlp",
        space=space,
        build=build,
        summary="multi-layer perceptrons: depth, width of each layer, activation, norm, dropout",
        options={"max_depth": max_depth},
        morph=morph,
        default=Architecture({**default, "activation": "relu", "norm": True, "dropout": 0.0}),
    )


def _places(architecture: Architecture) -> list[int]:
    """Positions of the linear layers, the last one gives the logits."""
    each = 2 + bool(architecture["norm"]) + bool(architecture["dropout"])
    return [1 + each * k for k in range(int(str(architecture["depth"])) + 1)]


def morph(child: Architecture, parent: Architecture, _input_shape: tuple[int, ...]) -> Morph:
    """Layer by layer; widening keeps the function (widths are powers of two, so layer norm sees the same mean and variance).

    A further layer starts as the identity if both have ReLU, no norm, and it is as wide as the one before; it keeps the
    function then.
    """
    ours, theirs = _places(child), _places(parent)
    shared = min(len(ours), len(theirs)) - 1
    names = {str(mine): str(other) for mine, other in zip(ours[:shared], theirs[:shared])}
    if child["norm"] and parent["norm"]:
        names |= {str(mine + 1): str(other + 1) for mine, other in zip(ours[:shared], theirs[:shared])}
    names[str(ours[-1])] = str(theirs[-1])
    plain = child["activation"] == parent["activation"] == "relu" and not child["norm"]
    new = range(len(theirs) - 1, len(ours) - 1)
    identities = tuple(str(ours[k]) for k in new if plain and child[f"width{k}"] == child[f"width{k + 1}"])
    for name in [str(ours[k]) for k in new]:
        names[name] = "none"
    return Morph(names, identities, widens=True)


def build(architecture: Architecture, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """The network; any ``input_shape``."""
    from torch import nn

    from archwright.layers import activation

    features = prod(input_shape)
    layers: list[nn.Module] = [nn.Flatten()]
    for k in range(1, int(str(architecture["depth"])) + 1):
        width = int(str(architecture[f"width{k}"]))
        layers.append(nn.Linear(features, width))
        if architecture["norm"]:
            layers.append(nn.LayerNorm(width))
        layers.append(activation(str(architecture["activation"])))
        if architecture["dropout"]:
            layers.append(nn.Dropout(float(str(architecture["dropout"]))))
        features = width
    return nn.Sequential(*layers, nn.Linear(features, num_classes))
