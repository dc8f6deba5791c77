"""``archwright arena``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.cli import common
from archwright.cli import surrogates as surrogates_
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from archwright.arena import Problem, SurrogateProblem


def arena(
    context: typer.Context,
    table: common.TableName = "nasbench201-digits",
    dataset: common.DatasetName = None,
    searcher: Annotated[
        list[str] | None,
        typer.Option(
            "--searcher",
            "-s",
            metavar="NAME",
            show_default=False,
            help="NAME, or NAME:option=value with commas between options; repeat it. By default random, rea, ls and lspon "
            "(random, dmls and nsga2 for several).",
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(help="Runs of each: 30 of searchers, 5 of surrogates by default.", show_default=False),
    ] = None,
    budget: Annotated[
        int, typer.Option(help="Evaluations of one run; one at less than full fidelity counts its share.")
    ] = 500,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            show_default=False,
            help=f"What searchers see: {common.SIGNAL}; seed mean (default), a number, or random. Repeat it for several "
            "objectives. By default the validation (else test) accuracy after the longest training.",
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="What they are judged by (of surrogates: what they are to rank), written like the signal; the signal by default.",
            show_default=False,
        ),
    ] = None,
    fidelities: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCHS",
            show_default=False,
            help="For searchers of several fidelities (ensemble-bo, hyperband, ...): epochs they may ask for, such as 12,200; by "
            "default all that the table has.",
        ),
    ] = None,
    clues: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            show_default=False,
            help="What searchers that take clues may look at without paying: columns of the table that need no training, such as "
            "flops,nwot; -NAME where less is better. One searcher alone: --searcher ls:clues=flops+nwot, or clues=none.",
        ),
    ] = None,
    noise: Annotated[
        float, typer.Option(help="For a surrogate: standard deviation of the noise on what searchers see.")
    ] = 0.0,
    give_first: Annotated[
        bool,
        typer.Option(
            "--give-first",
            help="Tell every searcher the architecture of each parameter's first value before it starts (in chains of blocks "
            "the trivial one: all identity). It counts as an evaluation.",
        ),
    ] = False,
    surrogates: Annotated[
        bool,
        typer.Option(
            "--surrogates",
            help="Compare models that predict what architectures are worth, not searchers: train each on random rows, and say "
            "how well it ranks others and whether it knows how wrong it is.",
        ),
    ] = False,
    surrogate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="With --surrogates: only this one; repeat it. By default all that suit the space.",
        ),
    ] = None,
    train_sizes: Annotated[
        str, typer.Option(metavar="ROWS", help="With --surrogates: how many rows they are trained on.")
    ] = "20,50,100,200",
    test_rows: Annotated[
        int | None,
        typer.Option(
            help="With --surrogates: how many other rows they are judged on; 1000 by default.", show_default=False
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep every finished run in this file, and run none that is there: the same command goes on after an "
            "interruption, and more runs or searchers are added to what is known. Delete it when searchers have changed.",
            show_default=False,
        ),
    ] = None,
    until_optimum: Annotated[
        bool,
        typer.Option(
            "--until-optimum",
            help="End a run when it has found the optimum, after which its best cannot change (one signal, also the report).",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the first run; run i has seed + i.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that share the runs.")] = 1,
    data_dir: common.DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the page, figures and tables.")] = Path("arena"),
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
    runs = 30 if runs is None else runs
    from archwright.arena import compete
    from archwright.arena.writing import lead, main_table, significance, write_comparison
    from archwright.searchers import SEARCHERS
    from archwright.tables.surrogate import SURROGATES

    several = len(signal or []) > 1
    names = searcher or (["random", "dmls", "nsga2"] if several else ["random", "rea", "ls", "lspon"])
    entries = [_entry(n) for n in names]
    short = any(e.searcher in SEARCHERS and SEARCHERS[e.searcher].several_fidelities for e in entries)
    if fidelities is not None and not short:
        raise SettingsError("--fidelities is for searchers that ask for short trainings; add --searcher hyperband")
    epochs = common.whole_numbers(fidelities, "--fidelities")
    looked_at = tuple(w.strip() for w in (clues or "").split(",") if w.strip())
    if looked_at and not any(e.searcher in SEARCHERS and SEARCHERS[e.searcher].takes_clues for e in entries):
        able = ", ".join(name for name, kind in SEARCHERS.items() if kind.takes_clues)
        raise SettingsError(f"--clues is for searchers that take them: {able}")
    asked = _Asked(table, dataset, signal or [], report, noise, epochs, short, give_first, data_dir, looked_at)
    problem = asked.of_surrogate() if table in SURROGATES else asked.of_table()
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
        return
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


def _first(table: Any) -> tuple[int, ...]:
    rows = [row for row, codes in enumerate(table.codes) if not codes.any()]
    if not rows:
        raise SettingsError(
            f"table {table.name} lacks the architecture of each parameter's first value; leave out --give-first"
        )
    return tuple(rows)


def _entry(text: str) -> Any:
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
