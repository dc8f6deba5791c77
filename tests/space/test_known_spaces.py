"""Spaces of the literature: their published sizes, neighbourhoods and encoding widths."""

from __future__ import annotations

import warnings
from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest

from archwright.errors import SpaceError
from archwright.space import Architecture, Cell, Choice, Genotype, Integer, Space

NB201 = Cell(4, ("none", "skip", "conv1", "conv3", "pool"))
NB101_OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
DARTS_OPERATIONS = ("max_pool", "avg_pool", "skip", "sep3", "sep5", "dil3", "dil5")


def darts(constraints=()):
    """Two cells of four nodes, each node with two edges, each edge with a source and an operation."""
    parameters = {}
    for cell, node, edge in product(("normal", "reduce"), range(1, 5), "ab"):
        parameters[f"{cell}{node}{edge}_from"] = Choice(*range(node + 1))
        parameters[f"{cell}{node}{edge}"] = Choice(*DARTS_OPERATIONS)
    return Space(parameters, constraints=constraints)


def distinct_sources(architecture):
    cells = product(("normal", "reduce"), range(1, 5))
    return all(architecture[f"{c}{n}a_from"] != architecture[f"{c}{n}b_from"] for c, n in cells)


def test_nasbench201_has_15625_cells_24_neighbours_and_one_hot_width_30():
    space = Space(cells=NB201)
    assert space.names == ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
    assert space.size == 5**6 == 15_625
    assert len(set(space.enumerate())) == 15_625
    assert len(space.columns("one_hot")) == 30
    assert len(space.columns("path")) == 4 + 4**2 + 4**3
    assert len(space.neighbours(space.default)) == 24


def test_macronasbenchmark_has_4782969_genotypes_28_neighbours_and_one_hot_width_42():
    space = Space({f"x{i}": Choice("I", "1", "2") for i in range(1, 15)})
    assert space.size == 3**14 == 4_782_969
    assert len(space.neighbours(space.default)) == 28
    assert len(space.columns()) == 42


def test_darts_with_free_sources_has_136_neighbours_and_one_hot_width_168():
    space = darts()
    assert len(space.names) == 32
    assert len(space.columns()) == 168
    for architecture in space.sample(np.random.default_rng(0), 5):
        assert len(space.neighbours(architecture)) == 136


def test_darts_with_distinct_sources_has_120_neighbours():
    space = darts([(distinct_sources, "the two sources of a node must differ")])
    for architecture in space.sample(np.random.default_rng(0), 5):
        assert len(space.neighbours(architecture)) == 120


def test_the_published_description_of_nasbench301_is_read_with_its_exact_size(shared_data):
    cs = pytest.importorskip("ConfigSpace")
    file = shared_data / "darts-space" / "yahpo_nb301_v2" / "config_space.json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = cs.ConfigurationSpace.from_json(file)
    space = Space.from_configspace(source)
    assert space.size == 98 * prod(comb(k, 2) * 7**2 for k in range(2, 6)) ** 2
    assert space.size == 98 * 1_037_664_180**2
    rng = np.random.default_rng(0)
    for architecture in space.sample(rng, 20):
        assert architecture in space
        assert sum("_edge_" in name for name in architecture) == 16
        edges = [n for n in architecture if "_edge_" in n]
        changes = {
            name
            for other in space.neighbours(architecture, rng)
            for name in edges
            if name in other and other[name] != architecture[name]
        }
        assert changes == set(edges)
    again = Space.from_configspace(space.to_configspace())
    assert again.size == space.size
    cs.Configuration(source, values=dict(space.sample(rng))).check_valid_configuration()


def test_cells_of_nasbench101_are_members(shared_data):
    cell = Cell(7, NB101_OPERATIONS, on="nodes", max_edges=9)
    space = Space(cells=cell)
    table = np.load(shared_data / "nasbench101" / "nb101_cells.npz")
    whole = np.flatnonzero(table["n"] == 7)
    some = np.random.default_rng(0).choice(whole, 300, replace=False)
    bits = (table["edge_bits"][some, None].astype(np.int64) >> np.arange(21)) & 1
    digits = table["ops_base3"][some, None].astype(np.int64) // 3 ** np.arange(5) % 3
    architectures = space.from_codes(np.hstack([bits, digits]))
    assert all(a in space for a in architectures)
    assert space.encode(architectures, "path").shape == (300, sum(3**k for k in range(6)))
    genotype = cell.genotype(architectures[0])
    assert len(genotype.edges) == bits[0].sum()


# ---------------------------------------------------------------- cells against brute force


def paths(genotype: Genotype, none="none"):
    """Operation sequences from input to output, by walking."""
    found, stack = set(), [(0, ())]
    while stack:
        node, words = stack.pop()
        if node == genotype.nodes - 1:
            found.add(">".join(words) or "direct")
        for source, destination, operation in genotype.edges:
            if source == node and operation != none:
                inner = genotype.operations[destination] if operation is None else operation
                if inner != none:
                    stack.append((destination, (*words, inner) if inner is not None else words))
    return found


@pytest.mark.parametrize(
    "cell",
    [
        NB201,
        Cell(4, ("a", "b"), edges=((0, 1), (0, 2), (1, 3), (2, 3))),
        Cell(3, ("zero", "a"), none="zero", prefix="c_"),
        Cell(5, ("a", "b", "none"), on="nodes", max_edges=6),
        Cell(4, ("a", "b"), edges=((0, 1), (1, 2), (1, 3), (2, 3), (0, 3)), on="nodes"),
        Cell(2, ("a", "b"), on="nodes"),
    ],
    ids=lambda cell: f"{cell.nodes} nodes, {len(cell.edges)} edges, on {cell.on}",
)
def test_path_encoding_agrees_with_walking_through_the_graph(cell):
    space = Space(cells=cell)
    columns = space.columns("path")
    sample = space.sample(np.random.default_rng(0), 60)
    for architecture, row in zip(sample, space.encode(sample, "path")):
        shown = {name.removeprefix(cell.prefix) for name, x in zip(columns, row) if x}
        assert shown == paths(cell.genotype(architecture), cell.none)


def test_adjacency_encoding_is_the_upper_triangle_and_the_operations():
    cell = Cell(4, ("conv", "pool"), on="nodes")
    space = Space(cells=cell)
    assert space.columns("adjacency") == [
        "0-1", "0-2", "1-2", "0-3", "1-3", "2-3", "op1=conv", "op1=pool", "op2=conv", "op2=pool",
    ]  # fmt: skip
    a = Architecture(dict(zip(space.names, (True, False, True, False, True, True, "pool", "conv"))))
    assert space.encode([a], "adjacency").tolist() == [[1, 0, 1, 0, 1, 1, 0, 1, 1, 0]]


@pytest.mark.parametrize("max_edges", [None, 3, 4])
def test_cells_on_nodes_are_connected_and_small(max_edges):
    cell = Cell(4, ("a", "b"), on="nodes", max_edges=max_edges)
    space = Space(cells=cell)
    expected = 0
    for present in (set(s) for k in range(7) for s in combinations(cell.edges, k)):
        reached = {0}
        for _ in range(3):
            reached |= {j for i, j in present if i in reached}
        expected += 3 in reached and len(present) <= (max_edges or 6)
    assert space.size == expected * 2**2
    again = Space.from_json(space.to_json())
    assert again.size == space.size
    assert again.fingerprint == space.fingerprint


def test_a_cell_beside_other_parameters():
    space = Space(width=Choice(8, 16), cells=Cell(3, ("a", "b"), prefix="c"), depth=Integer(1, 3))
    assert space.names == ("c0-1", "c0-2", "c1-2", "width", "depth")
    assert space.encode([space.default], "adjacency").shape == (1, 6)
    assert Space.from_json(space.to_json()).fingerprint == space.fingerprint


def test_genotype_of_a_cell_on_edges():
    space = Space(cells=NB201)
    genotype = NB201.genotype(Architecture(dict(zip(space.names, ("a", "b", "c", "d", "e", "f")))))
    assert genotype.nodes == 4
    assert genotype.into(0) == []
    assert genotype.into(3) == [(0, "d"), (1, "e"), (2, "f")]
    assert genotype.operations == (None,) * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cell(3, "abc"), "a list of names, not 'abc'"),
        (lambda: Cell(3, ()), "a list of names"),
        (lambda: Cell(3, ("a", 1)), "a list of names"),
        (lambda: Cell(2.0, ("a",)), "at least two nodes"),
        (lambda: Cell(3, ("a",), ((0, 1), (0, 1), (1, 2))), "an edge is there twice"),
        (lambda: Cell(4, ("a",), ((0, 1), (2, 3))), "no way from node 0 to node 3"),
        (lambda: Cell(4, ("a",), max_edges=3), "max_edges is for on='nodes'"),
        (lambda: Cell(4, ("a",), on="nodes", max_edges=0), "at least 1"),
        (lambda: Cell(4, ("a",), on="both"), "on 'edges' or 'nodes'"),
        (lambda: Space(cells=[Cell(3, ("a",)), Cell(3, ("b",))]), "'0-1' is given twice"),
        (lambda: Space(cell=Cell(3, ("a",))), r"give it as Space\(cells=Cell"),
        (lambda: Space(cells=Cell(9, tuple("abcdefg"))).columns("path"), "columns; use adjacency or one_hot"),
    ],
)
def test_cells_that_make_no_sense_are_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make()
