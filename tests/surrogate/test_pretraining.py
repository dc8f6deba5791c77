"""Pretraining on clues, and a stored surrogate that serves another objective."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from archwright.errors import ArchwrightWarning, SettingsError
from archwright.searchers import make_searcher
from archwright.space import Choice, Integer, Real, Space
from archwright.surrogate import pretrain, read_header, store, stored
from archwright.surrogate.pretraining import draw, encoded
from archwright.testing.searchers import GOAL, additive, toy_space

QUICK = {"members": 2, "epochs": 30, "profiled": 60}


class Cost:
    """Two costs; says how many architectures were looked at."""

    names = ("sum", "first")

    def __init__(self, flat: tuple[int, ...] = ()):
        self.asked: list[int] = []
        self.flat = flat

    def __call__(self, architectures):
        self.asked.append(len(architectures))
        rows = np.array([[float(sum(a.values())), float(a["x0"])] for a in architectures])
        rows[:, list(self.flat)] = 7.0
        return rows


@pytest.mark.parametrize("pretraining", ["simultaneous", "sequential"])
def test_every_head_learns_its_clue(pretraining):
    space = toy_space(4, 4)
    made = pretrain(space, Cost(), pretraining=pretraining, members=2, epochs=25, profiled=120)
    everything = list(space.enumerate())
    truth = Cost()(everything)
    for head in range(2):
        predicted = made.predict(encoded(space, everything, "ordinal"), head).mean(0)
        if pretraining == "simultaneous" or head == 1:
            assert spearmanr(predicted, truth[:, head]).statistic > 0.9


@pytest.mark.parametrize("encoding", ["ordinal", "one_hot"])
def test_inputs_are_scaled_to_the_same_range_whatever_is_given(encoding):
    space = Space(
        block=Choice("conv", "mb"), depth=Integer(1, 8), wide=Integer(1, 500), rate=Real(1e-4, 1e-1, log=True),
        ratio=Choice(2, 4, 6, when={"block": "mb"}), only=Choice("a"),
    )  # fmt: skip
    rows = space.sample(np.random.default_rng(0), 400)
    whole = encoded(space, rows, encoding)
    assert whole.abs().max() == 1
    names = [i for i, name in enumerate(space.columns(encoding)) if not name.startswith("only")]
    assert (whole[:, names].amin(0) < -0.9).all()
    assert (whole[:, names].amax(0) > 0.9).all()
    torch.testing.assert_close(encoded(space, rows[:3], encoding), whole[:3])


def test_a_number_per_choice_is_its_place_from_minus_one_to_one():
    space = Space(block=Choice("a", "b", "c", "d", "e"), more=Choice(2, 4, when={"block": "e"}))
    rows = [{"block": "a"}, {"block": "d"}, {"block": "e", "more": 2}, {"block": "e", "more": 4}]
    assert encoded(space, rows, "ordinal").tolist() == [[-1, -1], [0.5, -1], [1, 0], [1, 1]]


def test_profiled_architectures_are_different_ones():
    drawn = draw(toy_space(3, 4), 64, np.random.default_rng(0))
    assert len(set(drawn)) == 64
    assert len(draw(toy_space(3, 4), 20, np.random.default_rng(0))) == 20


def test_a_clue_that_never_varies_is_left_out_and_none_is_refused():
    with pytest.warns(ArchwrightWarning, match="the same for all 60 architectures: first"):
        made = pretrain(toy_space(), Cost((1,)), **QUICK)
    assert len(made.heads) == 1
    with pytest.raises(SettingsError, match="nothing can be learnt"):
        pretrain(toy_space(), Cost((0, 1)), **QUICK)


def test_fewer_architectures_than_members_are_refused():
    small = Space({"x0": Choice(0, 1, 2)})
    with pytest.raises(SettingsError, match="3 architectures to profile, fewer than the 6 members"):
        pretrain(small, Cost(), epochs=1)
    with pytest.raises(SettingsError, match="3 architectures, fewer than the 6 members"):
        make_searcher("ensemble-bo-thesis", small, GOAL)
    assert make_searcher("ensemble-bo-thesis", small, GOAL, members=3).ask(1)


def umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


def picks(file, objective, seed=0, clues=None):
    """What a search of this objective asks for after its random start."""
    searcher = make_searcher(
        "ensemble-bo-thesis",
        toy_space(),
        GOAL,
        seed=seed,
        surrogate=file,
        members=2,
        batch=4,
        high_epochs=2,
        clues=clues,
    )
    found = []
    for _ in range(12):
        (architecture,) = searcher.ask(1)
        searcher.tell(architecture, objective(architecture))
        found.append(architecture)
    return found


def test_a_stored_surrogate_serves_another_objective_without_new_profiling(tmp_path):
    file = str(tmp_path / "s.safetensors")
    clues = Cost()
    made = pretrain(toy_space(), clues, **QUICK)
    store(made, file, toy_space(), metrics=list(clues.names))
    assert Path(file).stat().st_mode & 0o777 == 0o666 & ~umask()  # not only the owner may read what is to be shared
    assert read_header(file)["facts"] == {"metrics": ["sum", "first"]}
    again = stored(file, toy_space())
    assert all(torch.equal(a, b) for x, y in zip(made.trunk, again.trunk) for a, b in zip(x, y))

    def other(architecture):
        value = additive(architecture)
        return type(value)({"score": -value.metrics["score"]})

    assert clues.asked == [60]
    mine, theirs = picks(file, additive, clues=clues), picks(file, other, clues=clues)
    assert clues.asked == [60]
    assert mine[:4] == theirs[:4]
    assert mine != theirs
    assert picks(file, additive) == mine
    assert picks(None, additive) != mine


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (toy_space(4, 5), {}, "another space"),
        (toy_space(), {"encoding": "one_hot"}, "another encoding"),
        (toy_space(), {"members": 3}, "2 members, not 3"),
    ],
)
def test_a_stored_surrogate_of_something_else_is_refused_before_anything_is_asked(tmp_path, space, options, message):
    file = str(tmp_path / "s.safetensors")
    store(pretrain(toy_space(), Cost(), members=2, epochs=1, profiled=10), file, toy_space())
    with pytest.raises(SettingsError, match=message):
        make_searcher("ensemble-bo-thesis", space, GOAL, **{"members": 2, **options}, surrogate=file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretraining": "none"}, "unknown pretraining 'none'"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"profiled": 0}, "profiled must be at least 1"),
        ({"encoding": "binary"}, "binary"),
    ],
)
def test_impossible_pretraining_is_refused(options, message):
    with pytest.raises(Exception, match=message):
        pretrain(toy_space(), Cost(), **{**QUICK, **options})
