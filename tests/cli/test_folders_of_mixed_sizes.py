"""A folder of images of several sizes, one of them broken: every command that reads it says what to pass, and takes that."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

COMMANDS = {
    "profile": ["profile", "cnn", "--repeats", "1"],
    "proxies": ["proxies", "score", "cnn", "--proxies", "params", "--sample", "1", "--batch", "4"],
    "surrogate": ["surrogate", "pretrain", "cnn", "--metrics", "params", "--profiled", "12", "--epochs", "1"],
    "table": [
        "table", "make", "cnn", "--sample", "1", "--seeds", "1", "--epochs", "1", "--workers", "0", "--train", "batch_size=8",
    ],
    "oneshot": [
        "oneshot", "random_v1", "darts", "--no-retrain", "--option", "search_cells=3", "--option", "evaluation_cells=3",
        "--option", "channels=2", "--set", "cells=3", "--set", "channels=2", "--train", "crop=0", "--option", "crop=0",
    ],
}  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(24):
        folder = tmp_path / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (9 + i % 3, 10, 3), np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return tmp_path / "photos"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_message_tells_to_pass_is_an_option_of_the_command(archwright, photos, command):
    words = [*COMMANDS[command], "--data", photos]
    first = archwright(*words)
    assert first.code == 2
    assert "broken.png cannot be read as an image" in first.err
    assert "--skip-corrupt" in first.err
    second = archwright(*words, "--skip-corrupt")
    assert second.code == 2
    assert "pass --resize 9" in second.err
    third = archwright(*words, "--skip-corrupt", "--resize", "8")
    assert third.code == 0, third.err
