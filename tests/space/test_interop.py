"""Exchange with Optuna and ConfigSpace, and lists of architectures."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from archwright.errors import SpaceError
from archwright.space import Architecture, Choice, Integer, ListedSpace, Real, Space

SPACES = {
    "flat": Space(a=Choice("x", "y"), b=Choice(1, 2, 4, ordered=True), c=Integer(1, 9), d=Integer(2, 8, step=3)),
    "numbers": Space(r=Real(-1, 1), s=Real(1e-3, 1, log=True), n=Integer(1, 512, log=True)),
    "constants": Space(a=Choice("only"), n=Integer(3, 3), r=Real(0.5, 0.5), m=Choice(1, 2)),
    "conditional": Space(
        block=Choice("conv", "mb"),
        depth=Integer(1, 4),
        se=Choice(False, True, when={"block": "mb", "depth": (2, 3)}),
        ratio=Choice(4, 8, when={"se": True}),
        rate=Real(0, 1, when={"block": "conv"}),
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_architectures_keep_their_meaning_in_configspace(name):
    cs = pytest.importorskip("ConfigSpace")
    space = SPACES[name]
    target = space.to_configspace()
    for architecture in space.sample(np.random.default_rng(0), 30):
        cs.Configuration(target, values=dict(architecture)).check_valid_configuration()
    back = Space.from_configspace(target)
    assert set(back.names) == set(space.names)
    for drawn in target.sample_configuration(30):
        values = {n: v.item() if isinstance(v, np.generic) else v for n, v in dict(drawn).items()}
        assert space.problems(values) == []
        assert back.problems(values) == []
    assert back.size == space.size or space.size is None


@pytest.mark.parametrize("name", ["flat", "numbers"])
def test_optuna_draws_members(name):
    space = SPACES[name]
    distributions = space.to_optuna()
    assert list(distributions) == list(space.names)
    back = Space.from_optuna(distributions)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        drawn = study.ask(distributions).params
        assert space.problems(drawn) == []
        assert back.problems(drawn) == []


def test_what_optuna_has_no_counterpart_for_becomes_a_choice():
    space = Space(n=Integer(1, 9, step=4, log=True))
    assert space.to_optuna()["n"] == optuna.distributions.CategoricalDistribution((1, 5, 9))
    with pytest.raises(SpaceError, match="'x' is of a kind that cannot be converted"):
        Space.from_optuna({"x": 3})


def test_comparisons_in_configspace_become_sets_of_values():
    cs = pytest.importorskip("ConfigSpace")
    source = cs.ConfigurationSpace({"n": (1, 8), "k": ["a", "b", "c"], "x": [1, 2], "y": [1, 2], "z": [1, 2]})
    source.add(cs.OrdinalHyperparameter("size", ["small", "medium", "large"]))
    n, k, size, x, y, z = (source[name] for name in ("n", "k", "size", "x", "y", "z"))
    source.add(cs.AndConjunction(cs.GreaterThanCondition(x, n, 2), cs.LessThanCondition(x, n, 6)))
    source.add(cs.NotEqualsCondition(y, k, "b"))
    source.add(cs.GreaterThanCondition(z, size, "small"))
    space = Space.from_configspace(source)
    assert space.parameters["x"].when == (("n", (3, 4, 5)),)
    assert space.parameters["y"].when == (("k", ("a", "c")),)
    assert space.parameters["z"].when == (("size", ("medium", "large")),)
    for drawn in source.sample_configuration(50):
        assert space.problems({m: v.item() if isinstance(v, np.generic) else v for m, v in dict(drawn).items()}) == []


def test_relations_that_configspace_forbids_become_constraints():
    cs = pytest.importorskip("ConfigSpace")
    source = cs.ConfigurationSpace({"a": (1, 4), "b": (1, 4)})
    source.add(cs.ForbiddenLessThanRelation(source["a"], source["b"]))
    source.add(cs.ForbiddenEqualsClause(source["a"], 3))
    space = Space.from_configspace(source)
    assert {(x["a"], x["b"]) for x in space.enumerate()} == {(a, b) for a in (1, 2, 4) for b in range(1, a + 1)}
    assert any("forbidden" in problem for problem in space.problems({"a": 1, "b": 2}))


def test_parts_of_configspace_without_a_counterpart_are_named():
    cs = pytest.importorskip("ConfigSpace")

    def source():
        made = cs.ConfigurationSpace({"a": [1, 2], "b": [1, 2], "r": (0.0, 1.0), "x": [1, 2]})
        return made, made["a"], made["b"], made["r"], made["x"]

    either, a, b, _, x = source()
    either.add(cs.OrConjunction(cs.EqualsCondition(x, a, 1), cs.EqualsCondition(x, b, 1)))
    with pytest.raises(SpaceError, match="cannot be converted; only equals, in, not equals"):
        Space.from_configspace(either)
    real, _, _, r, x = source()
    real.add(cs.GreaterThanCondition(x, r, 0.5))
    with pytest.raises(SpaceError, match="its parent is real"):
        Space.from_configspace(real)
    beta = cs.ConfigurationSpace()
    beta.add(cs.BetaFloatHyperparameter("curved", alpha=2, beta=2, lower=0, upper=1))
    with pytest.raises(SpaceError, match="'curved' is of a kind that cannot be converted: BetaFloat"):
        Space.from_configspace(beta)
    with pytest.raises(SpaceError, match="a list of architectures cannot be expressed"):
        Space.listed([[1, 2], [2, 1]]).to_configspace()


# ---------------------------------------------------------------- lists


def test_lists_are_spaces_of_exactly_their_members():
    rows = [{"k": 3, "op": "a"}, {"op": "b", "k": 5}, {"k": 3, "op": "b"}]
    space = Space.listed(rows)
    assert isinstance(space, ListedSpace)
    assert space.size == 3
    assert [dict(a) for a in space.enumerate()] == rows
    assert space.default == rows[0]
    assert space.problems({"k": 5, "op": "a"}) == ["it is not in the list of architectures"]
    assert "'k' cannot be 4" in space.problems({"k": 4, "op": "a"})[0]
    assert "'k' cannot be [3]" in space.problems({"k": [3], "op": "a"})[0]
    assert {"k": 3.5, "op": "a"} not in space
    assert not space.is_flat
    assert repr(space) == "ListedSpace(2 parameters: k, op; size 3)"


def test_moves_in_a_list_stay_in_it():
    rng = np.random.default_rng(0)
    space = Space.listed(np.unique(rng.integers(0, 3, size=(60, 5)), axis=0))
    members = set(space.enumerate())
    for a in members:
        around = space.neighbours(a)
        distances = [sum(a[n] != b[n] for n in a) for b in around]
        assert set(around) <= members - {a}
        assert len(set(distances)) == 1
        nearest = min(sum(a[n] != b[n] for n in a) for b in members - {a})
        assert distances[0] == nearest
        assert space.mutate(a, rng) in around
        assert space.mutate(a, rng, 0.5) in members


def test_numpy_tables_and_names_make_a_list():
    space = Space.listed(np.array([[0, 1], [1, 0]]), names=("a", "b"))
    assert space.default.to_json() == {"a": 0, "b": 1}
    assert type(space.default["a"]) is int
    assert Space.from_json(space.to_json()).fingerprint == space.fingerprint
    counts = space.codes(space.sample(np.random.default_rng(0), 400))[:, 0].sum()
    assert 150 < counts < 250


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        ([], None, "must not be empty"),
        ([[1, 2], [1]], None, "all need the same names"),
        ([[1, 2], [1, 2, 3]], ("a", "b"), "architecture 1 of the list has 3 values for 2 names"),
        ([{"a": 1}, {"b": 1}], None, "architecture 1 of the list"),
        ([[1], [2], [1]], None, "architecture 2 of the list is there twice"),
        ([3, 4], None, "must be a mapping or a sequence of values, not 3"),
        (["ab", "cd"], None, "give its values one by one"),
        ([[1], [True]], None, "the parameter 'x0': .* equal to each other"),
        ([[1], [[2]]], None, r"architecture 1 of the list has \[2\] as x0, which is not"),
    ],
)
def test_lists_that_make_no_sense_are_refused(rows, names, message):
    with pytest.raises(SpaceError, match=message):
        Space.listed(rows, names)


def test_a_list_of_one_has_nowhere_to_go():
    space = Space.listed([[1, 2]])
    assert space.neighbours(space.default) == []
    with pytest.raises(SpaceError, match="nothing to mutate"):
        space.mutate(space.default, np.random.default_rng(0))
    assert space.sample(np.random.default_rng(0)) == Architecture({"x0": 1, "x1": 2})
