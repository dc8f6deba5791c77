"""Weight inheritance: a network starts from the trained weights of one that differs little (network morphism).

What a network gets from its parent, tensor by tensor (parameters and buffers, matched by name):

- the same shape: a copy;
- units added, where the family says that its networks may be widened (:class:`~archwright.families.base.Family.morph`) and the
  new number is a multiple of the old one: every unit is there several times, and those who read it split its weight unequally
  (Net2WiderNet, Chen et al. 2016, with fractions drawn at random, so that the copies can part in training);
- a larger kernel of a convolution, likewise: the old one in the middle of zeros;
- any other difference of size: the part that both have, the rest stays as initialised;
- nothing of that name: as initialised, or, where the family says so, the identity (Net2DeeperNet).

The first three keep the function that the parent computes, in evaluation mode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from archwright.evaluate.checkpoint import network_tensors
from archwright.families.base import Morph
from archwright.layers import ConvNormAct, MBConv, ResidualBlock


@dataclass(frozen=True)
class Inherited:
    """What a network got: numbers of its parameters that come from the parent, and that do not."""

    taken: int
    fresh: int

    @property
    def share(self) -> float:
        """Of the parameters, that come from the parent."""
        return self.taken / max(1, self.taken + self.fresh)


def read_weights(path: Path) -> dict[str, Tensor] | None:
    """Weights on the CPU; ``None`` where there are none, they cannot be read, or they are not all finite."""
    try:
        found: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError):
        return None
    return found if all(bool(torch.isfinite(t).all()) for t in found.values() if t.is_floating_point()) else None


def inherit(child: nn.Module, parent: Mapping[str, Tensor], morph: Morph | None = None, *, seed: int = 0) -> Inherited:
    """Give ``child`` the weights of ``parent``, as far as they fit.

    Args:
        child: a fresh network; changed in place.
        parent: tensors by name, as :func:`~archwright.evaluate.checkpoint.network_tensors` gives them.
        morph: what the family says of the two; without it names must agree, and nothing is widened.
        seed: of the fractions in which copies of a unit are split.
    """
    morph = morph or Morph()
    generator = torch.Generator().manual_seed(seed)
    for name in morph.identities:
        make_identity(child.get_submodule(name))
    taken = total = 0
    parameters = {name for name, _ in child.named_parameters()}
    fractions: dict[tuple[int, int], Tensor] = {}
    with torch.no_grad():
        for name, tensor in network_tensors(child).items():
            count = tensor.numel() if name in parameters else 0
            total += count
            source = parent.get(_renamed(name, morph))
            if source is None or source.ndim != tensor.ndim or name.startswith(_inside(morph.identities)):
                continue
            if tensor.shape == source.shape:
                tensor.copy_(source)
                taken += count
            elif morph.widens and _is_multiple(tensor, source):
                tensor.copy_(_widened(source, tensor.shape, generator, fractions))
                taken += count
            else:
                part = tuple(slice(0, min(a, b)) for a, b in zip(tensor.shape, source.shape))
                tensor[part] = source[part].to(tensor)
                taken += min(count, math.prod(min(a, b) for a, b in zip(tensor.shape, source.shape)))
    return Inherited(taken, total - taken)


def make_identity(block: nn.Module) -> None:
    """Make a block that keeps its input's shape pass it on: in evaluation mode, and where it ends with a ReLU for inputs >= 0.

    Raises:
        ValueError: a kind of block that is not known here.
    """
    with torch.no_grad():
        if isinstance(block, (ResidualBlock, MBConv)):
            norms = [m for m in block.body.modules() if isinstance(m, nn.BatchNorm2d)]
            norms[-1].weight.zero_()
            norms[-1].bias.zero_()
        elif isinstance(block, ConvNormAct):
            nn.init.dirac_(block.get_parameter("0.weight"))
        elif isinstance(block, nn.Linear):
            nn.init.eye_(block.weight)
            block.bias.zero_()
        else:
            raise ValueError(f"no identity is known for {type(block).__name__}")


def _inside(modules: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}." for name in modules)


def _renamed(name: str, morph: Morph) -> str:
    """The parent's name for a tensor of the child: the longest module that is mapped decides."""
    module = name
    while module:
        if module in morph.names:
            return morph.names[module] + name[len(module) :]
        module = module.rpartition(".")[0]
    return name


def _is_multiple(tensor: Tensor, source: Tensor) -> bool:
    """Whether units were added in multiples, and kernels (beyond the second dimension) only grew, by even numbers."""
    units = all(a % b == 0 for a, b in zip(tensor.shape[:2], source.shape[:2]))
    return units and all(a >= b and (a - b) % 2 == 0 for a, b in zip(tensor.shape[2:], source.shape[2:]))


def _widened(
    source: Tensor, shape: torch.Size, generator: torch.Generator, fractions: dict[tuple[int, int], Tensor]
) -> Tensor:
    """``source`` with its units repeated in turn; where a unit is read (dimension 1), its copies share the weight."""
    wide = source
    if shape[0] > source.shape[0]:
        wide = wide.repeat(shape[0] // source.shape[0], *(1,) * (source.ndim - 1))
    if source.ndim > 1 and shape[1] > source.shape[1]:
        old, times = source.shape[1], shape[1] // source.shape[1]
        if (old, times) not in fractions:
            draws = 1 + 0.2 * (torch.rand(times, old, generator=generator) - 0.5)
            fractions[old, times] = (draws / draws.sum(dim=0)).reshape(-1)
        wide = wide.repeat(1, times, *(1,) * (source.ndim - 2))
        wide = wide * fractions[old, times].reshape(1, -1, *(1,) * (source.ndim - 2))
    margins = [(a - b) // 2 for a, b in zip(shape[2:], source.shape[2:])]
    if any(margins):
        wide = nn.functional.pad(wide, [m for margin in reversed(margins) for m in (margin, margin)])
    return wide
