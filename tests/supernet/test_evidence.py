"""The evidence on real images: what is run, kept and tested."""

import numpy as np
import pytest

from archwright.errors import DataError, SettingsError
from archwright.hardware.shares import LatencyWeights
from archwright.supernet.evidence import FILES, LINES, LOADERS, Scale, asked, load, runs_of
from archwright.supernet.evidencepage import markdown, of_cells, planned_tests, summary
from archwright.supernet.methods import METHODS


def data_folder(folder):
    rng = np.random.default_rng(0)
    (folder / "cifar10-lossless-4k").mkdir(parents=True)
    (folder / "pneumoniamnist").mkdir()
    for i in range(2):
        labels = np.arange(40) % 2
        images = (rng.integers(0, 100, (40, 16, 16, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)
        np.savez(folder / f"cifar10-lossless-4k/batch-{i}.npz", images=images, labels=labels)
    parts = {}
    for name in ("train", "val", "test"):
        parts[f"{name}_images"] = rng.integers(0, 255, (24, 17, 17)).astype(np.uint8)
        parts[f"{name}_labels"] = (np.arange(24) % 2)[:, None]
    np.savez(folder / FILES["pneumoniamnist"], **parts)
    return folder


def test_seeds_come_one_after_another_and_methods_in_between():
    runs = runs_of(range(2))
    assert len(runs) == len({run.folder for run in runs}) == 2 * len(LOADERS) * len(LINES)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    assert {line.method for line in LINES} <= set(METHODS)


def test_every_line_asks_for_the_same_budget():
    scale = Scale()
    for run in runs_of([3]):
        what = asked(run, scale)
        _, micro, settings = what.settings()
        assert (settings.epochs, settings.batch_size, micro.search_cells, what.seed) == (
            scale.epochs,
            scale.batch_size,
            scale.cells,
            3,
        )
        assert settings.penalty == ("penalty" in run.line.label)


def test_images_shrink_by_the_mean_of_blocks(tmp_path):
    folder = data_folder(tmp_path)
    scale = Scale(images=20)
    assert load("cifar10", folder, scale).input_shape == (3, 8, 8)
    assert load("pneumoniamnist", folder, scale).input_shape == (1, 8, 8)  # 17 pixels: the last one is cut off
    one = load("cifar10", folder, Scale(images=20, shrink=1))
    half = load("cifar10", folder, scale)
    assert len(one.train.targets) == len(half.train.targets) == 20
    blocks = np.asarray(one.test.inputs, float).reshape(len(one.test.targets), 3, 8, 2, 8, 2).mean((3, 5))
    assert np.abs(blocks - np.asarray(half.test.inputs, float)).max() <= 0.5


def test_missing_data_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("ARCHWRIGHT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="cifar10-lossless-4k"):
        load("cifar10", tmp_path, Scale())


def test_shares_and_weights_of_a_stacked_network():
    nodes = [[["none", 0], ["skip_connect", 1]]]
    reduce = [[["sep_conv_5x5", 0], ["sep_conv_5x5", 1]]]
    found = of_cells({"normal": nodes, "reduce": reduce}, 4)  # two cells of each type
    assert found == {"none": 0.25, "skip_connect": 0.25, "weight": pytest.approx(2 * 0.04 + 4 * 0.36)}


def results(spread=0.0, gain=0.0, seeds=4):
    rng = np.random.default_rng(1)
    found = {}
    for run in runs_of(range(seeds)):
        accuracy = 0.5 + 0.01 * rng.normal() + (spread * (-1) ** run.seed if run.line.label == "CDARTS" else 0)
        wide = "penalty" not in run.line.label
        op = "sep_conv_5x5" if wide else "skip_connect"
        found[run] = {
            "genotype": {"normal": [[[op, 0], [op, 1]]], "reduce": [[[op, 0], [op, 1]]]},
            "retrain": {
                "test_accuracy": accuracy + (0 if "random" in run.line.label else gain),
                "test": {"auc": 0.5},
                "params": 100,
            },
        }
    return found


def said(found):
    return summary(found, {run: 0.01 * (1 + len(run.line.label)) for run in found}, Scale())


def p_of(found, question, a):
    return next(t for t in found["tests"] if question in t["question"] and t["a"] == a and t["data"] == "all")


def test_what_differs_is_found_and_what_does_not_is_not():
    found = said(results(spread=0.2, gain=0.3))
    assert p_of(found, "spread", "ICDARTS")["p_holm"] < 0.05
    assert p_of(found, "spread", "ICDARTS")["difference"] < 0
    assert p_of(found, "random", "ICDARTS")["p_holm"] < 0.05
    assert p_of(found, "lower the latency", "XDARTS cells, penalty")["difference"] < 0
    assert p_of(found, "lower the latency", "XDARTS cells, penalty")["p_holm"] < 0.05
    assert p_of(found, "to the accuracy", "XDARTS cells, penalty")["p_holm"] > 0.05
    null = said(results())
    assert p_of(null, "random", "CDARTS")["p_holm"] > 0.05
    assert p_of(null, "collapse", "CDARTS, V4")["p_holm"] > 0.05
    assert all(t["p"] <= t["p_holm"] <= 1 for t in null["tests"])
    text = markdown(found)
    assert "| cifar10 | ICDARTS | 4 | 0." in text
    assert "nan" not in text


def test_pairs_are_of_one_seed_and_missing_runs_are_left_out():
    found = results()
    some = {run: result for run, result in found.items() if not (run.line.label == "ICDARTS" and run.seed == 0)}
    assert p_of(said(some), "random", "ICDARTS")["n"] == 6
    assert planned_tests({}) == []


def test_a_scale_is_checked():
    with pytest.raises(SettingsError, match="image"):
        Scale().changed({"image": 3})
    with pytest.raises(SettingsError, match="whole number"):
        Scale().changed({"images": 0})


def test_measured_weights_are_for_the_penalty_alone(tmp_path):
    weights = LatencyWeights("here", {"max_pool_3x3": 0.75, "skip_connect": 0.25})
    weights.save(tmp_path / "weights.json")
    asks = {run.line.label: asked(run, Scale(latency=str(tmp_path / "weights.json"))) for run in runs_of([0])}
    assert asks["XDARTS cells"].settings()[1].latency is None
    assert asks["XDARTS cells, penalty"].settings()[1].latency["max_pool_3x3"] == 0.75
