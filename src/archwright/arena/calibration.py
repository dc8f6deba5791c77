"""Surrogates compared on a table: how well they rank rows they have not seen, and whether they know how wrong they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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
        table, dataset, signal: what is predicted.
        names: of the surrogates.
        sizes: numbers of training rows, ascending.
        runs, seed: draws of training rows, and where their seeds begin.
        test_rows: how many rows all are judged on.
        values: of each measure, ``runs``, by surrogate and size.
    """

    table: Table
    dataset: str
    signal: Signal
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
            "table": self.table.name, "dataset": self.dataset, "signal": str(self.signal), "runs": self.runs,
            "seed": self.seed, "train_sizes": list(self.sizes), "test_rows": self.test_rows, "level": LEVEL, "results": rows,
        }  # fmt: skip


def judge(mean: Matrix, std: Matrix, truth: Matrix, unit: float = 1.0) -> dict[str, float]:
    """How good predictions with normal uncertainties are.

    Args:
        mean, std, truth: of each row.
        unit: of lengths, in which ``nll`` and ``width`` are given; deviations below 0.01 of it count as 0.01 of it.

    Returns:
        ``spearman``, ``kendall`` (tau-b) of mean and truth, 0 where one of them is constant; ``nll``, the mean negative log
        density of the truth; ``coverage`` of the central 90 % intervals; ``width``, their mean width.
    """
    std = np.maximum(std, LEAST * unit)
    varied = np.ptp(mean) > 0 and np.ptp(truth) > 0
    half = float(norm.ppf((1 + LEVEL) / 2)) * std
    return {
        "spearman": float(spearmanr(mean, truth).statistic) if varied else 0.0,
        "kendall": float(kendalltau(mean, truth).statistic) if varied else 0.0,
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
    on_done: Callable[[str], None] | None = None,
) -> Trials:
    """Train each surrogate on the first rows of ``runs`` random orders, and judge all on one set of other rows.

    Training rows of a smaller size are among those of a larger one, and are the same for all surrogates. Rows without a
    finite value take no part. The unit of :func:`judge` is the standard deviation of the test rows, so that a
    prediction of their mean and deviation for all rows has an ``nll`` of 1.42 and a ``width`` of 3.29.

    Args:
        table, dataset, signal: what is predicted.
        names: of the surrogates.
        sizes, runs, seed: see :class:`Trials`.
        test_rows: 1000 by default, fewer in a small table.
        on_done: is called with a surrogate's name after each of its runs.

    Raises:
        SettingsError: an unknown surrogate or one of another kind of space, a number out of range, too few rows, or a signal
            that is one training at random.
    """
    if signal.seed == "random":
        raise SettingsError("surrogates predict fixed values; name a seed of the signal, or leave #random out")
    _check(names, sizes, runs, test_rows)
    for name in names:
        make_surrogate(name, table.space)
    values = table.column(dataset, signal.metric).at(signal.epoch, signal.seed)  # type: ignore[arg-type]
    usable = np.random.default_rng(seed).permutation(np.flatnonzero(np.isfinite(values)))
    wanted = min(TEST_ROWS, len(usable) - max(sizes)) if test_rows is None else test_rows
    if wanted < FEWEST_TEST_ROWS or len(usable) < wanted + max(sizes):
        raise SettingsError(
            f"table {table.name} has {len(usable):,} rows with {signal}: too few for {max(sizes):,} to train on and "
            f"{max(wanted, FEWEST_TEST_ROWS):,} others to judge by; give smaller --train-sizes or fewer --test-rows"
        )
    draw = _Draw(table, values, usable[:wanted], usable[wanted:], seed)
    measured: dict[tuple[str, int], dict[str, Matrix]] = {}
    for name in names:
        found = []
        for run in range(runs):
            found.append([draw.trial(name, size, run) for size in sizes])
            if on_done is not None:
                on_done(name)
        for i, size in enumerate(sizes):
            measured[name, size] = {m: np.array([trials[i][m] for trials in found]) for m in MEASURES}
    return Trials(table, dataset, signal, tuple(names), tuple(sizes), runs, seed, wanted, measured)


def _check(names: Sequence[str], sizes: Sequence[int], runs: int, test_rows: int | None) -> None:
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"surrogates must be named, each once, not {', '.join(names) or 'none'}")
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 2:
        raise SettingsError(f"training sizes must be ascending, from 2 on, not {', '.join(map(str, sizes))}")
    if runs < 1:
        raise SettingsError(f"runs must be at least 1, not {runs}")
    if test_rows is not None and test_rows < FEWEST_TEST_ROWS:
        raise SettingsError(f"rows to judge by must be at least {FEWEST_TEST_ROWS}, not {test_rows}")


class _Draw:
    """Training and test rows."""

    def __init__(
        self, table: Table, values: Matrix, test: NDArray[np.int64], rest: NDArray[np.int64], seed: int
    ) -> None:
        self.table, self.values, self.rest, self.seed = table, values, rest, seed
        self.truth = values[test]
        self.unit = float(self.truth.std()) or 1.0
        self.others = table.space.from_codes(table.codes[test])

    def trial(self, name: str, size: int, run: int) -> dict[str, float]:
        """Train a surrogate on the first ``size`` rows of a run, and judge it."""
        order = np.random.default_rng([self.seed, run]).permutation(len(self.rest))
        rows = self.rest[order[:size]]
        known = self.table.space.from_codes(self.table.codes[rows])
        surrogate = make_surrogate(name, self.table.space, seed=self.seed + run)
        started = time.perf_counter()
        surrogate.fit(known, self.values[rows])
        seconds = time.perf_counter() - started
        return judge(*surrogate.predict(self.others), self.truth, self.unit) | {"seconds": seconds}
