"""``archwright reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            help="lsweights, lspon-quality, lspon-speed, lspon-dynamics, dmls-hypervolume, dmls-front or freerea."
        ),
    ],
    data_dir: common.DataDir = None,
    runs: Annotated[
        int | None, typer.Option(help="Runs of each searcher; as published by default.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first run.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that share the runs.")] = 1,
    json: common.Json = False,
) -> None:
    """Run a published table of results on the benchmark tables at hand, and print ours beside the published figures."""
    from archwright.arena.published import PUBLISHED, reproduce

    if name == "freerea":
        found = _freerea(data_dir, runs, seed, quiet=json)
    else:
        parts = PUBLISHED[name].parts if name in PUBLISHED else ()
        total = sum(len(part.published) * (runs or part.runs) for part in parts)
        with common.counting(total, "runs", quiet=json) as advance:
            found = reproduce(
                name,
                data_dir=data_dir,
                runs=runs,
                seed=seed,
                workers=workers,
                on_done=lambda entry, _: advance(entry.label),
            )
    if json:
        common.print_json(found)
        return
    console = common.console()
    console.print(found["source"])
    rows = [
        [f"{r['table']} {r['dataset']}", r["measure"], r["searcher"], _figure(r["ours"]), _figure(r["published"]),
         "" if r["p_holm_against_ls"] is None else f"{r['p_holm_against_ls']:.1g}", str(notes(found).index(r["differs"]) or "")]
        for r in found["rows"]
    ]  # fmt: skip
    header = ["table", "measure", "searcher", "ours", "published", "p against ls", "note"]
    console.print(common.table("", header, rows))
    for number, text in enumerate(notes(found)[1:], start=1):
        console.print(f"{number}: {text}")


def _freerea(data_dir: Path | None, runs: int | None, seed: int, quiet: bool) -> dict[str, Any]:
    from archwright.arena.freerea import ENTRIES, EXPECTED, RUNS, reproduce_freerea

    with common.counting(len(ENTRIES) * len(EXPECTED) * (runs or RUNS), "runs", quiet=quiet) as advance:
        return reproduce_freerea(data_dir=data_dir, runs=runs, seed=seed, on_done=advance)


def notes(found: dict[str, Any]) -> list[str]:
    """The different remarks on what differs; the first is empty."""
    return list(dict.fromkeys(["", *(row["differs"] for row in found["rows"])]))


def _figure(value: dict[str, float | None]) -> str:
    mean, std = value["mean"], value["std"]
    if mean is None:
        return "-"
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"
