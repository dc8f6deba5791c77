"""A :class:`Problem`: a table as a searcher sees it (the signal), and as it is judged (the report)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from archwright.arena.clues import TableClues, read_clues
from archwright.arena.spaces import PartialSpace, TableSpace, WritingsSpace
from archwright.errors import SettingsError, TableError
from archwright.evaluation import Direction, Evaluation, Goal, Objective
from archwright.space import Architecture
from archwright.tables.column import Column
from archwright.tables.table import Table

if TYPE_CHECKING:
    from archwright.arena.runs import Run

PREFERRED = ("val_accuracy", "val_acc", "test_accuracy", "test_acc", "accuracy")


@dataclass(frozen=True)
class Signal:
    """A metric of a table at a fidelity: what a searcher sees, or what it is judged by.

    Attributes:
        metric: name of the metric.
        direction: where it should go.
        epoch: after how many epochs; ``None`` for what needs no training.
        seed: ``mean`` of the trainings, one of them, or ``random``: each run sees a training drawn per architecture.
    """

    metric: str
    direction: Direction
    epoch: int | None
    seed: int | str = "mean"

    def __str__(self) -> str:
        when = "" if self.epoch is None else f" after {self.epoch} epochs"
        which = (
            ""
            if self.seed == "mean"
            else ", one training at random"
            if self.seed == "random"
            else f", seed {self.seed}"
        )
        return f"{self.metric}{when}{which}"


def read_signal(table: Table, dataset: str, text: str) -> Signal:
    """``METRIC[@EPOCH][#SEED]``; the last epoch and the mean of all seeds where they are not given.

    Raises:
        TableError: the table has no such metric, epoch or seed.
        SettingsError: the text is not in that notation.
    """
    metric, named, which = split_signal(text)
    column = table.column(dataset, metric)
    epoch = named or (column.epochs[-1] if column.epochs else None)
    seed: int | str = which or "mean"
    if seed not in ("mean", "random"):
        if not str(seed).isdigit():
            raise SettingsError(f"{text!r}: the seed must be a number, mean or random, not {seed!r}")
        seed = int(seed)
    if seed == "random" and not column.seeds:
        raise TableError(f"table {table.name} keeps one value of {column.label}; there are no trainings to draw from")
    column.at(epoch, 0 if seed == "random" else seed)  # type: ignore[arg-type]
    return Signal(column.metric, column.direction, epoch, seed)


def split_signal(text: str) -> tuple[str, int | None, str | None]:
    """Metric, epoch and seed of ``METRIC[@EPOCH][#SEED]``.

    Raises:
        SettingsError: the text is not in that notation.
    """
    match = re.fullmatch(r"([^@#]+)(?:@(\d+))?(?:#(\w+))?", text.strip())
    if match is None:
        raise SettingsError(f"{text!r} is not of the form METRIC[@EPOCH][#SEED]")
    return match[1], int(match[2]) if match[2] else None, match[3]


def default_signal(table: Table, dataset: str) -> Signal:
    """The accuracy that most architectures have, after the longest training, on validation data if it is there.

    Raises:
        SettingsError: nothing is called accuracy.
    """
    columns = [table.column(dataset, name) for name in PREFERRED if name in table.metrics(dataset)]
    if not columns:
        raise SettingsError(f"name a --signal; table {table.name} has {', '.join(table.metrics(dataset))} on {dataset}")
    longest = max(columns, key=lambda c: (-int(np.isnan(c.at()).sum()), c.epochs[-1] if c.epochs else 0))
    return Signal(longest.metric, longest.direction, longest.epochs[-1] if longest.epochs else None)


def shares(
    table: Table, dataset: str, signals: Sequence[Signal], epochs: Sequence[int] | None = None
) -> tuple[float, ...]:
    """The fidelities of a table: numbers of epochs for which all ``signals`` that are trained have values.

    Args:
        table, dataset, signals: what is searched; the longest training is that of the signals.
        epochs: those wanted, ascending; all by default.

    Raises:
        SettingsError: ``epochs`` are not ascending or do not end with the signals' own, or signals of several lengths.
        TableError: the table has no values after some of ``epochs``.
    """
    trained = [s for s in signals if s.epoch is not None]
    full = {s.epoch for s in trained}
    if len(full) > 1 and epochs:
        raise SettingsError(f"fidelities need signals of one length; these have {_words(full)} epochs")
    if len(full) != 1:
        if epochs:
            raise SettingsError("fidelities are epochs, and no signal is trained")
        return (1.0,)
    longest = cast(int, full.pop())
    columns = [table.column(dataset, s.metric) for s in trained]
    there = [e for e in columns[0].epochs if e <= longest and all(e in c.epochs for c in columns)]
    if epochs is None:
        return tuple(e / longest for e in there)
    for epoch in epochs:
        if epoch not in there:
            raise TableError(
                f"table {table.name} has no {signals[0].metric} after {epoch} epochs; it has {_words(there)}"
            )
    if list(epochs) != sorted(set(epochs)) or epochs[-1] != longest:
        raise SettingsError(
            f"fidelities must be ascending and end with the signal's {longest} epochs, not {_words(epochs)}"
        )
    return tuple(e / longest for e in epochs)


def _words(numbers: Iterable[object]) -> str:
    return ", ".join(str(n) for n in numbers)


@dataclass(frozen=True)
class Problem:
    """What is searched, and how it is judged.

    Attributes:
        table: with the answers.
        dataset: one of its data sets.
        signals: what the searcher sees, one per objective.
        report: what its incumbent is judged by; only with one objective.
        given: rows of the table that every searcher is told before it starts (a trivial solution); they count.
        fidelities: shares of a full evaluation that searchers may ask for, ascending, the last is 1.
        complete: whether the best of the table is the best there is.
        clue_names: columns that searchers may look at without paying, see :func:`~archwright.arena.clues.read_clues`.
    """

    table: Table
    dataset: str
    signals: tuple[Signal, ...]
    report: Signal
    given: tuple[int, ...] = ()
    fidelities: tuple[float, ...] = (1.0,)
    complete: bool = True
    clue_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for signal in (*self.signals, self.report):
            if np.isnan(self.values(signal)).all():
                raise TableError(f"table {self.table.name} has no value of {signal} on {self.dataset}")

    @cached_property
    def space(self) -> TableSpace | WritingsSpace:
        """The table's space, or that part of it which the table has."""
        if not self.table.is_whole:
            return PartialSpace(self.table)
        return TableSpace(self.table) if self.table.identify is None else WritingsSpace(self.table)

    def clues(self, names: tuple[str, ...] | None = None) -> TableClues | None:
        """What a searcher may look at: ``clue_names``, or others.

        Raises:
            SettingsError, TableError: see :func:`~archwright.arena.clues.read_clues`.
        """
        wanted = self.clue_names if names is None else names
        if wanted and wanted not in self._clues:
            self._clues[wanted] = read_clues(self.table, self.dataset, wanted, self.space)
        return self._clues[wanted] if wanted else None

    @cached_property
    def _clues(self) -> dict[tuple[str, ...], TableClues]:
        return {}

    @cached_property
    def goal(self) -> Goal:
        """The objectives."""
        return Goal(tuple(Objective(s.metric, s.direction) for s in self.signals))

    @property
    def size(self) -> int:
        """Architectures of the table."""
        return len(self.table)

    @property
    def varies(self) -> bool:
        """Whether runs of different seeds see different values."""
        return any(s.seed == "random" for s in self.signals)

    def signal_of_run(self, run: Run) -> NDArray[np.float64]:
        """What the run saw of its rows, by the first signal; NaN where nothing."""
        if not self.varies:
            return self.values(self.signals[0])[run.rows]
        answers, metric = self.evaluations_of_run(run.seed), self.signals[0].metric
        return np.array([answers[row].metrics.get(metric, np.nan) for row in run.rows])

    def architecture(self, row: int) -> Architecture:
        """That of a row."""
        return self.table.architecture(row)

    def asked(self, rows: Sequence[int]) -> None:
        """Nothing: rows say it."""

    def column(self, signal: Signal) -> Column:
        """Where a signal comes from."""
        return self.table.column(self.dataset, signal.metric)

    def values(self, signal: Signal) -> NDArray[np.float64]:
        """Of all architectures; for a random seed the mean of all, which is what such a signal stands for."""
        seed = "mean" if signal.seed == "random" else signal.seed
        return self.column(signal).at(signal.epoch, seed)  # type: ignore[arg-type]

    @cached_property
    def _evaluations(self) -> dict[float, list[Evaluation]]:
        """The answer for each row by fidelity, as far as they were needed and no signal is random."""
        return {}

    def evaluations_of_run(self, seed: int, fidelity: float = 1.0) -> list[Evaluation]:
        """The answer for each row that a run of this seed gets; at all fidelities it sees the same trainings."""
        signals = self.at_fidelity(fidelity)
        if not self.varies:
            if fidelity not in self._evaluations:
                self._evaluations[fidelity] = self._answers([self.values(s) for s in signals], fidelity)
            return self._evaluations[fidelity]
        rng = np.random.default_rng([seed, 2])
        values = []
        for signal in signals:
            column = self.column(signal)
            if signal.seed == "random":
                each = [column.at(signal.epoch, s) for s in column.seeds]
                values.append(np.stack(each)[rng.integers(len(each), size=len(self.table)), np.arange(len(self.table))])
            else:
                values.append(self.values(signal))
        return self._answers(values, fidelity)

    def at_fidelity(self, fidelity: float) -> tuple[Signal, ...]:
        """The signals after that share of their epochs; those that need no training stay."""
        return tuple(s if s.epoch is None else replace(s, epoch=round(fidelity * s.epoch)) for s in self.signals)

    def _answers(self, values: list[NDArray[np.float64]], fidelity: float = 1.0) -> list[Evaluation]:
        names = [s.metric for s in self.signals]
        answers = []
        for row in zip(*(v.tolist() for v in values)):
            if any(v != v for v in row):
                answers.append(
                    Evaluation(status="failed", reason="the table has no value", fidelity=fidelity, cost=fidelity)
                )
            else:
                answers.append(Evaluation(dict(zip(names, row)), fidelity=fidelity, cost=fidelity))
        return answers

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """``n x objectives``, to be minimised, as hypervolumes are measured.

        An accuracy in percent becomes ``1 - accuracy / 100``, anything else is scaled to [0, 1] over the table (Zouambi
        2023, section 5.4); what is maximised is turned round.
        """
        columns = []
        for signal in self.signals:
            values = self.values(signal)
            if "acc" in signal.metric.lower() and 1.5 < np.nanmax(values) <= 100:
                columns.append(1 - values / 100)
            else:
                low, high = np.nanmin(values), np.nanmax(values)
                scaled = (values - low) / (high - low if high > low else 1.0)
                columns.append(scaled if signal.direction == "minimize" else 1 - scaled)
        return np.stack(columns, axis=1)
