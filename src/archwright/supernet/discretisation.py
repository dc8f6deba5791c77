"""From architecture parameters to cells: which pairs of operation and predecessor each node keeps.

Ties go to the lower predecessor, then to the operation that comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from archwright.errors import SettingsError, unknown
from archwright.layers.cells import NONE
from archwright.supernet.relaxation import bundles

Pair = tuple[str, int]
Nodes = list[list[Pair]]
"""Per node its pairs of operation and predecessor."""
Discretisation = Callable[[Tensor, int, Sequence[str], bool], Nodes]
"""``(alpha, nodes, operations, none_selectable) -> cell``."""


@dataclass(frozen=True)
class ZeroConfiguration:
    """What stands for "no operation" in each phase (Herron 2023, table 3.1); empty where nothing does.

    Args:
        search: in the search network, ``zero``, ``random`` or nothing.
        evaluation: in the evaluation network of the search phase.
        retraining: in the network that is trained in the end.
    """

    search: Literal["", "zero", "random"]
    evaluation: Literal["", "zero", "random"]
    retraining: Literal["", "zero", "random"]

    @property
    def selectable(self) -> bool:
        """Whether a cell may keep an edge without operation."""
        return self.evaluation != ""

    def names(self, operations: Sequence[str]) -> tuple[str, ...]:
        """The candidates of an edge."""
        return (*operations, NONE) if self.search else tuple(operations)


ZEROS: Mapping[str, ZeroConfiguration] = {
    "V0": ZeroConfiguration("zero", "", ""),
    "V1": ZeroConfiguration("", "", ""),
    "V2": ZeroConfiguration("random", "random", "random"),
    "V3": ZeroConfiguration("random", "random", "zero"),
    "V4": ZeroConfiguration("random", "zero", "zero"),
}


def zeros(name: str) -> ZeroConfiguration:
    """A zero-operation configuration by name.

    Raises:
        SettingsError: there is none of this name.
    """
    if name not in ZEROS:
        raise SettingsError(unknown("zero-operation configuration", name, ZEROS))
    return ZEROS[name]


def distinct(
    alpha: Tensor,
    nodes: int,
    operations: Sequence[str],
    none_selectable: bool,
    k: int = 2,
    edge_score: Literal["softmax", "alpha"] = "softmax",
) -> Nodes:
    """The best operation of each of the ``k`` best predecessors (DARTS, Liu et al. 2019, section 2.3).

    Args:
        alpha: ``edges x operations``.
        nodes: of the cell.
        operations: names of the columns of ``alpha``.
        none_selectable: whether an edge without operation competes with the others.
        k: predecessors kept per node.
        edge_score: rank edges by the probability of their best operation, or by its raw parameter.
    """
    scores = _finite(alpha).softmax(dim=1) if edge_score == "softmax" else _finite(alpha)
    cell = []
    for pairs in _candidates(scores, nodes, operations, none_selectable):
        best: dict[int, tuple[float, int, int]] = {}
        for key in sorted(pairs):
            best.setdefault(key[1], key)
        cell.append(_named(sorted(best.values())[:k], operations))
    return cell


def pairs_over_node(
    alpha: Tensor, nodes: int, operations: Sequence[str], none_selectable: bool, k: int | None = 2
) -> Nodes:
    """The ``k`` best pairs among all that enter a node (I-DARTS); without ``k`` one per predecessor (XDARTS).

    Predecessors may repeat and may be unused (Jiang et al. 2019; Herron 2023, section 4.2).
    """
    cell = []
    for j, pairs in enumerate(_candidates(_finite(alpha), nodes, operations, none_selectable)):
        cell.append(_named(sorted(pairs)[: j + 2 if k is None else k], operations))
    return cell


EDGE_SCORES = ("softmax", "alpha")
DISCRETISATIONS: Mapping[str, Discretisation] = {
    "darts": distinct,
    "idarts": pairs_over_node,
    "xdarts": partial(pairs_over_node, k=None),
}


def discretisation(name: str, relaxed_by: str = "softmax", edge_score: str = "") -> Discretisation:
    """A discretisation by name, ranking edges by what the relaxation compares.

    Under independent gates DARTS's cells rank edges by their largest gate, that is by alpha itself; so they do with the
    ``edge_score`` ``alpha``. Where a node's pairs share one softmax both scores give the same order.

    Raises:
        SettingsError: none has this name, or an unknown score.
    """
    if edge_score not in ("", *EDGE_SCORES):
        raise SettingsError(unknown("edge score", edge_score, EDGE_SCORES))
    if name not in DISCRETISATIONS:
        raise SettingsError(unknown("discretisation", name, DISCRETISATIONS))
    if name != "darts":
        return DISCRETISATIONS[name]
    return partial(distinct, edge_score=edge_score or ("alpha" if relaxed_by == "sigmoid" else "softmax"))  # type: ignore[arg-type]


def _finite(alpha: Tensor) -> Tensor:
    if not bool(alpha.isfinite().all()):
        raise SettingsError("the architecture parameters are not finite; lower the learning rates of the search")
    return alpha.detach().cpu().double()


def _candidates(
    scores: Tensor, nodes: int, operations: Sequence[str], none_selectable: bool
) -> list[list[tuple[float, int, int]]]:
    """Per node ``(-score, predecessor, operation)``, so that sorting puts the best first and settles ties."""
    columns = [o for o, name in enumerate(operations) if none_selectable or name != NONE]
    found = []
    for rows in bundles(nodes):
        values = scores[rows].tolist()
        found.append([(-row[o], i, o) for i, row in enumerate(values) for o in columns])
    return found


def _named(keys: list[tuple[float, int, int]], operations: Sequence[str]) -> list[Pair]:
    return [(operations[o], i) for _, i, o in keys]
