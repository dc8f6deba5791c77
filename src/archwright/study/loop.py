"""The loop: ask, evaluate, store, tell, until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from archwright.evaluation import Evaluation, Goal
from archwright.space import Architecture, Space
from archwright.study.conversation import Conversation, Request, replay
from archwright.study.executors import Executor, Lineage, OnEpoch, Outcome, Parent, Task
from archwright.study.interrupts import Interrupts
from archwright.study.record import Trial, rank
from archwright.study.stopping import Budget, EarlyStopping
from archwright.study.storage import Running, Store

IN_A_ROW = {"failed": 20, "infeasible": 2000}


def differing(a: Architecture, b: Architecture) -> int:
    """Parameters with different values, among those that both have."""
    return sum(a[name] != b[name] for name in a if name in b)


class Watcher(Protocol):
    """Is told what happens, for a progress bar or a log. It decides nothing."""

    def resumed(self, trials: list[Trial]) -> None: ...
    def started(self, trial: Running) -> None: ...
    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None: ...
    def finished(self, trial: Trial, trials: list[Trial]) -> None: ...
    def scored(self, count: int) -> None: ...


class Silent:
    """A :class:`Watcher` that says nothing."""

    def resumed(self, trials: list[Trial]) -> None:
        """Nothing."""

    def started(self, trial: Running) -> None:
        """Nothing."""

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def finished(self, trial: Trial, trials: list[Trial]) -> None:
        """Nothing."""

    def scored(self, count: int) -> None:
        """Nothing."""


@dataclass
class Loop:
    """Runs a conversation against an executor and stores every word.

    ``run`` returns why it ended. What had been stored before is replayed first; trials that were in flight when the
    study was interrupted are evaluated again, with their old seeds.
    """

    space: Space
    goal: Goal
    conversation: Conversation
    store: Store
    executor: Executor
    budget: Budget
    seed: int = 0
    fidelities: tuple[float, ...] = (1.0,)
    repeats: int = 1
    early_stopping: EarlyStopping | None = None
    inherits: bool = False
    watcher: Watcher = field(default_factory=Silent)
    trials: list[Trial] = field(default_factory=list, init=False)

    def run(self) -> str:
        """Evaluate until the budget is spent; returns the reason for stopping in words.

        Raises:
            StudyError: the study cannot be written or continued.
            KeyboardInterrupt: the user stopped it; what is stored stays.
        """
        self._sitting = time.time()
        self._before = float(self.store.get("seconds", 0.0))
        self.trials, interrupted = self.store.trials(self.goal)
        self._turn = replay(self.conversation, self.trials, interrupted)
        self._next_number = len(self.trials) + len(interrupted)
        self._running: dict[Future[Outcome], Running] = {}
        self._held: Request | None = None
        self.watcher.resumed(list(self.trials))
        try:
            for trial in interrupted:
                self._start(trial)
            with Interrupts() as interrupts:
                return self._converse(interrupts)
        finally:
            self.executor.shutdown()
            self.store.set("seconds", self.seconds)
            self.store.set("repeats", self.conversation.repeats)

    @property
    def seconds(self) -> float:
        """Wall time over all sittings."""
        return self._before + time.time() - self._sitting

    def _converse(self, interrupts: Interrupts) -> str:
        while True:
            while len(self._running) < self.executor.slots and self._may_start():
                request = self._held or self.conversation.next()
                self._held = None
                if request is None:
                    break
                if not self._may_start(request.fidelity):
                    self._held = request
                    break
                trial = Running(
                    self._next_number, request.architecture, self._trial_seed(), self._take_turn(), request.origin,
                    request.fidelity, self._parent(request.architecture),
                )  # fmt: skip
                self._next_number += 1
                with interrupts.held():
                    self.store.begin(trial, self.space)
                self._start(trial)
            if not self._running:
                return self._reason()
            done: set[Future[Outcome]] = set()
            while not done:
                interrupts.check()
                done, _ = wait(self._running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda f: self._running[f].number):
                with interrupts.held():
                    self._finish(self._running.pop(future), future.result())

    def _may_start(self, fidelity: float | None = None) -> bool:
        """Whether the budget has room for an evaluation at a fidelity; for the cheapest one by default."""
        running = [self.repeats * r.fidelity for r in self._running.values()]
        cost = self.repeats * (min(self.fidelities) if fidelity is None else fidelity)
        return self._too_many_in_a_row() == "" and self.budget.allows(self.trials, running, self.seconds, cost)

    def _start(self, trial: Running) -> None:
        self.watcher.started(trial)
        task = Task(trial.number, trial.architecture, trial.fidelity, trial.seed, self._lineage(trial))
        self._running[self.executor.submit(task, self._on_epoch(trial))] = trial

    def _parent(self, architecture: Architecture) -> int | None:
        """The best full trial that differs in one parameter (and in those that come and go with it)."""
        if not self.inherits:
            return None
        near = [t for t in self.trials if t.is_full and differing(t.architecture, architecture) == 1]
        return rank(near, self.goal)[0].number if near else None

    def _lineage(self, trial: Running) -> Lineage | None:
        if not self.inherits:
            return None
        parents = [Parent(t.number, t.architecture) for t in self.trials if t.number == trial.parent]
        return Lineage(trial.number, parents[0] if parents else None)

    def _on_epoch(self, trial: Running) -> OnEpoch:
        def decide(epoch: int, metrics: Mapping[str, float]) -> bool:
            self.watcher.epoch(trial.number, epoch, metrics)
            return self.early_stopping is None or self.early_stopping.goes_on(epoch, metrics, tuple(self.trials))

        return decide

    def _finish(self, running: Running, outcome: Outcome) -> None:
        trial = Trial(
            number=running.number,
            architecture=running.architecture,
            evaluation=self._checked(outcome.evaluation),
            seed=running.seed,
            started=outcome.started,
            finished=outcome.finished,
            worker=outcome.worker,
            origin=running.origin,
            asked=running.asked,
            told=self._take_turn(),
            fidelity=running.fidelity,
            parent=running.parent,
        )
        self.store.finish(trial, self.goal)
        self.store.set("seconds", self.seconds)
        self.trials.append(trial)
        self.conversation.answer(trial.architecture, trial.evaluation, trial.fidelity)
        self.watcher.finished(trial, list(self.trials))

    def _checked(self, evaluation: Evaluation) -> Evaluation:
        """An ``ok`` evaluation must have finite objectives; anything else is a failure."""
        if evaluation.status == "ok":
            for objective in self.goal.objectives:
                value = evaluation.metrics.get(objective.metric)
                if value is None or not np.isfinite(value):
                    gave = f"it gave {', '.join(evaluation.metrics) or 'nothing'}" if value is None else value
                    reason = f"the evaluation gave no finite {objective.metric}: {gave}"
                    return Evaluation(
                        evaluation.metrics, "failed", reason, evaluation.fidelity, evaluation.cost, evaluation.seconds,
                        evaluation.curve,
                    )  # fmt: skip
        return evaluation

    def _trial_seed(self) -> int:
        return int(np.random.SeedSequence([self.seed, 2, self._next_number]).generate_state(1)[0])

    def _take_turn(self) -> int:
        turn = self._turn
        self._turn += 1
        return turn

    def _too_many_in_a_row(self) -> str:
        for status, limit in IN_A_ROW.items():
            last = self.trials[-limit:]
            if len(last) == limit and all(t.evaluation.status == status for t in last):
                return f"the last {limit} candidates were all {status}: {last[-1].evaluation.reason}"
        return ""

    def _reason(self) -> str:
        return self._too_many_in_a_row() or self.conversation.exhausted or "the budget is spent"
