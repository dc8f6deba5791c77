"""Runs of searchers on a problem, in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation, Goal
from archwright.searchers import Clues, Searcher, make_searcher
from archwright.space import Architecture


class Answers(Protocol):
    """Evaluations by row."""

    def __getitem__(self, row: int, /) -> Evaluation: ...


class Competition(Protocol):
    """What a run needs of a problem, be it of a table or of a surrogate."""

    @property
    def space(self) -> Any: ...
    @property
    def goal(self) -> Goal: ...
    @property
    def given(self) -> tuple[int, ...]: ...
    @property
    def fidelities(self) -> tuple[float, ...]: ...
    @property
    def size(self) -> int | None: ...
    def clues(self, names: tuple[str, ...] | None = None) -> Clues | None: ...
    def architecture(self, row: int) -> Architecture: ...
    def asked(self, rows: Sequence[int]) -> tuple[Architecture, ...] | None: ...
    def evaluations_of_run(self, seed: int, fidelity: float = 1.0) -> Answers: ...


@dataclass(frozen=True)
class Entry:
    """A searcher that takes part: ``NAME`` or ``NAME:option=value,...`` and what it stands for.

    Attributes:
        label: as it was written.
        searcher: its name.
        options: of the searcher.
        clues: names of those it gets; ``None`` for the problem's own.
    """

    label: str
    searcher: str
    options: Mapping[str, Any]
    clues: tuple[str, ...] | None = None

    def make(self, problem: Competition, seed: int) -> Searcher:
        """The searcher on a problem.

        Raises:
            SettingsError: see :func:`~archwright.searchers.make_searcher`; clues that it cannot take.
        """
        made = make_searcher(
            self.searcher, problem.space, problem.goal, seed=seed, fidelities=problem.fidelities,
            clues=problem.clues(self.clues), **self.options,
        )  # fmt: skip
        if self.clues and not made.takes_clues:
            raise SettingsError(f"{self.searcher} takes no clues; leave out clues={'+'.join(self.clues)}")
        return made


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        seed: of the searcher.
        rows: of the table, in the order of full evaluation, each once (again where the searcher pays for repeats).
        repeats: how often an evaluation was asked for again; that costs nothing and is counted.
        seconds: of the whole run, which is the searcher's own time but for lookups of microseconds.
        steps: of a local search: evaluations before each move to a better solution, neighbours tried and paid for in it.
        short: evaluations at less than full fidelity.
        spent: full equivalents spent when each of ``rows`` was known; their number where all evaluations were full.
        asked: architectures of ``rows``, where the rows come into being in the run.
    """

    seed: int
    rows: NDArray[np.int64]
    repeats: int
    seconds: float
    steps: tuple[tuple[int, int, int], ...] = ()
    short: int = 0
    spent: NDArray[np.float64] | None = None
    asked: tuple[Architecture, ...] | None = None

    @property
    def costs(self) -> NDArray[np.float64]:
        """Full equivalents spent when each of ``rows`` was known."""
        return np.arange(1.0, len(self.rows) + 1) if self.spent is None else self.spent


OnDone = Callable[[Entry, Run], None]


def nothing(_: Entry, __: Run) -> None:
    """Called after each run, by default."""


def run(problem: Competition, entry: Entry, budget: int, seed: int, end_at: frozenset[int] = frozenset()) -> Run:
    """One search that spends ``budget`` full equivalents on different architectures, or less when the searcher has no more.

    What the problem gives to every searcher is evaluated and told first. The run ends when a row of ``end_at`` is known in full.
    """
    started = time.perf_counter()
    searcher = entry.make(problem, seed)
    if searcher.several_fidelities:
        return _run_at_fidelities(problem, searcher, budget, seed, started, end_at)
    answers = problem.evaluations_of_run(seed)
    row_of = problem.space.row
    rows: list[int] = []
    seen: set[int] = set()
    repeats = 0
    for row in problem.given[:budget]:
        seen.add(row)
        rows.append(row)
        searcher.tell(problem.architecture(row), answers[row])
    while len(rows) < budget and end_at.isdisjoint(rows[-1:]):
        proposals = searcher.ask(1)
        if not proposals:
            break
        row = row_of(proposals[0])
        if row in seen:
            repeats += 1
            if searcher.pays_for_repeats:
                rows.append(row)
            elif repeats > 100 * budget:
                break
        else:
            seen.add(row)
            rows.append(row)
        searcher.tell(proposals[0], answers[row])
    seconds = time.perf_counter() - started
    steps = tuple(tuple(step) for step in getattr(searcher, "steps", ()))
    return Run(seed, np.array(rows, dtype=np.int64), repeats, seconds, steps, asked=problem.asked(rows))


def _run_at_fidelities(
    problem: Competition, searcher: Searcher, budget: int, seed: int, started: float, end_at: frozenset[int]
) -> Run:
    """The same with evaluations that cost their fidelity."""
    answers: dict[float, Answers] = {1.0: problem.evaluations_of_run(seed)}
    rows: list[int] = []
    costs: list[float] = []
    seen: set[tuple[int, float]] = set()
    spent, short, repeats = 0.0, 0, 0
    for row in problem.given[:budget]:
        seen.add((row, 1.0))
        rows.append(row)
        costs.append(spent := spent + 1.0)
        searcher.tell(problem.architecture(row), answers[1.0][row])
    while repeats <= 100 * budget and end_at.isdisjoint(rows[-1:]):
        proposals = searcher.ask(1)
        if not proposals:
            break
        fidelity = searcher.pending[proposals[0]]
        row = problem.space.row(proposals[0])
        if (row, fidelity) in seen:
            repeats += 1
        elif spent + fidelity > budget + 1e-9:
            break
        else:
            seen.add((row, fidelity))
            spent += fidelity
            if fidelity == 1.0:
                rows.append(row)
                costs.append(spent)
            else:
                short += 1
        if fidelity not in answers:
            answers[fidelity] = problem.evaluations_of_run(seed, fidelity)
        searcher.tell(proposals[0], answers[fidelity][row])
    seconds = time.perf_counter() - started
    asked = problem.asked(rows)
    return Run(seed, np.array(rows, dtype=np.int64), repeats, seconds, short=short, spent=np.array(costs), asked=asked)


class Keeper(Protocol):
    """Knows finished runs, and is told of new ones."""

    def get(self, entry: Entry, seed: int) -> Run | None: ...
    def add(self, entry: Entry, run: Run) -> None: ...


def run_all(
    problem: Competition,
    entries: Sequence[Entry],
    budget: int,
    seeds: Sequence[int],
    workers: int = 1,
    on_done: OnDone = nothing,
    end_at: frozenset[int] = frozenset(),
    keeper: Keeper | None = None,
) -> dict[str, list[Run]]:
    """The runs of each entry, one per seed; runs of one seed start alike.

    Those that the ``keeper`` knows are not run, and it is told of each new one as soon as it is done.
    """
    known = {(e.label, s): found for e in entries for s in seeds if keeper and (found := keeper.get(e, s))}
    wanted = [(e, budget, s, end_at) for e in entries for s in seeds if (e.label, s) not in known]
    for entry in entries:
        for seed in seeds:
            if (entry.label, seed) in known:
                on_done(entry, known[entry.label, seed])
    for job, done in zip(wanted, _in_turn(problem, wanted, workers, len(seeds))):
        entry = job[0]
        known[entry.label, done.seed] = done
        if keeper is not None:
            keeper.add(entry, done)
        on_done(entry, done)
    return {entry.label: [known[entry.label, seed] for seed in seeds] for entry in entries}


Job = tuple[Entry, int, int, frozenset[int]]


def _in_turn(problem: Competition, jobs: Sequence[Job], workers: int, runs: int) -> Iterator[Run]:
    """Each job's run, in their order."""
    if workers <= 1:
        for entry, budget, seed, end_at in jobs:
            yield run(problem, entry, budget, seed, end_at)
        return
    with ProcessPoolExecutor(workers, initializer=_receive, initargs=(problem,)) as pool:
        yield from pool.map(_run_one, jobs, chunksize=max(1, runs // (4 * workers)))


_problem: Competition | None = None


def _receive(problem: Competition) -> None:
    global _problem
    _problem = problem


def _run_one(job: Job) -> Run:
    entry, budget, seed, end_at = job
    if _problem is None:
        raise RuntimeError("the worker has received no problem")
    return run(_problem, entry, budget, seed, end_at)
