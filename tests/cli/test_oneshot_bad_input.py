"""Awkward data of searches inside one network are searched, impossible ones are refused on one line."""

import numpy as np
import pytest
from torch import nn

from archwright.errors import FamilyError
from archwright.layers import operations
from archwright.layers.operations import MASTER, check_operation

TINY = (
    "--small", "--epochs", 1, "--option", "pretrain_epochs=0", "--option", "search_cells=3", "--option", "evaluation_cells=3",
    "--option", "nodes=1", "--option", "channels=2",
    "--set", "channels=2", "--set", "cells=3", "--train", "epochs=1", "--device", "cpu", "--study", "s",
)  # fmt: skip


def images(shape, labels):
    """A file of images, so many in each of its three splits as there are labels."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 255, (len(labels), *shape)).astype(np.uint8)
        arrays[f"{split}_labels"] = np.array(labels)
    np.savez("x.npz", **arrays)


def search(archwright, method, *more):
    return archwright("oneshot", method, "darts", "--data", "x.npz", *TINY, *more)


@pytest.mark.parametrize(
    ("method", "shape", "labels", "more"),
    [
        ("icdarts", (9, 11, 3), [0, 1] * 12, ()),
        ("hier_v1", (13, 7), [0, 1, 2] * 8, ()),
        ("icdarts", (4, 4), [0, 1] * 12, ()),
        ("icdarts", (8, 8), [0, 1] * 12, ("--option", "batch_size=5000", "--train", "batch_size=5000")),
        ("cdarts", (8, 8), [0] * 40 + [1] * 4, ("--option", "batch_size=2", "--train", "batch_size=2")),
        ("icdarts", (6, 6, 3), [0, 0, 1, 1], ()),
    ],
    ids=["odd", "odd-hierarchical", "smallest", "batch-beyond-data", "one-class-in-a-batch", "four-examples"],
)
def test_awkward_images_are_searched_retrained_and_exported(archwright, method, shape, labels, more):
    images(shape, labels)
    done = search(archwright, method, "--json", *more)
    assert done.code == 0, done.err
    assert 0 <= done.json["retrain"]["test_accuracy"] <= 1
    np.save("new.npy", np.load("x.npz")["test_images"][:3])
    assert archwright("predict", "s", "new.npy").code == 0


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((3, 9), [0, 1] * 12, "halve the image twice and need at least 4 x 4 pixels; the data has 3 x 9"),
        ((8, 8), [0] * 12, "one class"),
        ((8, 8), [0] * 12 + [1], "too few to make a search split"),
    ],
    ids=["more-reductions-than-pixels", "one-class", "one-example-of-a-class"],
)
def test_impossible_images_are_refused(archwright, shape, labels, message):
    images(shape, labels)
    done = search(archwright, "icdarts", "--quiet")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c, s: nn.Conv2d(c, c, 3, s), r"makes \(2, 2, 3, 5\) of \(2, 2, 5, 7\) at stride 1"),
        (lambda c, s: nn.Conv2d(c, 2 * c, 1, s), r"makes \(2, 4, 5, 7\) of"),
        (lambda c, s: nn.MaxPool2d(s, s), r"at stride 2; operations of cells keep the channels"),
        (lambda c, s: nn.Linear(c, c), r"cannot take \(2, 2, 5, 7\) at stride 1"),
    ],
    ids=["shrinks", "widens", "rounds-down", "takes-no-images"],
)
def test_operations_that_change_the_shape_are_refused(archwright, monkeypatch, make, message):
    monkeypatch.setitem(operations.OPERATIONS, "mine", make)
    with pytest.raises(FamilyError, match=message):
        check_operation("mine", 2)
    images((8, 8), [0, 1] * 12)
    done = search(archwright, "icdarts", "--option", "operations=skip_connect,mine", "--quiet")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "operation 'mine'" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--option", "operations=none"), "none is no operation among others; zeros (V0 to V4) says"),
        (("--option", "operations=relu,tanh,relu"), "the operation relu is named twice"),
        (("--option", "relaxation=7"), "unknown relaxation 7"),
        (("--option", "edge_score=3"), "unknown edge score 3"),
        (("--option", "channels=300000"), "the search of cells needs about"),
        (("--set", "channels=300000"), "retraining needs about"),
    ],
)
def test_options_that_cannot_be_are_refused(archwright, words, message):
    images((8, 8), [0, 1] * 12)
    replaced = words[1].split("=")[0] + "="
    others = list(TINY)
    for i, (word, value) in enumerate(zip(TINY, TINY[1:])):
        if word == words[0] and str(value).startswith(replaced):
            del others[i : i + 2]
    done = archwright("oneshot", "icdarts", "darts", "--data", "x.npz", *others, *words, "--quiet")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert message in done.err


def test_studies_that_cannot_be_kept_and_methods_of_unknown_names_are_refused(archwright, tmp_path):
    images((8, 8), [0, 1] * 12)
    words = [word for word in TINY if word not in ("--study", "s")]
    done = archwright("oneshot", "icdarts", "darts", "--data", "x.npz", *words, "--study", "x.npz", "--quiet")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "the study cannot be kept in x.npz: File exists" in done.err
    (tmp_path / "mine.py").write_text(
        "from archwright.supernet.methods import Method\n"
        "slow = Method('a', settings={'epoch': 3})\n"
        "odd = Method('b', micro={'cells': 3})\n"
    )
    for name, message in (
        ("slow", "unknown name in settings 'epoch'; did you mean"),
        ("odd", "unknown name in micro 'cells'"),
    ):
        done = search(archwright, f"mine.py:{name}")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert message in done.err


def test_all_operations_keep_the_shape():
    for name in (*MASTER, "depthwise_3x3", "depthwise_5x5", "zero", "random"):
        check_operation(name, 4)


def test_going_on_with_other_settings_is_refused(archwright):
    images((8, 8), [0, 1] * 12)
    assert search(archwright, "icdarts").code == 0
    for other, message in (
        (("--option", "lr=0.01"), "holds a search with other settings (options)"),
        (("--seed", 4), "holds a search with other settings (seed)"),
        (("--train", "lr=0.3"), "is of another training"),
    ):
        done = search(archwright, "icdarts", *other)
        assert (done.code, message in done.err) == (2, True), done.err
    images((8, 8), [0, 1] * 13)
    assert "holds a search with other settings (data)" in search(archwright, "icdarts").err
