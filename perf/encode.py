"""Encoding 10,000 cells of six edges at once, against a plain loop over architectures. Prints ratios of medians.

python perf/encode.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from archwright.space import Architecture, Cell, Space

OPERATIONS = ("none", "skip", "conv1", "conv3", "pool")


def plain(space: Space, architectures: list[Architecture]) -> np.ndarray:
    rows = []
    for architecture in architectures:
        row = []
        for name in space.names:
            row += [1.0 if architecture[name] == operation else 0.0 for operation in OPERATIONS]
        rows.append(row)
    return np.array(rows)


def milliseconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    space = Space(cells=Cell(4, OPERATIONS))
    architectures = space.sample(np.random.default_rng(0), 10_000)
    assert (plain(space, architectures) == space.encode(architectures, "one_hot")).all()
    jobs = {
        kind: (lambda k=kind: space.encode(architectures, k)) for kind in ("ordinal", "one_hot", "adjacency", "path")
    }
    times: dict[str, list[float]] = {name: [] for name in ["plain loop", *jobs]}
    for _ in range(15):
        times["plain loop"].append(milliseconds(lambda: plain(space, architectures)))
        for name, job in jobs.items():
            times[name].append(milliseconds(job))
    base = statistics.median(times["plain loop"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:<12} {middle:7.1f} ms for 10,000   {base / middle:5.1f} times the plain loop's speed")


if __name__ == "__main__":
    main()
