"""``ensemble-bo`` against the other searchers on every table, with one correction over all comparisons."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archwright.arena import statistics
from archwright.arena.comparison import Comparison, compete
from archwright.arena.problem import Problem, read_signal, shares
from archwright.arena.runs import Entry
from archwright.errors import SettingsError, unknown
from archwright.tables.known import find_table
from archwright.tables.table import Table

NAME = "ensemble-arena"
OWN = "ensemble-bo"
RUNS = 20
SEED = 2000
TEN = tuple(range(1, 11))
FULL_ONLY = ("random", "rea", "ls", "ls-best", "ls-worst", "lsweights", "lspon", "ls-gp", "freerea")
SHORT = ("hyperband", "successive-halving")
SLOW = ("bananas", "tpe", "forest-bo", "gp-bo", "surrogate-bo")
"""These fit a model before every proposal or batch, as ``ensemble-bo`` does, and take seconds a run."""


@dataclass(frozen=True)
class Contest:
    """One signal of one table.

    Attributes:
        table, dataset, signal: what is searched and judged.
        epochs: of short and full trainings; ``None`` where there are full ones only.
        budget: full equivalents.
    """

    table: str
    dataset: str
    signal: str
    epochs: tuple[int, ...] | None
    budget: int

    @property
    def label(self) -> str:
        """For people, and for the name of the file of its runs."""
        return f"{self.table} {self.dataset} {self.signal.partition('@')[0]}"

    def problem(self, table: Table) -> Problem:
        """On the table."""
        signal = read_signal(table, self.dataset, self.signal)
        known = (1.0,) if self.epochs is None else shares(table, self.dataset, (signal,), self.epochs)
        return Problem(table, self.dataset, (signal,), signal, fidelities=known)

    @property
    def searchers(self) -> tuple[str, ...]:
        """All that are of use on it, but for the :data:`SLOW` ones."""
        return (OWN, *FULL_ONLY, *(SHORT if self.epochs else ()))


CONTESTS = (
    Contest("nasbench201", "cifar10", "test_accuracy@200", (12, 200), 200),
    Contest("nasbench201", "cifar10", "val_accuracy@200", (12, 200), 200),
    Contest("nasbench201", "cifar100", "test_accuracy@200", (12, 200), 200),
    Contest("nasbench201", "imagenet16-120", "test_accuracy@200", (12, 200), 200),
    Contest("nasbench201-digits", "digits", "val_loss@10", TEN, 200),
    Contest("nasbench201-digits", "digits", "val_accuracy@10", TEN, 200),
    Contest("nasbench-macro", "cifar10", "test_accuracy", None, 100),
    Contest("nasbench101", "cifar10", "test_accuracy@108", None, 100),
)


def reproduce_arena(
    *,
    data_dir: str | Path | None = None,
    runs: int | None = None,
    seed: int = SEED,
    workers: int = 1,
    budget: int | None = None,
    only: Sequence[str] = (),
    slow: bool = False,
    out: str | Path | None = None,
    on_done: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Let all searchers compete on all tables; runs end at the optimum.

    Args:
        data_dir: where tables are, see :func:`~archwright.tables.find_table`.
        runs: of each searcher; 20 by default.
        seed: of the first run.
        workers: processes.
        budget: equivalents of a run, at most, if that is less than the contest's own.
        only: texts, one of which the label of a contest must contain.
        slow: whether the :data:`SLOW` searchers take part.
        out: folder that keeps finished runs; the same call goes on from there.
        on_done: called with a label and the numbers of runs done and of all.

    Raises:
        SettingsError: a number below 1, or no such contest.
        TableError: a table is not at hand.
    """
    runs = RUNS if runs is None else runs
    if budget is not None and budget < 1:
        raise SettingsError(f"budget must be at least 1, not {budget}")
    contests = [c for c in CONTESTS if not only or any(text in c.label for text in only)]
    if not contests:
        raise SettingsError(unknown("contest", only[0], dict.fromkeys(c.label for c in CONTESTS)))
    rivals = {contest: (*contest.searchers, *(SLOW if slow else ())) for contest in contests}
    done, total = 0, sum(map(len, rivals.values())) * runs
    tables = {name: find_table(name, data_dir) for name in dict.fromkeys(c.table for c in contests)}
    found: dict[Contest, Comparison] = {}

    def advance(label: str) -> None:
        nonlocal done
        done += 1
        on_done(label, done, total)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch if out is None else out)
        for contest in contests:
            found[contest] = compete(
                contest.problem(tables[contest.table]),
                [Entry(name, name, {}) for name in rivals[contest]],
                runs=runs,
                budget=min(contest.budget, budget or contest.budget),
                seed=seed,
                workers=workers,
                keep=folder / f"{contest.label.replace(' ', '-')}.jsonl",
                until_optimum=True,
                on_done=lambda entry, _, label=contest.label: advance(f"{label}: {entry.label}"),  # type: ignore[misc]
            )
    source = (
        f"{OWN} against other searchers on tables, {runs} runs from seed {seed}; p-values by Wilcoxon, Holm over all"
    )
    return {"name": NAME, "source": source, "rows": rows_of(found)}


def rows_of(found: Mapping[Contest, Comparison]) -> list[dict[str, Any]]:
    """A row per contest and searcher; p-values against ``ensemble-bo``, Holm over all contests and searchers of a measure."""
    rows: list[dict[str, Any]] = []
    for contest, comparison in found.items():
        tests = _tests(comparison)
        for result in comparison.result["results"]:
            mine = tests.get(result["searcher"], {})
            row = {
                "contest": contest.label,
                "searcher": result["searcher"],
                "budget": comparison.budget,
                "to_optimum": result["to_optimum"],
                "at": {at["evaluations"]: at["mean"] for at in result["at"]},
                "seconds": result["seconds"] / len(comparison.runs[result["searcher"]]),
                "optimum": comparison.result["optimum"]["report"],
                "differs": "",
            }
            rows.append(row | {measure: dict(test) for measure, test in mine.items()})
    for measure in ("test_to_optimum", "test_best"):
        tested = [row[measure] for row in rows if measure in row]
        for test, adjusted in zip(tested, statistics.holm([test["p"] for test in tested])):
            test["p_holm"] = adjusted
    return rows


def _tests(comparison: Comparison) -> dict[str, dict[str, dict[str, float]]]:
    """By rival and measure: ``p`` uncorrected, and the probability that ``ensemble-bo`` is better."""
    smaller = comparison.problem.report.direction == "minimize"
    late = {label: np.minimum(v, comparison.budget + 1) for label, v in comparison.to_optimum.items()}
    last = {label: curve[:, -1] for label, curve in comparison.curves.items()}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for measure, values, less in (("test_to_optimum", late, True), ("test_best", last, smaller)):
        for rival in values:
            if rival != OWN:
                pair = {OWN: values[OWN], rival: values[rival]}
                test = statistics.compare(measure, pair, smaller_is_better=less)[0]
                found.setdefault(rival, {})[measure] = {"p": test["p"], "effect": test["effect"]}
    return found
