"""Options of ``archwright arena``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli import common

Searcher = Annotated[
    list[str] | None,
    typer.Option(
        "--searcher",
        "-s",
        metavar="NAME",
        show_default=False,
        help="NAME, or NAME:option=value with commas between options; repeat it. By default random, rea, ls and lspon "
        "(random, dmls and nsga2 for several).",
    ),
]
Runs = Annotated[
    int | None,
    typer.Option(help="Runs of each: 30 of searchers, 5 of surrogates by default.", show_default=False),
]
Budget = Annotated[int, typer.Option(help="Evaluations of one run; one at less than full fidelity counts its share.")]
Signal = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC",
        show_default=False,
        help=f"What searchers see: {common.SIGNAL}; seed mean (default), a number, or random. Repeat it for several "
        "objectives. By default the validation (else test) accuracy after the longest training.",
    ),
]
Report = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC",
        help="What they are judged by (of surrogates: what they are to rank), written like the signal; the signal by default.",
        show_default=False,
    ),
]
Fidelities = Annotated[
    str | None,
    typer.Option(
        metavar="EPOCHS",
        show_default=False,
        help="For searchers of several fidelities (ensemble-bo, hyperband, ...): epochs they may ask for, such as 12,200; by "
        "default all that the table has.",
    ),
]
Clues = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        show_default=False,
        help="What searchers that take clues may look at without paying: columns of the table that need no training, such as "
        "flops,nwot; -NAME where less is better. One searcher alone: --searcher ls:clues=flops+nwot, or clues=none.",
    ),
]
Noise = Annotated[float, typer.Option(help="For a surrogate: standard deviation of the noise on what searchers see.")]
GiveFirst = Annotated[
    bool,
    typer.Option(
        "--give-first",
        help="Tell every searcher the architecture of each parameter's first value before it starts (in chains of blocks "
        "the trivial one: all identity). It counts as an evaluation.",
    ),
]
Surrogates = Annotated[
    bool,
    typer.Option(
        "--surrogates",
        help="Compare models that predict what architectures are worth, not searchers: train each on random rows, and say "
        "how well it ranks others and whether it knows how wrong it is.",
    ),
]
Surrogate = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="With --surrogates: only this one; repeat it. By default all that suit the space.",
    ),
]
TrainSizes = Annotated[str, typer.Option(metavar="ROWS", help="With --surrogates: how many rows they are trained on.")]
TestRows = Annotated[
    int | None,
    typer.Option(
        help="With --surrogates: how many other rows they are judged on; 1000 by default.", show_default=False
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keep every finished run in this file, and run none that is there: the same command goes on after an "
        "interruption, and more runs or searchers are added to what is known. Delete it when searchers have changed.",
        show_default=False,
    ),
]
UntilOptimum = Annotated[
    bool,
    typer.Option(
        "--until-optimum",
        help="End a run when it has found the optimum, after which its best cannot change (one signal, also the report).",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the first run; run i has seed + i.")]
Workers = Annotated[int, typer.Option(help="Processes that share the runs.")]
Out = Annotated[Path, typer.Option(help="Folder for the page, figures and tables.")]
