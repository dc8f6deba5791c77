"""Distillation and expected latency against the figures that their definitions give."""

import pytest
import torch

from archwright.errors import SettingsError
from archwright.hardware.shares import PUBLISHED, weights_of
from archwright.supernet.losses import LATENCY, _nodes, distillation, expected_latency
from archwright.supernet.relaxation import bundles, per_edge, per_node

NAMES = tuple(PUBLISHED.weights)
COUNTS = {"normal": 6, "reduce": 2}


def penalty(alpha: torch.Tensor) -> float:
    return penalties(alpha, alpha).item()


def penalties(normal: torch.Tensor, reduce: torch.Tensor) -> torch.Tensor:
    return expected_latency({"normal": per_node(normal, 4), "reduce": per_node(reduce, 4)}, 4, NAMES, COUNTS)


def pointing(pairs: list[list[int]], operation: str) -> torch.Tensor:
    alpha = torch.full((14, 7), -60.0)
    for rows, predecessors in zip(bundles(4), pairs):
        alpha[[rows.start + i for i in predecessors], NAMES.index(operation)] = 60.0
    return alpha


def test_distillation_value_and_teacher() -> None:
    student, teacher = torch.zeros(1, 2, requires_grad=True), torch.tensor([[2.0, 0.0]])
    assert distillation(student, teacher, 2.0).item() == pytest.approx(0.443776, abs=1e-6)
    assert distillation(student, teacher, 2.0).item() / 4 == pytest.approx(0.110944, abs=1e-6)
    assert distillation(student, teacher, 2.0, "mean").item() == pytest.approx(0.221888, abs=1e-6)
    equal = distillation(student, student.detach())
    equal.backward()
    assert equal.item() == 0
    assert student.grad is not None
    assert student.grad.abs().max() == 0


@pytest.mark.parametrize(
    ("alpha", "value"),
    [
        (torch.zeros(14, 7), 1.642465),
        (pointing([[0, 1]] * 4, "skip_connect"), 0.32),
        (pointing([[0, 1]] * 4, "sep_conv_5x5"), 2.88),
        (pointing([[1], [2], [3], [4]], "sep_conv_5x5"), 8.450653),
        (pointing([list(range(j + 2)) for j in range(4)], "sep_conv_5x5"), 4.191285),
    ],
)
def test_expected_latency_values(alpha: torch.Tensor, value: float) -> None:
    assert penalty(alpha) == pytest.approx(value, abs=1e-5)


def test_expected_latency_of_every_node_under_equal_parameters() -> None:
    own = torch.tensor([LATENCY[name] for name in NAMES], dtype=torch.float64)
    nodes = _nodes(per_node(torch.zeros(14, 7, dtype=torch.float64), 4), own, 4)
    assert nodes.tolist() == pytest.approx([1 / 7, 0.190476, 0.226190, 0.254762], abs=1e-6)
    assert float((nodes * nodes.softmax(0)).sum()) == pytest.approx(0.205308, abs=1e-6)


def test_expected_latency_gradient() -> None:
    normal, reduce = (torch.zeros(14, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    penalties(normal, reduce).backward()
    for alpha, share in ((normal, 1.0), (reduce, 1 / 3)):
        assert alpha.grad is not None
        assert alpha.grad[0, NAMES.index("sep_conv_5x5")].item() == pytest.approx(0.044693 * share, abs=1e-6)
        assert alpha.grad[0, NAMES.index("skip_connect")].item() == pytest.approx(-0.021171 * share, abs=1e-6)
    assert torch.autograd.gradcheck(penalties, (normal, reduce))


def test_descent_on_latency_alone_prefers_cheap_operations_on_the_inputs() -> None:
    alpha = torch.zeros(14, 7, requires_grad=True)
    optimizer = torch.optim.Adam([alpha], lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        penalties(alpha, alpha).backward()
        optimizer.step()
    last = per_node(alpha.detach(), 4)[bundles(4)[3]]
    assert last[:2, NAMES.index("skip_connect")].min() > 1 / 35
    assert last[2:].sum() < 3 / 5


def test_weights_per_edge_are_scaled_to_one_per_node() -> None:
    alpha = torch.zeros(14, 7)
    edge = {kind: per_edge(alpha, 4) for kind in COUNTS}
    assert expected_latency(edge, 4, NAMES, COUNTS).item() == pytest.approx(1.642465, abs=1e-5)


def test_latency_table_from_measurements() -> None:
    assert sum(LATENCY.values()) == pytest.approx(1)
    measured = dict(zip(NAMES, (16, 14, 34, 46, 21, 25, 14)))
    assert weights_of(10, measured) == pytest.approx({name: LATENCY[name] for name in NAMES})
    faster = weights_of(15, measured)
    assert faster["max_pool_3x3"] == 0
    assert sum(faster.values()) == pytest.approx(1)
    with pytest.raises(SettingsError, match="measure with more repeats"):
        weights_of(99, measured)
    with pytest.raises(SettingsError, match="no entry for conv_9x9"):
        expected_latency({"normal": torch.ones(2, 1)}, 1, ["conv_9x9"], {"normal": 1})
