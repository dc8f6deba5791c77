"""The progress bar: how far, what runs, what is best, how long still."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from archwright.cli.common import metrics_line
from archwright.evaluation import Goal
from archwright.study.record import Trial, knee, pareto_front
from archwright.study.stopping import Budget
from archwright.study.storage import Running


class Progress:
    """One bar for the search and one for the retraining; on standard error, and only if it is a terminal or asked."""

    def __init__(self, goal: Goal, budget: Budget, *, shown: bool = True) -> None:
        console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[now]}", style="dim", markup=False),
            TextColumn("{task.fields[best]}", markup=False),
            console=console,
            disable=not shown,
            transient=False,
        )
        self.search = _Stage(self._bars, "search", goal, budget, plain=shown and not console.is_terminal)
        self.final = _Stage(self._bars, "retrain", goal, None, plain=shown and not console.is_terminal)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars.live.is_started:
            self._bars.stop()


class _Stage:
    """A watcher (see :class:`archwright.study.loop.Watcher`) that moves one bar."""

    def __init__(self, bars: Bars, name: str, goal: Goal, budget: Budget | None, *, plain: bool) -> None:
        self._bars = bars
        self._name = name
        self._goal = goal
        self._budget = budget
        self._plain = plain
        self._task: int | None = None
        self._known = 0.0
        self._by_cost = budget is not None and budget.evaluations is None and budget.equivalents is not None
        self._total: float | None = 0 if budget is None else budget.equivalents if self._by_cost else budget.evaluations
        self._begun = time.monotonic()
        self._now: dict[int, str] = {}
        self._done = 0.0
        self._scored = ""

    def resumed(self, trials: list[Trial]) -> None:
        self._known = sum(map(self._counts, trials))
        self._begun = time.monotonic()
        self._show(trials)

    def started(self, trial: Running) -> None:
        if self._budget is None:
            self._total = (self._total or 0) + 1
        self._now[trial.number] = f"#{trial.number} starts"
        self._show()

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self._now[number] = f"#{number} epoch {epoch}"
        self._show()

    def finished(self, trial: Trial, trials: list[Trial]) -> None:
        self._now.pop(trial.number, None)
        self._done += self._counts(trial)
        self._show(trials)
        if self._plain:
            objectives = [o.metric for o in self._goal.objectives]
            outcome = metrics_line(trial.evaluation.metrics, objectives) or trial.evaluation.reason
            total = f"/{self._total:g}" if self._total else ""
            what = "trial" if self._budget is not None else "network"
            line = f"{self._name} {self._known + self._done:.4g}{total}  {what} {trial.number} {trial.evaluation.status}: {outcome}"
            self._bars.console.print(Text(line), soft_wrap=True)

    def scored(self, count: int) -> None:
        self._scored = f"{count} untrained networks scored"
        self._show()

    def _counts(self, trial: Trial) -> float:
        return trial.evaluation.cost if self._by_cost else float(trial.evaluation.status != "infeasible")

    def _show(self, trials: list[Trial] | None = None) -> None:
        done = self._known + self._done
        fields = {"now": " ".join(self._now.values()) or self._scored, "left": self._left(done)}
        if trials:
            fields["best"] = self._best(trials)
        if self._task is None:
            self._bars.start()
            fields.setdefault("best", "")
            self._task = self._bars.add_task(self._name, total=self._total, completed=done, **fields)  # type: ignore[arg-type]
        self._bars.update(self._task, completed=done, total=self._total, **fields)  # type: ignore[arg-type]

    def _left(self, done: float) -> str:
        elapsed = time.monotonic() - self._begun
        limits = []
        if self._total and self._done:
            limits.append(elapsed / self._done * max(0, self._total - done))
        if self._budget is not None and self._budget.seconds is not None:
            limits.append(max(0.0, self._budget.seconds - elapsed))
        return f"{_clock(min(limits))} left" if limits else _clock(elapsed)

    def _best(self, trials: list[Trial]) -> str:
        ok = [t for t in trials if t.is_full]
        front = pareto_front(ok, self._goal)
        if not front:
            return ""
        best = knee(front, self._goal)
        line = metrics_line(best.evaluation.metrics, [o.metric for o in self._goal.objectives])
        return f"best #{best.number} {line}" + (f" (front of {len(front)})" if len(self._goal.objectives) > 1 else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
