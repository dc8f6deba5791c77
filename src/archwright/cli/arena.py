"""``archwright arena``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError


def arena(
    table: Annotated[
        str, typer.Argument(help="A table's name (archwright list tables) or its file.")
    ] = "nasbench201-digits-fast",
    dataset: Annotated[
        str | None, typer.Option(help="One of the table's data sets; its first one by default.", show_default=False)
    ] = None,
    searcher: Annotated[
        list[str] | None,
        typer.Option(
            "--searcher",
            "-s",
            show_default=False,
            help="NAME or NAME:option=value,option=value; repeat it. By default random, rea, ls and lspon (random, dmls and nsga2 for several).",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(help="Runs of each searcher.")] = 30,
    budget: Annotated[
        int, typer.Option(help="Evaluations of one run; one at less than full fidelity counts its share.")
    ] = 500,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            show_default=False,
            help="What searchers see: METRIC[@EPOCH][#SEED]; seed mean (default), a number, or random. Repeat it for several "
            "objectives. By default the validation (else test) accuracy after the longest training.",
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(help="What they are judged by: METRIC[@EPOCH][#SEED]. By default the signal.", show_default=False),
    ] = None,
    fidelities: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCHS",
            show_default=False,
            help="For hyperband and successive-halving: epochs they may ask for, such as 12,200; by default all that the table has.",
        ),
    ] = None,
    give_first: Annotated[
        bool,
        typer.Option(
            help="Tell every searcher the architecture of each parameter's first value before it starts (in chains of blocks "
            "the trivial one: all identity). It counts as an evaluation."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the first run; run i has seed + i.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that share the runs.")] = 1,
    data_dir: common.DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the page, figures and tables.")] = Path("arena"),
    json: common.Json = False,
) -> None:
    """Compare searchers on a benchmark table: statistics, figures, LaTeX and Markdown tables."""
    from archwright.arena import Problem, compete, default_signal, read_signal, shares
    from archwright.arena.writing import lead, main_table, significance, write_comparison
    from archwright.searchers import SEARCHERS
    from archwright.tables import find_table

    found = find_table(table, data_dir)
    where = found.dataset(dataset)
    signals = tuple(read_signal(found, where, s) for s in signal or []) or (default_signal(found, where),)
    if report is not None and len(signals) > 1:
        raise SettingsError("--report is for one --signal; with several, the front itself is judged")
    judged = read_signal(found, where, report) if report else signals[0]
    names = searcher or (["random", "dmls", "nsga2"] if len(signals) > 1 else ["random", "rea", "ls", "lspon"])
    entries = [_entry(n) for n in names]
    known: tuple[float, ...] = (1.0,)
    if any(e.searcher in SEARCHERS and SEARCHERS[e.searcher].several_fidelities for e in entries):
        known = shares(found, where, signals, common.whole_numbers(fidelities, "--fidelities"))
    elif fidelities is not None:
        raise SettingsError("--fidelities is for searchers that ask for short trainings; add --searcher hyperband")
    with common.counting(len(names) * max(runs, 1), "runs", quiet=json) as advance:
        comparison = compete(
            Problem(found, where, signals, judged, _first(found) if give_first else (), known),
            entries,
            runs=runs,
            budget=budget,
            seed=seed,
            workers=workers,
            on_done=lambda entry, _: advance(entry.label),
        )
    files = write_comparison(comparison, out)
    if json:
        common.print_json({**comparison.result, "files": files})
        return
    console = common.console()
    console.print(lead(comparison), soft_wrap=False)
    console.print(common.table("", *main_table(comparison)))
    header, rows = significance(comparison, "wilcoxon")
    if rows:
        console.print(common.table("Wilcoxon signed-rank tests, two-sided; the page has all", header, rows))
    for kind, file in files.items():
        console.print(f"{kind:>10}  {file}", soft_wrap=True)


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
    return Entry(text, name, common.pairs(words, f"--searcher {name}:") if colon else {})
