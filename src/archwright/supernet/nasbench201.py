"""Search over the cells of NAS-Bench-201 (Dong and Yang 2020): one cell of four nodes, five operations on each of six edges.

What carries over from the cells of DARTS (Herron 2023, section 2) is the relaxation (a softmax per edge), the plain sum at a
node, parameters shared by all cells, batch norms that do not scale, the interplay of search and evaluation network, and the
two frozen heads, which read the blocks between stages here. What does not: every edge keeps exactly one operation, so no
predecessors are chosen; there are no reduction cells, so there is one set of parameters; and ``none`` is an operation like the
others, zeros in every phase, which may win an edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.data import Data
from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import derived_seed, seeded
from archwright.families.nasbench201 import CELL, EDGES, OPERATIONS
from archwright.layers.bands import merge_in_stem
from archwright.layers.cells import NONE, sum_of
from archwright.layers.operations import Random, without_affine
from archwright.layers.skeletons import Reduction, edge_operation, staged
from archwright.shapes import merged
from archwright.space import Architecture
from archwright.space.architecture import Value
from archwright.supernet.discretisation import ZEROS, ZeroConfiguration
from archwright.supernet.duo import Duo
from archwright.supernet.joint import Found, OnEpoch, joint_search
from archwright.supernet.micro import check_images, shared_heads
from archwright.supernet.settings import JointSettings

OWN_ZEROS = "space"
CONFIGURATIONS: Mapping[str, ZeroConfiguration] = {
    OWN_ZEROS: ZeroConfiguration("zero", "zero", "zero"),
    **{name: own for name, own in ZEROS.items() if own.retraining != "random"},
}
"""What may stand for ``none``."""
CONVOLUTIONS = ("nor_conv_1x1", "nor_conv_3x3")


@dataclass(frozen=True)
class EdgeSettings:
    """What is searched.

    Attributes:
        channels: of the first stage, in both networks.
        search_cells, evaluation_cells: per stage, of the search and of the evaluation network.
        stages: of both; each further one doubles the channels and halves the image.
        zeros: ``space``: ``none`` is zeros and may be chosen, as in the benchmark; or ``V0``, ``V1``, ``V3``, ``V4``.

    Raises:
        SettingsError: a number below 1, or an unknown zero configuration.
    """

    channels: int = 16
    search_cells: int = 5
    evaluation_cells: int = 5
    stages: int = 3
    zeros: str = OWN_ZEROS

    def __post_init__(self) -> None:
        if min(self.channels, self.search_cells, self.evaluation_cells, self.stages) < 1:
            raise SettingsError("a search needs at least one channel, stage, and cell per stage in each network")
        if self.zeros == "V2":
            raise SettingsError(
                "nasbench201: V2 retrains with noise, which none of its cells does; V3 retrains with zeros"
            )
        if self.zeros not in CONFIGURATIONS:
            raise SettingsError("nasbench201: " + unknown("zero configuration", self.zeros, CONFIGURATIONS))

    @property
    def zero(self) -> ZeroConfiguration:
        """What stands for ``none`` in each phase."""
        return CONFIGURATIONS[self.zeros]

    @property
    def operations(self) -> tuple[str, ...]:
        """The candidates of every edge, columns of the parameters."""
        return tuple(name for name in OPERATIONS if name != NONE or self.zero.search)


class MixedCell(nn.Module):
    """A cell under weights ``edges x operations``, or as the cell of an architecture.

    Under weights, convolutions that read the same node run as one, and batch norms always use the batch's statistics.

    Args:
        width: channels.
        operations: columns of the weights.
        none: what ``none`` gives, ``zero`` or ``random`` noise.
    """

    def __init__(self, width: int, operations: tuple[str, ...], none: str = "zero") -> None:
        super().__init__()
        self.width, self.noise = width, Random() if none == "random" else None
        self.columns = {name: i for i, name in enumerate(operations)}
        self.edges = nn.ModuleDict(
            {
                f"{i}-{j}": nn.ModuleDict(
                    {n: without_affine(edge_operation(n, width)) for n in operations if n != NONE}
                )
                for i, j in EDGES
            }
        )

    def forward(self, x: Tensor, mix: Tensor | Mapping[str, Value]) -> Tensor:
        """``batch x width x h x w``, as ``x``."""
        return self._mixed(x, mix) if isinstance(mix, Tensor) else self._discrete(x, mix)

    def _mixed(self, x: Tensor, weights: Tensor) -> Tensor:
        arriving: dict[int, list[Tensor]] = {j: [] for j in range(1, CELL.nodes)}
        for i in range(CELL.nodes - 1):
            node = sum_of(arriving[i]) if i else x
            for j, term in zip(range(i + 1, CELL.nodes), self._leaving(i, node, weights)):
                arriving[j].append(term)
        return sum_of(arriving[CELL.nodes - 1])

    def _leaving(self, i: int, x: Tensor, weights: Tensor) -> list[Tensor]:
        """What node ``i`` gives to each later node: all operations of an edge, weighted and added."""
        later = [j for source, j in EDGES if source == i]
        rows = weights[[EDGES.index((i, j)) for j in later]]
        active, pooled = torch.relu(x), functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        convolved = sum_of([self._convolved(name, i, later, active, rows) for name in CONVOLUTIONS])
        terms = []
        for row, term in zip(rows, convolved.chunk(len(later), dim=1)):
            total = term + row[self.columns["skip_connect"]] * x + row[self.columns["avg_pool_3x3"]] * pooled
            terms.append(total if self.noise is None else total + row[self.columns[NONE]] * self.noise(x))
        return terms

    def _convolved(self, name: str, i: int, later: list[int], active: Tensor, rows: Tensor) -> Tensor:
        """One convolution to all later nodes; the weights of the operation scale its batch norm."""
        convolutions = [cast(nn.Conv2d, self._operation(i, j, name)[1]) for j in later]  # type: ignore[index]
        kernel = torch.cat([c.weight for c in convolutions])
        out = functional.conv2d(active, kernel, padding=convolutions[0].padding)
        scale = rows[:, self.columns[name]].repeat_interleave(self.width)
        return functional.batch_norm(out, None, None, scale, torch.zeros_like(scale), training=True)

    def _discrete(self, x: Tensor, architecture: Mapping[str, Value]) -> Tensor:
        """The cell of an architecture; what lies on no way from input to output is not run."""
        genotype = CELL.genotype(architecture)
        nodes: dict[int, Tensor] = {0: x}
        edges = genotype.live_edges() if self.noise is None else genotype.edges
        for j in range(1, CELL.nodes):
            terms = [self._term(i, j, str(name), nodes[i]) for i, end, name in edges if end == j]
            if terms:
                nodes[j] = sum_of(terms)
        return nodes.get(CELL.nodes - 1, torch.zeros_like(x))

    def _term(self, i: int, j: int, name: str, x: Tensor) -> Tensor:
        if name == NONE and self.noise is not None:
            return cast(Tensor, self.noise(x))
        return cast(Tensor, self._operation(i, j, name)(x))

    def _operation(self, i: int, j: int, name: str) -> nn.Module:
        return cast(nn.ModuleDict, self.edges[f"{i}-{j}"])[name]


class MixedNetwork(nn.Module):
    """The benchmark's skeleton with mixed cells; its batch norms do not scale, but for the stem's and the last one."""

    def __init__(self, edge: EdgeSettings, c_in: int, num_classes: int, cells: int, none: str) -> None:
        super().__init__()

        def make(width: int) -> nn.Module:
            return MixedCell(width, edge.operations, none)

        self.stem, *layers, self.head = staged(c_in, num_classes, edge.channels, cells, edge.stages, make)
        self.layers = nn.ModuleList(without_affine(m) if isinstance(m, Reduction) else m for m in layers)
        self.reduced_channels = [edge.channels * 2**stage for stage in range(1, edge.stages)]

    def features(self, x: Tensor, mix: Tensor | Mapping[str, Value]) -> tuple[Tensor, list[Tensor]]:
        """What the head reads, and the outputs of the blocks between stages."""
        reduced, x = [], self.stem(x)
        for layer in self.layers:
            x = layer(x, mix) if isinstance(layer, MixedCell) else layer(x)
            reduced += [x] if isinstance(layer, Reduction) else []
        return x, reduced


@dataclass(frozen=True)
class EdgeFound:
    """The architecture that a search found, and how it came to it.

    Attributes:
        architecture: of the family ``nasbench201``.
        operations: columns of ``alpha``.
        alpha: six rows, in the order of :data:`~archwright.families.nasbench201.EDGES`.
        search: curve and seconds.
        student: the search network, with the weights of the search.
    """

    architecture: Architecture
    operations: tuple[str, ...]
    alpha: tuple[tuple[float, ...], ...]
    search: Found
    student: MixedNetwork


def search_edges(
    data: Data, edge: EdgeSettings, settings: JointSettings, *, seed: int = 0, device: str | torch.device = "cpu",
    checkpoint: Path | None = None, on_epoch: OnEpoch | None = None,
) -> EdgeFound:  # fmt: skip
    """A joint search over NAS-Bench-201's cells; see :func:`~archwright.supernet.joint.joint_search`.

    Raises:
        SettingsError: data that is no image or too small, a penalty, or what the joint search raises.
    """
    check_data(data, edge)
    if settings.penalty:
        raise SettingsError("nasbench201: a penalty on latency knows the cells of DARTS alone; leave penalty out")
    duo = edge_duo(edge, merged(data.input_shape)[0], data.num_classes, seed)
    for network in (duo.student, duo.teacher):
        merge_in_stem(network, data.input_shape)
    found = joint_search(duo, data, settings, seed=seed, device=device, checkpoint=checkpoint, on_epoch=on_epoch)
    alpha = duo.architecture["cell"].detach().cpu().tolist()
    student = cast(MixedNetwork, duo.student)
    return EdgeFound(found.choice, edge.operations, tuple(map(tuple, alpha)), found, student)


def check_data(data: Data, edge: EdgeSettings) -> None:
    """Refuse data that the networks cannot take.

    Raises:
        SettingsError: no images, or too few pixels for the stages.
    """
    check_images(data)
    least, (_, height, width) = 2 ** (edge.stages - 1), merged(data.input_shape)
    if min(height, width) < least:
        raise SettingsError(
            f"{edge.stages} stages need images of at least {least} x {least} pixels; the data has {height} x {width}: use "
            "fewer stages"
        )


def edge_duo(edge: EdgeSettings, c_in: int, num_classes: int, seed: int) -> Duo:
    """The two networks and alpha: normal, of standard deviation 1e-3 (Liu et al. 2019)."""
    generator = torch.Generator().manual_seed(derived_seed(seed, 20))
    alpha = nn.Parameter(1e-3 * torch.randn(len(EDGES), len(edge.operations), generator=generator))
    with seeded(derived_seed(seed, 21)):
        student = MixedNetwork(edge, c_in, num_classes, edge.search_cells, edge.zero.search)
        teacher = MixedNetwork(edge, c_in, num_classes, edge.evaluation_cells, edge.zero.evaluation)
        heads = shared_heads(student.reduced_channels, num_classes)

    def weights() -> Tensor:
        return alpha.softmax(dim=1).to(next(student.parameters()).device)

    bare = [edge.operations.index(name) for name in ("skip_connect", "avg_pool_3x3")]

    def plain() -> Tensor:
        return alpha[:, bare].abs().sum()

    return Duo(student, teacher, {"cell": alpha}, weights, lambda: discretised(alpha, edge), heads, plain=plain)


def discretised(alpha: Tensor, edge: EdgeSettings) -> Architecture:
    """The best operation of every edge, the first of equal ones; ``none`` only where the zero configuration lets it.

    Raises:
        SettingsError: parameters that are not finite.
    """
    if not bool(alpha.isfinite().all()):
        raise SettingsError("the architecture parameters are not finite; lower the learning rates of the search")
    columns = [c for c, name in enumerate(edge.operations) if name != NONE or edge.zero.selectable]
    best = alpha.detach().cpu()[:, columns].argmax(dim=1).tolist()
    return Architecture({f"{i}-{j}": edge.operations[columns[k]] for (i, j), k in zip(EDGES, best)})


def random_edges(edge: EdgeSettings, seed: int) -> Architecture:
    """A cell without a search: normal parameters, discretised as the search would."""
    generator = torch.Generator().manual_seed(derived_seed(seed, 22))
    return discretised(torch.randn(len(EDGES), len(edge.operations), generator=generator), edge)
