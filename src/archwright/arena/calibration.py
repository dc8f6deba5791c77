"""Surrogates compared on a table: how well they rank rows they have not seen, and whether they know how wrong they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, norm, spearmanr

from archwright.arena.problem import Signal
from archwright.arena.statistics import spread
from archwright.errors import SettingsError
from archwright.surrogate import MODELS, make_surrogate
from archwright.tables import Table

Matrix = NDArray[np.float64]
LEVEL = 0.9
LEAST = 0.01
TEST_ROWS = 1000
FEWEST_TEST_ROWS = 10
MEASURES = ("spearman", "kendall", "nll", "coverage", "width", "seconds")


@dataclass(frozen=True)
class Trials:
    """Surrogates, trained on random rows of a table and judged on others.

    Attributes:
        table, dataset, signal: what is learned and predicted.
        report: what the predictions are to rank; the signal itself, where nothing else is said.
        names: of the surrogates.
        sizes: numbers of training rows, ascending.
        runs, seed: draws of training rows, and where their seeds begin.
        test_rows: how many rows all are judged on.
        values: of each measure, ``runs``, by surrogate and size.
    """

    table: Table
    dataset: str
    signal: Signal
    report: Signal
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    runs: int
    seed: int
    test_rows: int
    values: dict[tuple[str, int], dict[str, Matrix]]

    @property
    def result(self) -> dict[str, Any]:
        """Everything, as plain data."""
        rows = [
            {"surrogate": name, "rows": size} | {m: spread(v) for m, v in measured.items()}
            for (name, size), measured in self.values.items()
        ]
        return {
            "table": self.table.name, "dataset": self.dataset, "signal": str(self.signal),
            "report": str(self.report), "runs": self.runs, "seed": self.seed, "train_sizes": list(self.sizes),
            "test_rows": self.test_rows, "level": LEVEL, "results": rows,
        }  # fmt: skip


def judge(mean: Matrix, std: Matrix, truth: Matrix, unit: float = 1.0, worth: Matrix | None = None) -> dict[str, float]:
    """How good predictions with normal uncertainties are.

    Args:
        mean, std, truth: of each row.
        unit: of lengths, in which ``nll`` and ``width`` are given; deviations below 0.01 of it count as 0.01 of it.
        worth: what the mean is to rank, of each row; the truth by default.

    Returns:
        ``spearman``, ``kendall`` (tau-b) of mean and worth, 0 where one of them is constant; ``nll``, the mean negative log
        density of the truth; ``coverage`` of the central 90 % intervals; ``width``, their mean width.
    """
    std = np.maximum(std, LEAST * unit)
    worth = truth if worth is None else worth
    varied = np.ptp(mean) > 0 and np.ptp(worth) > 0
    half = float(norm.ppf((1 + LEVEL) / 2)) * std
    return {
        "spearman": float(spearmanr(mean, worth).statistic) if varied else 0.0,
        "kendall": float(kendalltau(mean, worth).statistic) if varied else 0.0,
        "nll": float(-norm.logpdf(truth / unit, mean / unit, std / unit).mean()),
        "coverage": float((np.abs(truth - mean) <= half).mean()),
        "width": float((2 * half).mean() / unit),
    }


def compare_surrogates(
    table: Table,
    dataset: str,
    signal: Signal,
    names: Sequence[str] = tuple(MODELS),
    *,
    sizes: Sequence[int] = (20, 50, 100, 200),
    runs: int = 5,
    seed: int = 0,
    test_rows: int | None = None,
    report: Signal | None = None,
    workers: int = 1,
    on_done: Callable[[str], None] | None = None,
) -> Trials:
    """Train each surrogate on the first rows of ``runs`` random orders, and judge all on one set of other rows.

    Training rows of a smaller size are among those of a larger one, and are the same for all surrogates. Rows without
    finite values take no part. Predictions are to rank what is reported, the other way round where its direction is not
    the signal's; their uncertainty is about the signal, which they predict. The unit of :func:`judge` is the standard
    deviation of the test rows, so that a prediction of their mean and deviation for all rows has an ``nll`` of 1.42 and
    a ``width`` of 3.29.

    Args:
        table, dataset, signal: what is predicted.
        names: of the surrogates.
        sizes, runs, seed: see :class:`Trials`.
        test_rows: 1000 by default, fewer in a small table.
        report: another column to rank, such as the test accuracy; the signal by default.
        workers: processes that share the runs; results do not depend on it but for ``seconds``.
        on_done: is called with a surrogate's name after each of its runs.

    Raises:
        SettingsError: an unknown surrogate or one of another kind of space, a number out of range, too few rows, or a signal
            or report that is one training at random.
    """
    judged = report or signal
    if "random" in (signal.seed, judged.seed):
        raise SettingsError("surrogates predict fixed values; name a seed of the signal, or leave #random out")
    _check(names, sizes, runs, test_rows, workers)
    for name in names:
        make_surrogate(name, table.space)
    values, worth = (table.column(dataset, s.metric).at(s.epoch, s.seed) for s in (signal, judged))  # type: ignore[arg-type]
    worth = worth if judged.direction == signal.direction else -worth
    usable = np.random.default_rng(seed).permutation(np.flatnonzero(np.isfinite(values) & np.isfinite(worth)))
    wanted = min(TEST_ROWS, len(usable) - max(sizes)) if test_rows is None else test_rows
    if wanted < FEWEST_TEST_ROWS or len(usable) < wanted + max(sizes):
        raise SettingsError(
            f"table {table.name} has {len(usable):,} rows with {_both(signal, judged)}: too few for {max(sizes):,} to train on and "
            f"{max(wanted, FEWEST_TEST_ROWS):,} others to judge by; give smaller --train-sizes or fewer --test-rows"
        )
    draw = _Draw(table, values, worth, usable[:wanted], usable[wanted:], seed, tuple(sizes))
    found: dict[str, list[list[dict[str, float]]]] = {name: [] for name in names}
    for name, trials in zip(np.repeat(names, runs).tolist(), _all_trials(draw, names, runs, workers)):
        found[name].append(trials)
        if on_done is not None:
            on_done(name)
    measured = {
        (name, size): {m: np.array([trials[i][m] for trials in found[name]]) for m in MEASURES}
        for name in names
        for i, size in enumerate(sizes)
    }
    return Trials(table, dataset, signal, judged, tuple(names), tuple(sizes), runs, seed, wanted, measured)


def _both(signal: Signal, report: Signal) -> str:
    return str(signal) if report == signal else f"{signal} and {report}"


def _check(names: Sequence[str], sizes: Sequence[int], runs: int, test_rows: int | None, workers: int) -> None:
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"surrogates must be named, each once, not {', '.join(names) or 'none'}")
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 2:
        raise SettingsError(f"training sizes must be ascending, from 2 on, not {', '.join(map(str, sizes))}")
    for what, count in (("runs", runs), ("workers", workers)):
        if count < 1:
            raise SettingsError(f"{what} must be at least 1, not {count}")
    if test_rows is not None and test_rows < FEWEST_TEST_ROWS:
        raise SettingsError(f"rows to judge by must be at least {FEWEST_TEST_ROWS}, not {test_rows}")


class _Draw:
    """Training and test rows."""

    def __init__(
        self,
        table: Table,
        values: Matrix,
        worth: Matrix,
        test: NDArray[np.int64],
        rest: NDArray[np.int64],
        seed: int,
        sizes: tuple[int, ...],
    ) -> None:
        self.table, self.values, self.rest, self.seed, self.sizes = table, values, rest, seed, sizes
        self.truth, self.worth = values[test], worth[test]
        self.unit = float(self.truth.std()) or 1.0
        self.others = table.space.from_codes(table.codes[test])

    def trials(self, name: str, run: int) -> list[dict[str, float]]:
        """Of a surrogate with each number of rows."""
        return [self._trial(name, size, run) for size in self.sizes]

    def _trial(self, name: str, size: int, run: int) -> dict[str, float]:
        """Train a surrogate on the first ``size`` rows of a run, and judge it."""
        order = np.random.default_rng([self.seed, run]).permutation(len(self.rest))
        rows = self.rest[order[:size]]
        known = self.table.space.from_codes(self.table.codes[rows])
        surrogate = make_surrogate(name, self.table.space, seed=self.seed + run)
        started = time.perf_counter()
        surrogate.fit(known, self.values[rows])
        seconds = time.perf_counter() - started
        return judge(*surrogate.predict(self.others), self.truth, self.unit, self.worth) | {"seconds": seconds}


def _all_trials(draw: _Draw, names: Sequence[str], runs: int, workers: int) -> Iterator[list[dict[str, float]]]:
    """Of every surrogate and run, in this order."""
    jobs = [(name, run) for name in names for run in range(runs)]
    if workers == 1:
        yield from (draw.trials(*job) for job in jobs)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), initializer=_receive, initargs=(draw,)) as pool:
        yield from pool.map(_trials, jobs)


_draw: _Draw | None = None


def _receive(draw: _Draw) -> None:
    global _draw
    _draw = draw
    torch.set_num_threads(1)


def _trials(job: tuple[str, int]) -> list[dict[str, float]]:
    if _draw is None:
        raise RuntimeError("the worker has received no rows")
    return _draw.trials(*job)
