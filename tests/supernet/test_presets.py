"""Presets, and options of a run beside its search's: what each changes."""

import numpy as np
import pytest

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.evaluate.settings import Training
from archwright.layers.operations import MASTER, OPERATION_SETS
from archwright.supernet.methods import ALIASES, METHODS, OneShot
from archwright.supernet.micro import random_cells
from archwright.supernet.running import _design, run_oneshot

ROWS = [
    *(f"{kind}_v{v}" for kind in ("random", "cdarts", "icdarts") for v in range(5)),
    *(f"abl_{part}" for part in ("pooling", "identity", "dilated", "separable", "aux")),
    *(f"abl_stem_{stem}" for stem in ("identity", "conv", "concat")),
    *(f"abl_reduce_{kind}" for kind in ("avg", "max", "conv")),
    *(f"route_{route}" for route in ("cdarts", "a1", "b1", "a2", "b2", "icdarts")),
    *(f"opspace{i}" for i in range(1, 5)), "opspace_dynamic", "nodes3", "nodes4", "nodes5", "nodes5_750",
    "cell_darts", "cell_idarts", "cell_xdarts", *(f"xdarts_lat_{delta}" for delta in ("0", "0.01", "0.05", "0.1")),
    *(f"{study}_{kind}" for study in ("sglfc", "em") for kind in ("cdarts", "icdarts", "op2", "xdarts005", "dynamic")),
    "hier_v1", "hier_v2",
]  # fmt: skip
"""Every published row (Herron 2023, sections 3 to 6)."""


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (60, 1, 8, 8)).astype(np.uint8)
    return load_data({"train": (images, np.arange(60) % 2)}, validation=0.2, test=0.2)


def test_every_published_row_is_a_method() -> None:
    assert set(ROWS) <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_declaration_of_every_method_makes_sense(name) -> None:
    OneShot(name).settings()
    size, _ = OneShot(name).final()
    assert size["cells"] == (14 if name.startswith("sglfc") else 20)


def test_further_names_are_the_same_configuration() -> None:
    for alias, name in ALIASES.items():
        assert METHODS[alias] is METHODS[name]
    for pair in (("icdarts_v1", "icdarts"), ("opspace3", "icdarts"), ("cdarts_v1", "cdarts")):
        first, second = (OneShot(name).settings()[1:] for name in pair)
        assert first == second


def test_random_cells_of_v3_and_v4_are_retrained_as_the_same_network() -> None:
    micros = [OneShot(f"random_v{v}").settings()[1] for v in (3, 4)]
    assert random_cells(micros[0], 7) == random_cells(micros[1], 7)
    assert micros[0].zero.retraining == micros[1].zero.retraining == "zero"


def test_settings_of_the_case_studies() -> None:
    _, micro, search = OneShot("sglfc_icdarts").settings()
    size, training = OneShot("sglfc_icdarts").final()
    assert (micro.search_cells, micro.evaluation_cells, size["cells"]) == (8, 14, 14)
    assert (search.epochs, search.pretrain_epochs, search.warmup_epochs) == (30, 10, 3)
    assert (search.weight_decay, search.arch_weight_decay, search.crop) == (1e-5, 1e-5, 0)
    assert search.lr == pytest.approx(0.8 * 64 / 1024)
    assert (training.epochs, training.lr, training.weight_decay) == (250, 0.25, 3e-5)
    assert (training.drop_path, training.cutout, training.crop) == (0.0, 0, 0)
    assert training.flip
    assert training.vertical_flip
    search, training = OneShot("em_icdarts").settings()[2], OneShot("em_icdarts").final()[1]
    assert (search.lr, training.lr, training.epochs, training.cutout) == (0.2, 6.25e-3, 600, 16)
    assert OneShot("em_xdarts005").settings()[2].penalty == 0.05
    assert OneShot("sglfc_cdarts").settings()[2].e_split == "val"
    assert OneShot("nodes5_750").final()[1].epochs == 750


def test_the_search_is_augmented_as_published() -> None:
    search = OneShot("icdarts").settings()[2]
    assert (search.crop, search.flip) == (4, True)


def test_a_learning_rate_for_another_batch_is_scaled() -> None:
    search = OneShot("icdarts", {"lr": 0.4, "lr_batch": 256, "batch_size": 64}).settings()[2]
    assert search.lr == pytest.approx(0.1)
    assert OneShot("sglfc_icdarts", {"lr_batch": 0}).settings()[2].lr == 0.8


def test_the_warm_up_follows_the_half_of_the_evaluation_network() -> None:
    def warmup(**options: str) -> str:
        return OneShot("icdarts", options).settings()[2].warmup_split

    assert (warmup(), warmup(e_split="val")) == ("train", "val")
    assert warmup(e_split="val", warmup_split="train") == "train"
    assert OneShot("cdarts", {"e_split": "train"}).settings()[2].warmup_split == "train"


def test_labels_at_the_centre_keep_it() -> None:
    asked = OneShot("em_icdarts", {"centre_safe": True})
    assert asked.settings()[2].crop == 0
    assert asked.settings()[2].flip
    made = asked.final()[1].augmentation((1, 32, 32))
    assert (made.crop, made.cutout, made.flip) == (0, 0, True)


def test_retraining_takes_all_examples_or_those_of_the_search(data) -> None:
    training = Training()
    every, some = (OneShot("icdarts", {"retrain_on": on}).run.examples(data, training) for on in ("all", "train"))
    assert len(every.train) == len(data.train) + len(data.validation)
    assert (every.mean, every.std) == (data.mean, data.std)
    assert some is data
    with pytest.raises(SettingsError, match="retrain_on=train"):
        OneShot("icdarts").run.examples(data, Training(keep="best"))
    assert OneShot("icdarts", {"retrain_on": "train"}).run.examples(data, Training(patience=3)) is data


def test_decay_and_drop_path_by_size() -> None:
    sized = OneShot("icdarts", {"by_size": True}).run.sized
    found = [sized(Training(), params, set()) for params in (2_999_999, 3_000_000, 3_500_000)]
    assert [(t.weight_decay, t.drop_path) for t in found] == [(3e-4, 0.2), (3e-4, 0.3), (5e-4, 0.3)]
    assert sized(Training(drop_path=0.1), 10, {"drop_path"}).drop_path == 0.1
    assert OneShot("icdarts").run.sized(Training(drop_path=0.1), 10, set()).drop_path == 0.1


@pytest.mark.parametrize(
    ("method", "options", "there"),
    [("icdarts", {}, True), ("abl_aux", {}, False), ("abl_aux", {"keep_tower": True}, True), ("abl_keep_tower", {}, True)],
)  # fmt: skip
def test_the_tower_of_retraining(method, options, there, data) -> None:
    asked = OneShot(method, options)
    micro = asked.settings()[1]
    design = _design(asked, random_cells(micro, 0), micro, {"channels": 4, "cells": 3})
    network = design.family.build(design.architecture, (1, 8, 8), 2)
    assert (network.tower is not None) == there
    assert micro.template.heads == (method == "icdarts")


def test_the_master_space_with_depthwise_convolutions() -> None:
    micro = OneShot("icdarts", {"operations": "master35"}).settings()[1]
    assert set(micro.operations) - set(MASTER) == {"depthwise_3x3", "depthwise_5x5"}
    assert len(OPERATION_SETS["master35"]) == 35


def test_a_tournament_of_lists_per_node(data, tmp_path) -> None:
    small = {"channels": 2, "search_cells": 3, "evaluation_cells": 3, "nodes": 1, "epochs": 1, "pretrain_epochs": 0}
    rules = {"tiers": 1, "largest": 2, "operations": "relu,tanh,sigmoid,skip_connect,batch_norm"}
    asked = OneShot("opspace_dynamic", {**small, **rules, "bundle": "node"}, {"cells": 3}, retrain=False)
    lists = run_oneshot(asked, data, tmp_path)["search"]["lists"]
    assert all(rows[0] == rows[1] for rows in lists.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_batch": -1}, "lr_batch must be a whole number"),
        ({"keep_tower": 1}, "keep_tower must be true or false"),
        ({"macro_lr": 0}, "macro_lr must be a number above 0"),
        ({"macro_lr_of": "alpha"}, "unknown macro_lr_of 'alpha'"),
        ({"type_reduction": "conv"}, "unknown type_reduction 'conv'"),
        ({"retrain_on": "test"}, "unknown retrain_on 'test'"),
        ({"keep_towers": True}, "did you mean keep_tower"),
        ({"bundle": "cell"}, "unknown option 'bundle'"),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(SettingsError, match=message):
        OneShot("hier_v1", options).settings()


def test_options_of_templates_are_refused_where_none_is_searched() -> None:
    with pytest.raises(SettingsError, match="macro_lr would change nothing"):
        OneShot("icdarts", {"macro_lr": 0.01}).settings()
    assert OneShot("hier_v2", {"type_reduction": "pool"}).run.type_reduction == "pool"
