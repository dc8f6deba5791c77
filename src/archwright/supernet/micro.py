"""The micro search of ICDARTS: cells with an operation list of its own on every edge, in any template (Herron 2023, 2-4).

Written from the equations; the lists of a tournament's games, the template ablations, the cell variants and the
four cell types of hierarchical search are all settings of :func:`search_cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from archwright.data import Data
from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import derived_seed, seeded
from archwright.layers.bands import merge_in_stem
from archwright.layers.cells import (
    NONE,
    Cell,
    CellInputs,
    CellNetwork,
    DistillationHead,
    Nodes,
    sum_of,
)
from archwright.layers.operations import MASTER, OPERATION_SETS, OPERATIONS, check_operation, operation, with_affine
from archwright.layers.templates import TEMPLATES, Template, cell_network
from archwright.shapes import merged
from archwright.space.cells import reductions
from archwright.supernet.discretisation import Discretisation, ZeroConfiguration, discretisation, zeros
from archwright.supernet.duo import Duo
from archwright.supernet.joint import Found, OnEpoch, joint_search
from archwright.supernet.losses import LATENCY, expected_latency
from archwright.supernet.mixture import State, mixture
from archwright.supernet.relaxation import FAR, bundles, initial, number_of_edges, relaxation
from archwright.supernet.settings import JointSettings
from archwright.supernet.tournament import Lists

CellRule = Literal["darts", "idarts", "xdarts", "sparse", "edge", "complete"]
RELAXED_BY: Mapping[str, str] = {
    "darts": "softmax", "idarts": "node-softmax", "xdarts": "node-softmax",
    "sparse": "sigmoid", "edge": "sigmoid", "complete": "sigmoid",
}  # fmt: skip
"""The relaxation that goes with each discretisation."""


@dataclass(frozen=True)
class MicroSettings:
    """What is searched.

    Attributes:
        operations: the candidates of every edge, where ``lists`` does not say otherwise.
        lists: candidates per cell type and edge.
        cell: how alpha becomes cells.
        relaxation: how alpha becomes weights; the one that goes with ``cell`` without.
        nodes: of a cell.
        types: with 0 a normal and a reduction cell; else so many normal cells that take turns, position ``m`` being of type
            ``m mod types``, and reduce in the usual places by stride.
        channels: of the first cells' nodes, in both networks.
        search_cells, evaluation_cells: of the search and of the evaluation network.
        edge_score: what DARTS's cells rank edges by, the ``softmax`` of alpha or ``alpha`` itself; what goes with the
            relaxation without.
        kept: edges that a node keeps, in cells of ``darts``, ``idarts`` and ``sparse``; 2 with 0.
        threshold: that a gate must reach to be kept, in cells of ``sparse``, ``edge`` and ``complete``; 0.85 without.
        evaluation_affine: whether the evaluation network's batch norms scale and shift.
        zeros: what stands for "no operation" in each phase, ``V0`` to ``V4`` (table 3.1).
        template: what surrounds the cells.
        latency: table of the operations for the penalty.

    Raises:
        SettingsError: a number below 1, fewer than three cells, an unknown cell rule, or a latency table with gaps.
    """

    operations: tuple[str, ...] = OPERATION_SETS["darts"]
    lists: Lists | None = None
    cell: CellRule = "darts"
    relaxation: str = ""
    nodes: int = 4
    types: int = 0
    channels: int = 16
    search_cells: int = 8
    evaluation_cells: int = 20
    edge_score: str = ""
    kept: int = 0
    threshold: float | None = None
    evaluation_affine: bool = False
    zeros: str = "V1"
    template: Template = TEMPLATES["base"]
    latency: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.cell not in RELAXED_BY:
            raise SettingsError(unknown("cell rule", self.cell, RELAXED_BY))
        relaxation(self.relaxed_by)
        self.discretised()
        if not isinstance(self.evaluation_affine, bool):
            raise SettingsError(f"evaluation_affine must be true or false, not {self.evaluation_affine!r}")
        if min(self.nodes, self.channels) < 1 or min(self.search_cells, self.evaluation_cells) < 3:
            raise SettingsError("a cell search needs at least one node and channel, and three cells in each network")
        if self.types < 0:
            raise SettingsError(f"the number of cell types cannot be negative, and is {self.types}")
        if self.lists is not None and zeros(self.zeros).search:
            raise SettingsError(f"lists of single edges have no zero operation; leave {self.zeros} out")
        for name in self.columns:
            if name not in OPERATIONS and name != NONE:
                raise SettingsError(unknown("operation", name, OPERATIONS))
        if NONE in self.operations:
            raise SettingsError("none is no operation among others; zeros (V0 to V4) says what stands for it")
        twice = [name for name in self.operations if self.operations.count(name) > 1]
        if twice:
            raise SettingsError(f"the operation {twice[0]} is named twice")

    @property
    def relaxed_by(self) -> str:
        """The relaxation's name."""
        return self.relaxation or RELAXED_BY[self.cell]

    def discretised(self) -> Discretisation:
        """The rule by which alpha becomes cells."""
        return discretisation(self.cell, self.relaxed_by, self.edge_score, self.kept, self.threshold)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Cell types that have parameters."""
        if self.types:
            return tuple(f"type{t}" for t in range(self.types))
        return ("normal", "reduce") if self.template.reduction == "cell" else ("normal",)

    @property
    def zero(self) -> ZeroConfiguration:
        """What stands for "no operation"."""
        return zeros(self.zeros)

    @property
    def _shared(self) -> tuple[str, ...]:
        """The candidates of every edge, where they are the same ones."""
        return self.zero.names(self.template.candidates(self.operations))

    @property
    def edge_lists(self) -> dict[str, list[tuple[str, ...]]]:
        """Per cell type the candidates of every edge."""
        if self.lists is None:
            own = self._shared
            return {kind: [own] * number_of_edges(self.nodes) for kind in self.kinds}
        found = {kind: [self.template.candidates(names) for names in self.lists.get(kind, ())] for kind in self.kinds}
        if any(len(rows) != number_of_edges(self.nodes) for rows in found.values()):
            raise SettingsError(
                f"lists must have {number_of_edges(self.nodes)} edges for each of {', '.join(self.kinds)}"
            )
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """All candidates, in the order of the master space, columns of the parameters."""
        used = {name for rows in self.edge_lists.values() for names in rows for name in names}
        if self.lists is None:
            return self._shared
        order = [*MASTER, *(n for n in OPERATIONS if n not in MASTER)]
        return tuple(n for n in order if n in used) + tuple(sorted(used - set(order)))

    def kind(self, position: int, reduces: bool) -> str:
        """The cell type at a position."""
        return f"type{position % self.types}" if self.types else "reduce" if reduces else "normal"

    def positions(self, cells: int) -> list[int]:
        """Where a network has cells rather than what replaces reduction cells."""
        plain = self.template.reduction != "cell"
        return [m for m in range(cells) if not (plain and m in reductions(cells))]

    def counts(self, cells: int) -> dict[str, int]:
        """How many cells of each type a network has."""
        kinds = [self.kind(m, m in reductions(cells)) for m in self.positions(cells)]
        return {kind: kinds.count(kind) for kind in self.kinds}


class MixedCell(nn.Module):
    """A cell that can be any: under weights ``edges x operations`` per type, or as the cell with given nodes."""

    def __init__(
        self, before: int, last: int, width: int, reduces: bool, last_reduced: bool, kind: str,
        lists: Sequence[Sequence[str]], columns: Sequence[str], nodes: int, none: str = "zero",
    ) -> None:  # fmt: skip
        super().__init__()
        self.inputs = CellInputs(before, last, width, last_reduced, affine=False)
        self.kind, self.rows, self.stride = kind, bundles(nodes), 2 if reduces else 1
        self.columns = {name: i for i, name in enumerate(columns)}
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    n: operation(none if n == NONE else n, width, 2 if reduces and i < 2 else 1, affine=False)
                    for n in lists[rows.start + i]
                }
            )
            for rows in self.rows
            for i in range(rows.stop - rows.start)
        )

    def forward(self, before: Tensor, last: Tensor, mix: Mapping[str, Any]) -> Tensor:
        """``batch x nodes * width x h' x w'``; ``mix`` has weights or nodes for the cell's type."""
        states, own = [State(x) for x in self.inputs(before, last)], mix[self.kind]
        weights = own.flatten().unbind() if isinstance(own, Tensor) else ()
        for j, rows in enumerate(self.rows):
            if isinstance(own, Tensor):
                edges = [(self._edge(row), weights[row * own.shape[1] :]) for row in range(rows.start, rows.stop)]
                states.append(State(mixture(states, edges, self.columns)))
            else:
                kept = [self._edge(rows.start + i)[name](states[i].x) for name, i in own[j]]
                states.append(State(sum_of(kept) if kept else self._zeros(states[0].x)))
        return torch.cat([state.x for state in states[2:]], dim=1)

    def _zeros(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])

    def _edge(self, row: int) -> nn.ModuleDict:
        return cast(nn.ModuleDict, self.edges[row])


@dataclass(frozen=True)
class MicroFound:
    """The cells that a search found, per type, and how it came to them."""

    cells: Mapping[str, Nodes]
    alpha: Mapping[str, list[list[float]]]
    search: Found
    expected_latency: float | None


def search_cells(
    data: Data, micro: MicroSettings, settings: JointSettings, *, seed: int = 0, device: str | torch.device = "cpu",
    checkpoint: Path | None = None, on_epoch: OnEpoch | None = None,
) -> MicroFound:  # fmt: skip
    """ICDARTS (algorithm 1) on images.

    Args:
        data: images; see :func:`~archwright.supernet.joint.joint_search`.
        micro: what is searched.
        settings: how.
        seed, device, checkpoint, on_epoch: of the joint search.

    Raises:
        SettingsError: data that is no image, a penalty whose table lacks an operation, or what the joint search raises.
    """
    check_images(data)
    if micro.relaxed_by == "gumbel" and any(step.unrolled for step in settings.joint_steps):
        raise SettingsError("second order compares losses under the same weights, and gumbel draws new ones each time")
    duo, alpha, mask, penalty = micro_duo(micro, merged(data.input_shape)[0], data.num_classes, seed)
    for network in (duo.student, duo.teacher):
        merge_in_stem(network, data.input_shape)
    if settings.penalty:
        penalty()
    found = joint_search(duo, data, settings, seed=seed, device=device, checkpoint=checkpoint, on_epoch=on_epoch)
    values = {kind: [row[m].tolist() for row, m in zip(alpha[kind].detach().cpu(), mask[kind])] for kind in micro.kinds}
    known = all(name in (micro.latency or LATENCY) for name in micro.columns)
    return MicroFound(found.choice, values, found, float(penalty().detach()) if known else None)


def check_images(data: Data) -> None:
    """Refuse data that cells cannot take.

    Raises:
        SettingsError: a table, or images too small to be halved twice.
    """
    if data.kind != "image":
        raise SettingsError(f"cells are searched on images, and {data.name} is a table; the family mlp takes tables")
    _, height, width = merged(data.input_shape)
    if min(height, width) < 4:
        raise SettingsError(
            f"the networks halve the image twice and need at least 4 x 4 pixels; the data has {height} x {width}"
        )


def micro_duo(
    micro: MicroSettings, c_in: int, num_classes: int, seed: int
) -> tuple[Duo, dict[str, nn.Parameter], dict[str, Tensor], Callable[[], Tensor]]:
    """The networks of a cell search, alpha, which of its entries exist, and the expected latency.

    Raises:
        FamilyError: an operation that changes the shape of what it reads.
    """
    with seeded(0):
        for name in micro.columns:
            check_operation("zero" if name == NONE else name, micro.channels)
    columns, lists = micro.columns, micro.edge_lists
    generator = torch.Generator().manual_seed(derived_seed(seed, 20))
    alpha = {k: nn.Parameter(initial(micro.nodes, len(columns), generator)) for k in micro.kinds}
    mask = {k: torch.tensor([[name in names for name in columns] for names in lists[k]]) for k in micro.kinds}
    with seeded(derived_seed(seed, 21)):
        networks = [
            mixed_network(micro, c_in, num_classes, cells, none or "zero")
            for cells, none in (
                (micro.search_cells, micro.zero.search),
                (micro.evaluation_cells, micro.zero.evaluation),
            )
        ]
        heads = shared_heads(networks[0].reduced_channels if micro.template.heads else [], num_classes)
    if micro.evaluation_affine:
        with_affine(networks[1])
    relaxed = relaxation(micro.relaxed_by)
    discrete = micro.discretised()
    bare = [i for i, name in enumerate(columns) if name == "skip_connect" or "_pool_" in name]

    def masked(kind: str) -> Tensor:
        own = alpha[kind]
        return own.masked_fill(~mask[kind].to(own.device), FAR)

    def weights() -> dict[str, Tensor]:
        device = next(networks[0].parameters()).device
        return {kind: relaxed(masked(kind), micro.nodes, None).to(device) for kind in micro.kinds}

    def penalty() -> Tensor:
        table = LATENCY if micro.latency is None else micro.latency
        return expected_latency(weights(), micro.nodes, columns, micro.counts(micro.search_cells), table)

    def discretise() -> dict[str, Any]:
        return {kind: discrete(masked(kind), micro.nodes, columns, micro.zero.selectable) for kind in micro.kinds}

    def plain() -> Tensor:
        return torch.stack([(alpha[k] * mask[k].to(alpha[k].device))[:, bare].abs().sum() for k in micro.kinds]).sum()

    return Duo(networks[0], networks[1], alpha, weights, discretise, heads, penalty, plain), alpha, mask, penalty


def random_cells(micro: MicroSettings, seed: int) -> dict[str, Nodes]:
    """Cells without a search: normal parameters, discretised as the search would (the baseline of Herron 2023, 3.2.2)."""
    generator = torch.Generator().manual_seed(derived_seed(seed, 22))
    discrete, columns = micro.discretised(), micro.columns
    alpha = {k: torch.randn(number_of_edges(micro.nodes), len(columns), generator=generator) for k in micro.kinds}
    return {k: discrete(own, micro.nodes, columns, micro.zero.selectable) for k, own in alpha.items()}


def mixed_network(micro: MicroSettings, c_in: int, num_classes: int, cells: int, none: str = "zero") -> CellNetwork:
    """A network of mixed cells; its batch norms do not scale, but for the stem's. ``none`` stands for no operation."""
    positions, lists = iter(micro.positions(cells)), micro.edge_lists

    def make(before: int, last: int, width: int, reduces: bool, last_reduced: bool) -> nn.Module:
        kind = micro.kind(next(positions), reduces)
        return MixedCell(
            before, last, width, reduces, last_reduced, kind, lists[kind], micro.columns, micro.nodes, none
        )  # fmt: skip

    return cell_network(c_in, num_classes, micro.channels, cells, micro.nodes, make, micro.template, affine=False)


def shared_heads(channels: Sequence[int], num_classes: int) -> nn.ModuleList:
    """The frozen distillation heads that both networks share."""
    return nn.ModuleList(DistillationHead(c, num_classes) for c in channels)


def final_network(
    cells: Mapping[str, Nodes], c_in: int, num_classes: int, *, channels: int = 36, depth: int = 20,
    around: Template = TEMPLATES["base"], tower: bool = True, none: Literal["", "zero", "random"] = "",
) -> CellNetwork:  # fmt: skip
    """The network that is retrained: found cells in the template they were searched in.

    Args:
        cells: ``normal`` and ``reduce`` (or ``normal`` alone where the template replaces reduction cells), or types.
        c_in, num_classes: of the data.
        channels, depth: of the network.
        around: the template.
        tower: with the auxiliary tower of retraining.
        none: what stands for edges without operation, zeros by default.

    Raises:
        SettingsError: cell types with different numbers of nodes.
    """
    types = sum(name.startswith("type") for name in cells)
    widths = {len(nodes) for nodes in cells.values()}
    if len(widths) != 1:
        raise SettingsError(f"the cells of a network need equally many nodes, not {sorted(widths)}")
    plain = reductions(depth) if around.reduction != "cell" else ()
    positions = iter([m for m in range(depth) if m not in plain])

    def make(before: int, last: int, width: int, reduces: bool, last_reduced: bool) -> nn.Module:
        kind = f"type{next(positions) % types}" if types else "reduce" if reduces else "normal"
        return Cell(before, last, width, reduces, last_reduced, cells[kind], none or "zero")

    return cell_network(c_in, num_classes, channels, depth, widths.pop(), make, around, tower)
