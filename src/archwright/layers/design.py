"""Efficient self-attention by design (Ouertatani 2024, 8.2.1): two branches, their product, one projection added.

``M_k = x W_k``, ``batch x tokens x d``, each token of length 1. Branch 1 makes a vector of ``M_1`` and a second projection;
branch 2 makes another vector, or is a projection; ``out = proj_2(proj_1(b_1 * b_2) + M_comb)`` (8.3). No product costs more
than ``O(n d)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.errors import FamilyError, unknown

OPERATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "norm": lambda v: functional.normalize(v, dim=1),
    "softmax": lambda v: v.softmax(dim=1),
    "gelu": functional.gelu,
    "silu": functional.silu,
    "identity": lambda v: v,
}
"""What is done to a branch's vector ``batch x length``."""

READINGS = ("A", "B", "C")


class DesignedAttention(nn.Module):
    """The attention of a design; ``batch x tokens x d`` to the same.

    A d-dimensional branch is ``op(M_a w / sqrt(d))^T M_b`` with a learned ``w``. The thesis's words for an n-dimensional one have
    three readings, here with vectors in units of ``sqrt(d)`` too:

    - ``A``: ``M_b op(sum over tokens of M_a)``;
    - ``B``: ``sum over d of op(sum over d of M_a) * M_b``;
    - ``C``: ``sum over d of op(M_a w) * M_b``, with a learned ``w``.

    Args:
        design: the ten variables by name, those of the family ``attention``; what is not used may be absent.
        reading: of n-dimensional branches.
        normalise: bring each token of each projection to length 1.

    Raises:
        FamilyError: another reading.
    """

    def __init__(self, channels: int, design: Mapping[str, object], reading: str = "A", normalise: bool = True) -> None:
        super().__init__()
        if reading not in READINGS:
            raise FamilyError(unknown("reading", str(reading), READINGS))
        self.design = {name: str(value) for name, value in design.items()}
        self.reading, self.normalise = reading, normalise
        self.projections = nn.ModuleDict({m: nn.Linear(channels, channels) for m in projections(self.design)})
        for branch in ("b1", "b2"):
            dim = self.design[f"{branch}_dim"]
            learned = dim == "d" or (dim == "n" and reading == "C")
            setattr(self, f"{branch}_weight", nn.Parameter(torch.randn(channels)) if learned else None)
        kinds = self.design["comb_type"].split("-")
        self.proj_1, self.proj_2 = (nn.Linear(channels, channels) if k == "lin" else nn.Identity() for k in kinds)

    def forward(self, x: Tensor) -> Tensor:
        """Attention."""
        m = {name: self._unit(linear(x)) for name, linear in self.projections.items()}
        design = self.design
        b1 = self._branch("b1", m["m1"], m[design["b1_mat2"]])
        if design["b2_dim"] == "nxd":
            b2 = m[design["b2_mat12"]]
        else:
            b2 = self._branch("b2", m[design["b2_mat3"]], m[design["b2_mat4"]])
        out: Tensor = self.proj_2(self.proj_1((b1 * b2).expand_as(x)) + m[design["comb_mat"]])
        return out

    def _unit(self, projection: Tensor) -> Tensor:
        return functional.normalize(projection, dim=2) if self.normalise else projection

    def _branch(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """``batch x 1 x d``, or ``batch x tokens x 1``."""
        op, weight = OPERATIONS[self.design[f"{name}_op"]], getattr(self, f"{name}_weight")
        scale = a.shape[2] ** -0.5
        if self.design[f"{name}_dim"] == "d":
            return (op(a @ weight * scale)[:, :, None] * b).sum(dim=1, keepdim=True)
        if self.reading == "A":
            return b @ op(a.sum(dim=1) * scale)[:, :, None]
        s = op((a.sum(dim=2) if weight is None else a @ weight) * scale)
        return (s[:, :, None] * b).sum(dim=2, keepdim=True)


def projections(design: Mapping[str, object]) -> list[str]:
    """The projections that the two branches use: ``m1``, ``m2``, those of branch 1, ``m3`` and ``m4``."""
    used = {"m1", *(str(design[name]) for name in ("b1_mat2", "b2_mat12", "b2_mat3", "b2_mat4") if name in design)}
    return sorted(used)
