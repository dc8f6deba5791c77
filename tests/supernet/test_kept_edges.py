"""How many edges a node keeps, and cells of operations whose own gate is open (Chu et al. 2020)."""

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SettingsError
from archwright.families.darts import OPERATIONS
from archwright.genotypes import depth, operation_counts, parse_cells
from archwright.genotypes.networks import darts_family
from archwright.supernet.discretisation import DISCRETISATIONS, discretisation
from archwright.supernet.micro import MicroSettings, final_network, micro_duo, mixed_network
from archwright.supernet.relaxation import FAR, initial

GATED = ("sparse", "edge", "complete")


def logit(gate: float) -> float:
    return float(torch.tensor(gate, dtype=torch.float64).logit())


def drawn(seed: int, nodes: int = 4, spread: float = 3000.0) -> torch.Tensor:
    return spread * initial(nodes, 7, torch.Generator().manual_seed(seed))


def cells(rule: str, alpha: torch.Tensor, nodes: int = 4, **more: float) -> list[list[tuple[str, int]]]:
    relaxed_by = "sigmoid" if rule in GATED else "softmax"
    return discretisation(rule, relaxed_by, **more)(alpha, nodes, OPERATIONS, False)  # type: ignore[arg-type]


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_a_node_keeps_so_many_edges_or_all_that_there_are(seed: int, nodes: int, kept: int) -> None:
    alpha = drawn(seed, nodes)
    assert [len(node) for node in cells("darts", alpha, nodes, kept=kept)] == [min(kept, j + 2) for j in range(nodes)]
    assert [len(node) for node in cells("idarts", alpha, nodes, kept=kept)] == [kept] * nodes
    more = cells("idarts", alpha, nodes, kept=kept + 1)
    assert all(set(few) < set(many) for few, many in zip(cells("idarts", alpha, nodes, kept=kept), more))


def test_two_edges_are_kept_without_a_number() -> None:
    for rule in ("darts", "idarts", "sparse"):
        assert cells(rule, drawn(1)) == cells(rule, drawn(1), kept=2)


def test_gates_just_below_the_threshold_keep_nothing() -> None:
    closed, ajar = torch.full((14, 7), logit(0.84)), torch.full((14, 7), logit(0.86))
    for rule, number in (("sparse", 8), ("edge", 28), ("complete", 98)):
        assert cells(rule, closed) == [[]] * 4
        assert sum(map(len, cells(rule, ajar))) == number
        assert sum(map(len, cells(rule, closed, threshold=0.8))) == number
    assert sum(map(len, cells("darts", closed))) == 8


@given(st.integers(0, 1000), st.floats(0.05, 0.95))
@settings(max_examples=30, deadline=None)
def test_open_gates_are_kept_as_the_rules_say(seed: int, threshold: float) -> None:
    alpha = drawn(seed)
    gates = alpha.double().sigmoid()
    sparse, edge, complete = (cells(rule, alpha, threshold=threshold) for rule in GATED)
    ranked = discretisation("darts", "sigmoid")(alpha, 4, OPERATIONS, False)
    row = 0
    for j in range(4):
        opened = {(o, i) for i in range(j + 2) for o, g in zip(OPERATIONS, gates[row + i].tolist()) if g >= threshold}
        assert set(complete[j]) == opened
        assert set(sparse[j]) == set(ranked[j]) & opened
        for i in range(j + 2):
            best = [o for o, _ in sorted(zip(OPERATIONS, gates[row + i].tolist()), key=lambda pair: -pair[1])][:2]
            assert {o for o, p in edge[j] if p == i} == {o for o in best if (o, i) in opened}
        row += j + 2


def test_operations_that_an_edge_does_not_have_are_never_kept() -> None:
    alpha = torch.full((2, 7), FAR)
    alpha[0, 3], alpha[1, 4] = 2.0, 1.0
    for rule in DISCRETISATIONS:
        (node,) = cells(
            rule,
            alpha,
            1,
            **({"kept": 9} if rule in ("darts", "idarts") else {"threshold": 0.01} if rule in GATED else {}),
        )
        assert set(node) == {("sep_conv_3x3", 0), ("sep_conv_5x5", 1)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kept": 3, "cell": "xdarts"}, "kept would change nothing: cells of xdarts"),
        ({"kept": 3, "cell": "edge"}, "kept would change nothing: cells of edge"),
        ({"kept": -1}, "kept must be a whole number of at least 0, not -1"),
        ({"kept": True}, "kept must be a whole number"),
        ({"threshold": 0.5}, "threshold would change nothing: cells of darts have none; sparse, edge, complete do"),
        ({"threshold": 1.5, "cell": "edge"}, "threshold must be a number between 0 and 1, not 1.5"),
        ({"threshold": "high", "cell": "edge"}, "threshold must be a number between 0 and 1, not 'high'"),
        ({"cell": "sparse", "relaxation": "softmax"}, "compare gates with a threshold, and softmax has none"),
        ({"cell": "spars"}, "did you mean sparse"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, message) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        MicroSettings(**options)


def test_an_empty_node_gives_zeros_in_every_network() -> None:
    """In the evaluation network, in the retrained one, and in the family that stores it; nothing counts it as an operation."""
    nodes = [[("skip_connect", 0), ("sep_conv_3x3", 0), ("max_pool_3x3", 1)], []]
    found = {"normal": nodes, "reduce": [[], nodes[0]]}
    micro = MicroSettings(nodes=2, channels=4, search_cells=3, evaluation_cells=3, cell="edge")
    with torch.no_grad():
        _, maps = mixed_network(micro, 3, 2, 3).features(torch.rand(2, 3, 9, 9), found)
        assert [m.shape[-1] for m in maps] == [5, 3]
        assert not maps[1][:, : maps[1].shape[1] // 2].any()
        assert maps[1].any()
    assert final_network(found, 3, 2, channels=2, depth=3).eval()(torch.rand(2, 3, 9, 9)).shape == (2, 2)
    parsed = parse_cells(found)
    family, architecture = darts_family(parsed, channels=2, cells=3)
    assert family.options["rule"] == "any"
    again = family.cells.cells(architecture)
    assert {kind: [set(map(tuple, node)) for node in own] for kind, own in again.items()} == {
        kind: [set(node) for node in own] for kind, own in found.items()
    }
    assert parse_cells(family.cells.to_text(architecture)).kinds == parse_cells(again).kinds
    assert operation_counts(parsed, 3).total() == 9
    assert [depth(parsed, kind) for kind in ("normal", "reduce")] == [1, 1]


def test_an_empty_evaluation_network_still_learns_its_last_layer() -> None:
    micro = MicroSettings(nodes=1, channels=2, search_cells=3, evaluation_cells=3, cell="sparse")
    duo, *_ = micro_duo(micro, 1, 2, 0)
    empty = duo.discretise()
    assert set(map(len, chain(*empty.values()))) == {0}
    last, _ = duo.teacher.features(torch.rand(2, 1, 8, 8), empty)
    torch.nn.functional.cross_entropy(duo.teacher.head(last), torch.tensor([0, 1])).backward()
    assert sum(p.grad is not None for p in duo.teacher.parameters()) == 2
