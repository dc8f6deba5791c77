"""Families: spaces together with the networks they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import FamilyError, unknown
from archwright.families.attention import attention
from archwright.families.bands import for_shape, merging
from archwright.families.base import Build, Family
from archwright.families.cnn import cnn
from archwright.families.darts import darts
from archwright.families.hierarchical import hierarchical
from archwright.families.macro import macro
from archwright.families.mlp import mlp
from archwright.families.moat import moat
from archwright.families.mobileone import mobileone
from archwright.families.nasbench101 import nasbench101
from archwright.families.nasbench201 import nasbench201
from archwright.families.snapformer import snapformer
from archwright.families.swiftformer import swiftformer
from archwright.families.userfile import adapted, describe, family_from_file
from archwright.space import Space

if TYPE_CHECKING:
    from torch import nn

CATALOGUE: Mapping[str, Callable[..., Family]] = {
    "nasbench201": nasbench201,
    "nasbench101": nasbench101,
    "darts": darts,
    "hierarchical": hierarchical,
    "macro": macro,
    "mobileone": mobileone,
    "moat": moat,
    "swiftformer": swiftformer,
    "attention": attention,
    "snapformer": snapformer,
    "cnn": cnn,
    "mlp": mlp,
}


def get_family(name: str | Path, **options: Any) -> Family:
    """A family of the catalogue by name, or from a ``.py`` file with ``space`` and ``build``.

    Raises:
        FamilyError: unknown name or option, or a file that is not a family.
    """
    text = str(name)
    if text not in CATALOGUE:
        if text.endswith(".py") or "/" in text:
            if options:
                raise FamilyError(f"{text} is a file and has no options; set them in the file instead of with --set")
            return family_from_file(text)
        raise FamilyError(unknown("family", text, CATALOGUE) + "; or give a .py file with space and build")
    known = CATALOGUE[text]().options
    for option in options:
        if option not in known:
            raise FamilyError(f"family {text!r}: " + unknown("option", option, known or ["(it has none)"]))
    try:
        return CATALOGUE[text](**options)
    except (TypeError, ValueError) as error:
        raise FamilyError(f"family {text!r}: {error}") from error


def family_from(space: Space, build: Callable[..., nn.Module], name: str = "custom", **attributes: Any) -> Family:
    """A family made in Python; ``attributes`` are those of :class:`Family`."""
    return Family(name=name, space=space, build=adapted(build, f"family {name!r}"), **attributes)


def family_spec(family: Family) -> dict[str, Any]:
    """What a stored study needs to make the family again."""
    made_here = family.name in CATALOGUE and family.source is None
    return {
        "name": family.name,
        "options": dict(family.options),
        "source": family.source,
        "kind": "catalogue" if made_here else "file" if family.source else "python",
    }


def family_from_spec(spec: Mapping[str, Any]) -> Family:
    """The inverse of :func:`family_spec`.

    Raises:
        FamilyError: the family was made in Python, or its file is no longer there.
    """
    if spec["kind"] == "catalogue":
        return get_family(spec["name"], **spec["options"])
    if spec["kind"] == "file":
        return family_from_file(spec["source"])
    raise FamilyError(
        f"the family {spec['name']!r} was made in Python and cannot be made again from what is stored; pass build="
    )


def check_output(network: nn.Module, input_shape: tuple[int, ...], num_classes: int, where: str = "build") -> None:
    """Run a batch of two through a network and look at what comes out.

    Raises:
        FamilyError: it is not a module, cannot take the input, or does not give ``batch x num_classes``.
    """
    import torch
    from torch import nn

    if not isinstance(network, nn.Module):
        raise FamilyError(f"{where} must return a torch.nn.Module, not {type(network).__name__}")
    was_training = network.training
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            output = network.eval()(torch.zeros(2, *input_shape, device=device))
    except Exception as error:
        shape = " x ".join(map(str, (2, *input_shape)))
        raise FamilyError(f"{where} made a network that cannot take a batch of {shape}: {describe(error)}") from error
    finally:
        network.train(was_training)
    logits = output[0] if isinstance(output, tuple) else output
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, num_classes):
        got = " x ".join(map(str, logits.shape)) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise FamilyError(
            f"{where} made a network whose output for a batch of 2 is {got}; it must be 2 x {num_classes}, "
            f"one logit for each of the data's {num_classes} classes"
        )


__all__ = [
    "CATALOGUE",
    "Build",
    "Family",
    "check_output",
    "describe",
    "family_from",
    "family_from_file",
    "family_from_spec",
    "family_spec",
    "for_shape",
    "get_family",
    "merging",
]
