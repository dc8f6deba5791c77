"""Executors keep the contract; workers are separate processes that use their share of the cores."""

from __future__ import annotations

import os

import pytest

from archwright.errors import StudyError
from archwright.evaluation import Evaluation
from archwright.space import Architecture
from archwright.study import InProcess, Processes, Task
from archwright.testing.executors import Echo, ExecutorContract, go_on


class TestInProcess(ExecutorContract):
    @pytest.fixture
    def make(self):
        return InProcess


class TestOneWorker(ExecutorContract):
    @pytest.fixture
    def make(self):
        return lambda evaluator: Processes(evaluator, 1)


class TestTwoWorkers(ExecutorContract):
    @pytest.fixture
    def make(self):
        return lambda evaluator: Processes(evaluator, 2)


def run(executor, n):
    try:
        futures = [executor.submit(Task(i, Architecture({}), 1.0, 0), go_on) for i in range(n)]
        return [f.result(timeout=60).evaluation for f in futures]
    finally:
        executor.shutdown()


def test_workers_are_other_processes_and_gone_after_shutdown():
    processes = {int(e.metrics["process"]) for e in run(Processes(Echo(), 2), 6)}
    assert os.getpid() not in processes
    assert len(processes) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


class Environment(Echo):
    def __call__(self, architecture, **options):
        return Evaluation({"threads": float(os.environ["OMP_NUM_THREADS"])})


def test_threads_are_divided_among_workers(monkeypatch):
    monkeypatch.setattr("archwright.study.executors.cores", lambda: 8)
    assert [e.metrics["threads"] for e in run(Processes(Environment(), 2), 2)] == [4, 4]


class Prints(Echo):
    def __call__(self, architecture, **options):
        print("hello from user code")
        return Evaluation({"x": 1.0})


def test_what_user_code_prints_goes_to_the_log(tmp_path):
    assert run(Processes(Prints(), 1, logs=tmp_path), 1)[0].metrics == {"x": 1.0}
    assert "hello from user code" in (tmp_path / "worker-0.log").read_text()


def test_functions_defined_anywhere_travel():
    factor = 3.0

    def evaluate(architecture, *, fidelity=1.0, seed=0, on_epoch=None):
        return Evaluation({"x": factor})

    assert run(Processes(evaluate, 1), 1)[0].metrics == {"x": 3.0}


def test_what_cannot_travel_is_refused_with_the_remedy():
    import threading

    lock = threading.Lock()

    def evaluate(architecture, **options):
        return lock

    with pytest.raises(StudyError, match="cannot be sent to worker processes.*workers=0"):
        Processes(evaluate, 1)
