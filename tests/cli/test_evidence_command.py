"""``archwright reproduce oneshot-real-data``: from data to the summary, resuming, mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest

TINY = [
    word
    for option in ("images=20", "nodes=1", "channels=2", "epochs=1", "batch_size=8", "final_cells=3", "final_channels=2",
                   "final_epochs=1")
    for word in ("--option", option)
]  # fmt: skip


@pytest.fixture
def data(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "cifar10-lossless-4k").mkdir()
    (folder / "pneumoniamnist").mkdir()
    images = rng.integers(0, 255, (80, 16, 16, 3)).astype(np.uint8)
    np.savez(folder / "cifar10-lossless-4k/batch-0.npz", images=images, labels=np.arange(80) % 2)
    parts = {f"{n}_images": rng.integers(0, 255, (24, 16, 16)).astype(np.uint8) for n in ("train", "val", "test")}
    labels = {f"{n}_labels": (np.arange(24) % 2)[:, None] for n in ("train", "val", "test")}
    np.savez(folder / "pneumoniamnist/pneumoniamnist.npz", **parts, **labels)
    return folder


def test_runs_are_kept_and_summed_up(archwright, data):
    words = ("reproduce", "oneshot-real-data", "--data-dir", data, "--out", "kept", "--runs", 1, *TINY)
    done = archwright(*words, "--only", "random", "--only", "CDARTS, V4", "--json")
    assert done.code == 0, done.err
    assert {(r["dataset"], r["method"]) for r in done.json["rows"]} == {
        (d, m) for d in ("cifar10", "pneumoniamnist") for m in ("random cells", "CDARTS, V4")
    }
    assert json.loads(Path("kept/summary.json").read_text())["rows"] == done.json["rows"]
    assert all(0 < r["latency"]["mean"] < 10 for r in done.json["rows"])
    before = {path: path.stat().st_mtime_ns for path in Path("kept").rglob("result.json")}
    assert len(before) == 4
    next(iter(before)).write_text("{")  # cut off while it was written
    again = archwright(*words, "--only", "random", "--only", "CDARTS, V4")
    assert again.code == 0, again.err
    assert "random cells" in again.out
    changed = [path for path, when in before.items() if path.stat().st_mtime_ns != when]
    assert changed == [next(iter(before))]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "--out"),
        (("--out", "x", "--runs", 0), "--runs"),
        (("--out", "x", "--only", "nothing"), "random cells"),
        (("--out", "x", "--option", "image=1"), "images"),
        (("--out", "x", "--budget", 3), "--budget"),
        (("--out", "x", "--workers", 0), "workers"),
    ],
)
def test_mistakes(archwright, data, more, message):
    done = archwright("reproduce", "oneshot-real-data", "--data-dir", data, *more)
    assert done.code != 0
    assert message in done.err
    assert "Traceback" not in done.err


def test_another_scale_needs_another_folder(archwright, data):
    words = (
        "reproduce",
        "oneshot-real-data",
        "--data-dir",
        data,
        "--out",
        "kept",
        "--runs",
        1,
        "--only",
        "random",
        *TINY,
    )
    assert archwright(*words).code == 0
    done = archwright(*words[:-1], "final_epochs=2")
    assert done.code != 0
    assert "final_epochs" in done.err
