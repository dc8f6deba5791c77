"""Ensemble searchers in a study: resuming, one surrogate for two studies, and input that makes no sense."""

from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright.errors import SettingsError, SpaceError
from archwright.space import Space
from archwright.study.load import load_record
from archwright.surrogate import pretrain, store
from archwright.testing.searchers import additive, toy_space

OPTIONS = {
    "ensemble-bo": {"initial": 4},
    "ensemble-bo-thesis": {
        "members": 2, "p": 3, "q": 2, "f": 2, "batch": 4, "low_epochs": 1, "high_epochs": 2, "profiled": 30, "pretraining_epochs": 2,
    },
}  # fmt: skip
SPACE = toy_space(4, 4)


class Clue:
    names = ("sum",)

    def __call__(self, architectures):
        return np.array([[float(sum(a.values()))] for a in architectures])


def value(architecture, fidelity=10):
    return additive(architecture).metrics["score"] * fidelity / 10 + sum(architecture.key.encode()) % 5


def search(searcher, budget, study=None, evaluate=value, fidelities=(1, 10), **more):
    return aw.search(
        SPACE, evaluate=evaluate, objectives={"score": "maximize"}, searcher=searcher, budget=budget, study=study,
        searcher_options={**OPTIONS[searcher], **more.pop("options", {})}, fidelities=fidelities, seed=3, **more,
    )  # fmt: skip


def asked(result):
    return [(t.architecture, t.fidelity) for t in sorted(result.record.trials, key=lambda t: t.number)]


@pytest.mark.parametrize("searcher", OPTIONS)
def test_a_continued_search_asks_for_what_an_uninterrupted_one_asks(tmp_path, searcher):
    whole = search(searcher, 4, tmp_path / "whole", clues=Clue())
    for budget in (2, 4):
        parts = search(searcher, budget, tmp_path / "parts", clues=Clue())
    assert asked(parts) == asked(whole)
    assert {f for _, f in asked(whole)} == {0.1, 1.0}


def test_a_study_with_a_stored_surrogate_continues_and_another_objective_uses_it_too(tmp_path):
    file = str(tmp_path / "space.safetensors")
    store(pretrain(SPACE, Clue(), members=2, epochs=2, profiled=30), file, SPACE)
    given = {"options": {"surrogate": file}}
    whole = search("ensemble-bo-thesis", 4, tmp_path / "whole", **given)
    search("ensemble-bo-thesis", 2, tmp_path / "parts", **given)
    assert asked(search("ensemble-bo-thesis", 4, tmp_path / "parts", **given)) == asked(whole)
    other = search("ensemble-bo-thesis", 4, evaluate=lambda a, fidelity: -value(a, fidelity), **given)
    assert asked(other) != asked(whole)
    assert load_record(tmp_path / "whole").settings["searcher"]["options"]["surrogate"] == file


@pytest.mark.parametrize("searcher", OPTIONS)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("good", "gave 'good' as score; it must give a number"),
        ("0.9", "gave '0.9' as score"),
        ((0.9, 0.1), r"gave \(0.9, 0.1\) as score"),
        (float("nan"), "no finite score: nan"),
        (None, "gave None as score"),
        (np.array([1.0, 2.0]), "as score; it must give a number"),
        ({"loss": 1.0}, "no finite score"),
    ],
)
def test_answers_that_are_no_numbers_fail_one_by_one_and_the_search_goes_on(searcher, answer, reason):
    result = search(searcher, 12, evaluate=lambda a: answer if a["x0"] < 2 else value(a), fidelities=None)
    failed = [t for t in result.record.trials if t.evaluation.status == "failed"]
    assert len(result.record.trials) == 12
    assert 0 < len(failed) < 12
    for trial in failed:
        with pytest.raises(ValueError, match=reason):
            raise ValueError(trial.evaluation.reason)
    assert result.best.architecture["x0"] >= 2


@pytest.mark.parametrize("searcher", OPTIONS)
def test_a_constant_objective_and_nothing_but_failures_are_searched_through(searcher):
    for answer in (1.0, "no"):
        result = search(searcher, 14, evaluate=lambda a, answer=answer: answer, fidelities=None)
        assert len({t.architecture for t in result.record.trials}) == 14


def test_constant_clues_are_refused_before_anything_is_evaluated(tmp_path):
    class Flat(Clue):
        def __call__(self, architectures):
            return np.ones((len(architectures), 1))

    evaluated = []
    with pytest.raises(SettingsError, match="the same for all 30 architectures"):
        search("ensemble-bo-thesis", 5, tmp_path / "s", clues=Flat(), evaluate=lambda a, fidelity: evaluated.append(a))
    assert evaluated == []


@pytest.mark.parametrize("searcher", OPTIONS)
@pytest.mark.parametrize("fidelities", [(10, 3), (3, 3), (0, 3), (-1, 3), ()])
def test_a_short_evaluation_that_costs_more_than_a_full_one_is_refused(searcher, fidelities):
    with pytest.raises(SettingsError, match="must be positive and ascending"):
        search(searcher, 5, fidelities=fidelities)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2], [1, 2, 3]], "has 3 values"),
        ([[1, 2], [2, 1], [1, 2]], "there twice"),
        ([[1, 3], [2, float("nan")]], "architecture 1 of the list has nan as x1"),
        ([[1, [2]], [2, [3]]], "architecture 0 of the list has .2. as x1"),
        ([], "must not be empty"),
        (5, "not be 5"),
    ],
)
def test_encodings_that_make_no_space_are_refused(rows, message):
    with pytest.raises(SpaceError, match=message):
        Space.listed(rows)


@pytest.mark.parametrize("searcher", OPTIONS)
def test_encodings_with_text_are_searched_as_categories(searcher):
    rows = [[i, kind, i * j] for i in range(3) for j, kind in enumerate(("relu", "gelu", "none"))]
    result = aw.search(
        Space.listed(rows), evaluate=lambda a: float(a["x0"]), objectives={"score": "maximize"}, searcher=searcher,
        searcher_options=OPTIONS[searcher], budget=20,
    )  # fmt: skip
    assert len(result.record.trials) == 9


def test_fewer_architectures_than_members_are_refused():
    with pytest.raises(SettingsError, match="2 architectures, fewer than the 6 members"):
        aw.search(
            Space.listed([[1], [2]]),
            evaluate=lambda a: 1.0,
            objectives={"x": "maximize"},
            searcher="ensemble-bo-thesis",
        )


def test_numeric_encodings_are_searched_by_their_order():
    """With a category for each of the many values, models would know nothing of values not yet evaluated."""
    encodings = np.random.default_rng(5).random((300, 6))
    worth = dict(zip(map(tuple, encodings.tolist()), -((encodings - 0.4) ** 2).sum(axis=1)))
    best = []
    for searcher in ("ensemble-bo", "random"):
        result = aw.search(
            Space.listed(encodings), evaluate=lambda a: worth[tuple(a.values())], objectives={"score": "maximize"},
            searcher=searcher, budget=24,
        )  # fmt: skip
        found = result.best.evaluation.metrics["score"]
        best.append(sum(w > found for w in worth.values()))
    assert best[0] < 3 < best[1]
