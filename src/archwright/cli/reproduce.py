"""``archwright reproduce``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError, unknown

KINDS: Mapping[str, tuple[str, ...]] = {
    "searchers": ("--runs", "--seed", "--workers"),
    "freerea": ("--runs", "--seed"),
    "ensembles": ("--runs", "--seed", "--workers", "--option", "--budget", "--only", "--pretrainings", "--out"),
    "arena": ("--runs", "--seed", "--workers", "--budget", "--only", "--slow", "--out"),
    "trainings": ("--runs", "--seed", "--budget", "--only", "--out"),
    "proxies": ("--out",),
    "cells": ("--runs", "--seed", "--option", "--only", "--out"),
    "methods": ("--runs", "--seed", "--workers", "--option", "--only", "--out"),
}
"""What each kind of comparison can be told."""
PARAMETERS = {"--option": "options"}
"""Parameters that are not called as their flag."""


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            help="Of searchers: lsweights, lspon-quality, lspon-speed, lspon-dynamics, dmls-hypervolume, dmls-front or freerea. "
            "Of pretrained ensembles (minutes per run): ensemble-search-time, ensemble-best-value or ensemble-ablations. "
            "Of proxies: hybrid-tables or hybrid-grid. Ours: ensemble-arena (all tables). Real trainings, minutes per run: "
            "ensemble-real-data (searchers), oneshot-real-data and oneshot-nasbench201 (search inside one network)."
        ),
    ],
    data_dir: common.DataDir = None,
    runs: Annotated[
        int | None,
        typer.Option(help="Runs of each line; as published by default.", show_default=False),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Of the first run; of ensemble-arena 0 stands for 2000."),
    ] = 0,
    workers: Annotated[int, typer.Option(help="Processes that share the runs.")] = 1,
    option: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Of ensembles: an option of ensemble-bo-thesis other than published, such as pretraining_epochs=60. Of "
            "oneshot-nasbench201: data, table, dataset, signal, sample, or an option of the search, such as epochs=50. Of "
            "oneshot-real-data: of the scale, such as images=1024.",
        ),
    ] = [],  # noqa: B006
    budget: Annotated[
        int | None,
        typer.Option(
            help="Of ensembles: full equivalents after which a run ends that has not found the optimum; 1000 (random: all) "
            "for search times, 200 for best values. Of ensemble-real-data: processor seconds of a run; 60 by default.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str],
        typer.Option(
            metavar="TEXT",
            help="Only lines with this text in their name (or their table or data set, of ensemble-arena and "
            "ensemble-real-data); repeat it.",
        ),
    ] = [],  # noqa: B006
    slow: Annotated[
        bool,
        typer.Option(
            "--slow",
            help="Of ensemble-arena: also searchers that fit a model for every proposal (bananas, tpe, forest-bo, ...).",
        ),
    ] = False,
    pretrainings: Annotated[
        int | None,
        typer.Option(
            help="Of ensembles: how many pretrained ensembles serve all seeds, in turn; each seed has its own by default.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Of hybrid-grid: folder for its figure. Of what takes minutes per run: folder that keeps finished runs (and "
            "pretrained ensembles); the same command goes on from there.",
            show_default=False,
        ),
    ] = None,
    json: common.Json = False,
) -> None:
    """Compute published results again on the benchmark tables and images at hand, and print ours beside the published figures."""
    kind = _kind(name)
    given = {
        "--runs": runs is not None, "--seed": seed != 0, "--workers": workers != 1, "--option": bool(option),
        "--budget": budget is not None, "--only": bool(only), "--slow": slow, "--pretrainings": pretrainings is not None,
        "--out": out is not None,
    }  # fmt: skip
    for flag in [flag for flag, is_given in given.items() if is_given and flag not in KINDS[kind]]:
        raise SettingsError(f"{name} has no {flag}; it takes {', '.join(KINDS[kind])}")
    asked: dict[str, Any] = {
        "--runs": runs, "--seed": seed, "--workers": workers, "--option": common.pairs(option, "--option"),
        "--budget": budget, "--only": only, "--slow": slow, "--pretrainings": pretrainings, "--out": out,
    }  # fmt: skip
    more = {PARAMETERS.get(flag, flag[2:]): asked[flag] for flag in KINDS[kind]}
    found = _computed(kind, name, data_dir, more, quiet=json)
    if json:
        common.print_json(found)
        return
    console = common.console()
    console.print(found["source"])
    for content in _tables(kind, found):
        console.print(common.table("", *content))
    for number, text in enumerate(notes(found)[1:], start=1):
        console.print(f"{number}: {text}")
    for file_kind, file in found.get("files", {}).items():
        console.print(f"{file_kind:>10}  {file}", soft_wrap=True)


def _kind(name: str) -> str:
    from archwright.arena import ensemble, ensemble_arena, oneshot, published, realdata
    from archwright.proxies import published as proxies
    from archwright.supernet import evidence

    kinds = {
        **dict.fromkeys(published.PUBLISHED, "searchers"), "freerea": "freerea", **dict.fromkeys(ensemble.LINES, "ensembles"),
        ensemble_arena.NAME: "arena", realdata.NAME: "trainings", **dict.fromkeys(proxies.NAMES, "proxies"), oneshot.NAME: "cells",
        evidence.NAME: "methods",
    }  # fmt: skip
    if name not in kinds:
        raise SettingsError(unknown("publication", name, kinds))
    return kinds[name]


def _computed(kind: str, name: str, data_dir: Path | None, more: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    from archwright.arena import ensemble, ensemble_arena, oneshot, realdata
    from archwright.proxies import published as proxies
    from archwright.supernet import evidencepage

    if kind == "searchers":
        return _searchers(name, data_dir, **more, quiet=quiet)
    if kind == "freerea":
        return _freerea(data_dir, **more, quiet=quiet)
    if kind == "arena":
        more["seed"] = more["seed"] or ensemble_arena.SEED
    with common.counting(0, "runs", quiet=quiet) as advance:
        if kind == "ensembles":
            return ensemble.reproduce_ensemble(name, data_dir=data_dir, on_done=advance, **more)
        if kind == "proxies":
            return proxies.reproduce(name, data_dir=data_dir, on_done=advance, **more)
        runners: dict[str, Callable[..., dict[str, Any]]] = {
            "arena": ensemble_arena.reproduce_arena,
            "trainings": realdata.reproduce_real_data,
            "cells": oneshot.reproduce_oneshot,
            "methods": evidencepage.reproduce_evidence,
        }
        return runners[kind](data_dir=data_dir, on_done=advance, **more)


def _tables(kind: str, found: dict[str, Any]) -> list[tuple[Sequence[str], list[list[str]]]]:
    from archwright.supernet.evidencepage import table, tests_table

    if kind == "methods":
        return [table(found), tests_table(found)]
    own = {
        "ensembles": _ensemble_table,
        "arena": _arena_table,
        "trainings": _real_table,
        "proxies": _proxy_table,
        "cells": _cells_table,
    }
    return [own.get(kind, _searcher_table)(found)]


def _searchers(
    name: str, data_dir: Path | None, runs: int | None, seed: int, workers: int, *, quiet: bool
) -> dict[str, Any]:
    from archwright.arena.published import PUBLISHED, reproduce

    total = sum(len(part.published) * (runs or part.runs) for part in PUBLISHED[name].parts)
    with common.counting(total, "runs", quiet=quiet) as advance:
        return reproduce(
            name,
            data_dir=data_dir,
            runs=runs,
            seed=seed,
            workers=workers,
            on_done=lambda entry, _: advance(entry.label),
        )


def _ensemble_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = [
        [r["dataset"], r["measure"], r["searcher"], _figure(r["ours"]), f"{r['reached']} of {r['runs']}",
         _figure(r["published"]), _note(found, r)]
        for r in found["rows"]
    ]  # fmt: skip
    return ["data set", "measure", "searcher", "ours", "at the optimum", "published", "note"], rows


def _arena_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = []
    for r in found["rows"]:
        reached = r["to_optimum"]
        tests = [r.get(f"test_{measure}") for measure in ("to_optimum", "best")]
        rows.append(
            [r["contest"], r["searcher"], _figure(reached), str(reached["reached"]),
             " / ".join("-" if v is None else common.number(v) for v in r["at"].values()),
             *("" if t is None else f"{t['p_holm']:.2g} ({t['effect']:.2f})" for t in tests)]
        )  # fmt: skip
    points = " / ".join(str(n) for n in max((r["at"] for r in found["rows"]), key=len))
    return ["table", "searcher", "to the optimum", "reached", f"best at {points}", "p to optimum", "p of best"], rows


def _searcher_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = [
        [f"{r['table']} {r['dataset']}", r["measure"], r["searcher"], _figure(r["ours"]), _figure(r["published"]),
         "" if r["p_holm_against_ls"] is None else f"{r['p_holm_against_ls']:.1g}", _note(found, r)]
        for r in found["rows"]
    ]  # fmt: skip
    return ["table", "measure", "searcher", "ours", "published", "p against ls", "note"], rows


def _cells_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = [
        [r["searcher"], r["measure"], str(r["runs"]), _figure(r["ours"]), _between(r["ours"]), _figure(r["published"]), _note(found, r)]
        for r in found["rows"]
    ]  # fmt: skip
    return ["method", "measure", "runs", "ours", "range", "published", "note"], rows


def _between(value: dict[str, float | None]) -> str:
    low, high = value["min"], value["max"]
    return "-" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _proxy_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = [
        [
            r["dataset"],
            r["proxy"],
            r["measure"],
            _plain(r["ours"], r["measure"]),
            _short(r["published"]),
            _note(found, r),
        ]
        for r in found["rows"]
    ]
    return ["data set", "proxy", "measure", "ours", "published", "note"], rows


def _freerea(data_dir: Path | None, runs: int | None, seed: int, *, quiet: bool) -> dict[str, Any]:
    from archwright.arena.freerea import ENTRIES, EXPECTED, RUNS, reproduce_freerea

    with common.counting(len(ENTRIES) * len(EXPECTED) * (runs or RUNS), "runs", quiet=quiet) as advance:
        return reproduce_freerea(data_dir=data_dir, runs=runs, seed=seed, on_done=advance)


def notes(found: dict[str, Any]) -> list[str]:
    """The different remarks on what differs; the first is empty."""
    return list(dict.fromkeys(["", *(row.get("differs", "") for row in found["rows"])]))


def _note(found: dict[str, Any], row: dict[str, Any]) -> str:
    return str(notes(found).index(row["differs"]) or "")


def _figure(value: dict[str, float | None]) -> str:
    mean, std = value["mean"], value["std"]
    if mean is None:
        return "-"
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"


def _plain(value: float | list[float], measure: str) -> str:
    return _short(value) if isinstance(value, list) else f"{value:.{2 if 'accuracy' in measure else 4}f}"


def _short(value: float | list[float]) -> str:
    return f"({', '.join(f'{v:g}' for v in value)})" if isinstance(value, list) else f"{value:g}"


def _real_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = []
    for r in found["rows"]:
        p = r["test_tests"].get("wilcoxon")
        rows.append(
            [r["dataset"], r["searcher"], f"{r['trainings']:.1f} and {r['short']:.1f}", f"{r['thinking']:.1f}",
             *(f"{100 * r[what]['mean']:.2f} ± {100 * r[what]['std']:.2f}" for what in ("validation", "test")),
             "" if p is None else f"{p['p_holm']:.2g}"]
        )  # fmt: skip
    header = [
        "data set",
        "searcher",
        "full and short trainings",
        "s of searcher",
        "validation (%)",
        "test (%)",
        "p of test",
    ]
    return header, rows
