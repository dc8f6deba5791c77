"""A :class:`Comparison`: searchers x seeds on one problem, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from archwright.arena import statistics
from archwright.arena.keeping import RunFile
from archwright.arena.problem import Problem
from archwright.arena.runs import Entry, OnDone, Run, nothing, run_all
from archwright.arena.surrogate import SurrogateProblem
from archwright.errors import SettingsError


@dataclass(frozen=True)
class Comparison:
    """The runs of several searchers.

    Attributes:
        problem: what was searched.
        entries: who took part.
        budget: full equivalents per run, at most; an evaluation at less than full fidelity counts its share.
        seed: of the first run; run ``i`` has ``seed + i``.
        runs: by label.
    """

    problem: Problem
    entries: tuple[Entry, ...]
    budget: int
    seed: int
    runs: Mapping[str, list[Run]]

    @property
    def several(self) -> bool:
        """Whether there are several objectives."""
        return len(self.problem.signals) > 1

    @property
    def unit(self) -> str:
        """What budgets count."""
        return "evaluations" if len(self.problem.fidelities) == 1 else "full equivalents"

    @cached_property
    def checkpoints(self) -> list[int]:
        """Full equivalents at which the state is told."""
        return statistics.checkpoints(self.budget)

    @cached_property
    def curves(self) -> dict[str, statistics.Matrix]:
        """``runs x budget`` of the incumbent's report value, by label; one objective."""
        return {label: statistics.incumbents(self.problem, runs, self.budget) for label, runs in self.runs.items()}

    @cached_property
    def to_optimum(self) -> dict[str, statistics.Matrix]:
        """Full equivalents to the optimum of the signal, by label; one objective."""
        return {label: statistics.to_optimum(self.problem, runs) for label, runs in self.runs.items()}

    @cached_property
    def fronts(self) -> dict[str, dict[str, statistics.Matrix]]:
        """Hypervolume, IGD+ and share of the true front, ``runs x checkpoints``, by label; several objectives."""
        found: dict[str, dict[str, statistics.Matrix]] = {}
        for label, runs in self.runs.items():
            each = [statistics.front_progress(self.problem, run, self.checkpoints) for run in runs]
            found[label] = {name: np.stack([e[name] for e in each]) for name in each[0]}
        return found

    @cached_property
    def result(self) -> dict[str, Any]:
        """Everything that can be said, as plain data."""
        problem = self.problem
        base = {
            "table": problem.table.name,
            "dataset": problem.dataset,
            "signal": [str(s) for s in problem.signals] if self.several else str(problem.signals[0]),
            "report": str(problem.report) if not self.several else None,
            "budget": self.budget,
            "equivalents_per_evaluation": self.equivalents,
            "fidelities": list(self.problem.fidelities),
            "clues": list(problem.clue_names),
            "runs": len(next(iter(self.runs.values()))),
            "seed": self.seed,
            "checkpoints": self.checkpoints,
        }
        return base | (self._several_results() if self.several else self._single_results())

    def _single_results(self) -> dict[str, Any]:
        problem = self.problem
        smaller = problem.report.direction == "minimize"
        report = problem.values(problem.report)
        signal = problem.values(problem.signals[0])
        best = np.nanmin if problem.signals[0].direction == "minimize" else np.nanmax
        last = {label: curve[:, -1] for label, curve in self.curves.items()}
        results = []
        for entry in self.entries:
            reached = self.to_optimum[entry.label]
            results.append(
                {
                    **self._facts(entry),
                    "best_mean": float(last[entry.label].mean()),
                    "best_std": float(last[entry.label].std(ddof=1)) if len(reached) > 1 else 0.0,
                    "best_interval": list(statistics.interval(last[entry.label])),
                    "at": [self._at(entry.label, n) for n in self.checkpoints],
                    "to_optimum": None
                    if not problem.complete
                    else {
                        **statistics.spread(reached[np.isfinite(reached)]),
                        "reached": int(np.isfinite(reached).sum()),
                        "equivalents_mean": self._in_equivalents(reached[np.isfinite(reached)]),
                    },
                    "until_improvement": self._until_improvement(entry.label),
                }
            )
        tests = statistics.compare("best", last, smaller_is_better=smaller) if len(last) > 1 else []
        ranks: dict[str, Any] = {}
        top = {
            "signal": float(best(signal)),
            "report": float(np.nanmin(report) if smaller else np.nanmax(report)),
        }
        if not problem.complete:
            if len(last) > 1:
                order, critical = statistics.average_ranks(last, smaller_is_better=smaller)
                ranks = {"measure": "best", "average": order, "critical_difference": critical}
            return {"optimum": None, "best_found": top, "results": results, "tests": tests, "ranks": ranks}
        if len(last) > 1:
            tests += statistics.compare(
                "to_optimum",
                {label: np.minimum(v, self.budget + 1) for label, v in self.to_optimum.items()},
                smaller_is_better=True,
            )
            order, critical = statistics.average_ranks(self.to_optimum, smaller_is_better=True)
            ranks = {"measure": "to_optimum", "average": order, "critical_difference": critical}
        return {"optimum": top, "results": results, "tests": tests, "ranks": ranks}

    @property
    def equivalents(self) -> float:
        """Full trainings that one evaluation stands for: epochs behind the dearest signal, of the table's longest."""
        trained = [s for s in self.problem.signals if s.epoch is not None]
        return max((s.epoch / self.problem.column(s).epochs[-1] for s in trained if s.epoch), default=1.0)

    def _in_equivalents(self, evaluations: statistics.Matrix) -> float | None:
        return float(evaluations.mean()) * self.equivalents if len(evaluations) else None

    def _until_improvement(self, label: str) -> dict[str, Any] | None:
        """Neighbours tried, and paid for, per move to a better solution until the optimum is found, over all runs."""
        moves = [
            step[1:]
            for run, end in zip(self.runs[label], self.to_optimum[label])
            for step in run.steps
            if step[0] <= end
        ]
        if not moves:
            return None
        tried, paid = np.array(moves, dtype=float).T
        return {"tried": statistics.spread(tried), "paid": statistics.spread(paid)}

    def _at(self, label: str, n: int) -> dict[str, Any]:
        values = self.curves[label][:, n - 1]
        values = values[~np.isnan(values)]
        if not len(values):
            return {"evaluations": n, "mean": None, "std": None, "interval": None}
        std = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        return {
            "evaluations": n,
            "mean": float(values.mean()),
            "std": std,
            "interval": list(statistics.interval(values)),
        }

    def _several_results(self) -> dict[str, Any]:
        results = []
        for entry in self.entries:
            front = self.fronts[entry.label]
            row = self._facts(entry)
            for name, values in front.items():
                row[name] = [
                    {"evaluations": n, **statistics.spread(values[:, i])} for i, n in enumerate(self.checkpoints)
                ]
            results.append(row)
        tests: list[dict[str, Any]] = []
        ranks: dict[str, Any] = {}
        if len(self.entries) > 1:
            for i, n in enumerate(self.checkpoints):
                for name in ("hypervolume", "front_share"):
                    state = {label: front[name][:, i] for label, front in self.fronts.items()}
                    tests += [
                        {**row, "evaluations": n} for row in statistics.compare(name, state, smaller_is_better=False)
                    ]
            last = {label: front["front_share"][:, -1] for label, front in self.fronts.items()}
            order, critical = statistics.average_ranks(last, smaller_is_better=False)
            ranks = {"measure": "front_share", "average": order, "critical_difference": critical}
        truth = statistics.front_of(self.problem.losses)
        from moocore import Hypervolume

        whole = float(Hypervolume(ref=np.ones(truth.shape[1]))(truth))
        return {
            "optimum": {"front": len(truth), "hypervolume": whole},
            "results": results,
            "tests": tests,
            "ranks": ranks,
        }

    def _facts(self, entry: Entry) -> dict[str, Any]:
        runs = self.runs[entry.label]
        return {
            "searcher": entry.label,
            "evaluations": float(np.mean([len(r.rows) + r.short for r in runs])),
            "short_evaluations": float(np.mean([r.short for r in runs])),
            "repeats": float(np.mean([r.repeats for r in runs])),
            "seconds": float(sum(r.seconds for r in runs)),
        }


def compete(
    problem: Problem | SurrogateProblem,
    searchers: Sequence[Entry],
    *,
    runs: int = 30,
    budget: int = 500,
    seed: int = 0,
    workers: int = 1,
    on_done: OnDone = nothing,
    keep: str | Path | None = None,
    until_optimum: bool = False,
) -> Comparison:
    """Let searchers compete on a table or surrogate. Runs of one seed start at the same architecture.

    Args:
        problem: what is searched.
        searchers: who takes part.
        runs, budget, seed: how many runs of each, what each may spend, and the seed of the first.
        workers: processes.
        on_done: called after each run.
        keep: file of finished runs, which are not run again (:class:`~archwright.arena.keeping.RunFile`).
        until_optimum: whether a run ends when it has found the optimum, after which its best cannot change.

    Raises:
        SettingsError: an unknown searcher or option, a searcher that cannot handle the objectives, two of one name, a
            number that makes no sense (a budget beyond the table's size among them), or ``keep`` or ``until_optimum``
            where they do not apply.
    """
    for entry in searchers:
        entry.make(problem, seed)
    for name, value in (("runs", runs), ("budget", budget), ("workers", workers)):
        if value < 1:
            raise SettingsError(f"{name} must be at least 1, not {value}")
    size = problem.size
    if size is not None and budget > size:
        raise SettingsError(
            f"a budget of {budget} is beyond the table: it has {size} architectures; take at most {size}"
        )
    if not searchers:
        raise SettingsError("name at least one searcher, for example --searcher ls")
    labels = [entry.label for entry in searchers]
    for label in labels:
        if labels.count(label) > 1:
            raise SettingsError(f"the searcher {label!r} is there twice; name it once, or give it other options")
    seeds = range(seed, seed + runs)
    end_at = optima(problem) if until_optimum else frozenset()
    keeper = None if keep is None else _keeper(Path(keep), problem, budget, until_optimum)
    found = run_all(problem, searchers, budget, seeds, workers, on_done, end_at, keeper)
    if isinstance(problem, SurrogateProblem):
        problem, found = problem.settled(found)
    return Comparison(problem, tuple(searchers), budget, seed, found)


def optima(problem: Problem | SurrogateProblem) -> frozenset[int]:
    """Rows whose signal is the best there is.

    Raises:
        SettingsError: there is no such row to end at: a surrogate, several objectives, a table that lacks architectures, or
            signals that are not what incumbents are judged by.
    """
    if isinstance(problem, SurrogateProblem) or len(problem.signals) > 1 or not problem.complete:
        raise SettingsError("runs can end at the optimum of one signal over a whole table only")
    if problem.varies or problem.signals[0] != problem.report:
        raise SettingsError(
            "runs end at the optimum where the signal is also the report and not of random trainings; leave that out"
        )
    values = problem.goal.objectives[0].sign * problem.values(problem.report)
    return frozenset(np.flatnonzero(values >= np.nanmax(values)).tolist())


def _keeper(path: Path, problem: Problem | SurrogateProblem, budget: int, until_optimum: bool) -> RunFile:
    if isinstance(problem, SurrogateProblem):
        raise SettingsError("runs are kept on tables; a surrogate's architectures have no numbers to keep")
    return RunFile(path, problem, budget, until_optimum)
