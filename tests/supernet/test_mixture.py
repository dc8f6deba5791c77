"""The sum into a node is that of the operations, one by one, in value, gradients and running statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archwright.layers.operations import MASTER, OPERATION_SETS, OPERATIONS, without_affine
from archwright.supernet.micro import MicroSettings, MixedCell, micro_duo
from archwright.supernet.relaxation import number_of_edges

NAMES = [name for name in OPERATIONS if name != "random"]


def edge_by_edge(cell: MixedCell, before: Tensor, last: Tensor, weights: Tensor) -> Tensor:
    """The equations, one operation at a time."""
    states = list(cell.inputs(before, last))
    for rows in cell.rows:
        terms = [
            weights[row, cell.columns[name]] * made(states[row - rows.start])
            for row in range(rows.start, rows.stop)
            for name, made in cell.edges[row].items()
        ]
        states.append(torch.stack(terms).sum(0))
    return torch.cat(states[2:], dim=1)


def outcome(cell: MixedCell, run: object, inputs: list[Tensor], weights: Tensor) -> list[Tensor]:
    """Output, gradients, and buffers afterwards."""
    inputs, weights = [x.clone().requires_grad_() for x in inputs], weights.clone().requires_grad_()
    out = run(*inputs, weights)  # type: ignore[operator]
    scale = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)
    parameters = list(cell.parameters())
    gradients = torch.autograd.grad((out * scale).sum(), [*inputs, weights, *parameters], allow_unused=True)
    zeros = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, [*inputs, weights, *parameters])]
    return [out.detach(), *zeros, *cell.buffers()]


def compare(
    cell: MixedCell, inputs: list[Tensor], seed: int, tolerance: float = 1e-9, dtype: torch.dtype = torch.float64
) -> None:
    cell = cell.to(dtype)
    rows, columns = number_of_edges(len(cell.rows)), len(cell.columns)
    weights = torch.rand(rows, columns, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    inputs = [x.to(dtype) for x in inputs]
    other = copy.deepcopy(cell)
    ours = outcome(cell, lambda *given: cell(*given[:2], {cell.kind: given[2]}), inputs, weights)
    wanted = outcome(other, lambda *given: edge_by_edge(other, *given), inputs, weights)
    for a, b in zip(ours, wanted, strict=True):
        largest = max(1.0, float(b.abs().max())) if b.numel() else 1.0
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * largest)


@settings(max_examples=20, deadline=None)
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True), nodes=st.integers(1, 3), reduces=st.booleans(),
    size=st.integers(5, 8), last=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_operations_nodes_and_sizes(
    names: list[str], nodes: int, reduces: bool, size: int, last: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    lists = [[n for n in names if torch.rand(()) < 0.7] or names[:1] for _ in range(number_of_edges(nodes))]
    cell = MixedCell(6, 5, 4, reduces, False, "normal", lists, names, nodes)
    inputs = [torch.randn(2, c, size, size + 1) for c in (6, 5)]
    compare(cell, [x.contiguous(memory_format=torch.channels_last) if last else x for x in inputs], seed)


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_darts_cell_of_four_nodes_with_none(reduces: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    names = (*OPERATION_SETS["darts"], "none")
    cell = MixedCell(6, 6, 8, reduces, False, "normal", [names] * 14, names, 4)
    inputs = [torch.randn(4, 6, 8, 8).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    compare(cell, inputs, 0, 1e-10 if dtype is torch.float64 else 2e-5, dtype)


def test_the_master_space() -> None:
    torch.manual_seed(0)
    cell = MixedCell(4, 4, 4, False, False, "normal", [MASTER] * 2, MASTER, 1)
    compare(cell, [torch.randn(2, 4, 6, 6) for _ in range(2)], 0)


def test_an_edge_with_nothing_gives_zeros_and_no_gradient() -> None:
    cell = MixedCell(4, 4, 4, True, False, "normal", [["none"]] * 2, ["none"], 1).double()
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    out = cell(x, x, {"normal": torch.ones(2, 1, dtype=torch.float64)})
    assert out.shape == (2, 4, 4, 4)
    assert not out.any()


def test_evaluation_mode_uses_running_statistics() -> None:
    torch.manual_seed(0)
    names = ("sep_conv_3x3", "dil_conv_5x5")
    cell = MixedCell(4, 4, 4, False, False, "normal", [names] * 2, names, 1).eval()
    compare(cell, [torch.randn(2, 4, 6, 6) for _ in range(2)], 0)


def test_names_in_the_state_are_those_of_the_operations() -> None:
    cell = MixedCell(4, 4, 4, False, False, "normal", [["sep_conv_3x3"]] * 2, ["sep_conv_3x3"], 1)
    operation = without_affine(OPERATIONS["sep_conv_3x3"](4, 1))
    wanted = {f"edges.{i}.sep_conv_3x3.{name}" for i in range(2) for name in operation.state_dict()}
    assert {name for name in cell.state_dict() if name.startswith("edges")} == wanted


def test_constant_maps_stay_finite() -> None:
    names = ("sep_conv_3x3", "dil_conv_3x3", "skip_connect")
    cell = MixedCell(4, 4, 4, False, False, "normal", [names] * 2, names, 1)
    x = torch.full((2, 4, 6, 6), 3.0)
    out = cell(x, x, {"normal": torch.ones(2, 3, requires_grad=True)})
    out.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in cell.parameters() if isinstance(p, nn.Parameter) and p.grad is not None)
    assert out.isfinite().all()


@pytest.mark.parametrize("rule", ["darts", "xdarts"])
def test_whole_networks_agree_under_relaxations_of_edges_and_nodes(rule: str) -> None:
    micro = MicroSettings(cell=rule, channels=4, search_cells=3, evaluation_cells=3, nodes=2)  # type: ignore[arg-type]
    duo, *_ = micro_duo(micro, 3, 4, 0)
    network, other = duo.student.double(), copy.deepcopy(duo.student).double()
    for cell in other.cells:  # type: ignore[union-attr]
        cell.forward = lambda before, last, mix, own=cell: edge_by_edge(own, before, last, mix[own.kind])
    x = torch.randn(4, 3, 9, 9, dtype=torch.float64)
    found = []
    for which in (network, other):
        mix = {kind: w.double() for kind, w in duo.weights().items()}
        loss = which.head(which.features(x, mix)[0]).logsumexp(1).sum()  # type: ignore[operator]
        found.append((loss, *torch.autograd.grad(loss, [*duo.architecture.values(), *which.parameters()])))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)
