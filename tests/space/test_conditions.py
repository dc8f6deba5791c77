"""Conditions: counting, uniform sampling and enumeration against brute force; constraints on top."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from itertools import product

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SpaceError
from archwright.space import Architecture, Choice, Integer, Real, Space


@st.composite
def conditional_spaces(draw):
    """Up to six parameters of up to three values, each with up to two parents, declared in any order."""
    made = {}
    for k in range(draw(st.integers(1, 6))):
        when = {}
        for parent in draw(st.lists(st.sampled_from(sorted(made)), max_size=2, unique=True)) if made else []:
            values = list(made[parent].values)
            when[parent] = draw(st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True))
        if draw(st.booleans()):
            made[f"p{k}"] = Choice(*"abc"[: draw(st.integers(1, 3))], when=when)
        else:
            made[f"p{k}"] = Integer(1, draw(st.integers(1, 3)), when=when)
    return Space({name: made[name] for name in draw(st.permutations(sorted(made)))})


def brute_force(space):
    """All architectures, from all combinations of values and absences."""
    options = [[*p.values, None] for p in space.parameters.values()]
    rows = (dict(zip(space.names, values)) for values in product(*options))
    return {a for row in rows if (a := Architecture({n: v for n, v in row.items() if v is not None})) in space}


@given(conditional_spaces())
@settings(max_examples=80, deadline=None)
def test_size_and_enumeration_agree_with_brute_force(space):
    members = list(space.enumerate())
    assert len(set(members)) == len(members) == space.size
    assert set(members) == brute_force(space)
    assert space.from_codes(space.codes(members)) == members


@given(conditional_spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_moves_stay_inside_and_change_one_thing(space, seed):
    rng = np.random.default_rng(seed)
    a, b = space.sample(rng, 2)
    assert a in space
    for other in space.neighbours(a):
        assert other in space
        assert a in space.neighbours(other)
    for kind in ("uniform", "two_point"):
        for child in space.crossover_pair(a, b, rng, kind):
            assert child in space
            for name, value in child.items():
                parents = [p[name] for p in (a, b) if name in p]
                assert value in (parents or space.parameters[name].values)
    if any(space.parameters[name].count > 1 for name in a):
        assert space.mutate(a, rng) in space.neighbours(a)
        assert space.mutate(a, rng, 0.5) in space


@given(conditional_spaces())
@settings(max_examples=15, deadline=None)
def test_sampling_is_uniform_over_any_conditional_space(space):
    if not 1 < space.size <= 100:
        return
    expected = 40
    counts = Counter(space.sample(np.random.default_rng(1), expected * space.size))
    assert set(counts) == set(space.enumerate())
    chi2 = sum((n - expected) ** 2 / expected for n in counts.values())
    degrees = space.size - 1
    assert chi2 < degrees + 6 * np.sqrt(2 * degrees) + 12


def test_children_may_be_declared_before_their_parents():
    space = Space(
        ratio=Choice(4, 8, when={"se": True}),
        se=Choice(False, True, when={"block": "mb"}),
        block=Choice("conv", "mb"),
    )
    assert space.size == 1 + 1 + 2
    assert list(space.default) == ["block"]
    (full,) = [a for a in space.enumerate() if a.get("ratio") == 8]
    assert list(full) == ["ratio", "se", "block"]


def test_a_parameter_with_thirty_parents_is_counted_at_once():
    switches = {f"s{i}": Choice(False, True) for i in range(30)}
    every = Choice(1, 2, 3, when=dict.fromkeys(switches, True))
    started = time.perf_counter()
    space = Space({"x": every, **switches})
    assert space.size == 2**30 - 1 + 3
    assert space.sample(np.random.default_rng(0)) in space
    assert time.perf_counter() - started < 5


def test_a_thousand_conditional_layers_need_no_deep_stack_and_no_small_numbers():
    layers = {f"w{i}": Choice(*range(10), when={"depth": range(i, 1001)}) for i in range(1, 1001)}
    space = Space({"depth": Integer(1, 1000), **layers})
    assert space.size == sum(10**k for k in range(1, 1001))
    drawn = space.sample(np.random.default_rng(0))
    assert drawn["depth"] > 990  # nine of ten are the deepest
    assert drawn in space


def test_a_long_chain_of_parents():
    chain = {"p0": Choice(0, 1)}
    for i in range(1, 300):
        chain[f"p{i}"] = Choice(0, 1, when={f"p{i - 1}": 1})
    space = Space(chain)
    assert space.size == 301
    assert len(list(space.enumerate())) == 301


def test_several_parents_must_all_agree():
    space = Space(a=Choice(0, 1), b=Choice(0, 1), c=Choice("x", "y", when={"a": 1, "b": (0, 1)}))
    assert {tuple(a.values()) for a in space.enumerate()} == {
        (0, 0), (0, 1), (1, 0, "x"), (1, 0, "y"), (1, 1, "x"), (1, 1, "y"),
    }  # fmt: skip


@pytest.mark.parametrize("allowed", [(3, 4), [3, 4], range(3, 5), {3, 4}, np.array([3, 4])], ids=repr)
def test_conditions_take_any_collection_of_values(allowed):
    space = Space(depth=Integer(1, 4), x=Choice("a", "b", when={"depth": allowed}))
    assert space.size == 2 + 2 * 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"x": Choice(1, when={"lr": 0.5}), "lr": Real(0, 1)}, "'x' depends on 'lr', which is real"),
        ({"x": Choice(1, when={"d": 4}), "d": Integer(1, 3)}, "'x' depends on 'd' being 4"),
        ({"x": Choice(1, when={"d": True}), "d": Choice(0, 1)}, "'x' depends on 'd' being True"),
        ({"x": Choice(1, when={"x": 1})}, "conditions of x depend on each other in a circle"),
        (
            {"a": Choice(1, when={"c": 1}), "b": Choice(1, when={"a": 1}), "c": Choice(1, when={"b": 1})},
            "a, b, c depend on each other",
        ),
        ({1: Choice(1)}, "must be a text, not 1"),
        ({"": Choice(1)}, "must be a text"),
        ({"a": [1, 1]}, "the parameter 'a': .* equal to each other"),
    ],
)
def test_conditions_that_cannot_hold_name_the_parameter(parameters, message):
    with pytest.raises(SpaceError, match=message):
        Space(parameters)


# ---------------------------------------------------------------- constraints


def needle(n=4000):
    return Space(
        a=Integer(1, n),
        b=Integer(1, 9),
        constraints=[(lambda x: x["a"] == 77 and x["b"] > 7, "a must be 77 and b large")],
    )


def test_few_valid_architectures_among_many_are_found_and_drawn_evenly():
    counts = Counter(needle().sample(np.random.default_rng(0), 1000))
    assert {(a["a"], a["b"]) for a in counts} == {(77, 8), (77, 9)}
    assert min(counts.values()) > 400


def test_what_a_generator_gives_does_not_depend_on_earlier_questions():
    fresh, asked = needle(), needle()
    assert asked.size == 2
    asked.sample(np.random.default_rng(9), 5)
    assert fresh.sample(np.random.default_rng(1), 5) == asked.sample(np.random.default_rng(1), 5)


def test_constrained_sampling_is_uniform_over_what_is_valid():
    space = Space(
        a=Integer(1, 4),
        b=Choice("x", "y"),
        c=Integer(1, 4, when={"b": "y"}),
        constraints=[(lambda x: x.get("c", 4) >= x["a"], "c at least a")],
    )
    counts = Counter(space.sample(np.random.default_rng(3), 7000))
    assert len(counts) == space.size == 4 + 10
    assert max(counts.values()) - min(counts.values()) < 150


def test_constraints_nobody_can_keep_are_quoted():
    small = Space(a=Integer(1, 9), constraints=[(lambda x: False, "never this"), (lambda x: True, "always")])
    for ask in (lambda: small.default, lambda: small.sample(np.random.default_rng(0))):
        with pytest.raises(SpaceError, match="no architecture keeps the constraints: never this"):
            ask()
    real = Space(a=Real(0, 1), constraints=[(lambda x: x["a"] > 2, "beyond the range")])
    with pytest.raises(SpaceError, match="none of 100,000 drawn architectures keeps the constraints: beyond"):
        real.sample(np.random.default_rng(0))


def test_sizes_with_too_many_combinations_to_go_through_are_unknown():
    wide = Space(a=Integer(1, 3000), b=Integer(1, 3000), constraints=[(lambda x: x["a"] < x["b"], "a below b")])
    assert wide.size is None
    assert "unknown" in repr(wide)
    assert wide.default == Architecture({"a": 1, "b": 2})


def test_showing_a_space_does_not_count_it():
    calls = []
    space = Space(a=Integer(1, 99), b=Integer(1, 99), constraints=[(lambda x: calls.append(x) or True, "counted")])
    assert repr(space) == "Space(2 parameters: a, b, 1 constraints; size at most 9,801)"
    assert not calls
    assert space.size == 9801
    assert repr(space).endswith("size 9,801)")
    assert repr(Space(x=Real(0, 1))) == "Space(1 parameters: x; size infinite)"


@pytest.mark.parametrize(
    "constraints",
    [
        (lambda x: x["a"] > 1, "a above 1"),
        [(lambda x: x["a"] > 1, "a above 1")],
        ((lambda x: x["a"] > 1, "a above 1"),),
        iter([[lambda x: x["a"] > 1, "a above 1"]]),
    ],
    ids=["pair", "list", "tuple", "iterator"],
)
def test_constraints_may_be_one_pair_or_several(constraints):
    space = Space(a=Integer(1, 3), constraints=constraints)
    assert space.size == 2
    assert space.problems({"a": 1}) == ["a above 1"]


@pytest.mark.parametrize("wrong", [lambda x: True, [lambda x: True], ["a > 1"], [("a > 1", "message")]])
def test_a_constraint_without_predicate_or_message_is_refused(wrong):
    with pytest.raises(SpaceError, match=r"a constraint is a pair \(predicate, message\)"):
        Space(a=Integer(1, 3), constraints=wrong)


def test_mutation_leaves_an_architecture_without_neighbours():
    space = Space(a=Integer(0, 9), b=Integer(0, 9), constraints=[(lambda x: x["a"] == x["b"], "a and b must be equal")])
    rng = np.random.default_rng(0)
    alone = Architecture({"a": 3, "b": 3})
    assert space.neighbours(alone) == []
    assert space.mutate(alone, rng) in set(space.enumerate()) - {alone}
    only = Space(a=Integer(0, 9), constraints=[(lambda x: x["a"] == 5, "five")])
    with pytest.raises(SpaceError, match="no other architecture"):
        only.mutate(Architecture({"a": 5}), rng)


def test_children_that_break_constraints_are_replaced_by_valid_ones():
    space = Space(a=Integer(0, 9), b=Integer(0, 9), constraints=[(lambda x: x["a"] == x["b"], "a and b must be equal")])
    rng = np.random.default_rng(0)
    parents = Architecture({"a": 1, "b": 1}), Architecture({"a": 2, "b": 2})
    for kind in ("uniform", "two_point"):
        assert all(set(space.crossover_pair(*parents, rng, kind)) <= set(parents) for _ in range(20))


def test_moves_from_a_stranger_are_refused():
    space = Space(a=Integer(1, 3), b=Choice("x", "y"), c=Choice(1, 2, when={"b": "y"}))
    rng = np.random.default_rng(0)
    for stranger in ({"a": 1, "b": "z"}, {"a": 1, "b": ["x"]}):
        with pytest.raises(SpaceError, match="'b' cannot be"):
            space.neighbours(Architecture(stranger))
        with pytest.raises(SpaceError, match="'b' cannot be"):
            space.mutate(Architecture(stranger), rng, 1.0)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s, a: s.sample(0), "needs a generator such as numpy.random.default_rng"),
        (lambda s, a: s.sample(np.random.default_rng(0), -1), "must not be negative: -1"),
        (lambda s, a: s.mutate(a, None), "needs a generator"),
        (lambda s, a: s.crossover(a, a, 3), "needs a generator"),
        (lambda s, a: s.mutate(a, np.random.default_rng(0), 1.5), "between 0 and 1, not 1.5"),
        (lambda s, a: s.neighbours(a, ordered="near"), "'all' or 'adjacent'"),
        (lambda s, a: s.validate([1, 2]), "is a mapping of names to values"),
        (lambda s, a: s.encode(a), "give a list of architectures"),
        (lambda s, a: s.encode([3]), "3 is not an architecture"),
        (lambda s, a: s.encode([Architecture({"b": "x"})]), "'a' has no value in b=x"),
        (lambda s, a: s.from_codes(np.zeros((2, 3), int)), r"n x 2, not int64 of shape \(2, 3\)"),
        (lambda s, a: s.from_codes(np.zeros((2, 2))), "must be integers"),
        (lambda s, a: s.from_codes(np.array([[0, 2]])), "the code 2 of 'b' is not between 0 and 1"),
        (lambda s, a: Space.from_json({}), "no description of a space"),
    ],
)
def test_questions_that_make_no_sense_are_refused(ask, message):
    space = Space(a=Integer(1, 3), b=Choice("x", "y"))
    with pytest.raises(SpaceError, match=message):
        ask(space, space.default)


def test_mutation_with_a_probability_changes_that_share():
    space = Space({f"x{i}": Choice(*range(5)) for i in range(20)})
    rng = np.random.default_rng(0)
    start = space.default
    changed = [sum(space.mutate(start, rng, 0.1)[n] != 0 for n in space.names) for _ in range(500)]
    assert 1.7 < np.mean(changed) < 2.3
    assert min(changed) == 0
    assert space.mutate(start, rng, 0.0) == start
    assert all(v != 0 for v in space.mutate(start, rng, 1.0).values())


def test_spaces_survive_pickling_after_use():
    space = Space(depth=Integer(1, 3), x=Choice(1, 2, when={"depth": (2, 3)}))
    expected = space.sample(np.random.default_rng(4), 20)
    for again in (pickle.loads(pickle.dumps(space)), cloudpickle.loads(cloudpickle.dumps(space))):
        assert again.sample(np.random.default_rng(4), 20) == expected
        assert again.fingerprint == space.fingerprint


def test_fingerprint_changes_with_values_conditions_messages_and_order():
    a, b = Choice(1, 2), Choice(3, 4)
    prints = [
        Space(a=a, b=b),
        Space(b=b, a=a),
        Space(a=a, b=Choice(3, 4, ordered=True)),
        Space(a=a, b=Choice(3, 4, when={"a": 1})),
        Space(a=a, b=b, constraints=[(lambda x: True, "one")]),
        Space(a=a, b=b, constraints=[(lambda x: True, "two")]),
        Space.listed([[1, 3], [2, 4]], names=["a", "b"]),
    ]
    assert len({space.fingerprint for space in prints}) == len(prints)


def test_describe_gives_a_line_per_parameter():
    space = Space(
        block=Choice("conv", "mb"),
        k=Choice(3, 5, ordered=True),
        n=Integer(2, 8, step=2),
        lr=Real(1e-4, 0.1, log=True, when={"block": "mb", "k": (3, 5)}),
    )
    assert space.describe() == [
        ("block", "conv, mb", ""),
        ("k", "ordered 3, 5", ""),
        ("n", "2 to 8 step 2", ""),
        ("lr", "0.0001 to 0.1 (log)", "block in ['mb'] and k in [3, 5]"),
    ]
