"""Encodings, cell graphs, and exchange with other libraries."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from archwright.errors import SpaceError
from archwright.space import Architecture, Cell, Choice, Integer, Real, Space
from archwright.space.encodings import pooled

CELL = Cell(4, ("none", "skip", "conv1", "conv3", "pool"))


def cell(*operations):
    return Architecture(dict(zip(CELL.names, operations)))


def test_codes_are_invertible():
    space = Space(cells=CELL)
    sample = space.sample(np.random.default_rng(0), 100)
    assert space.from_codes(space.codes(sample)) == sample


def test_one_hot_has_a_one_per_active_parameter():
    space = Space(block=Choice("conv", "mbconv"), se=Choice(False, True, when={"block": "mbconv"}))
    rows = space.encode([Architecture({"block": "conv"}), Architecture({"block": "mbconv", "se": True})], "one_hot")
    assert space.columns("one_hot") == ["block=conv", "block=mbconv", "se=False", "se=True"]
    assert rows.tolist() == [[1, 0, 0, 0], [0, 1, 0, 1]]


def test_real_and_long_parameters_are_scaled():
    space = Space(lr=Real(1e-4, 1e-2, log=True), n=Integer(1, 101))
    rows = space.encode([Architecture({"lr": 1e-3, "n": 51})], "one_hot")
    assert rows.tolist() == [[pytest.approx(0.5), 0.5]]


def test_path_encoding_has_the_sequences_that_carry_signal():
    space = Space(cells=CELL)
    columns = space.columns("path")
    assert len(columns) == 4 + 16 + 64
    (row,) = space.encode([cell("conv3", "none", "pool", "skip", "none", "conv1")], "path")
    assert {c for c, x in zip(columns, row) if x} == {"skip", "conv3>pool>conv1"}
    (nothing,) = space.encode([cell(*["none"] * 6)], "path")
    assert nothing.sum() == 0


def test_isomorphic_cells_share_their_path_encoding():
    space = Space(cells=CELL)
    a, b = cell("conv3", "none", "none", "none", "pool", "none"), cell("none", "conv3", "none", "none", "none", "pool")
    assert (space.encode([a], "path") == space.encode([b], "path")).all()


def test_cell_with_operations_on_nodes():
    nodes = Cell(4, ("conv", "pool"), on="nodes", max_edges=3)
    space = Space(cells=nodes)
    edges = {"0-1": True, "1-2": True, "2-3": True, "0-2": False, "0-3": False, "1-3": False}
    a = Architecture({**edges, "op1": "conv", "op2": "pool"})
    assert a in space
    genotype = nodes.genotype(a)
    assert genotype.edges == ((0, 1, None), (1, 2, None), (2, 3, None))
    assert genotype.operations == (None, "conv", "pool", None)
    assert genotype.into(2) == [(1, None)]
    (row,) = space.encode([a], "path")
    assert [c for c, x in zip(space.columns("path"), row) if x] == ["conv>pool"]
    assert space.encode([a], "adjacency").shape == (1, 6 + 4)
    assert any("reachable" in p for p in space.problems({**a, "2-3": False}))
    assert any("at most 3 edges" in p for p in space.problems({**a, "0-3": True}))


def test_several_cells_have_their_own_names():
    normal, reduction = Cell(3, ("a", "b"), prefix="n"), Cell(3, ("a", "b"), prefix="r")
    space = Space(cells=(normal, reduction))
    assert space.names == ("n0-1", "n0-2", "n1-2", "r0-1", "r0-2", "r1-2")
    assert space.encode([space.default], "path").shape == (1, 2 * (2 + 4))


def test_optuna_distributions_both_ways():
    space = Space(
        a=Choice("x", None, 3), b=Integer(2, 10, step=2), c=Integer(1, 64, log=True), d=Real(1e-3, 1, log=True)
    )
    distributions = space.to_optuna()
    assert distributions["a"] == CategoricalDistribution(("x", None, 3))
    assert distributions["b"] == IntDistribution(2, 10, step=2)
    assert Space.from_optuna(distributions).to_json()["parameters"] == space.to_json()["parameters"]
    stepped = Space.from_optuna({"x": FloatDistribution(0.0, 1.0, step=0.25)})
    assert stepped.parameters["x"].values == (0.0, 0.25, 0.5, 0.75, 1.0)


def test_configspace_both_ways():
    pytest.importorskip("ConfigSpace")
    space = Space(
        block=Choice("conv", "mbconv"),
        kernel=Choice(3, 5, 7, ordered=True),
        depth=Integer(1, 4),
        rate=Real(0.1, 0.9),
        se=Choice(False, True, when={"block": "mbconv", "depth": (2, 3, 4)}),
    )
    again = Space.from_configspace(space.to_configspace())
    assert again.size == space.size
    for name in space.names:
        assert again.parameters[name].to_json().keys() == space.parameters[name].to_json().keys()
    finite = Space({n: p for n, p in space.parameters.items() if n != "rate"})
    back = Space.from_configspace(finite.to_configspace())
    assert set(back.enumerate()) == set(finite.enumerate())


def test_configspace_forbidden_clauses_become_constraints():
    cs = pytest.importorskip("ConfigSpace")
    source = cs.ConfigurationSpace({"a": [1, 2, 3], "b": [1, 2]})
    source.add(
        cs.ForbiddenAndConjunction(cs.ForbiddenEqualsClause(source["a"], 1), cs.ForbiddenInClause(source["b"], [2]))
    )
    space = Space.from_configspace(source)
    assert space.size == 5
    assert Architecture({"a": 1, "b": 2}) not in space


def test_what_configspace_cannot_express_is_refused():
    pytest.importorskip("ConfigSpace")
    with pytest.raises(SpaceError, match="odd only"):
        Space(a=Integer(1, 5), constraints=[(lambda x: x["a"] % 2 == 1, "odd only")]).to_configspace()


def test_missing_configspace_says_how_to_install_it(monkeypatch):
    import sys

    from archwright.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "ConfigSpace", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'archwright\[configspace\]'"):
        Space(a=Choice(1, 2)).to_configspace()


def test_encodings_agree_with_a_plain_loop():
    space = Space(
        block=Choice("conv", "mb"),
        n=Integer(1, 40),
        rate=Real(0, 2, when={"block": "mb"}),
        k=Integer(2, 6, step=2, when={"block": "conv"}),
    )
    sample = space.sample(np.random.default_rng(0), 100)
    ordinal, one_hot = [], []
    for a in sample:
        ordinal.append([["conv", "mb"].index(a["block"]), a["n"] - 1, a.get("rate", -2) / 2, a.get("k", 0) / 2 - 1])
        one_hot.append(
            [a["block"] == "conv", a["block"] == "mb", (a["n"] - 1) / 39, a.get("rate", 0) / 2]
            + [a.get("k") == k for k in (2, 4, 6)]
        )
    assert space.columns("one_hot") == ["block=conv", "block=mb", "n", "rate", "k=2", "k=4", "k=6"]
    np.testing.assert_allclose(space.encode(sample, "ordinal"), ordinal)
    np.testing.assert_allclose(space.encode(sample, "one_hot"), one_hot)


def test_a_thermometer_has_ones_up_to_values_that_have_an_order():
    space = Space(
        block=Choice("conv", "mb"), kernel=Choice(3, 5, 7, ordered=True), depth=Integer(1, 3, when={"block": "mb"}), n=Integer(1, 40)
    )  # fmt: skip
    rows = [{"block": "mb", "kernel": 5, "depth": 1, "n": 40}, {"block": "conv", "kernel": 7, "n": 1}]
    assert space.columns("thermometer") == [
        "block=conv", "block=mb", "kernel>=3", "kernel>=5", "kernel>=7", "depth>=1", "depth>=2", "depth>=3", "n",
    ]  # fmt: skip
    assert space.encode(rows, "thermometer").tolist() == [[0, 1, 1, 1, 0, 1, 0, 0, 1], [1, 0, 1, 1, 1, 0, 0, 0, 0]]
    plain = Space(block=Choice("conv", "mb"), size=Choice(1, 2, 3))
    sample = plain.sample(np.random.default_rng(0), 9)
    np.testing.assert_array_equal(plain.encode(sample, "thermometer"), plain.encode(sample, "one_hot"))


def test_spaces_import_neither_torch_nor_optuna():
    code = "import sys, archwright.space; print([m for m in ('torch', 'optuna', 'scipy', 'ConfigSpace') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_live_graph_of_operations_on_edges():
    """Of the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, those into a node that leads nowhere are left out."""
    operations, arcs = CELL.genotype(cell("conv1", "conv3", "none", "none", "skip", "none")).live()
    assert operations == {0: "input", (0, 1): "conv1", (1, 3): "skip", 3: "output"}
    assert sorted(map(str, arcs)) == sorted(map(str, [(0, (0, 1)), ((0, 1), (1, 3)), ((1, 3), 3)]))
    dead, none = CELL.genotype(cell("conv1", *["none"] * 5)).live()
    assert dead == {0: "input", 3: "output"}
    assert not none


def test_pooled_columns_count_values_over_parameters_that_share_them():
    space = Space(a=Choice("x", "y"), b=Choice("x", "y"), n=Choice(0, 1), flag=Choice(False, True), long=Integer(1, 99))
    names, matrix = pooled(space)
    assert names == ["a,b=x", "a,b=y", "n=0", "n=1", "flag=False", "flag=True", "long"]
    one_hot = space.encode([Architecture({"a": "y", "b": "y", "n": 1, "flag": False, "long": 99})], "one_hot")
    assert (one_hot @ matrix)[0].tolist() == [0, 2, 0, 1, 1, 0, 1]
