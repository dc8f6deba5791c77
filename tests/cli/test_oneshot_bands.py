"""Searches inside one network on several images per example: a stand-in for strong lenses, four bands of two sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import archwright as aw
from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.layers import MergeBands
from archwright.layers.bands import merge_in_stem
from archwright.supernet.joint import _Search
from archwright.supernet.methods import OneShot
from archwright.supernet.micro import MicroSettings, check_images, micro_duo
from archwright.supernet.settings import JointSettings

TINY = (
    "darts", "--data", "lenses.npz", "--small", "--epochs", 1, "--option", "pretrain_epochs=0", "--option", "warmup_epochs=1",
    "--option", "search_cells=3", "--option", "evaluation_cells=3", "--option", "nodes=1", "--option",
    "operations=skip_connect,max_pool_3x3", "--set", "channels=4", "--set", "cells=3", "--train", "epochs=1", "--device", "cpu",
    "--study", "s", "--json",
)  # fmt: skip


def lenses(n, seed=0, vis=27, side=9):
    """Noise; a ring in every band of one of the two classes. A VIS pixel is a third of the others, as in the real files."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    made = {}
    for band in ("vis", "j", "h", "y"):
        pixels = vis if band == "vis" else side
        x = rng.random((n, pixels, pixels)).astype(np.float32)
        distance = np.hypot(*(np.indices((pixels, pixels)) - (pixels - 1) / 2)) / pixels
        x[labels == 1] += 2 * ((distance > 0.2) & (distance < 0.35))
        made[band] = x
    return made, labels


@pytest.fixture(scope="module")
def content():
    found = {}
    for seed, (split, n) in enumerate((("train", 60), ("test", 20))):
        images, labels = lenses(n, seed)
        found |= {f"{split}_images_{band}": x for band, x in images.items()} | {f"{split}_labels": labels}
    return found


def run(archwright, content, method, *more):
    np.savez("lenses.npz", **content)
    done = archwright("oneshot", method, *TINY, *more)
    assert done.code == 0, done.err
    return done.json


def test_cells_are_searched_retrained_exported_and_used(archwright, content):
    found = run(
        archwright, content, "icdarts", "--option", "flip=true", "--option", "crop=2", "--train", "vertical_flip=true"
    )
    assert {"test_accuracy", "test_auc", "test_f_beta"} <= set(found["retrain"])
    assert found["retrain"]["test_f_beta"] == found["retrain"]["test"]["f_beta"]
    model = aw.load("s")
    assert isinstance(model.network.merge, MergeBands)
    data = load_data("lenses.npz")
    bands = {name: images[:5] for name, images in data.bands.unpack(data.test.inputs).items()}
    assert len(model.predict(bands).labels) == 5
    report = archwright("oneshot-report", "lenses=s", "--json").json
    assert "retrain.test_f_beta" in report["groups"][0]["metrics"]


def test_settings_of_the_study_and_a_learned_merge(archwright, content):
    found = run(archwright, content, "sglfc_xdarts005", "--merge", "convolution", "--option", "batch_size=16")
    assert found["expected_latency"] > 0
    asked = json.loads(Path("s/oneshot.json").read_text())
    assert asked["training"]["vertical_flip"]
    assert asked["dataset"]["loading"]["merge"] == "convolution"
    assert isinstance(aw.load("s").network.merge.reductions[0], nn.Conv2d)


def test_templates_are_searched_on_bands(archwright, content):
    found = run(archwright, content, "hier_v1", "--no-retrain")
    assert len(found["genotype"]["template"]) == 2


def test_cells_of_nasbench201_are_searched_on_bands(archwright, content):
    np.savez("lenses.npz", **content)
    done = archwright(
        "oneshot", "icdarts", "nasbench201", "--data", "lenses.npz", "--small", "--epochs", 1, "--option", "pretrain_epochs=0",
        "--option", "batch_size=8", "--option", "stages=2", "--no-retrain", "--device", "cpu", "--study", "s", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert len(done.json["architecture"]) == 6


def test_latencies_are_measured_on_bands(archwright, content):
    found = run(archwright, content, "combined", "--no-retrain", "--option", "tiers=1", "--option", "largest=2")
    assert {"skip_connect", "max_pool_3x3"} <= set(found["search"]["latency_table"])


@pytest.fixture(scope="module")
def data(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("lenses") / "lenses.npz"
    np.savez(path, **content)
    return load_data(path)


MICRO = MicroSettings(
    channels=2, search_cells=3, evaluation_cells=3, nodes=1, operations=("skip_connect", "avg_pool_3x3")
)


def test_each_network_merges_the_bands_itself(data):
    seen = []
    duo = micro_duo(MICRO, 4, 2, 0)[0]
    for network in (duo.student, duo.teacher):
        merge_in_stem(network, data.input_shape)
        network.stem[0].register_forward_hook(lambda _, inputs, out: seen.append((inputs[0].shape[1:], out.shape[1:])))
    search = _Search(duo, data, JointSettings(epochs=1, pretrain_epochs=0, batch_size=8), 0, torch.device("cpu"))
    assert search.augmentation.bands == data.input_shape
    search.run(None, None)
    assert set(seen) == {((27 * 27 + 3 * 81,), (4, 9, 9))}


def test_bands_that_become_too_small_are_refused():
    images = {"a": np.zeros((20, 3, 3), np.uint8), "b": np.zeros((20, 9, 9), np.uint8)}
    small = load_data({"train": (images, np.arange(20) % 2)}, validation=0.2, test=0.2)
    with pytest.raises(SettingsError, match="the data has 3 x 3"):
        check_images(small)
    assert OneShot("sglfc_op2").settings()[1].evaluation_cells == 14
