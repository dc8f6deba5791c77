"""Which searcher a study gets when none is named, and that it works on every kind of space."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import archwright as aw
from archwright.errors import SettingsError
from archwright.evaluation import Goal, Objective
from archwright.space import Choice, Integer, Real, Space
from archwright.study.choosing import choose_searcher, make_budget
from archwright.study.final import FinalSettings

ONE = Goal((Objective("accuracy", "maximize"),))
TWO = Goal((Objective("accuracy", "maximize"), Objective("params", "minimize")))
SPACES = {
    "fewer than its first batch": Space(width=Choice(2, 4, 8)),
    "one": Space(width=Choice(4)),
    "conditional and mixed": Space(
        kind=Choice("a", "b"), width=Integer(1, 16), rate=Real(0.0, 0.5), more=Choice(1, 2, when={"kind": "b"})
    ),
}


def network(architecture, input_shape, num_classes):
    width = architecture["width"]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(int(np.prod(input_shape)), width), nn.ReLU(), nn.Linear(width, num_classes)
    )


def data(n: int = 48):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n, 1, 4, 4, generator=generator)
    return images.numpy(), (images.mean((1, 2, 3)) > 0.5).long().numpy()


def search(space, **more):
    how = {"data": data(), "epochs": 1, "budget": 3, "final": FinalSettings(top=0)}
    return aw.search(space, network, **how | more)


@pytest.mark.parametrize(
    ("goal", "how", "name"),
    [
        (ONE, {"trains": True}, "ensemble-bo"),
        (TWO, {"trains": True}, "rea"),
        (ONE, {"trains": False}, "rea"),
        (ONE, {"trains": False, "fidelities": (1, 3)}, "ensemble-bo"),
        (TWO, {"trains": True, "fidelities": (1, 3)}, "ensemble-bo"),
    ],
)
def test_one_objective_of_trainings_is_what_ensemble_bo_is_for(goal, how, name):
    assert choose_searcher(goal, **how) == name


@pytest.mark.parametrize("name", SPACES)
def test_the_default_works_on_every_kind_of_space(name):
    result = search(SPACES[name], budget=11)
    size = SPACES[name].size or 11
    assert result.record.settings["searcher"]["name"] == "ensemble-bo"
    assert len(result.record.trials) == min(11, size)
    assert result.best is not None


def test_a_budget_of_one_training_is_enough():
    assert len(search(SPACES["conditional and mixed"], budget=1).record.trials) == 1


def test_without_trainings_of_ours_the_default_is_evolution(tmp_path):
    done = aw.search(SPACES["one"], evaluate=lambda a: 1.0, objectives={"score": "maximize"}, budget=1)
    assert done.record.settings["searcher"]["name"] == "rea"
    assert search(SPACES["one"], inherit=True, study=tmp_path, budget=1).record.settings["searcher"]["name"] == "rea"


def test_a_continued_study_keeps_its_searcher(tmp_path):
    space = SPACES["conditional and mixed"]
    search(space, study=tmp_path, searcher="ls")
    more = search(space, study=tmp_path, budget=5)
    assert more.record.settings["searcher"]["name"] == "ls"
    assert len(more.record.trials) == 5


def test_a_study_whose_settings_name_an_unknown_searcher_does_not_decide(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"searcher": {"name": "gone"}}))
    assert choose_searcher(ONE, trains=True, study=tmp_path) == "ensemble-bo"


def test_a_budget_counts_trainings_unless_some_are_short():
    assert make_budget("ensemble-bo", 5).evaluations == 5
    assert make_budget("ensemble-bo", 5, fidelities=(1, 3)).equivalents == 5
    assert make_budget("hyperband", 5).equivalents == 5
    with pytest.raises(SettingsError, match="unknown|no searcher|did you mean"):
        make_budget("ensemble", 5)
