"""From architecture parameters to cells: which pairs of operation and predecessor each node keeps.

Ties go to the lower predecessor, then to the operation that comes first. Operations that an edge does not have are never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor

from archwright.errors import SettingsError, unknown
from archwright.layers.cells import NONE
from archwright.supernet.relaxation import FAR, bundles

Pair = tuple[str, int]
Nodes = list[list[Pair]]
"""Per node its pairs of operation and predecessor."""
Key = tuple[float, int, int]
"""A pair by its score, predecessor and operation."""
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
    own = _finite(alpha)
    scores = own.softmax(dim=1) if edge_score == "softmax" else own
    found = _candidates(own, scores, nodes, operations, none_selectable)
    return [_named(_best(pairs, k, 1), operations) for pairs in found]


def pairs_over_node(
    alpha: Tensor, nodes: int, operations: Sequence[str], none_selectable: bool, k: int | None = 2
) -> Nodes:
    """The ``k`` best pairs among all that enter a node (I-DARTS); without ``k`` one per predecessor (XDARTS).

    Predecessors may repeat and may be unused (Jiang et al. 2019; Herron 2023, section 4.2).
    """
    cell = []
    own = _finite(alpha)
    for j, pairs in enumerate(_candidates(own, own, nodes, operations, none_selectable)):
        cell.append(_named(sorted(pairs)[: j + 2 if k is None else k], operations))
    return cell


def open_gates(
    alpha: Tensor,
    nodes: int,
    operations: Sequence[str],
    none_selectable: bool,
    k: int | None = None,
    per_edge: int | None = None,
    threshold: float = 0.85,
) -> Nodes:
    """The pairs whose gate, the sigmoid of alpha, reaches a threshold; a node may keep none (FairDARTS, Chu et al. 2020).

    Args:
        alpha, nodes, operations, none_selectable: as :func:`distinct` takes them.
        k: predecessors that a node may keep, those with the largest gates; all without.
        per_edge: operations that an edge may keep, likewise.
        threshold: of the gates.
    """
    own = _finite(alpha)
    found = _candidates(own, own.sigmoid(), nodes, operations, none_selectable)
    kept = [[key for key in _best(pairs, k, per_edge) if -key[0] >= threshold] for pairs in found]
    return [_named(keys, operations) for keys in kept]


EDGE_SCORES = ("softmax", "alpha")
DISCRETISATIONS: Mapping[str, Discretisation] = {
    "darts": distinct,
    "idarts": pairs_over_node,
    "xdarts": partial(pairs_over_node, k=None),
    "sparse": partial(open_gates, k=2, per_edge=1),
    "edge": partial(open_gates, per_edge=2),
    "complete": open_gates,
}
COUNTED = ("darts", "idarts", "sparse")
"""Those that keep so many edges of every node."""
THRESHOLDED = ("sparse", "edge", "complete")
"""Those that compare independent gates with a threshold."""


def discretisation(
    name: str, relaxed_by: str = "softmax", edge_score: str = "", kept: int = 0, threshold: float | None = None
) -> Discretisation:
    """A discretisation by name, ranking edges by what the relaxation compares.

    Under independent gates DARTS's cells rank edges by their largest gate, that is by alpha itself; so they do with the
    ``edge_score`` ``alpha``. Where a node's pairs share one softmax both scores give the same order.

    Args:
        name: of :data:`DISCRETISATIONS`.
        relaxed_by: the relaxation's name.
        edge_score: of :func:`distinct`.
        kept: edges that a node keeps, where the discretisation says how many; its own number, 2, with 0.
        threshold: of :func:`open_gates`, 0.85 without.

    Raises:
        SettingsError: none has this name, an unknown score, or a number that is out of range or would change nothing.
    """
    _check(name, relaxed_by, kept, threshold)
    if edge_score not in ("", *EDGE_SCORES):
        raise SettingsError(unknown("edge score", edge_score, EDGE_SCORES))
    more: dict[str, Any] = {"k": kept} if kept else {}
    if threshold is not None:
        more["threshold"] = threshold
    if name == "darts":
        more["edge_score"] = edge_score or ("alpha" if relaxed_by == "sigmoid" else "softmax")
    return partial(DISCRETISATIONS[name], **more)


def _check(name: str, relaxed_by: str, kept: int, threshold: float | None) -> None:
    if name not in DISCRETISATIONS:
        raise SettingsError(unknown("discretisation", name, DISCRETISATIONS))
    if not isinstance(kept, int) or isinstance(kept, bool) or kept < 0:
        raise SettingsError(f"kept must be a whole number of at least 0, not {kept!r}")
    if kept and name not in COUNTED:
        raise SettingsError(f"kept would change nothing: cells of {name} keep as many edges as their rule says")
    if name in THRESHOLDED and relaxed_by != "sigmoid":
        raise SettingsError(f"cells of {name} compare gates with a threshold, and {relaxed_by} has none; take sigmoid")
    if threshold is None:
        return
    if name not in THRESHOLDED:
        raise SettingsError(f"threshold would change nothing: cells of {name} have none; {', '.join(THRESHOLDED)} do")
    if not isinstance(threshold, (int, float)) or not 0 < threshold < 1:
        raise SettingsError(f"threshold must be a number between 0 and 1, not {threshold!r}")


def _finite(alpha: Tensor) -> Tensor:
    if not bool(alpha.isfinite().all()):
        raise SettingsError("the architecture parameters are not finite; lower the learning rates of the search")
    return alpha.detach().cpu().double()


def _candidates(
    alpha: Tensor, scores: Tensor, nodes: int, operations: Sequence[str], none_selectable: bool
) -> list[list[Key]]:
    """Per node the pairs that there are, ``(-score, predecessor, operation)``: sorting puts the best first and settles ties."""
    columns = [o for o, name in enumerate(operations) if none_selectable or name != NONE]
    there = (alpha > FAR).tolist()
    found = []
    for rows in bundles(nodes):
        values = list(enumerate(zip(scores[rows].tolist(), there[rows])))
        found.append([(-row[o], i, o) for i, (row, has) in values for o in columns if has[o]])
    return found


def _best(pairs: Sequence[Key], k: int | None, per_edge: int | None) -> list[Key]:
    """The best pairs of every predecessor, of those ``k`` predecessors whose best one is better than the others'."""
    edges: dict[int, list[Key]] = {}
    for key in sorted(pairs):
        edges.setdefault(key[1], []).append(key)
    return sorted(key for edge in sorted(edges.values())[:k] for key in edge[:per_edge])


def _named(keys: list[Key], operations: Sequence[str]) -> list[Pair]:
    return [(operations[o], i) for _, i, o in keys]
