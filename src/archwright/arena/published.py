"""Published results that can be run again: which table, which searchers, and what was published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archwright.arena.comparison import Comparison, compete
from archwright.arena.problem import Problem, read_signal
from archwright.arena.runs import Entry, Run, nothing
from archwright.arena.statistics import spread
from archwright.errors import SettingsError, unknown
from archwright.tables.known import find_table
from archwright.tables.table import Table

Figure = tuple[float, float]
"""Mean and standard deviation."""


@dataclass(frozen=True)
class Part:
    """One column of a published table.

    Attributes:
        table, dataset, signals: what is searched here.
        measure: ``to_optimum``, ``best``, ``until_improvement``, or ``hypervolume@N``, ``front_share@N`` (in percent).
        published: by searcher.
        differs: in what ours differs from the publication; empty if in nothing that is known.
        runs, budget: as published, unless ``differs`` says otherwise.
    """

    table: str
    dataset: str
    signals: tuple[str, ...]
    measure: str
    published: Mapping[str, Figure]
    differs: str = ""
    runs: int = 150
    budget: int = 1500


@dataclass(frozen=True)
class Publication:
    """A published table: its source and its parts."""

    source: str
    parts: tuple[Part, ...]


TEST = "searched on test accuracy, since the validation accuracy after 200 epochs is not public; compare the order only"
MACRO = (
    "NAS-Bench-Macro (6,561 networks, FLOPs) in place of MacroNASBench (208,537, MMACs), which is not public; the published "
    "checkpoint is {}; compare the order only"
)


def _nb201(measure: str, figures: tuple[Mapping[str, Figure], ...], budget: int = 1500) -> tuple[Part, ...]:
    sets = (
        ("cifar10", "val_accuracy@200", ""),
        ("cifar100", "test_accuracy@200", TEST),
        ("imagenet16-120", "test_accuracy@200", TEST),
    )
    return tuple(
        Part("nasbench201", dataset, (signal,), measure, published, differs, budget=budget)
        for (dataset, signal, differs), published in zip(sets, figures)
    )  # fmt: skip


def _front(measure: str, ours: int, theirs: int, dmls: Figure, nsga2: Figure, ls: Figure) -> Part:
    return Part(
        "nasbench-macro", "cifar10", ("test_accuracy", "flops"), f"{measure}@{ours}",
        {"dmls": dmls, "nsga2": nsga2, "scalarised-ls": ls}, MACRO.format(theirs), runs=30, budget=ours,
    )  # fmt: skip


PUBLISHED: Mapping[str, Publication] = {
    "lsweights": Publication(
        "Zouambi 2023, table 3.4: evaluations before convergence",
        _nb201(
            "to_optimum",
            (
                {"ls": (82, 56.27), "lsweights": (55, 33.80)},
                {"ls": (71, 48.35), "lsweights": (51, 27.73)},
                {"ls": (588, 408.58), "lsweights": (548, 353.18)},
            ),
            1000,
        ),
    ),
    "lspon-quality": Publication(
        "Zouambi 2023, table 3.5: final accuracy",
        _nb201(
            "best",
            (
                {"random": (91.48, 0.09), "ls": (91.61, 0.0), "lspon": (91.61, 0.0)},
                {"random": (72.93, 0.38), "ls": (73.49, 0.0), "lspon": (73.49, 0.0)},
                {"random": (46.39, 0.23), "ls": (46.72, 0.03), "lspon": (46.73, 0.0)},
            ),
        ),
    ),
    "lspon-speed": Publication(
        "Zouambi 2023, table 3.6: evaluations before convergence",
        _nb201("to_optimum", ({"ls": (82, 56), "lspon": (59, 45)}, {"ls": (71, 48), "lspon": (49, 24)}, {"ls": (588, 408), "lspon": (281, 168)})),
    ),
    "lspon-dynamics": Publication(
        "Zouambi 2023, table 3.7: evaluations until the current solution improves",
        _nb201(
            "until_improvement",
            (
                {"ls": (4.66, 4.38), "lspon": (2.22, 3.06)},
                {"ls": (4.69, 4.43), "lspon": (2.05, 2.86)},
                {"ls": (4.55, 4.34), "lspon": (1.94, 2.62)},
            ),
        ),
    ),
    "dmls-hypervolume": Publication(
        "Zouambi 2023, table 5.1: 100 x hypervolume",
        (
            _front("hypervolume", 200, 500, (90.16, 0.08), (89.84, 0.14), (90.10, 0.05)),
            _front("hypervolume", 400, 1000, (90.28, 0.05), (90.24, 0.05), (90.17, 0.03)),
            _front("hypervolume", 800, 6000, (90.39, 0.02), (90.37, 0.03), (90.29, 0.03)),
        ),
    ),
    "dmls-front": Publication(
        "Zouambi 2023, table 5.2: percentage of true Pareto points found",
        (
            _front("front_share", 200, 500, (29.07, 8.89), (6.52, 2.79), (22.90, 4.45)),
            _front("front_share", 400, 1000, (51.27, 6.29), (34.39, 7.31), (27.94, 5.37)),
            _front("front_share", 800, 6000, (82.41, 4.39), (77.58, 4.78), (49.71, 6.17)),
        ),
    ),
}  # fmt: skip


def reproduce(
    name: str,
    *,
    data_dir: str | Path | None = None,
    runs: int | None = None,
    seed: int = 0,
    workers: int = 1,
    on_done: Callable[[Entry, Run], None] | None = None,
) -> dict[str, Any]:
    """Run a published table on the tables at hand; ours beside the published figures, as plain data.

    Args:
        name: one of :data:`PUBLISHED`.
        data_dir: where tables are, see :func:`~archwright.tables.find_table`.
        runs: other than published.
        seed: of the first run.
        workers: processes.
        on_done: called after each run.

    Raises:
        SettingsError: there is no such publication here.
        TableError: a table is not at hand.
    """
    if name not in PUBLISHED:
        raise SettingsError(unknown("publication", name, [*PUBLISHED, "freerea"]))
    rows = []
    tables: dict[str, Table] = {}
    for part in PUBLISHED[name].parts:
        if part.table not in tables:
            tables[part.table] = find_table(part.table, data_dir)
        table = tables[part.table]
        signals = tuple(read_signal(table, part.dataset, s) for s in part.signals)
        given = tuple(np.flatnonzero(~table.codes.any(axis=1)).tolist()) if len(signals) > 1 else ()
        problem = Problem(table, part.dataset, signals, signals[0], given)
        entries = [Entry(label, label, {}) for label in part.published]
        found = compete(
            problem, entries, runs=runs or part.runs, budget=part.budget, seed=seed, workers=workers,
            on_done=on_done or nothing,
        )  # fmt: skip
        rows += _rows(part, found)
    return {"name": name, "source": PUBLISHED[name].source, "rows": rows}


def _rows(part: Part, found: Comparison) -> list[dict[str, Any]]:
    measure, _, checkpoint = part.measure.partition("@")
    tests = {
        t["b"]: t
        for t in found.result["tests"]
        if t["measure"] == measure and t["test"] == "wilcoxon" and t["a"] == "ls"
    }
    rows = []
    for result in found.result["results"]:
        label = result["searcher"]
        if measure == "to_optimum":
            ours = result["to_optimum"]
        elif measure == "best":
            ours = {"mean": result["best_mean"], "std": result["best_std"]}
        elif measure == "until_improvement":
            ours = (result["until_improvement"] or {}).get("paid", spread(np.empty(0)))
        else:
            at = next(a for a in result[measure] if a["evaluations"] == int(checkpoint))
            ours = {"mean": 100 * at["mean"], "std": 100 * at["std"]}
        mean, std = part.published[label]
        rows.append(
            {
                "table": part.table, "dataset": part.dataset, "signal": found.result["signal"], "measure": part.measure,
                "searcher": label, "runs": found.result["runs"], "budget": part.budget,
                "ours": {"mean": ours["mean"], "std": ours["std"]}, "published": {"mean": mean, "std": std},
                "reached": result["to_optimum"]["reached"] if "to_optimum" in result else None,
                "p_holm_against_ls": tests[label]["p_holm"] if label in tests else None, "differs": part.differs,
            }
        )  # fmt: skip
    return rows
