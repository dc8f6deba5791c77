"""Speed of tables and of searchers on them: loading, lookups, microseconds per evaluation of each searcher.

python perf/tables.py TABLE [--runs 20] [--budget 1500]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from archwright.arena import Entry, Problem, default_signal, run
from archwright.tables import find_table


def seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """The best of several."""
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--budget", type=int, default=1500)
    options = parser.parse_args()
    print(f"load {seconds(lambda: find_table(options.table)):.3f} s")
    table = find_table(options.table)
    dataset = table.dataset()
    signal = default_signal(table, dataset)
    problem = Problem(table, dataset, (signal,), signal)
    values = problem.values(signal)
    rows = np.random.default_rng(0).integers(len(table), size=1_000_000)
    print(f"vectorised lookup {1e-6 * len(rows) / seconds(lambda: values[rows]):.0f} million/s")
    answers, row_of = problem.evaluations_of_run(0), table.rows
    asked = [table.architectures[i] for i in rows[:200_000]]
    print(f"a searcher's lookup {len(asked) / seconds(lambda: [answers[row_of[a]] for a in asked]):,.0f}/s")
    base = 0.0
    for name in ("random", "ls", "lsweights", "lspon", "rea"):
        entry = Entry(name, name, {})
        run(problem, entry, options.budget, 0)
        started = time.perf_counter()
        evaluations = sum(len(run(problem, entry, options.budget, seed).rows) for seed in range(options.runs))
        each = (time.perf_counter() - started) / evaluations
        base = base or each
        print(f"{name:10} {1e6 * each:6.1f} us per evaluation, {each / base:5.1f} times random")


if __name__ == "__main__":
    main()
