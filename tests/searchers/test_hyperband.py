"""Hyperband and successive halving: rungs, sizes, promotion, answers out of order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.searchers import make_searcher
from archwright.searchers.hyperband import ladder
from archwright.testing.searchers import GOAL, additive, toy_space

NINTHS = tuple(e / 9 for e in range(1, 10))


def searcher(name="hyperband", fidelities=NINTHS, seed=0, space=None, **options):
    return make_searcher(name, space or toy_space(5), GOAL, seed=seed, fidelities=fidelities, **options)


def asked(made, n, answer=additive):
    found = []
    for _ in range(n):
        for architecture in made.ask(1):
            found.append((architecture, made.pending[architecture]))
            made.tell(architecture, answer(architecture))
    return found


def shares(found):
    return [(round(9 * f), len(list(group))) for f, group in itertools.groupby(f for _, f in found)]


def test_brackets_are_those_of_the_paper():
    """R = 9 and eta = 3 (Li et al. 2018, table 1's rule): 9 of length 1, 3 of 3, 1 of 9; then 5 (ours 4.5) of 3; then 3 of 9."""
    found = asked(searcher(), 13 + 6 + 3)
    assert shares(found) == [(1, 9), (3, 3), (9, 1), (3, 5), (9, 1 + 3)]


def test_the_best_of_a_rung_are_promoted():
    found = asked(searcher(), 13)
    worth = [additive(a).metrics["score"] for a, _ in found]
    best = sorted(worth[:9], reverse=True)
    assert worth[9:12] == best[:3]
    assert worth[12] == best[0]


def test_successive_halving_repeats_its_first_bracket():
    found = asked(searcher("successive-halving"), 26)
    assert shares(found) == [(1, 9), (3, 3), (9, 1)] * 2
    assert len({a for a, f in found if f == 1 / 9}) == 18


def test_where_there_is_one_fidelity_it_is_random_search():
    drawn = [a for a, _ in asked(searcher(fidelities=(1.0,)), 50)]
    assert drawn == [a for a, _ in asked(make_searcher("random", toy_space(5), GOAL), 50)]


def test_a_rung_costs_what_the_one_before_did_whatever_the_ratio():
    found = asked(searcher("successive-halving", fidelities=(0.06, 1.0)), 18)
    assert [f for _, f in found] == [0.06] * 17 + [1.0]


def test_what_failed_is_not_promoted_and_an_all_failed_rung_ends_its_bracket():
    made = searcher()
    first = [a for a, _ in asked(made, 9, lambda _: Evaluation(status="failed"))]
    after = asked(made, 5)
    assert not {a for a, _ in after} & set(first)
    assert shares(after) == [(3, 5)]


def test_while_answers_are_out_the_next_bracket_begins():
    made = searcher()
    out = made.ask(9 + 5)
    assert [made.pending[a] for a in out] == [1 / 9] * 9 + [3 / 9] * 5
    for architecture in out[:9]:
        made.tell(architecture, additive(architecture))
    assert [made.pending[a] for a in made.ask(3)] == [3 / 9] * 3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), eta=st.floats(1.5, 5))
def test_out_of_order_and_failing_nothing_is_asked_twice_at_a_fidelity(seed, eta):
    rng = np.random.default_rng(seed)
    made = searcher(eta=eta, seed=seed)
    out, seen = [], set()
    for _ in range(120):
        out += [(a, made.pending[a]) for a in made.ask(3 - len(out))]
        assert out
        architecture, fidelity = out.pop(int(rng.integers(len(out))))
        assert (architecture, fidelity) not in seen
        assert fidelity in NINTHS
        seen.add((architecture, fidelity))
        broken = rng.random() < 0.2
        made.tell(architecture, Evaluation(status="failed") if broken else additive(architecture))


def test_a_small_space_ends_it():
    made = searcher(space=toy_space(2, 3))
    found = asked(made, 200)
    assert made.exhausted
    assert len({a for a, _ in found}) == 9


@pytest.mark.parametrize(
    ("fidelities", "wanted"),
    [
        (tuple(e / 10 for e in range(1, 11)), (0.1, 0.3, 1.0)),
        (tuple(e / 27 for e in range(1, 28)), (1 / 27, 3 / 27, 9 / 27, 1.0)),
        ((0.06, 1.0), (0.06, 1.0)),
        ((1.0,), (1.0,)),
    ],
)
def test_rungs_are_the_nearest_there_are(fidelities, wanted):
    assert ladder(fidelities, 3.0) == pytest.approx(wanted)


def test_the_number_of_rungs_can_be_limited():
    assert searcher(rungs=2).rungs == (3 / 9, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 1.0}, "eta must be above 1"),
        ({"rungs": 0}, "rungs must be at least 1"),
        ({"fidelities": (0.5,)}, "end with 1"),
        ({"fidelities": (0.5, 0.2, 1.0)}, "ascending"),
        ({"fidelities": ()}, "end with 1"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        searcher(**options)
