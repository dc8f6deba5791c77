"""What the runs say: summaries with intervals, and paired and unpaired tests with Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from archwright.arena.problem import Problem
from archwright.arena.runs import Run

Matrix = NDArray[np.float64]


def checkpoints(budget: int) -> list[int]:
    """Budgets at which the state is told: 25, 50, 100, ... and the last."""
    points = [25 * 2**k for k in range(40) if 25 * 2**k < budget]
    return [*points, budget]


def incumbents(problem: Problem, runs: Sequence[Run], budget: int) -> Matrix:
    """``runs x budget``: the report value of the best seen by the signal (the first of equals); NaN before any answer.

    Only full evaluations count; the budget is in full equivalents.
    """
    report = problem.values(problem.report)
    sign = problem.goal.objectives[0].sign
    out = np.full((len(runs), budget), np.nan)
    for i, run in enumerate(runs):
        signal = problem.signal_of_run(run)
        seen = np.where(np.isnan(signal), -np.inf, sign * signal)
        if not len(seen):
            continue
        best = np.maximum.accumulate(seen)
        fresh = np.concatenate([[True], best[1:] > best[:-1]])
        holder = np.maximum.accumulate(np.where(fresh, np.arange(len(seen)), 0))
        values = np.where(np.isfinite(best), report[run.rows[holder]], np.nan)
        known = np.searchsorted(run.costs, np.arange(1, budget + 1) + 1e-9)  # full evaluations within each budget
        out[i] = np.where(known > 0, values[known - 1], np.nan)
    return out


def to_optimum(problem: Problem, runs: Sequence[Run]) -> Matrix:
    """Full equivalents until an architecture with the best signal was evaluated in full; infinity if it never was.

    Infinity also where the best of the table need not be the best there is.
    """
    if not problem.complete:
        return np.full(len(runs), math.inf)
    values = problem.goal.objectives[0].sign * problem.values(problem.signals[0])
    best = values >= np.nanmax(values)
    found: list[float] = []
    for run in runs:
        hits = np.flatnonzero(best[run.rows])
        found.append(float(run.costs[hits[0]]) if len(hits) else math.inf)
    return np.array(found, dtype=float)


def spread(values: Matrix) -> dict[str, float | None]:
    """Mean, standard deviation, minimum and maximum; ``None`` where there is nothing."""
    if not len(values):
        return {"mean": None, "std": None, "min": None, "max": None}
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "min": float(values.min()),
        "max": float(values.max()),
    }


def interval(values: Matrix, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean (Student)."""
    if len(values) < 2 or np.ptp(values) == 0:
        return float(values.mean()), float(values.mean())
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979)."""
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    highest = 0.0
    for rank, which in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[which]))
        adjusted[which] = highest
    return [float(v) for v in adjusted]


def compare(measure: str, values: Mapping[str, Matrix], *, smaller_is_better: bool) -> list[dict[str, Any]]:
    """Every pair by Wilcoxon's signed-rank test (runs of one seed are a pair) and Mann and Whitney's U test, two-sided.

    ``effect`` is the probability that a run of ``a`` beats one of ``b``, ties counting half (Vargha and Delaney 2000).
    ``p`` is as computed, ``p_holm`` corrected over all pairs of one test and measure.
    """
    rows: list[dict[str, Any]] = []
    for test in ("wilcoxon", "mann-whitney"):
        found: list[dict[str, Any]] = []
        for a, b in combinations(values, 2):
            x, y = values[a], values[b]
            found.append(
                {
                    "a": a, "b": b, "measure": measure, "test": test,
                    "p": _wilcoxon(x, y) if test == "wilcoxon" else _mann_whitney(x, y),
                    "effect": _superiority(-x if smaller_is_better else x, -y if smaller_is_better else y),
                    "difference": float(np.mean(x - y)),
                }
            )  # fmt: skip
        for row, adjusted in zip(found, holm([row["p"] for row in found])):
            row["p_holm"] = adjusted
        rows += found
    return rows


def _wilcoxon(x: Matrix, y: Matrix) -> float:
    return float(stats.wilcoxon(x, y).pvalue) if np.any(x != y) else 1.0


def _mann_whitney(x: Matrix, y: Matrix) -> float:
    return float(stats.mannwhitneyu(x, y).pvalue) if np.ptp(np.concatenate([x, y])) > 0 else 1.0


def _superiority(x: Matrix, y: Matrix) -> float:
    return float((x[:, None] > y).mean() + 0.5 * (x[:, None] == y).mean())


def average_ranks(values: Mapping[str, Matrix], *, smaller_is_better: bool) -> tuple[dict[str, float], float]:
    """Average rank of each over the runs, 1 = best, and Nemenyi's critical difference at 0.05 (Demsar 2006)."""
    matrix = np.stack([v if smaller_is_better else -v for v in values.values()], axis=1)
    ranks = stats.rankdata(matrix, axis=1).mean(axis=0)
    k, n = len(values), len(matrix)
    critical = float(stats.studentized_range.ppf(0.95, k, np.inf)) / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * n))
    return dict(zip(values, map(float, ranks))), critical


def front_of(points: Matrix) -> Matrix:
    """The non-dominated vectors among ``points`` (to be minimised), each once."""
    from moocore import filter_dominated

    known = points[~np.isnan(points).any(axis=1)]
    return np.asarray(filter_dominated(np.unique(known, axis=0), keep_weakly=False))


def front_progress(problem: Problem, run: Run, at: Sequence[int]) -> dict[str, Matrix]:
    """Hypervolume with reference point (1, ..., 1), IGD+ (Ishibuchi et al. 2015) and the share of the true front's
    vectors that were found, after each number of full equivalents in ``at``."""
    from moocore import Hypervolume, igd_plus

    truth = front_of(problem.losses)
    vectors = {tuple(v) for v in truth}
    measure = Hypervolume(ref=np.ones(truth.shape[1]))
    points = problem.losses[run.rows]
    rows = []
    for n in at:
        seen = front_of(points[: np.searchsorted(run.costs, n + 1e-9)])
        share = len(vectors & {tuple(v) for v in seen}) / len(vectors)
        rows.append((float(measure(seen)), float(igd_plus(seen, ref=truth)), share))
    hypervolume, igd, share_found = np.array(rows).T
    return {"hypervolume": hypervolume, "igd_plus": igd, "front_share": share_found}
