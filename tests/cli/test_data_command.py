"""``archwright data``, and training on what it made."""

import numpy as np
import pytest
from test_lenses import challenge
from test_microscopy import stacks

from archwright.data import load_data
from archwright.evaluate import NetworkEvaluator, Training
from archwright.families import get_family


def test_lenses_from_the_distributed_files_to_a_trained_network(archwright, tmp_path):
    challenge(tmp_path / "challenge", n=40)
    made = archwright("data", "sglfc", "challenge", "--out", "lenses.npz", "--json")
    assert made.code == 0, made.err
    assert made.json["class_counts"] == {"train": [16, 16], "test": [4, 4]}
    data = load_data("lenses.npz")
    evaluator = NetworkEvaluator(get_family("mlp"), data, Training(epochs=1, flip=True, vertical_flip=True))
    evaluation, network = evaluator.train_fully(evaluator.family.space.default)
    assert evaluation.status == "ok"
    assert {"f_beta", "auc", "accuracy"} <= set(evaluator.test(network))


def test_crops_of_microscopy(archwright, tmp_path):
    stacks(tmp_path / "em")
    made = archwright("data", "em", "em", "--out", "em.npz", "--train-crops", 8, "--test-crops", 4)
    assert made.code == 0, made.err
    assert "24 examples (12, 12 by class)" in made.out
    with np.load("em.npz") as file:
        assert file["train_images"].shape == (24, 32, 32)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "sglfc", "nowhere", "--out", "l.npz"), "no image_catalog2.0train.csv in nowhere"),
        (("data", "sglfc", "nowhere", "--catalog", "none.csv", "--out", "l.npz"), "none.csv cannot be read"),
        (("data", "em", "nowhere", "--out", "em.npz"), "there is no folder nowhere"),
        (("data", "em", "nowhere", "--out", "em.npz", "--train-crops", 0), "at least 2 crops"),
    ],
)
def test_what_cannot_be_prepared_is_said_in_one_line(archwright, words, message):
    done = archwright(*words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
