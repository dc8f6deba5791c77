"""Genotypes read, counted and compared: known numbers, invariants, bad input."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import FamilyError, SettingsError
from archwright.families.darts import PUBLISHED
from archwright.genotypes import Cells, Group, compare, depth, depth_counts, operation_counts, parse_cells, read_cells
from archwright.genotypes.networks import darts_family

PLAIN = {
    "normal": [[["sep_conv_3x3", 0], ["sep_conv_3x3", 1]]] * 4,
    "reduce": [[["max_pool_3x3", 0], ["max_pool_3x3", 1]]] * 4,
}
CHAIN = {"normal": [[["skip_connect", j + 1]] for j in range(4)]}
OPS = st.sampled_from(["sep_conv_3x3", "skip_connect", "none", "dil_conv_5x5"])


@st.composite
def genotypes(draw):
    def cell():
        size = draw(st.integers(1, 5))
        return [draw(st.lists(st.tuples(OPS, st.integers(0, j + 1)), min_size=1, max_size=6)) for j in range(size)]

    return parse_cells({"normal": cell(), "reduce": cell()})


@pytest.mark.parametrize(("length", "separable", "pools"), [(20, 144, 16), (14, 96, 16), (8, 48, 16)])
def test_counts_are_those_of_the_whole_stacked_network(length, separable, pools):
    assert operation_counts(parse_cells(PLAIN), length) == {"sep_conv_3x3": separable, "max_pool_3x3": pools}


def test_published_cells_have_depth_two():
    cells = parse_cells(PUBLISHED)
    assert (depth(cells, "normal"), depth(cells, "reduce")) == (2, 2)
    assert depth_counts(cells, 20) == {2: 20}


def test_a_chain_is_four_deep_and_parallel_nodes_one():
    assert depth(parse_cells(CHAIN), "normal") == 4
    assert depth(parse_cells(PLAIN), "normal") == 1


def test_reductions_are_at_one_and_two_thirds():
    places = {n: [m for m, kind in enumerate(parse_cells(PLAIN).stack(n)) if kind == "reduce"] for n in (8, 14, 20)}
    assert places == {8: [2, 5], 14: [4, 9], 20: [6, 13]}


def test_edges_without_operation_do_not_connect_but_are_counted():
    cells = parse_cells({"normal": [[["none", 0], ["none", 1]], [["skip_connect", 2], ["none", 0]]]})
    assert depth(cells, "normal") == 0
    assert operation_counts(cells, 2) == {"none": 6, "skip_connect": 2}


def test_nodes_that_are_not_put_out_do_not_make_a_cell_deeper():
    assert depth(parse_cells(CHAIN | {"normal_concat": [2, 3]}), "normal") == 2


def test_an_operation_in_place_of_a_cell_counts_once_at_depth_one():
    cells = parse_cells(PLAIN | {"reduce": "avg_pool_3x3"})
    assert operation_counts(cells, 20)["avg_pool_3x3"] == 2
    assert depth(cells, "reduce") == 1


def test_types_of_cells_alternate_unless_a_sequence_is_given():
    four = {f"normal{t}": [[[f"op{t}", 0]]] for t in range(4)}
    assert operation_counts(parse_cells(four), 6) == {"op0": 2, "op1": 2, "op2": 1, "op3": 1}
    chosen = parse_cells(four | {"sequence": ["normal3"] * 5})
    assert operation_counts(chosen) == {"op3": 5}


@given(genotypes(), st.integers(1, 30))
def test_every_pair_and_every_cell_is_counted(cells, length):
    kept = {kind: sum(map(len, nodes)) for kind, nodes in cells.kinds.items()}
    assert sum(operation_counts(cells, length).values()) == sum(kept[kind] for kind in cells.stack(length))
    assert sum(depth_counts(cells, length).values()) == length
    assert all(0 <= depth(cells, kind) <= len(nodes) for kind, nodes in cells.kinds.items())


@given(genotypes())
def test_genotypes_come_back_from_json(cells):
    assert parse_cells(json.loads(json.dumps(cells.to_json()))) == cells
    assert parse_cells(json.dumps(cells.to_json())) == cells


def test_text_nested_lists_and_range_are_understood():
    flat = parse_cells("Genotype(normal=[('a', 0), ('b', 1), ('a', 2), ('a', 2)], normal_concat=range(2, 4))")
    assert flat == parse_cells({"normal": [[("a", 0), ("b", 1)], [("a", 2), ("a", 2)]]})


def test_results_of_studies_and_their_folders_are_read(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"method": "icdarts", "genotype": PLAIN}))
    (tmp_path / "text.json").write_text(json.dumps({"genotype": PUBLISHED}))
    (tmp_path / "plain.txt").write_text(PUBLISHED + "\n")
    assert read_cells(tmp_path) == read_cells(tmp_path / "result.json") == parse_cells(PLAIN)
    assert read_cells(tmp_path / "text.json") == read_cells(tmp_path / "plain.txt") == parse_cells(PUBLISHED)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Genotype(", "never closed"),
        ("open('x')", "no call with named arguments"),
        ("Genotype(normal=open('x'))", "not a genotype"),
        ({}, "no cells"),
        ({"normal": []}, "must be a list of nodes"),
        ({"normal": [[["a", 2]]]}, "node 2 cannot read state 2"),
        ({"normal": [[["a", -1]]]}, "cannot read state -1"),
        ({"normal": [[["a", 0.5]]]}, "pairs of operation and predecessor"),
        ({"normal": [[["a", True]]]}, "pairs of operation and predecessor"),
        ({"normal": [["a", 0], ["b", 0], ["c", 1]]}, "has 3 pairs"),
        ({"normal": [[["a", 0]]], "normal_concat": [3]}, "normal_concat must name some of the nodes"),
        ({"normal": [[["a", 0]]], "normal_concat": []}, "normal_concat must name some of the nodes"),
        ({"normal": [[["a", 0]]], "sequence": ["other"]}, "the sequence names 'other'"),
        ({"accuracy": 0.9}, "must be a list of nodes"),
    ],
)
def test_what_is_no_genotype_is_refused(content, message):
    with pytest.raises(FamilyError, match=message):
        parse_cells(content)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats()
    | st.sampled_from(["normal", "sep_conv_3x3", "range(3)"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["normal", "normal_concat", "sequence"]), inner)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_anything_is_a_genotype_or_refused(content):
    with contextlib.suppress(FamilyError):
        assert sum(depth_counts(parse_cells(content)).values()) > 0


def test_groups_have_means_over_runs_and_the_same_keys():
    plain, published = parse_cells(PLAIN), parse_cells(PUBLISHED)
    one, two = compare([Group("em", (plain,)), Group("cifar", (plain, published))])
    assert set(one["operations"]) == set(two["operations"])
    separable = two["operations"]["sep_conv_3x3"]
    assert separable["mean"] == (144 + 18 * 5) / 2
    assert separable["std"] == pytest.approx(54 / 2**0.5)
    assert one["operations"]["sep_conv_3x3"]["std"] is None
    assert one["operations"]["dil_conv_3x3"]["mean"] == 0
    assert sum(entry["share"] for entry in two["operations"].values()) == pytest.approx(1)
    assert (one["mean_depth"], two["mean_depth"]) == (1, 1.5)
    half = {"mean": 10, "std": pytest.approx(200**0.5), "share": 0.5}
    assert two["depths"] == {1: half, 2: half}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([], "nothing to compare"),
        ([Group("a", ())], "has no genotype"),
        ([Group("a", (Cells({}, {}),))] * 2, "two groups"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(groups, message):
    with pytest.raises(SettingsError, match=message):
        compare(groups)


@pytest.mark.parametrize(
    ("node", "options"),
    [
        ([("sep_conv_3x3", 0), ("sep_conv_3x3", 1)], {"rule": "darts", "operations": "darts", "none": ""}),
        ([("sep_conv_3x3", 0), ("skip_connect", 0)], {"rule": "idarts", "operations": "darts", "none": ""}),
        ([("none", 0), ("skip_connect", 1)], {"rule": "darts", "none": "zero"}),
    ],
)
def test_cells_find_the_family_that_has_them(node, options):
    cells = parse_cells({"normal": [node] * 3, "reduce": [node] * 3})
    family, architecture = darts_family(cells, channels=4)
    assert {name: family.options[name] for name in options} == options
    assert (family.options["nodes"], family.options["channels"]) == (3, 4)
    assert sorted(family.cells.cells(architecture)["normal"][2]) == sorted(node)


def test_cells_with_an_input_per_state_and_other_operations_have_a_family_too():
    nodes = [[("relu", 0), ("conv_3x3", 0)], [("relu", 2), ("relu", 1), ("tanh", 2)]]
    family, _ = darts_family(parse_cells({"normal": nodes, "reduce": nodes}))
    assert family.options["rule"] == "xdarts"
    assert family.cells.operations[-3:] == ("relu", "conv_3x3", "tanh")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"normal": [[("relu", 0), ("relu", 1)]]}, "a normal and a reduction cell"),
        ({"normal": [[("relu", 0), ("relu", 1)]], "reduce": [[("relu", 0), ("relu", 1)]] * 2}, "equally many nodes"),
        ({k: [[("relu", 0), ("relu", 0), ("relu", 1)]] for k in ("normal", "reduce")}, "has a pair twice"),
        ({k: [[("conv_9x9", 0), ("relu", 1)]] for k in ("normal", "reduce")}, "conv_9x9"),
    ],
)
def test_cells_that_no_family_has_are_refused(cells, message):
    with pytest.raises(FamilyError, match=message):
        darts_family(parse_cells(cells))
