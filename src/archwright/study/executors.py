"""Where evaluations run: in this process, or in worker processes that can be killed.

An executor has the shape of :class:`concurrent.futures.Executor`: ``submit`` returns a future, ``shutdown`` ends it.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import cloudpickle

from archwright import subprocesses
from archwright.errors import SettingsError, StudyError
from archwright.evaluation import Evaluation
from archwright.space import Architecture
from archwright.subprocesses import cores

OnEpoch = Callable[[int, Mapping[str, float]], bool]
GRACE = 5.0


class Evaluator(Protocol):
    """Says what an architecture is worth. It never raises for a candidate that is broken: it says ``failed``."""

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: OnEpoch | None = None
    ) -> Evaluation: ...


@dataclass(frozen=True)
class Parent:
    """A finished trial whose weights another one starts from."""

    number: int
    architecture: Architecture


@dataclass(frozen=True)
class Lineage:
    """Under which number a trial leaves its weights, and whose it starts from, if anyone's."""

    number: int
    parent: Parent | None = None


@dataclass(frozen=True)
class Task:
    """One evaluation to make; evaluators hear of the ``lineage`` only where weights are inherited."""

    number: int
    architecture: Architecture
    fidelity: float
    seed: int
    lineage: Lineage | None = None

    def evaluate(self, evaluator: Evaluator, on_epoch: OnEpoch) -> Evaluation:
        """Make it."""
        more = {} if self.lineage is None else {"lineage": self.lineage}
        return evaluator(self.architecture, fidelity=self.fidelity, seed=self.seed, on_epoch=on_epoch, **more)


@dataclass(frozen=True)
class Outcome:
    """One evaluation made: when (Unix time, seconds) and by which worker."""

    evaluation: Evaluation
    started: float
    finished: float
    worker: int = 0


class Executor(Protocol):
    """Runs tasks, ``slots`` at a time."""

    slots: int

    def submit(self, task: Task, on_epoch: OnEpoch) -> Future[Outcome]:
        """Start a task; ``on_epoch(epoch, metrics)`` is called after each epoch and says whether to go on."""
        ...

    def shutdown(self) -> None:
        """End at once; what still runs is dropped."""
        ...


class InProcess:
    """Evaluates within ``submit``. A time limit is kept by the evaluator itself; nothing can be killed."""

    slots = 1

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def submit(self, task: Task, on_epoch: OnEpoch) -> Future[Outcome]:
        """Evaluate now."""
        started = time.time()
        future: Future[Outcome] = Future()
        evaluation = task.evaluate(self._evaluator, on_epoch)
        future.set_result(Outcome(evaluation, started, time.time()))
        return future

    def shutdown(self) -> None:
        """Nothing to end."""


class Processes:
    """``workers`` processes that share the machine's cores.

    A worker that dies, or that overruns its time limit by more than a grace period, gives a ``failed``
    evaluation and is replaced.

    Args:
        evaluator: what runs in each; sent with cloudpickle, so that functions of a script or notebook work.
        workers: how many.
        time_limit: seconds for one evaluation; ``None`` for no limit.
        threads: of each worker; by default the cores divided among the workers.
        logs: folder for what user code prints in the workers; ``None`` drops it.

    Raises:
        StudyError: the evaluator cannot be sent to another process.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        workers: int,
        *,
        time_limit: float | None = None,
        threads: int | None = None,
        logs: Path | None = None,
    ) -> None:
        self.slots = workers
        try:
            payload = cloudpickle.dumps(evaluator)
        except Exception as error:
            raise StudyError(
                f"the model or data cannot be sent to worker processes ({type(error).__name__}: {error}); run with "
                "workers=0, or define them at the top level of a module"
            ) from error
        threads = threads or max(1, cores() // workers)
        self._time_limit = time_limit
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker(i, payload, threads, logs) for i in range(workers)]
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="archwright-worker")
        self._ended = False

    def submit(self, task: Task, on_epoch: OnEpoch) -> Future[Outcome]:
        """Evaluate in the next idle worker."""
        return self._threads.submit(self._run, task, on_epoch)

    def _run(self, task: Task, on_epoch: OnEpoch) -> Outcome:
        worker = self._idle.get()
        started = time.time()
        try:
            evaluation = worker.evaluate(task, on_epoch, self._time_limit, lambda: self._ended)
        finally:
            self._idle.put(worker)
        return Outcome(evaluation, started, time.time(), worker.index)

    def shutdown(self) -> None:
        """Kill the workers."""
        self._ended = True
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Workers:
    """How many processes evaluate, and on what terms (see :class:`Processes`); with none, this process does.

    Raises:
        SettingsError: a number that cannot be.
    """

    count: int = 0
    threads: int | None = None
    time_limit: float | None = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise SettingsError(f"workers must be 0 or more, not {self.count}")
        if self.threads is not None and self.threads < 1:
            raise SettingsError(f"threads must be at least 1, not {self.threads}")

    def executor(self, evaluator: Evaluator, logs: Path | None = None) -> Executor:
        """What runs the evaluator."""
        if self.count == 0:
            return InProcess(evaluator)
        return Processes(evaluator, self.count, time_limit=self.time_limit, threads=self.threads, logs=logs)


class _Worker:
    """One process and the socket to it; started when first needed and again after it died."""

    def __init__(self, index: int, payload: bytes, threads: int, logs: Path | None) -> None:
        self.index = index
        self._payload = payload
        self._threads = threads
        self._log = None if logs is None else logs / f"worker-{index}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def evaluate(
        self, task: Task, on_epoch: OnEpoch, time_limit: float | None, ended: Callable[[], bool]
    ) -> Evaluation:
        started = time.monotonic()
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            connection = self._connection
            assert connection is not None
            started = time.monotonic()
            deadline = None if time_limit is None else started + time_limit * 1.1 + GRACE
            connection.send_bytes(cloudpickle.dumps(task))
            while True:
                kind, value = self._receive(connection, deadline)
                if kind == "done":
                    result: Evaluation = value
                    return result
                epoch, metrics = value
                connection.send_bytes(cloudpickle.dumps(on_epoch(epoch, metrics)))
        except TimeoutError:
            self.kill()
            return _failed(task, f"took longer than its time limit of {time_limit:g} s and was killed", started)
        except (EOFError, OSError):
            reason = "the search ended" if ended() else self._cause_of_death()
            self.kill()
            return _failed(task, reason, started)

    def _receive(self, connection: Connection, deadline: float | None) -> tuple[str, Any]:
        if deadline is not None and not connection.poll(max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        message: tuple[str, Any] = cloudpickle.loads(connection.recv_bytes())
        return message

    def _start(self) -> None:
        log = open(self._log, "ab") if self._log is not None else subprocess.DEVNULL  # noqa: SIM115
        try:
            self._process, self._connection = subprocesses.start(
                "archwright.study.worker", threads=self._threads, output=log
            )
        finally:
            if not isinstance(log, int):
                log.close()
        setup = {"evaluator": self._payload, "path": sys.path}
        try:
            self._connection.send_bytes(cloudpickle.dumps(setup))
            kind, value = self._receive(self._connection, None)
        except (EOFError, OSError):
            if self._process.wait(timeout=GRACE) < 0:
                raise
            raise StudyError(f"a worker process could not start: {self._cause_of_death()}") from None
        if kind != "ready":
            raise StudyError(f"a worker process cannot load the model or the data: {value}")

    def _cause_of_death(self) -> str:
        if self._process is None:
            return "the worker process ended"
        how = subprocesses.cause_of_death(self._process, GRACE)
        where = f"; see {self._log.name}" if self._log is not None and "code" in how else ""
        return f"the worker process {how}{where}"

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            subprocesses.kill(process)


def _failed(task: Task, reason: str, started: float) -> Evaluation:
    """What a lost worker had spent is not known; it counts as if it had done all its work."""
    seconds = time.monotonic() - started
    return Evaluation(status="failed", reason=reason, fidelity=task.fidelity, cost=task.fidelity, seconds=seconds)
