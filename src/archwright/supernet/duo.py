"""The two networks of a search inside one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Duo:
    """The two networks of a search and what joins them.

    Both have ``features(x, mix) -> (last map, maps at the reductions)`` and a ``head``.

    Attributes:
        student: the search network.
        teacher: the evaluation network with the weights of all it may be asked to be; those that a choice leaves out get no
            gradient, decay or momentum.
        architecture: the parameters that are searched.
        weights: their relaxation, the student's ``mix``.
        discretise: their discretisation, the teacher's ``mix``.
        heads: distillation heads, one per reduction; none without that part of the distillation.
        penalty: the expected latency.
        plain: sum of the absolute parameters of operations without weights.
    """

    student: nn.Module
    teacher: nn.Module
    architecture: Mapping[str, nn.Parameter]
    weights: Callable[[], Any]
    discretise: Callable[[], Any]
    heads: nn.ModuleList
    penalty: Callable[[], Tensor] | None = None
    plain: Callable[[], Tensor] | None = None
