"""Estimated memory of searches inside one network against what they take on this CPU, each in a process of its own.

What a search takes is the most resident memory of its process in one epoch of three batches, less what the process had after the estimate,
whose step on two examples has loaded the libraries.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil

SEARCHES = (
    ("icdarts", 4, 4, 8, 16, 16), ("icdarts", 5, 5, 16, 16, 32), ("icdarts", 8, 20, 16, 32, 32), ("cdarts", 4, 4, 8, 64, 32),
    ("darts2", 4, 4, 8, 32, 32),
)  # fmt: skip
"""Method, cells of search and evaluation network, channels, batch, pixels of a side."""
BATCHES = 3


def measure(method: str, cells: int, evaluation_cells: int, channels: int, batch: int, size: int) -> tuple[int, int]:
    """Estimate and what it took, in bytes."""
    import torch

    from archwright.data import load_data
    from archwright.supernet.memory import Peak, resident_peak, search_memory
    from archwright.supernet.methods import METHODS
    from archwright.supernet.micro import MicroSettings, micro_duo, search_cells
    from archwright.supernet.settings import JointSettings

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    n = 2 * BATCHES * batch
    images = rng.integers(0, 255, (n + 40, size, size, 3)).astype(np.uint8)
    classes = np.arange(n + 40) % 10
    data = load_data({"train": (images[:n], classes[:n]), "validation": (images[n:], classes[n:])})
    micro = MicroSettings(channels=channels, search_cells=cells, evaluation_cells=evaluation_cells)
    given = {**METHODS[method].settings, "batch_size": batch, "epochs": 1, "pretrain_epochs": 0, "warmup_epochs": 0}
    settings = JointSettings(**given)
    estimate = search_memory(micro_duo(micro, 3, 10, 0)[0], settings, data)
    before = psutil.Process().memory_info().rss
    Peak("cpu")
    search_cells(data, micro, settings)
    return estimate, resident_peak() - before


def main() -> None:
    """Measure all, or one."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--one", type=int, help="number of the only search to measure")
    number = arguments.parse_args().one
    if number is not None:
        print(json.dumps(measure(*SEARCHES[number])))
        return
    for i, (method, cells, evaluation_cells, channels, batch, size) in enumerate(SEARCHES):
        command = [sys.executable, str(Path(__file__)), "--one", str(i)]
        estimate, took = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
        what = f"{method}, {cells} cells (E: {evaluation_cells}), {channels} channels, batch {batch}, {size}x{size}"
        print(
            f"{what}: estimate {estimate / 2**20:.0f} MB, took {took / 2**20:.0f} MB, ratio {took / estimate:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
