"""Competitions on a surrogate: rows come into being when an architecture is asked for, and nobody knows the optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from archwright.arena.problem import Problem, Signal, split_signal
from archwright.arena.runs import Run
from archwright.errors import SettingsError, TableError
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.space import Architecture, Space
from archwright.tables.column import Column
from archwright.tables.surrogate import NasBench301
from archwright.tables.table import Table


class GrowingSpace(Space):
    """The space of a surrogate; an architecture gets a row when it is asked for."""

    def __init__(self, space: Space) -> None:
        self.__dict__.update(space.__dict__)
        self.rows: dict[Architecture, int] = {}
        self.asked: list[Architecture] = []

    def row(self, architecture: Architecture) -> int:
        """Its row, perhaps a new one."""
        found = self.rows.setdefault(architecture, len(self.asked))
        if found == len(self.asked):
            self.asked.append(architecture)
        return found


@dataclass(frozen=True)
class SurrogateProblem:
    """What :class:`~archwright.arena.Problem` is for a table.

    Attributes:
        surrogate: with the answers.
        signal, report: what searchers see, and what their incumbents are judged by.
        noise: standard deviation of what is added to the signal, the same for an architecture through a whole run.
        fidelities: shares of the signal's epochs that may be asked for.
    """

    surrogate: NasBench301
    signal: Signal
    report: Signal
    noise: float = 0.0
    fidelities: tuple[float, ...] = (1.0,)
    given: tuple[int, ...] = ()

    @cached_property
    def space(self) -> GrowingSpace:
        """The surrogate's space."""
        return GrowingSpace(self.surrogate.family.space)

    @property
    def goal(self) -> Goal:
        """The objective."""
        return Goal((Objective(self.signal.metric, self.signal.direction),))

    @property
    def size(self) -> int | None:
        """Of the space."""
        return self.space.size

    def evaluations_of_run(self, seed: int, fidelity: float = 1.0) -> Answers:
        """The answers that a run of this seed gets."""
        return Answers(self, seed, fidelity)

    def clues(self, names: tuple[str, ...] | None = None) -> None:
        """There are none.

        Raises:
            SettingsError: some were asked for.
        """
        if names:
            raise SettingsError(f"{self.surrogate.name} is a surrogate without clues; leave out {', '.join(names)}")

    def architecture(self, row: int) -> Architecture:
        """That of a row."""
        return self.space.asked[row]

    def asked(self, rows: Sequence[int]) -> tuple[Architecture, ...]:
        """The architectures of rows, which have other numbers in other processes."""
        return tuple(self.space.asked[row] for row in rows)

    def settled(self, found: Mapping[str, list[Run]]) -> tuple[Problem, dict[str, list[Run]]]:
        """An ordinary problem, of the table of all that was asked for in full, and the runs with its rows."""
        every = dict.fromkeys(a for runs in found.values() for run in runs for a in run.asked or ())
        rows = {architecture: row for row, architecture in enumerate(every)}
        signals: dict[str, set[int]] = {}
        for signal in (self.signal, self.report):
            signals.setdefault(signal.metric, set()).add(signal.epoch or 0)
        columns = []
        for metric, epochs in signals.items():
            at = sorted(epochs)
            values = np.stack([self.surrogate.predict(list(every), metric, epoch) for epoch in at], axis=1)
            way = self.surrogate.output(metric).direction
            columns.append(Column(self.surrogate.dataset, metric, way, values[:, :, None], tuple(at)))
        table = Table(self.surrogate.name, self.surrogate.family.space, self.space.codes(list(every)), tuple(columns))
        problem = AskedProblem(
            table, self.surrogate.dataset, (self.signal,), self.report, fidelities=self.fidelities, complete=False,
            noise=self.noise,
        )  # fmt: skip
        return problem, {label: [_numbered(run, rows) for run in runs] for label, runs in found.items()}


@dataclass(frozen=True)
class AskedProblem(Problem):
    """The table of what was asked of a surrogate, with the noise that was seen."""

    noise: float = 0.0

    @property
    def varies(self) -> bool:
        """Whether the signal is noisy."""
        return self.noise > 0

    def signal_of_run(self, run: Run) -> NDArray[np.float64]:
        """What the run saw of its rows."""
        clean = self.values(self.signals[0])[run.rows]
        noise = [noise_of(self.table.architecture(row), run.seed, self.noise) for row in run.rows]
        return np.asarray(clean + np.array(noise), dtype=np.float64)


@dataclass
class Answers:
    """Evaluations by row, predicted when they are asked for."""

    problem: SurrogateProblem
    seed: int
    fidelity: float
    known: dict[int, Evaluation] = field(default_factory=dict)

    def __getitem__(self, row: int) -> Evaluation:
        if row not in self.known:
            problem, architecture = self.problem, self.problem.space.asked[row]
            epoch = round(self.fidelity * (problem.signal.epoch or 0))
            value = problem.surrogate.predict([architecture], problem.signal.metric, epoch)[0]
            value += noise_of(architecture, self.seed, problem.noise)
            metrics = {problem.signal.metric: float(value)}
            self.known[row] = Evaluation(metrics, fidelity=self.fidelity, cost=self.fidelity)
        return self.known[row]


def noise_of(architecture: Architecture, seed: int, std: float) -> float:
    """Normal noise, a function of architecture and seed."""
    if std == 0:
        return 0.0
    return float(np.random.default_rng([seed, 3, *architecture.key.encode()]).normal(0.0, std))


def surrogate_problem(
    surrogate: NasBench301,
    signal: str | None = None,
    report: str | None = None,
    *,
    noise: float = 0.0,
    epochs: Sequence[int] | None = None,
) -> SurrogateProblem:
    """A problem from ``METRIC[@EPOCH]``, by default the validation accuracy after the longest training.

    Args:
        surrogate: with the answers.
        signal, report: what is seen and what is judged.
        noise: see :class:`SurrogateProblem`.
        epochs: fidelities that may be asked for, ascending, the last is the signal's; by default only that.

    Raises:
        SettingsError: not of that form, a seed, negative noise, or fidelities that do not go with the signal.
        TableError: another metric or epoch.
    """
    seen = _signal(surrogate, signal or "val_accuracy")
    if not (np.isfinite(noise) and noise >= 0):
        raise SettingsError(f"the noise must be a standard deviation of 0 or more, not {noise:g}")
    shares: tuple[float, ...] = (1.0,)
    if epochs is not None:
        for epoch in epochs:
            surrogate.check_epoch(epoch)
        if list(epochs) != sorted(set(epochs)) or epochs[-1] != seen.epoch:
            raise SettingsError(f"fidelities must be ascending and end with the signal's {seen.epoch} epochs")
        shares = tuple(epoch / epochs[-1] for epoch in epochs)
    return SurrogateProblem(surrogate, seen, _signal(surrogate, report) if report else seen, noise, shares)


def _signal(surrogate: NasBench301, text: str) -> Signal:
    metric, epoch, seed = split_signal(text)
    if seed is not None:
        raise SettingsError(f"{text!r}: a surrogate has no trainings to choose from; add noise with --noise")
    output = surrogate.output(metric)
    at = surrogate.epochs[-1] if epoch is None else epoch
    surrogate.check_epoch(at)
    return Signal(metric, output.direction, at)


def _numbered(run: Run, rows: Mapping[Architecture, int]) -> Run:
    if run.asked is None:
        raise TableError("a run on a surrogate must say what it asked for")
    return replace(run, rows=np.array([rows[a] for a in run.asked], dtype=np.int64), asked=None)
