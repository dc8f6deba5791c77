"""Runs for the tables of pretrained ensembles: pretraining, searches, and what is kept of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from archwright.arena.problem import Problem, read_signal
from archwright.arena.runs import Entry, run
from archwright.errors import SettingsError
from archwright.searchers import searcher_options
from archwright.tables.table import Table

SIGNAL = "test_accuracy@200"
SHORT = 12 / 200
PROFILED_ON = "cifar10"
"""Costs of cells differ between the data sets by a constant, which standardising takes away."""
OnDone = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Method:
    """A searcher with its settings.

    Attributes:
        label: for people.
        searcher, options: its name and options.
        metrics: columns that the ensemble is pretrained on; none for no pretraining.
        pretraining, epochs: how.
        low: whether there are short trainings.
    """

    label: str
    searcher: str
    options: tuple[tuple[str, Any], ...] = ()
    metrics: tuple[str, ...] = ()
    pretraining: str = "simultaneous"
    epochs: int = 300
    low: bool = True

    def changed(self, options: tuple[tuple[str, Any], ...]) -> Method:
        """With other options, if it is the published method."""
        if self.searcher != "ensemble-bo-thesis":
            return self
        new = {**dict(self.options), **dict(options)}
        epochs = new.pop("pretraining_epochs", self.epochs)
        return replace(self, options=tuple(sorted(new.items())), epochs=epochs)

    def option(self, name: str) -> Any:
        """One option, as set or by default."""
        return {**searcher_options(self.searcher), **dict(self.options)}[name]

    def booked(self, cost: float) -> float:
        """Equivalents at the end of the cycle, or of the batch, in which ``cost`` were spent (as the thesis counts)."""
        if self.searcher != "ensemble-bo-thesis":
            return cost
        short = self.option("f") * self.option("p") * SHORT
        cycle = short + self.option("q") if self.low else self.option("batch")
        return float(round(math.ceil(cost / cycle - 1e-9) * cycle, 9))


@dataclass(frozen=True)
class Job:
    """One search.

    Attributes:
        dataset, method, budget, seed: of it.
        taken: seed of the pretraining, if it is not the search's own.
    """

    dataset: str
    method: Method
    budget: int
    seed: int
    taken: int | None = None

    @property
    def pretrained(self) -> int:
        """Seed of the pretraining."""
        return self.seed if self.taken is None else self.taken

    @property
    def key(self) -> str:
        """By which a finished run is found again; the label has no part in it."""
        said = {**asdict(self), "method": {**asdict(self.method), "label": ""}}
        return json.dumps({name: v for name, v in said.items() if name != "taken" or v is not None}, sort_keys=True)


@dataclass(frozen=True)
class Found:
    """What is kept of a run.

    Attributes:
        steps: improvements: equivalents spent, the same as booked, value.
        optimum: whether the last step is the optimum.
        spent: equivalents in all.
        seconds: of the run, without pretraining.
    """

    steps: tuple[tuple[float, float, float], ...]
    optimum: bool
    spent: float
    seconds: float

    @property
    def booked(self) -> float | None:
        """Equivalents to the optimum, as booked; ``None`` where it was not reached."""
        return self.steps[-1][1] if self.optimum else None

    def best_at(self, cost: float) -> float:
        """Best value booked by then; NaN where there is none."""
        return max((value for _, booked, value in self.steps if booked <= cost + 1e-9), default=math.nan)


def do_all(table: Table, jobs: list[Job], folder: Path, workers: int, on_done: OnDone) -> dict[Job, Found]:
    """Pretrain what is missing, then run what is missing; each is kept as soon as it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    log = RunLog(folder / "runs.jsonl")
    wanted = list({job.key: job for job in jobs if log.get(job) is None}.values())
    pretrainings = {pretraining_path(folder, j.method, j.pretrained): j for j in wanted if j.method.metrics}
    first = [job for path, job in pretrainings.items() if not path.is_file()]
    done, total = 0, len(first) + len(wanted)
    for do, missing in ((_pretrain, first), (_search, wanted)):
        for job, found in _in_turn(do, missing, table, folder, workers):
            if found is not None:
                log.add(job, found)
            done += 1
            on_done(job.method.label, done, total)
    return {job: found for job in jobs if (found := log.get(job)) is not None}


def pretraining_path(folder: Path, method: Method, seed: int) -> Path:
    """Where a pretrained ensemble is kept."""
    sizes = f"{method.option('profiled')}-{method.option('members')}-{method.option('encoding')}"
    return folder / f"{'+'.join(method.metrics)}-{method.pretraining}-{method.epochs}-{sizes}-{seed}.safetensors"


class RunLog:
    """Finished runs by key, a line of JSON each; a line that was cut off is left out.

    Raises:
        SettingsError: the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, Found] = {}
        self._ended: dict[str, Found] = {}
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for line in text.splitlines():
            try:
                said = json.loads(line)
                key = said.pop("key")
                self._note(key, Found(**{**said, "steps": tuple(tuple(step) for step in said["steps"])}))
            except ValueError:
                continue
            except (TypeError, KeyError, AttributeError) as error:
                raise SettingsError(f"{path} keeps something else than runs; name another folder") from error
        if text and not text.endswith("\n"):
            path.write_text(text + "\n", encoding="utf-8")

    def get(self, job: Job) -> Found | None:
        """The finished run; also one that had another budget and reached the optimum within this one, which is the same run."""
        other = self._ended.get(_without_budget(job.key))
        return self._found.get(job.key, other if other is not None and other.spent <= job.budget + 1e-9 else None)

    def _note(self, key: str, found: Found) -> None:
        self._found[key] = found
        if found.optimum:
            self._ended[_without_budget(key)] = found

    def add(self, job: Job, found: Found) -> None:
        """One more."""
        self._note(job.key, found)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": job.key, **asdict(found)}) + "\n")


def _without_budget(key: str) -> str:
    return json.dumps({**json.loads(key), "budget": None}, sort_keys=True)


Do = Callable[[Job, Table, Path], "Found | None"]


def _in_turn(do: Do, jobs: list[Job], table: Table, folder: Path, workers: int) -> Iterable[tuple[Job, Found | None]]:
    """Each job with its result, as they are done."""
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, do(job, table, folder)
        return
    with ProcessPoolExecutor(workers, initializer=_receive, initargs=(table, folder)) as pool:
        running = {pool.submit(_do_one, do, job): job for job in jobs}
        for future in as_completed(running):
            yield running[future], future.result()


_received: tuple[Table, Path] | None = None


def _receive(table: Table, folder: Path) -> None:
    import torch

    global _received
    torch.set_num_threads(1)
    _received = (table, folder)


def _do_one(do: Do, job: Job) -> Found | None:
    if _received is None:
        raise RuntimeError("the worker has received no table")
    return do(job, *_received)


def _problem(table: Table, dataset: str, low: bool) -> Problem:
    signal = read_signal(table, dataset, SIGNAL)
    return Problem(table, dataset, (signal,), signal, fidelities=(SHORT, 1.0) if low else (1.0,))


def _pretrain(job: Job, table: Table, folder: Path) -> None:
    """Pretrain and store, with the rank correlation of what the ensemble predicts over the whole table."""
    from scipy.stats import spearmanr

    from archwright.surrogate import pretrain, store
    from archwright.surrogate.pretraining import encoded

    method = job.method
    problem = _problem(table, PROFILED_ON, low=False)
    clues = problem.clues(method.metrics)
    assert clues is not None
    encoding = method.option("encoding")
    made = pretrain(
        problem.space, clues, profiled=method.option("profiled"), pretraining=method.pretraining, epochs=method.epochs,
        members=method.option("members"), encoding=encoding, seed=job.pretrained,
    )  # fmt: skip
    inputs = encoded(problem.space, table.architectures, encoding)
    rho = {
        name: float(spearmanr(made.predict(inputs, head).mean(0).numpy(), clues.values[:, head]).statistic)
        for head, name in enumerate(method.metrics)
    }
    path = pretraining_path(folder, method, job.pretrained)
    unfinished = path.with_suffix(".part")
    store(made, unfinished, problem.space, encoding, metrics=list(method.metrics), epochs=method.epochs, spearman=rho)
    unfinished.replace(path)


def _search(job: Job, table: Table, folder: Path) -> Found:
    method = job.method
    options = dict(method.options)
    if method.metrics:
        options["surrogate"] = str(pretraining_path(folder, method, job.pretrained))
    problem = _problem(table, job.dataset, method.low)
    values = problem.values(problem.report)
    best = float(np.nanmax(values))
    optima = frozenset(np.flatnonzero(values >= best - 1e-6).tolist())
    done = run(problem, Entry(method.label, method.searcher, options), job.budget, job.seed, optima)
    steps: list[tuple[float, float, float]] = []
    for row, cost in zip(done.rows.tolist(), done.costs.tolist()):
        value = float(values[row])
        if value > (steps[-1][2] if steps else -math.inf):
            steps.append((cost, method.booked(cost), value))
    reached = bool(done.rows.size) and int(done.rows[-1]) in optima
    spent = len(done.rows) + done.short * SHORT
    return Found(tuple(steps), reached, spent, done.seconds)
