"""Spaces: sizes, sampling, neighbours, variation, membership."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SpaceError
from archwright.space import Architecture, Cell, Choice, Constraint, Integer, Real, Space
from archwright.testing.spaces import SpaceContract

CELL = Cell(4, ("none", "skip", "conv1", "conv3", "pool"))
NODES = Cell(5, ("conv1", "conv3", "pool"), on="nodes", max_edges=6)


def conditional() -> Space:
    return Space(
        depth=Integer(1, 6),
        width=Choice(16, 32, 64, ordered=True),
        block=Choice("conv", "mbconv"),
        se=Choice(False, True, when={"block": "mbconv"}),
        ratio=Choice(4, 8, when={"se": True}),
    )


class TestFlat(SpaceContract):
    @pytest.fixture
    def space(self):
        return Space(a=Choice("x", "y"), b=Integer(0, 6, step=2), c=[1, 2, 3])


class TestConditional(SpaceContract):
    @pytest.fixture
    def space(self):
        return conditional()


class TestConstrained(SpaceContract):
    @pytest.fixture
    def space(self):
        return Space(a=Integer(1, 9), b=Integer(1, 9), constraints=[(lambda x: x["a"] * x["b"] <= 20, "at most 20")])


class TestEdges(SpaceContract):
    @pytest.fixture
    def space(self):
        return Space(cells=CELL)


class TestNodes(SpaceContract):
    @pytest.fixture
    def space(self):
        return Space(cells=NODES)


class TestMixed(SpaceContract):
    symmetric = False  # neighbours of real values are drawn

    @pytest.fixture
    def space(self):
        return Space(
            lr=Real(1e-4, 1e-1, log=True),
            n=Integer(1, 500, log=True),
            kind=Choice("a", "b"),
            p=Real(0, 1, when={"kind": "b"}),
        )


class TestListed(SpaceContract):
    symmetric = False  # the nearest member may have a nearer one

    @pytest.fixture
    def space(self):
        return Space.listed([[i, j, (i * j) % 5] for i in range(5) for j in range(5)], names=["i", "j", "k"])


def test_sizes_are_exact():
    assert Space(cells=CELL).size == 15_625
    assert conditional().size == 6 * 3 * (1 + 1 + 2)
    layers = {f"w{i}": Choice(1, 2, 3, when={"depth": range(i, 9)}) for i in range(1, 9)}
    assert Space({"depth": Integer(1, 8), **layers}).size == sum(3**k for k in range(1, 9))
    assert Space(x=Real(0, 1)).size is None


def test_size_of_a_deep_conditional_space_is_quick_to_count():
    layers = {}
    for i in range(1, 31):
        layers[f"block{i}"] = Choice("a", "b", when={"depth": range(i, 31)})
        layers[f"se{i}"] = Choice(0, 1, when={f"block{i}": "b"})
    assert Space({"depth": Integer(1, 30), **layers}).size == sum(3**k for k in range(1, 31))


def test_sampling_is_uniform_over_architectures_not_over_branches():
    space = conditional()
    counts = Counter(space.sample(np.random.default_rng(1), 14_400))
    assert len(counts) == space.size == 72
    expected = 14_400 / 72
    chi2 = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi2 < 120  # 99.98th percentile of chi-squared with 71 degrees of freedom


def test_flat_sampling_in_bulk_is_uniform_too():
    counts = Counter(Space(a=Choice(1, 2), b=Choice(1, 2, 3)).sample(np.random.default_rng(0), 6000))
    assert len(counts) == 6
    assert max(counts.values()) - min(counts.values()) < 200


@pytest.mark.parametrize(
    ("space", "number"), [(Space(cells=CELL), 24), (Space({f"c{i}": Choice(*"I12") for i in range(14)}), 28)]
)
def test_neighbourhood_sizes_of_the_literature(space, number):
    rng = np.random.default_rng(0)
    for architecture in space.sample(rng, 20):
        around = space.neighbours(architecture)
        assert len(around) == number
        assert all(sum(a[k] != architecture[k] for k in a) == 1 for a in around)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_neighbourhood_is_symmetric_where_parameters_come_and_go(seed):
    space = conditional()
    architecture = space.sample(np.random.default_rng(seed))
    for other in space.neighbours(architecture):
        assert architecture in space.neighbours(other)


def test_neighbours_connect_a_conditional_space():
    space = conditional()
    reached, frontier = {space.default}, [space.default]
    while frontier:
        for other in space.neighbours(frontier.pop()):
            if other not in reached:
                reached.add(other)
                frontier.append(other)
    assert len(reached) == space.size


def test_conditional_parameters_come_and_go():
    space = conditional()
    plain = Architecture({"depth": 1, "width": 16, "block": "conv"})
    came = [a for a in space.neighbours(plain) if a["block"] == "mbconv"]
    assert {(a["se"], a.get("ratio")) for a in came} == {(False, None), (True, 4), (True, 8)}
    full = Architecture({"depth": 1, "width": 16, "block": "mbconv", "se": True, "ratio": 8})
    assert plain in space.neighbours(full)


def test_very_many_completions_fall_back_to_defaults():
    layers = {f"w{i}": Choice(*range(10), when={"deep": True}) for i in range(4)}
    space = Space({"deep": Choice(False, True), **layers})
    (other,) = space.neighbours(Architecture({"deep": False}))
    assert dict(other) == {"deep": True, "w0": 0, "w1": 0, "w2": 0, "w3": 0}


def test_adjacent_neighbours_of_ordered_parameters():
    space = Space(n=Integer(1, 5), w=Choice(8, 16, 32, ordered=True), o=Choice("a", "b", "c"))
    around = space.neighbours(Architecture({"n": 3, "w": 8, "o": "a"}), ordered="adjacent")
    assert {(a["n"], a["w"], a["o"]) for a in around} == {
        (2, 8, "a"),
        (4, 8, "a"),
        (3, 16, "a"),
        (3, 8, "b"),
        (3, 8, "c"),
    }


def test_neighbours_of_real_values_are_near_and_need_a_generator():
    space = Space(x=Real(0.0, 10.0))
    middle = Architecture({"x": 5.0})
    values = [a["x"] for s in range(200) for a in space.neighbours(middle, np.random.default_rng(s))]
    assert len(values) == 800
    assert all(0 <= v <= 10 for v in values)
    assert 1.5 < np.std(values) < 2.3  # 0.2 of the range, a little less as the tails are rejected
    with pytest.raises(SpaceError, match="give a generator"):
        space.neighbours(middle)


def test_mutation_changes_exactly_one_value():
    space = Space(cells=CELL)
    rng = np.random.default_rng(0)
    for architecture in space.sample(rng, 50):
        mutant = space.mutate(architecture, rng)
        assert sum(mutant[k] != architecture[k] for k in mutant) == 1


def test_children_have_the_values_of_their_parents():
    space = Space(cells=CELL)
    rng = np.random.default_rng(0)
    a, b = (Architecture(dict.fromkeys(space.names, op)) for op in ("conv1", "pool"))
    for kind in ("uniform", "two_point"):
        first, second = space.crossover_pair(a, b, rng, kind)
        assert all({first[k], second[k]} == {"conv1", "pool"} for k in space.names)
    changes = [sum(x[p] != x[q] for p, q in zip(space.names, space.names[1:])) for x in
               (space.crossover(a, b, rng, "two_point") for _ in range(50))]  # fmt: skip
    assert max(changes) == 2


def test_problems_say_what_is_wrong():
    space = conditional()
    good = {"depth": 1, "width": 16, "block": "conv"}
    cases = {
        "'depht' is not a parameter": {**good, "depht": 1},
        "'width' has no value": {"depth": 1, "block": "conv"},
        "'se' has a value but is not active": {**good, "se": True},
        "'depth' cannot be 9; it takes 1 to 6": {**good, "depth": 9},
        "'depth' cannot be True": {**good, "depth": True},
        "'depth' cannot be '1'": {**good, "depth": "1"},
    }
    for message, architecture in cases.items():
        assert any(message in p for p in space.problems(architecture)), message
        assert architecture not in space
    assert Architecture(good) in space
    with pytest.raises(SpaceError, match="'width' has no value"):
        space.validate({"depth": 1, "block": "conv"})


def test_broken_constraint_quotes_its_message():
    space = Space(a=Integer(1, 9), constraints=[Constraint(lambda x: x["a"] < 5, "a must stay small")])
    assert space.problems({"a": 7}) == ["a must stay small"]
    assert space.size == 4
    impossible = Space(a=Integer(1, 9), constraints=[(lambda x: False, "nothing is allowed")])
    assert impossible.size == 0
    with pytest.raises(SpaceError, match="nothing is allowed"):
        impossible.sample(np.random.default_rng(0))
    broken = Space(a=Integer(1, 9), constraints=[(lambda x: x["b"] < 5, "b small")])
    with pytest.raises(SpaceError, match="'b small' raised KeyError"):
        broken.sample(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space(), "at least one parameter"),
        (lambda: Space(a=3), "must be a Choice"),
        (lambda: Space({"a": Choice(1)}, a=Choice(2)), "given twice"),
        (lambda: Space(a=Choice(1, when={"b": 1})), "'b', which the space does not have"),
        (lambda: Space(a=Choice(1, when={"b": 3}), b=Choice(1, 2)), "which it can never be"),
        (lambda: Space(a=Choice(1, when={"b": 1}), b=Choice(1, when={"a": 1})), "in a circle"),
        (lambda: Choice(), "at least one value"),
        (lambda: Choice(1, 1), "equal to each other"),
        (lambda: Choice(1, True), "equal to each other"),
        (lambda: Choice([1]), "JSON"),
        (lambda: Choice(float("nan")), "JSON"),
        (lambda: Choice(1, when={"a": ()}), "never be active"),
        (lambda: Integer(5, 1), "above high"),
        (lambda: Integer(1, 5, step=0), "step must be at least 1"),
        (lambda: Integer(0, 5, log=True), "at least 1"),
        (lambda: Integer(1.5, 5), "whole number"),
        (lambda: Real(1, 0), "above high"),
        (lambda: Real(0, 1, log=True), "above 0"),
        (lambda: Real(0, float("inf")), "finite"),
        (lambda: Cell(1, ("a",)), "at least two nodes"),
        (lambda: Cell(3, ("a", "a")), "all different"),
        (lambda: Cell(3, ("a",), ((2, 1),)), "does not go forward"),
        (lambda: Space.listed([]), "must not be empty"),
        (lambda: Space.listed([[1, 2], [1, 2, 3]]), "has 3 values"),
        (lambda: Space.listed([[1, 2], [2, 1], [1, 2]]), "there twice"),
        (lambda: Space.listed(["ab"]), "is the text"),
        (lambda: conditional().encode([], "onehot"), "did you mean one_hot"),
        (lambda: conditional().encode([], "path"), "cell graphs"),
        (lambda: conditional().crossover_pair(None, None, None, "both"), "'uniform' or 'two_point'"),
        (lambda: Space(a=Choice(1)).mutate(Architecture({"a": 1}), np.random.default_rng(0)), "nothing to mutate"),
        (lambda: Space(x=Real(0, 1)).codes([]), "has no codes"),
        (lambda: list(Space(x=Real(0, 1)).enumerate()), "cannot be enumerated"),
        (lambda: Space(a=Choice(1, 2)).codes([Architecture({"a": 3})]), "'a' cannot be 3"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


def test_parameters_cannot_be_changed():
    with pytest.raises(AttributeError, match="cannot be changed"):
        Choice(1, 2).values = (3,)


def test_architecture_is_immutable_and_keyed_by_content():
    a = Architecture({"x": 1, "y": "b"})
    b = Architecture({"y": "b", "x": 1})
    assert a == b
    assert hash(a) == hash(b)
    assert a.key == b.key
    assert a.replace(x=2) != a
    assert a["x"] == 1
    assert Architecture({"x": True}).key != Architecture({"x": 1}).key
    with pytest.raises(TypeError):
        a["x"] = 2
    with pytest.raises(AttributeError):
        a.z = 3


def test_listed_space_moves_to_the_nearest_member_where_none_is_one_step_away():
    space = Space.listed([[0, 0, 0], [1, 1, 0], [1, 1, 1]])
    (nearest,) = space.neighbours(Architecture({"x0": 0, "x1": 0, "x2": 0}))
    assert list(nearest.values()) == [1, 1, 0]
    assert space.problems({"x0": 0, "x1": 1, "x2": 0}) == ["it is not in the list of architectures"]


def test_many_numbers_of_a_list_are_one_column_and_few_are_categories():
    rng = np.random.default_rng(0)
    space = Space.listed([[x, i % 3, "ab"[i % 2]] for i, x in enumerate(rng.random(40))], names=["x", "k", "t"])
    assert space.columns() == ["x", "k=0", "k=1", "k=2", "t=a", "t=b"]
    encoded = space.encode(space.members)
    assert np.array_equal(np.argsort(encoded[:, 0]), np.argsort([m["x"] for m in space.members]))
    assert (encoded[:, 0].min(), encoded[:, 0].max()) == (0.0, 1.0)
    again = Space.from_json(space.to_json())
    assert again.members == space.members
    assert again.fingerprint == space.fingerprint


def test_whole_numbers_beside_floats_in_a_list_are_floats():
    space = Space.listed([[1, 2], [1.0, 3], [1.5, 2]])
    assert [m["x0"] for m in space.members] == [1.0, 1.0, 1.5]
    assert {type(m["x0"]) for m in space.members} == {float}
    with pytest.raises(SpaceError, match="there twice"):
        Space.listed([[1], [1.0], [2]])


def test_fingerprint_follows_the_content():
    assert conditional().fingerprint == conditional().fingerprint
    assert conditional().fingerprint != Space(depth=Integer(1, 7)).fingerprint


def test_identities_need_codes():
    with pytest.raises(SpaceError, match="identities are read from codes"):
        Space({"rate": Real(0.0, 1.0)}, identities=lambda codes: codes[:, 0])


@pytest.mark.parametrize("parameters", [4, 12])
def test_different_architectures_come_once_and_not_if_known(parameters):
    space = Space({f"x{i}": Choice(0, 1) for i in range(parameters)})
    rng = np.random.default_rng(0)
    known = space.sample(rng, 5)
    found = list(space.different(rng, known))
    assert len(set(found)) == len(found)
    assert not set(found) & set(known)
    whole = 2**parameters - len(set(known))
    assert len(found) == whole if parameters == 4 else 0.9 * whole < len(found) <= whole
