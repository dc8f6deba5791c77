"""Several runs of the same thing: means and standard deviations of their results, stability, curves (Herron 2023, 3.4)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from archwright.errors import SettingsError, StudyError, unknown

Floats = NDArray[np.float64]
CURVES = (
    "search.curves.test_accuracy", "search.history.test_accuracy", "search.curves.val_accuracy",
    "search.history.val_accuracy", "search.curve.val_accuracy",
)  # fmt: skip
"""Where a result may have the accuracy of the evaluation network after each epoch of the search, the first that is there."""
LEVEL = 0.95


@dataclass(frozen=True)
class Runs:
    """Results of runs that differ in nothing but the seed.

    Attributes:
        name: as it is shown.
        results: what each run wrote, JSON-able.
    """

    name: str
    results: tuple[Mapping[str, Any], ...]


def read_result(path: str | Path) -> Mapping[str, Any]:
    """The result of a run; a folder stands for its ``result.json``.

    Raises:
        StudyError: it cannot be read or is no result.
    """
    file = Path(path)
    file = file / "result.json" if file.is_dir() else file
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise StudyError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{file} is not the result of a run: it must be a JSON object")
    return content


def numbers(result: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """All finite numbers of a result by dotted name, such as ``retrain.test_accuracy``; lists are left out."""
    for key, value in result.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from numbers(value, name + ".")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)


def summary(values: Sequence[float]) -> dict[str, float | None]:
    """``n``, mean, standard deviation (n - 1; ``None`` for one value), smallest and largest."""
    x = np.asarray(values, dtype=float)
    spread = float(x.std(ddof=1)) if len(x) > 1 else None
    return {"n": len(x), "mean": float(x.mean()), "std": spread, "min": float(x.min()), "max": float(x.max())}


def summarise(groups: Sequence[Runs], metrics: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Per group ``name``, ``runs``, and a :func:`summary` of each metric over the runs that have it.

    Args:
        groups: to be summarised.
        metrics: dotted names; by default the numbers of the retraining, the expected latency, of the search its accuracies,
            seconds and memory, and where a table says the rank of what it found.

    Raises:
        SettingsError: no group, or a metric that no run has.
    """
    if not groups or not all(group.results for group in groups):
        raise SettingsError("there is nothing to report: every group needs the result of at least one run")
    values = [[dict(numbers(result)) for result in group.results] for group in groups]
    every = list(dict.fromkeys(name for runs in values for run in runs for name in run))
    for name in metrics:
        if name not in every:
            raise SettingsError(unknown("metric", name, every))
    chosen = list(metrics) or [name for name in every if _is_result(name)]
    if not chosen:
        raise SettingsError(
            f"the results have no numbers of a search or a retraining; known: {', '.join(every) or 'none'}"
        )
    return [
        {
            "name": group.name, "runs": len(group.results),
            "metrics": {m: summary(found) for m in chosen if (found := [run[m] for run in runs if m in run])},
        }
        for group, runs in zip(groups, values)
    ]  # fmt: skip


def _is_result(name: str) -> bool:
    first, _, rest = name.partition(".")
    shown = rest.endswith("accuracy") or rest in ("seconds", "peak_memory_mb")
    retrained = first == "retrain" and "." not in rest and rest not in ("epochs", "latency_batch", "examples")
    ranked = first == "ranking" and rest.rpartition(".")[2] in ("accuracy", "rank", "spearman", "kendall")
    return name == "expected_latency" or ranked or retrained or (first == "search" and shown)


def stability(summaries: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Every pair of groups: are the spreads, and are the means, further apart than chance has it?

    Returns:
        Per pair ``steadier``, ``other``, their variances' ``ratio`` (the larger over the smaller; ``None`` where the smaller is
        0), its one-sided 5 % ``limit`` (F test) and whether it is ``firm``; ``difference`` of the means (steadier minus other)
        with Welch's ``t`` and two-sided ``p``. Groups with fewer than two values are left out.
    """
    known = [s for s in summaries if (s["metrics"].get(metric) or {"n": 0})["n"] > 1]
    return [_pair(a, b, metric) for a, b in combinations(known, 2)]


def _pair(first: Mapping[str, Any], second: Mapping[str, Any], metric: str) -> dict[str, Any]:
    a, b = sorted((first, second), key=lambda s: float(s["metrics"][metric]["std"]))
    x, y = a["metrics"][metric], b["metrics"][metric]
    limit = float(stats.f.ppf(LEVEL, y["n"] - 1, x["n"] - 1))
    ratio = (y["std"] / x["std"]) ** 2 if x["std"] > 0 else None
    t = p = None
    if y["std"] > 0:
        test = stats.ttest_ind_from_stats(x["mean"], x["std"], x["n"], y["mean"], y["std"], y["n"], equal_var=False)
        t, p = float(test.statistic), float(test.pvalue)
    return {
        "steadier": a["name"], "other": b["name"], "metric": metric, "ratio": ratio, "limit": limit,
        "firm": y["std"] > 0 if ratio is None else ratio > limit,
        "difference": x["mean"] - y["mean"], "t": t, "p": p,
    }  # fmt: skip


def curve(result: Mapping[str, Any], name: str) -> Floats | None:
    """A list of numbers by dotted name, NaN where one is missing; ``None`` where there is no such list.

    The name may lead through a list of records: ``search.history.test_accuracy`` is that entry of each.
    """
    found: Any = result
    for key in name.split("."):
        if isinstance(found, list):
            found = [record.get(key) if isinstance(record, Mapping) else None for record in found]
        elif isinstance(found, Mapping):
            found = found.get(key)
        else:
            return None
    if not isinstance(found, list):
        return None
    values = np.array([v if isinstance(v, (int, float)) else math.nan for v in found], dtype=float)
    return values if np.isfinite(values).any() else None


def curves(groups: Sequence[Runs], name: str | None = None) -> tuple[str, dict[str, Floats]]:
    """The curves of each group, ``runs x epochs``; a run that is shorter has NaN at its end.

    Args:
        groups: of runs.
        name: dotted; by default the first of :data:`CURVES` that any run has.

    Returns:
        The name, empty where there are no curves, and the curves of the groups that have any.

    Raises:
        SettingsError: a name was given and no run has it.
    """
    for candidate in [name] if name is not None else CURVES:
        rows = {g.name: [c for r in g.results if (c := curve(r, candidate)) is not None] for g in groups}
        found = {group: _stacked(each) for group, each in rows.items() if each}
        if found:
            return candidate, found
    if name is not None:
        raise SettingsError(f"no run has a list of numbers called {name!r}, such as {CURVES[0]}")
    return "", {}


def _stacked(rows: Sequence[Floats]) -> Floats:
    made = np.full((len(rows), max(map(len, rows))), math.nan)
    for i, row in enumerate(rows):
        made[i, : len(row)] = row
    return made


def band(matrix: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Mean over the runs (rows) and half the width of its confidence interval (Student, n - 1); NaN for a single run."""
    n = np.isfinite(matrix).sum(axis=0)
    filled = np.where(np.isfinite(matrix), matrix, 0.0)
    mean = np.where(n > 0, filled.sum(axis=0) / np.maximum(n, 1), math.nan)
    squares = (np.where(np.isfinite(matrix), matrix - mean, 0.0) ** 2).sum(axis=0)
    error = np.sqrt(squares / np.maximum(n - 1, 1) / np.maximum(n, 1))
    return mean, np.where(n > 1, stats.t.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * error, math.nan)
