"""Searchers compared with real trainings at equal processor time."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from archwright.arena import realdata
from archwright.arena.realdata import ENTRIES, read_real_data, reproduce_real_data, small_family
from archwright.data import load_data
from archwright.errors import DataError, SettingsError


def scans(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 2
    images = rng.integers(0, 120, (count, 28, 28)) + 100 * labels[:, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pneumoniamnist").mkdir()
    arrays = {}
    for split, count in (("train", 96), ("val", 32), ("test", 32)):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = scans(count)
    np.savez(tmp_path / "pneumoniamnist" / "pneumoniamnist.npz", **arrays)
    return tmp_path


@pytest.fixture
def quick(monkeypatch):
    """A clock by which everything takes a quarter of a second, so that a run has a few trainings on any machine."""
    ticks = iter(np.arange(0, 1e6, 0.25))
    monkeypatch.setattr(realdata.time, "process_time", lambda: float(next(ticks)))


def test_every_network_of_the_small_family_maps_images_to_classes():
    import torch

    family = small_family()
    for architecture in family.space.sample(np.random.default_rng(0), 30):
        for shape in ((1, 28, 28), (3, 32, 32)):
            network = family.build(architecture, shape, 10).eval()
            assert network(torch.zeros(2, *shape)).shape == (2, 10)


def test_all_searchers_spend_the_same_and_finished_runs_are_kept(folder, quick, monkeypatch):
    full = {label: entry for label, entry in realdata.ENTRIES.items() if entry[1] == (1.0,)}
    monkeypatch.setattr(realdata, "ENTRIES", full)
    how = {"data_dir": folder, "runs": 2, "budget": 2, "only": ["pneumonia"], "out": folder / "out"}
    found = reproduce_real_data(**how)
    assert [row["searcher"] for row in found["rows"]] == list(full)
    kept = [json.loads(line) for line in (folder / "out" / "real-data.jsonl").read_text().splitlines()]
    assert len(kept) == 2 * len(full)
    for run in kept:
        assert run["curve"][-1] == [pytest.approx(run["curve"][-1][0]), run["validation"]]
        assert run["curve"][-1][0] <= 2
        assert run["curve"] == sorted(run["curve"], key=lambda step: step[1])
        assert 0 <= run["test"] <= 1
    assert {(run["trainings"], run["short"]) for run in kept} == {(2, 0)}
    done = []
    again = reproduce_real_data(**how, on_done=lambda *a: done.append(a))
    assert again == found
    assert len(done) == len(kept)
    assert {t for row in found["rows"][1:] for t in row["test_tests"]} == {"wilcoxon", "mann-whitney"}


def test_short_trainings_are_told_apart_from_full_ones(folder, quick):
    data = load_data(folder / "pneumoniamnist" / "pneumoniamnist.npz")
    (label,) = (label for label, entry in ENTRIES.items() if len(entry[1]) > 1)
    run = realdata.search_for("pneumoniamnist", data, label, 0, 14)
    assert run.short >= 10 > run.trainings > 0
    assert run.curve[0][0] > 5


def test_the_same_seed_begins_with_the_same_network(folder, quick):
    data = load_data(folder / "pneumoniamnist" / "pneumoniamnist.npz")
    runs = [realdata.search_for("pneumoniamnist", data, label, 3, 1.2) for label in ("random", "rea", "lspon")]
    assert len({json.dumps(run.architecture) for run in runs}) == 1


def test_stored_jpeg_files_become_a_balanced_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(realdata, "IMAGES", 60)
    monkeypatch.setattr(realdata, "TESTED", 20)
    (tmp_path / "cifar10-jpeg").mkdir()
    for name, count in (("train-00", 40), ("train-01", 40), ("test-00", 30)):
        files = []
        for i in range(count):
            out = io.BytesIO()
            Image.fromarray(np.full((32, 32, 3), 25 * (i % 10), np.uint8)).save(out, "JPEG")
            files.append(np.frombuffer(out.getvalue(), np.uint8))
        offsets = np.cumsum([0, *map(len, files)])
        np.savez(
            tmp_path / "cifar10-jpeg" / f"{name}.npz",
            jpeg=np.concatenate(files),
            offsets=offsets,
            labels=np.arange(count) % 10,
        )
    data = read_real_data("cifar10-10k", tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 48, "validation": 12, "test": 20}
    assert len(data.classes) == 10


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"runs": 0}, SettingsError, "at least 1"),
        ({"budget": 0}, SettingsError, "above 0"),
        ({"only": ["mnust"]}, SettingsError, "data set"),
        ({"only": ["cifar"]}, DataError, "cifar10-jpeg/train-00.npz is not in"),
        ({"only": ["pneumonia"], "budget": 0.1}, SettingsError, "not enough for one training"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, quick, how, error, message):
    with pytest.raises(error, match=message):
        reproduce_real_data(data_dir=folder, **{"runs": 1} | how)


def test_a_file_of_something_else_is_refused(folder):
    (folder / "real-data.jsonl").write_text('{"curve": []}\n')
    with pytest.raises(SettingsError, match="something else"):
        reproduce_real_data(data_dir=folder, out=folder)
