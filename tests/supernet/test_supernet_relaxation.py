"""Relaxations and discretisations of supernets."""

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SettingsError
from archwright.families.darts import OPERATIONS
from archwright.supernet.discretisation import DISCRETISATIONS, ZEROS, discretisation, distinct, zeros
from archwright.supernet.relaxation import RELAXATIONS, bundles, gumbel, initial, number_of_edges, relaxation


def drawn(seed: int, nodes: int, width: int = 7) -> torch.Tensor:
    return 1000 * initial(nodes, width, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("nodes", "edges", "kept"),
    [(3, 9, {"darts": 6, "idarts": 6, "xdarts": 9}), (4, 14, {"darts": 8, "idarts": 8, "xdarts": 14}),
     (5, 20, {"darts": 10, "idarts": 10, "xdarts": 20})],
)  # fmt: skip
def test_edges_and_kept_edges_by_number_of_nodes(nodes: int, edges: int, kept: dict[str, int]) -> None:
    assert number_of_edges(nodes) == edges == bundles(nodes)[-1].stop
    for name, number in kept.items():
        assert sum(map(len, DISCRETISATIONS[name](drawn(0, nodes), nodes, OPERATIONS, False))) == number


@given(st.integers(0, 1000), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_softmaxes_sum_to_one_per_edge_or_per_node(seed: int, nodes: int) -> None:
    alpha = drawn(seed, nodes)
    for name in ("softmax", "gumbel"):
        weights = RELAXATIONS[name](alpha, nodes, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(weights.sum(1), torch.ones(len(alpha)))
    for rows in bundles(nodes):
        assert RELAXATIONS["node-softmax"](alpha, nodes, None)[rows].sum().item() == pytest.approx(1, abs=1e-5)
    gates = RELAXATIONS["sigmoid"](alpha, nodes, None)
    assert ((gates > 0) & (gates < 1)).all()


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_darts_keeps_distinct_predecessors(seed: int) -> None:
    for j, pairs in enumerate(distinct(drawn(seed, 4), 4, OPERATIONS, False)):
        predecessors = [i for _, i in pairs]
        assert len(set(predecessors)) == 2
        assert max(predecessors) < j + 2


def test_xdarts_keeps_as_many_pairs_as_a_node_has_predecessors() -> None:
    assert [len(pairs) for pairs in DISCRETISATIONS["xdarts"](drawn(1, 4), 4, OPERATIONS, False)] == [2, 3, 4, 5]


def test_only_rules_over_a_node_repeat_a_predecessor() -> None:
    alpha = torch.zeros(14, 7)
    alpha[0, 3], alpha[0, 4] = 5.0, 4.0
    assert DISCRETISATIONS["idarts"](alpha, 4, OPERATIONS, False)[0] == [("sep_conv_3x3", 0), ("sep_conv_5x5", 0)]
    assert DISCRETISATIONS["xdarts"](alpha, 4, OPERATIONS, False)[0] == [("sep_conv_3x3", 0), ("sep_conv_5x5", 0)]
    assert distinct(alpha, 4, OPERATIONS, False)[0] == [("sep_conv_3x3", 0), ("max_pool_3x3", 1)]


def test_ties_go_to_the_lower_predecessor_then_to_the_first_operation() -> None:
    alpha = torch.zeros(14, 7)
    assert distinct(alpha, 4, OPERATIONS, False)[3] == [("max_pool_3x3", 0), ("max_pool_3x3", 1)]
    assert DISCRETISATIONS["idarts"](alpha, 4, OPERATIONS, False)[3] == [("max_pool_3x3", 0), ("avg_pool_3x3", 0)]


def test_edges_are_ranked_by_probability_or_by_raw_parameter() -> None:
    alpha = torch.full((14, 7), -9.0)
    alpha[2], alpha[3], alpha[4] = 8.0, 7.0, -1.0
    alpha[3, 0], alpha[4, 0] = 7.5, 6.0
    by_probability = distinct(alpha, 4, OPERATIONS, False)[1]
    by_alpha = distinct(alpha, 4, OPERATIONS, False, edge_score="alpha")[1]
    assert {i for _, i in by_probability} == {2, 1}
    assert {i for _, i in by_alpha} == {0, 1}


@pytest.mark.parametrize("version", sorted(ZEROS))
@pytest.mark.parametrize("rule", sorted(DISCRETISATIONS))
def test_none_is_kept_only_where_the_configuration_lets_it_compete(version: str, rule: str) -> None:
    names = zeros(version).names(OPERATIONS)
    alpha = drawn(2, 4, len(names))
    if names[-1] == "none":
        alpha[:, -1] = 50.0
    pairs = list(chain(*DISCRETISATIONS[rule](alpha, 4, names, zeros(version).selectable)))
    if version in ("V0", "V1"):
        assert all(name != "none" for name, _ in pairs)
    elif rule in ("darts", "sparse"):
        assert all(name == "none" for name, _ in pairs)
    else:
        assert all(("none", i) in pairs for i in (0, 1))


def test_phases_of_the_configurations() -> None:
    phases = {name: (z.search, z.evaluation, z.retraining) for name, z in ZEROS.items()}
    assert phases["V2"] == ("random", "random", "random")
    assert phases["V3"] == ("random", "random", "zero")
    assert phases["V4"] == ("random", "zero", "zero")
    assert phases["V0"] == ("zero", "", "")
    assert phases["V1"] == ("", "", "")


def test_gumbel_repeats_with_its_generator() -> None:
    alpha = drawn(3, 4)
    draws = [gumbel(alpha, 4, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_bad_names_and_parameters_are_refused() -> None:
    with pytest.raises(SettingsError, match="did you mean softmax"):
        relaxation("softmx")
    with pytest.raises(SettingsError, match="unknown discretisation"):
        discretisation("dart")
    with pytest.raises(SettingsError, match="V0, V1, V2, V3, V4|did you mean"):
        zeros("V9")
    with pytest.raises(SettingsError, match="not finite"):
        distinct(torch.full((14, 7), float("nan")), 4, OPERATIONS, False)
