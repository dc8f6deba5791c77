"""NAS-Bench-101: writings of one network, channels of vertices, and the benchmark's own figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.arena import Problem, default_signal
from archwright.families import get_family
from archwright.families.nasbench101 import CELL, INNER, OPERATIONS, canonical, identities, vertex_channels
from archwright.space import Architecture
from archwright.tables import find_table

FAMILY = get_family("nasbench101")
SPACE = FAMILY.space


def graph(edges, operations=()):
    """An architecture from its edges and the operations of its inner vertices (the rest is the first operation)."""
    values = {CELL.edge_name(i, j): (i, j) in edges for i, j in CELL.edges}
    named = [*operations, *[OPERATIONS[0]] * INNER][:INNER]
    return Architecture({**values, **{f"op{k}": op for k, op in enumerate(named, start=1)}})


def renamed(architecture, order):
    """The same graph with inner vertices in another order, or ``None`` where an edge would go backwards."""
    place = {0: 0, 6: 6, **{k + 1: order[k] + 1 for k in range(INNER)}}
    edges = set()
    for i, j in CELL.edges:
        if architecture[CELL.edge_name(i, j)]:
            if place[i] > place[j]:
                return None
            edges.add((place[i], place[j]))
    operations = [""] * INNER
    for k in range(INNER):
        operations[order[k]] = architecture[f"op{k + 1}"]
    return graph(edges, operations)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(INNER)))
def test_another_order_of_the_vertices_is_the_same_network(seed, order):
    architecture = SPACE.sample(np.random.default_rng(seed))
    other = renamed(architecture, order)
    if other is not None:
        assert canonical(other) == canonical(architecture)


def test_what_is_on_no_way_to_the_output_does_not_count():
    chain = graph({(0, 1), (1, 6)}, ["maxpool3x3"])
    assert canonical(graph({(0, 1), (1, 6), (0, 2), (2, 3)}, ["maxpool3x3", "conv1x1-bn-relu"])) == canonical(chain)
    assert canonical(graph({(0, 4), (4, 6)}, [*["conv3x3-bn-relu"] * 3, "maxpool3x3"])) == canonical(chain)


def test_other_operations_or_edges_are_other_networks():
    texts = [
        canonical(a)
        for a in (
            graph({(0, 1), (1, 6)}, ["maxpool3x3"]),
            graph({(0, 1), (1, 6)}, ["conv1x1-bn-relu"]),
            graph({(0, 1), (1, 6), (0, 6)}, ["maxpool3x3"]),
            graph({(0, 1), (1, 2), (2, 6)}, ["maxpool3x3", "conv1x1-bn-relu"]),
            graph({(0, 1), (1, 2), (2, 6)}, ["conv1x1-bn-relu", "maxpool3x3"]),
            graph({(0, 6)}),
        )
    ]
    assert len(set(texts)) == len(texts)


def test_channels_of_the_output_are_shared_and_the_first_get_the_rest():
    edges = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 6), (3, 6)]
    assert vertex_channels(64, 128, [0, 1, 2, 3, 6], edges) == {0: 64, 6: 128, 1: 43, 2: 43, 3: 42}
    assert vertex_channels(64, 128, [0, 1, 2, 6], [(0, 1), (1, 2), (2, 6)])[1] == 128


def test_networks_run_and_learn_whatever_the_cell():
    small = get_family("nasbench101", channels=6, cells=1, stacks=2)
    rng = np.random.default_rng(0)
    for architecture in [graph({(0, 6)}), graph({(0, 1), (1, 6), (0, 6)}), *SPACE.sample(rng, 12)]:
        network = small.build(architecture, (1, 9, 9), 3)
        torch.nn.functional.cross_entropy(network(torch.randn(4, 1, 9, 9)), torch.tensor([0, 1, 2, 0])).backward()
        assert all(p.grad is not None for p in network.parameters())


@pytest.fixture(scope="module")
def table(shared_data):
    return find_table("nasbench101", shared_data)


def test_parameters_are_the_benchmarks_own(table):
    params = table.column("cifar10", "params").at()
    for row in np.random.default_rng(0).choice(len(table), 12, replace=False):
        with torch.device("meta"):
            network = FAMILY.build(table.architecture(row), (3, 32, 32), 10)
        assert sum(p.numel() for p in network.parameters()) == params[row]


def test_the_table_has_every_network_once(table):
    assert table.is_whole
    assert len(table) == 423_624
    some = np.random.default_rng(0).choice(len(table), 20_000, replace=False)
    assert len(np.unique(identities(table.codes[some]))) == len(some)
    assert table.column("cifar10", "test_accuracy").at().max() == pytest.approx(94.3176, abs=1e-4)


def test_every_writing_is_found(table):
    problem = Problem(table, "cifar10", (default_signal(table, "cifar10"),), default_signal(table, "cifar10"))
    params = table.column("cifar10", "params").at()
    rng = np.random.default_rng(1)
    for architecture in [problem.space.sample(rng) for _ in range(10)]:
        with torch.device("meta"):
            network = FAMILY.build(architecture, (3, 32, 32), 10)
        assert sum(p.numel() for p in network.parameters()) == params[problem.space.row(architecture)]
