"""Throughput of a real search with two workers against one, each with its share of the cores. Prints the ratio.

python perf/workers.py [--budget 24] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import archwright as aw
from archwright.study.final import FinalSettings
from archwright.study.storage import load_trials


def rate(folder: Path, workers: int, budget: int, seed: int) -> float:
    """Evaluations per second between the first start and the last end, without the start of the processes."""
    aw.search(
        aw.get_family("nasbench201", channels=8, cells=2),
        data="digits",
        searcher="random",
        budget=budget,
        epochs=4,
        study=folder,
        workers=workers,
        seed=seed,
        final=FinalSettings(top=0),
    )
    trials = load_trials(folder, None)[1]
    first = [min(t.finished for t in trials if t.worker == w) for w in range(workers)]
    rest = [t for t in trials if t.finished > max(first)]
    return len(rest) / (max(t.finished for t in rest) - max(first))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    for i in range(options.rounds):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            one, two = (rate(Path(folder) / f"w{w}", w, options.budget, i) for w in (1, 2))
        ratios.append(two / one)
        spent = time.perf_counter() - started
        print(f"round {i}: {one:.3f} and {two:.3f} evaluations/s, ratio {ratios[-1]:.2f} ({spent:.0f} s)", flush=True)
    print(f"two workers reach {statistics.median(ratios):.2f} times the throughput of one (median of {options.rounds})")


if __name__ == "__main__":
    main()
