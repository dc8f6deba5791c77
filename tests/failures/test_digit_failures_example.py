"""The example that looks for the failures of a network trained on digits, in small."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from archwright.errors import FamilyError

FILE = Path(__file__).parents[2] / "examples" / "digit_failures.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("digit_failures", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_example_trains_searches_and_draws(example, tmp_path, capsys):
    greedy, random = example.main(budget=25, epochs=4, file=tmp_path / "figure.png")
    printed = capsys.readouterr().out
    assert float(printed.split("as they are: ")[1].split()[0]) > 0.7
    assert len(set(greedy.visited)) == len(set(random.visited)) == 25
    assert np.mean(greedy.accuracies) < np.mean(random.accuracies)
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_spoilt_images_change_only_in_their_place(example):
    images = np.random.default_rng(0).random((3, 1, 8, 8))
    for kind in space_values(example, "spoilt"):
        spoilt = example.spoil(images, kind, 3, "left", np.random.default_rng(1))
        assert (spoilt[..., 4:] == images[..., 4:]).all()
        assert (spoilt[..., :4] != images[..., :4]).any()
        assert spoilt.min() >= 0
        assert spoilt.max() <= 1


def space_values(example, name):
    return example.space.parameters[name].values


def test_a_file_without_evaluate_is_refused(tmp_path):
    from archwright.failures.files import conditions_from_file

    (tmp_path / "mine.py").write_text("import archwright as aw\nspace = aw.Space(a=aw.Choice(1, 2))\n")
    with pytest.raises(FamilyError, match="evaluate"):
        conditions_from_file(tmp_path / "mine.py")
