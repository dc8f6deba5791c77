"""What runs of one-shot methods on real images say: figures per method, and the tests that were planned for them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from archwright.arena.statistics import Matrix, compare, holm
from archwright.errors import SettingsError
from archwright.genotypes import operation_counts, parse_cells
from archwright.hardware.shares import PUBLISHED
from archwright.report.runs import Runs, numbers, summarise
from archwright.supernet.evidence import LINES, NAME, RUNS, OnRun, Run, Scale, latencies_of, run_all, runs_of

SOURCE = "Herron 2023, sections 3.2, 4.2 and 4.3, at a small scale on real images; no figure of it can be compared with a published one"
METRICS = {
    "retrain.test_accuracy": "test accuracy", "retrain.test.auc": "AUC", "retrain.params": "parameters",
    "latency": "s/batch", "cells.weight": "latency weight", "cells.none": "none", "cells.skip_connect": "skip",
}  # fmt: skip
"""Metrics and how they are shown."""
ACCURACY, WEIGHT = "retrain.test_accuracy", "cells.weight"
Values = Mapping[tuple[str, str], Mapping[int, Mapping[str, float]]]
"""Numbers of every run by data set and method, then by seed."""


def reproduce_evidence(
    data_dir: Path | None, out: Path | None = None, *, runs: int | None = None, seed: int = 0, workers: int = 1,
    only: Sequence[str] = (), options: Mapping[str, Any] | None = None, on_done: OnRun = lambda *_: None,
) -> dict[str, Any]:  # fmt: skip
    """Run what is missing and say what there is.

    Args:
        data_dir: where the data sets are.
        out: keeps every run and the summary.
        runs: seeds of each method.
        seed: the first.
        workers: processes.
        only: methods whose label has one of these texts in it.
        options: differences from :class:`~archwright.supernet.evidence.Scale`.
        on_done: called after every run with a word on it, how many are done, and how many there were to do.

    Raises:
        SettingsError: no folder, a number out of range, or what the runs raise.
        DataError: the data is not there.
    """
    if out is None:
        raise SettingsError(f"{NAME} takes hours: name a folder with --out that keeps the runs")
    scale = Scale().changed(options or {})
    count = RUNS if runs is None else runs
    if count < 1:
        raise SettingsError(f"--runs must be at least 1, not {count}")
    wanted = runs_of(range(seed, seed + count), only)
    results = run_all(wanted, data_dir, out, scale, workers, on_done)
    found = summary(results, latencies_of(results, data_dir, out, scale), scale)
    found["files"] = {kind: str(out / f"summary.{kind}") for kind in ("json", "md")}
    (out / "summary.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    (out / "summary.md").write_text(markdown(found), encoding="utf-8")
    return found


def summary(results: Mapping[Run, Mapping[str, Any]], latency: Mapping[Run, float], scale: Scale) -> dict[str, Any]:
    """Rows per data set and method, and the planned tests; JSON-able."""
    groups: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for run, result in results.items():
        own = groups.setdefault((run.dataset, run.line.label), {})
        own[run.seed] = {**result, "latency": latency[run], "cells": of_cells(result["genotype"], scale.final_cells)}
    rows = [
        {"dataset": dataset, "method": label, "runs": len(own), **summarise([Runs(label, tuple(own.values()))], list(METRICS))[0]["metrics"]}
        for (dataset, label), own in sorted(groups.items(), key=lambda g: (g[0][0], _place(g[0][1])))
    ]  # fmt: skip
    values = {key: {seed: dict(numbers(result)) for seed, result in own.items()} for key, own in groups.items()}
    return {"name": NAME, "source": SOURCE, "scale": asdict(scale), "rows": rows, "tests": planned_tests(values)}


def _place(label: str) -> int:
    return [line.label for line in LINES].index(label)


def of_cells(genotype: Mapping[str, Any], length: int) -> dict[str, float]:
    """Of the stacked network: shares of ``none`` and ``skip_connect`` among its edges, and its summed latency weights."""
    counts = operation_counts(parse_cells(genotype), length)
    total = sum(counts.values())
    weights = PUBLISHED.table()
    return {
        **{name: counts[name] / total for name in ("none", "skip_connect")},
        "weight": sum(weights[name] * n for name, n in counts.items()),
    }


def planned_tests(values: Values) -> list[dict[str, Any]]:
    """The planned tests, with Holm's correction within each question; pairs are runs of one seed on one data set.

    Spreads are compared by Brown and Forsythe's test (1974) on each data set and, about the medians of their groups, on all
    together; levels by Wilcoxon's signed-rank test over the pairs of all data sets.
    """
    return [
        *_corrected("Do the runs of ICDARTS spread less than those of CDARTS?", _spreads(values, "CDARTS", "ICDARTS")),
        *_corrected(
            "Are searched cells better than random ones?",
            [t for label in ("DARTS, first order", "CDARTS", "ICDARTS", "XDARTS cells")
             for t in _levels(values, label, "random cells", (ACCURACY,))],
        ),
        *_corrected(
            "Does the penalty lower the latency?",
            _levels(values, "XDARTS cells, penalty", "XDARTS cells", (WEIGHT, "latency")),
        ),
        *_corrected(
            "What does the penalty do to the accuracy?",
            _levels(values, "XDARTS cells, penalty", "XDARTS cells", (ACCURACY,)),
        ),
        *_corrected("Does V4 collapse?", _levels(values, "CDARTS, V4", "CDARTS", (ACCURACY,))),
        *_corrected("Does V4 choose none more often than chance?", _nones(values, "CDARTS, V4")),
    ]  # fmt: skip


def _corrected(question: str, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"question": question, **row, "p_holm": p} for row, p in zip(found, holm([row["p"] for row in found]))]


def _spreads(values: Values, a: str, b: str) -> list[dict[str, Any]]:
    """``effect``: the variance of ``b`` over that of ``a``."""
    sets = [d for d, label in values if label == a and len(values[d, a]) > 2 and len(values.get((d, b), ())) > 2]
    groups = {d: [np.array([v[ACCURACY] for v in values[d, label].values()]) for label in (a, b)] for d in sets}
    if len(sets) > 1:
        about = {d: [x - np.median(x) for x in pair] for d, pair in groups.items()}
        groups["all"] = [np.concatenate([about[d][i] for d in sets]) for i in (0, 1)]
    return [
        {
            "data": d, "a": b, "b": a, "metric": ACCURACY, "test": "Brown-Forsythe", "n": min(map(len, pair)),
            "difference": float(pair[1].std(ddof=1) - pair[0].std(ddof=1)),
            "p": float(stats.levene(*pair, center="median").pvalue) if min(np.ptp(x) for x in pair) > 0 else 1.0,
        }
        for d, pair in groups.items()
    ]  # fmt: skip


def _levels(values: Values, a: str, b: str, metrics: Sequence[str]) -> list[dict[str, Any]]:
    pairs = [
        (own[seed], values[d, b][seed])
        for (d, label), own in values.items()
        if label == a and (d, b) in values
        for seed in sorted(own.keys() & values[d, b].keys())
    ]
    return [
        _paired(a, b, metric, np.array([x[metric] for x, _ in pairs]), np.array([y[metric] for _, y in pairs]))
        for metric in metrics
        if pairs
    ]


def _nones(values: Values, label: str) -> list[dict[str, Any]]:
    """Against one of the eight choices of an edge."""
    shares = np.array([v["cells.none"] for (_, own), runs in values.items() if own == label for v in runs.values()])
    chance = np.full(len(shares), 1 / (1 + len(PUBLISHED.weights)))
    return [_paired(label, "one in eight", "cells.none", shares, chance)] if len(shares) else []


def _paired(a: str, b: str, metric: str, x: Matrix, y: Matrix) -> dict[str, Any]:
    row = compare(metric, {a: x, b: y}, smaller_is_better=False)[0]
    return {
        "data": "all", "a": a, "b": b, "metric": metric, "test": "Wilcoxon", "n": len(x), "difference": row["difference"],
        "p": row["p"],
    }  # fmt: skip


def table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows for people."""
    head = ["data set", "method", "runs", *METRICS.values()]
    return head, [[r["dataset"], r["method"], str(r["runs"]), *(_cell(r[m]) for m in METRICS)] for r in found["rows"]]


def tests_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows for people."""
    head = ["question", "a", "b", "data", "metric", "n", "a - b", "test", "p", "p (Holm)"]
    return head, [
        [
            t["question"], t["a"], t["b"], t["data"], METRICS[t["metric"]] + (" (std)" if t["test"] != "Wilcoxon" else ""),
            str(t["n"]), f"{t['difference']:+.4g}", t["test"], f"{t['p']:.2g}", f"{t['p_holm']:.2g}",
        ]
        for t in found["tests"]
    ]  # fmt: skip


def _cell(value: Mapping[str, float | None]) -> str:
    mean, std = value["mean"], value["std"]
    assert mean is not None
    digits = 0 if mean >= 100 else 3 if mean >= 0.01 or mean == 0 else 3 - math.floor(math.log10(mean))
    return f"{mean:,.{digits}f}" + ("" if std is None else f" ± {std:,.{digits}f}")


def markdown(found: Mapping[str, Any]) -> str:
    """Both tables, with the scale."""
    scale = ", ".join(f"{name} {value}" for name, value in found["scale"].items())
    return (
        "\n\n".join(
            [f"# {NAME}", f"{found['source']}.", f"Scale: {scale}.", *map(_lines, (table(found), tests_table(found)))]
        )
        + "\n"
    )


def _lines(content: tuple[list[str], list[list[str]]]) -> str:
    head, rows = content
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
