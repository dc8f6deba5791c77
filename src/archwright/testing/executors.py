"""What every executor must do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from archwright.evaluation import Evaluation
from archwright.space import Architecture
from archwright.study.executors import Evaluator, Executor, Task

MakeExecutor = Callable[[Evaluator], Executor]


class Echo:
    """Gives back the task's seed and the process it ran in; tells of three epochs."""

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: Any = None
    ) -> Evaluation:
        for epoch in (1, 2, 3):
            time.sleep(0.01)
            if on_epoch is not None and not on_epoch(epoch, {"seed": float(seed)}):
                return Evaluation({"seed": float(seed), "process": float(os.getpid())}, fidelity=epoch / 3)
        return Evaluation({"seed": float(seed), "process": float(os.getpid())}, fidelity=fidelity)


def go_on(_epoch: int, _metrics: Mapping[str, float]) -> bool:
    """Never stop."""
    return True


class ExecutorContract:
    """Inherit and give a fixture ``make``: ``evaluator -> Executor``."""

    @pytest.fixture
    def make(self) -> MakeExecutor:
        raise NotImplementedError("give a fixture make")

    def test_each_task_gets_its_own_answer(self, make: MakeExecutor) -> None:
        executor = make(Echo())
        try:
            tasks = [Task(i, Architecture({"x": i}), 1.0, 100 + i) for i in range(5)]
            futures = [executor.submit(task, go_on) for task in tasks]
            outcomes = [future.result(timeout=60) for future in futures]
        finally:
            executor.shutdown()
        assert [o.evaluation.metrics["seed"] for o in outcomes] == [100, 101, 102, 103, 104]
        assert all(o.started <= o.finished for o in outcomes)
        assert all(0 <= o.worker < executor.slots for o in outcomes)

    def test_epochs_are_told_and_can_be_refused(self, make: MakeExecutor) -> None:
        executor = make(Echo())
        heard: list[int] = []

        def stop_after_two(epoch: int, _metrics: Mapping[str, float]) -> bool:
            heard.append(epoch)
            return epoch < 2

        try:
            outcome = executor.submit(Task(0, Architecture({}), 1.0, 0), stop_after_two).result(timeout=60)
        finally:
            executor.shutdown()
        assert heard == [1, 2]
        assert outcome.evaluation.fidelity == pytest.approx(2 / 3)

    def test_shutdown_may_come_twice(self, make: MakeExecutor) -> None:
        executor = make(Echo())
        executor.shutdown()
        executor.shutdown()
