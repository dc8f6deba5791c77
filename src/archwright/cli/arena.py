"""``archwright arena``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from archwright.cli import arenaoptions as options
from archwright.cli import common
from archwright.cli import surrogates as surrogates_
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from archwright.arena import Comparison, Entry, Problem, SurrogateProblem
    from archwright.tables import Table


def arena(
    context: typer.Context,
    table: common.TableName = "nasbench201-digits",
    dataset: common.DatasetName = None,
    searcher: options.Searcher = None,
    runs: options.Runs = None,
    budget: options.Budget = 500,
    signal: options.Signal = None,
    report: options.Report = None,
    fidelities: options.Fidelities = None,
    clues: options.Clues = None,
    noise: options.Noise = 0.0,
    give_first: options.GiveFirst = False,
    surrogates: options.Surrogates = False,
    surrogate: options.Surrogate = None,
    train_sizes: options.TrainSizes = "20,50,100,200",
    test_rows: options.TestRows = None,
    keep: options.Keep = None,
    until_optimum: options.UntilOptimum = False,
    seed: options.Seed = 0,
    workers: options.Workers = 1,
    data_dir: common.DataDir = None,
    out: options.Out = Path("arena"),
    json: common.Json = False,
) -> None:
    """Compare searchers, or surrogates, on a benchmark table: statistics, figures, LaTeX and Markdown tables."""
    surrogates_.check_options(context, surrogates=surrogates)
    if surrogates:
        surrogates_.compare(
            table, dataset, signal or [], report, surrogate or [], sizes=train_sizes, test_rows=test_rows,
            runs=5 if runs is None else runs, seed=seed, workers=workers, data_dir=data_dir, out=out, json=json,
        )  # fmt: skip
        return
    from archwright.arena import compete
    from archwright.arena.writing import write_comparison
    from archwright.tables.surrogate import SURROGATES

    several = len(signal or []) > 1
    names = searcher or (["random", "dmls", "nsga2"] if several else ["random", "rea", "ls", "lspon"])
    entries = [_entry(n) for n in names]
    asked = _Asked(
        table, dataset, signal or [], report, noise, _epochs(fidelities, entries), _some(entries, "several_fidelities"),
        give_first, data_dir, _clues(clues, entries),
    )  # fmt: skip
    problem = asked.of_surrogate() if table in SURROGATES else asked.of_table()
    runs = 30 if runs is None else runs
    with common.counting(len(names) * max(runs, 1), "runs", quiet=json) as advance:
        comparison = compete(
            problem,
            entries,
            runs=runs,
            budget=budget,
            seed=seed,
            workers=workers,
            on_done=lambda entry, _: advance(entry.label),
            keep=keep,
            until_optimum=until_optimum,
        )
    files = write_comparison(comparison, out)
    if json:
        common.print_json({**comparison.result, "files": files})
    else:
        _show(comparison, files)


def _show(comparison: Comparison, files: Mapping[str, str]) -> None:
    from archwright.arena.writing import lead, main_table, significance

    console = common.console()
    console.print(lead(comparison), soft_wrap=False)
    console.print(common.table("", *main_table(comparison), dispensable=("95 % interval", "min-max")))
    header, rows = significance(comparison, "wilcoxon")
    if rows:
        console.print(common.table("Wilcoxon signed-rank tests, two-sided; the page has all", header, rows))
    for kind, file in files.items():
        console.print(f"{kind:>10}  {file}", soft_wrap=True)


@dataclass(frozen=True)
class _Asked:
    """What is to be searched; ``short`` says whether any searcher asks for short trainings."""

    name: str
    dataset: str | None
    signal: list[str]
    report: str | None
    noise: float
    epochs: tuple[int, ...] | None
    short: bool
    give_first: bool
    data_dir: Path | None
    clues: tuple[str, ...]

    def of_table(self) -> Problem:
        from archwright.arena import Problem, default_signal, read_signal, shares
        from archwright.tables import find_table

        if self.noise:
            raise SettingsError("--noise is for surrogates; a table has its trainings: --signal METRIC#random")
        found = find_table(self.name, self.data_dir)
        where = found.dataset(self.dataset)
        signals = tuple(read_signal(found, where, s) for s in self.signal) or (default_signal(found, where),)
        if self.report is not None and len(signals) > 1:
            raise SettingsError("--report is for one --signal; with several, the front itself is judged")
        judged = read_signal(found, where, self.report) if self.report else signals[0]
        known = shares(found, where, signals, self.epochs) if self.short else (1.0,)
        first = _first(found) if self.give_first else ()
        return Problem(found, where, signals, judged, first, known, clue_names=self.clues)

    def of_surrogate(self) -> SurrogateProblem:
        from archwright.arena import surrogate_problem
        from archwright.tables.surrogate import find_surrogate

        found = find_surrogate(self.name, self.data_dir)
        if self.dataset not in (None, found.dataset):
            raise SettingsError(f"{self.name} is about {found.dataset}, not {self.dataset!r}")
        if len(self.signal) > 1:
            raise SettingsError(f"{self.name} is for one --signal: the true front of a surrogate is not known")
        if self.clues:
            raise SettingsError(f"--clues is for tables, and {self.name} is a surrogate")
        if self.give_first:
            raise SettingsError(f"--give-first is for tables, and {self.name} is a surrogate")
        seen = self.signal[0] if self.signal else None
        made = surrogate_problem(found, seen, self.report, noise=self.noise, epochs=self.epochs)
        if self.short and self.epochs is None:
            every = range(1, (made.signal.epoch or 1) + 1)
            made = surrogate_problem(found, seen, self.report, noise=self.noise, epochs=every)
        return made


def _first(table: Table) -> tuple[int, ...]:
    rows = [row for row, codes in enumerate(table.codes) if not codes.any()]
    if not rows:
        raise SettingsError(
            f"table {table.name} lacks the architecture of each parameter's first value; leave out --give-first"
        )
    return tuple(rows)


def _entry(text: str) -> Entry:
    from archwright.arena import Entry

    name, colon, options = text.partition(":")
    words = [w for w in options.split(",") if w]
    own = [w for w in words if w.startswith("clues=")]
    clues = None
    if own:
        said = own[-1].removeprefix("clues=")
        clues = () if said == "none" else tuple(said.split("+"))
    words = [w for w in words if w not in own]
    return Entry(text, name, common.pairs(words, f"--searcher {name}:") if colon else {}, clues)


def _some(entries: list[Entry], ability: str) -> bool:
    """Whether any of the searchers has it."""
    from archwright.searchers import SEARCHERS

    return any(e.searcher in SEARCHERS and getattr(SEARCHERS[e.searcher], ability) for e in entries)


def _epochs(fidelities: str | None, entries: list[Entry]) -> tuple[int, ...] | None:
    if fidelities is not None and not _some(entries, "several_fidelities"):
        raise SettingsError("--fidelities is for searchers that ask for short trainings; add --searcher hyperband")
    return common.whole_numbers(fidelities, "--fidelities")


def _clues(names: str | None, entries: list[Entry]) -> tuple[str, ...]:
    from archwright.searchers import SEARCHERS

    found = tuple(w.strip() for w in (names or "").split(",") if w.strip())
    if found and not _some(entries, "takes_clues"):
        able = ", ".join(name for name, kind in SEARCHERS.items() if kind.takes_clues)
        raise SettingsError(f"--clues is for searchers that take them: {able}")
    return found
