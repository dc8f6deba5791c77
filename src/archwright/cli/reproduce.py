"""``archwright reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError, unknown


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            help="Of searchers: lsweights, lspon-quality, lspon-speed, lspon-dynamics, dmls-hypervolume, dmls-front or freerea. "
            "Of pretrained ensembles (minutes per run): ensemble-search-time, ensemble-best-value or ensemble-ablations. "
            "Of ours: ensemble-arena (all tables) or ensemble-real-data (real trainings, minutes per run). "
            "Of proxies: hybrid-tables or hybrid-grid."
        ),
    ],
    data_dir: common.DataDir = None,
    runs: Annotated[
        int | None,
        typer.Option(help="Of searchers: runs of each; as published by default.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of searchers: seed of the first run.")] = 0,
    workers: Annotated[int, typer.Option(help="Of searchers: processes that share the runs.")] = 1,
    option: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Of ensembles: an option of ensemble-bo-thesis other than published, such as pretraining_epochs=60.",
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
            help="Of ensembles: only lines whose searcher (or data set, or table) has this text in it; repeat it.",
        ),
    ] = [],  # noqa: B006
    out: Annotated[
        Path | None,
        typer.Option(
            help="Of hybrid-grid: folder for its figure. Of ensembles: folder that keeps finished runs and pretrained "
            "ensembles; the same command goes on from there.",
            show_default=False,
        ),
    ] = None,
    json: common.Json = False,
) -> None:
    """Compute published results again on the benchmark tables at hand, and print ours beside the published figures."""
    from archwright.arena import ensemble, ensemble_arena, realdata
    from archwright.arena import published as searchers
    from archwright.proxies import published as proxies

    real, arena = name == realdata.NAME, name == ensemble_arena.NAME
    bounded = (*ensemble.LINES, ensemble_arena.NAME, realdata.NAME)
    if (option and name not in ensemble.LINES) or ((only or budget is not None) and name not in bounded):
        raise SettingsError(
            f"--option is for {', '.join(ensemble.LINES)}; --budget and --only also for {', '.join(bounded[-2:])}"
        )
    if real and workers != 1:
        raise SettingsError(f"{name} compares processor time in one process; leave out --workers")
    if real:
        with common.counting(0, "runs", quiet=json) as advance:
            found = realdata.reproduce_real_data(
                data_dir=data_dir, runs=runs, seed=seed, budget=budget, only=only, out=out, on_done=advance
            )
    elif arena:
        with common.counting(0, "runs", quiet=json) as advance:
            found = ensemble_arena.reproduce_arena(
                data_dir=data_dir, runs=runs, seed=seed or ensemble_arena.SEED, workers=workers, budget=budget, only=only, out=out,
                on_done=advance,
            )  # fmt: skip
    elif name in ensemble.LINES:
        with common.counting(0, "runs", quiet=json) as advance:
            found = ensemble.reproduce_ensemble(
                name, data_dir=data_dir, runs=runs, seed=seed, workers=workers, budget=budget, only=only, out=out,
                options=common.pairs(option, "--option"), on_done=advance,
            )  # fmt: skip
    elif name in proxies.NAMES:
        if (runs, seed, workers) != (None, 0, 1):
            raise SettingsError(
                f"{name} is computed from stored scores: --runs, --seed and --workers are for searchers"
            )
        with common.counting(0, "steps", quiet=json) as advance:
            found = proxies.reproduce(name, data_dir=data_dir, out=out, on_done=advance)
    elif name == "freerea" or name in searchers.PUBLISHED:
        if out is not None:
            raise SettingsError(f"--out is for hybrid-grid; {name} has no figure, archwright arena draws searches")
        if name == "freerea" and workers != 1:
            raise SettingsError("freerea replays stored scores in one process; leave out --workers")
        if name == "freerea":
            found = _freerea(data_dir, runs, seed, quiet=json)
        else:
            found = _searchers(name, data_dir, runs, seed, workers, quiet=json)
    else:
        raise SettingsError(unknown("publication", name, (*searchers.PUBLISHED, "freerea", *bounded, *proxies.NAMES)))
    if json:
        common.print_json(found)
        return
    console = common.console()
    console.print(found["source"])
    kinds = {**dict.fromkeys(proxies.NAMES, _proxy_table), **dict.fromkeys(ensemble.LINES, _ensemble_table)}
    tables = {**kinds, realdata.NAME: _real_table, ensemble_arena.NAME: _arena_table}.get(name, _searcher_table)
    console.print(common.table("", *tables(found)))
    for number, text in enumerate(notes(found)[1:], start=1):
        console.print(f"{number}: {text}")
    for kind, file in found.get("files", {}).items():
        console.print(f"{kind:>10}  {file}", soft_wrap=True)


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


def _searcher_table(found: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    rows = [
        [f"{r['table']} {r['dataset']}", r["measure"], r["searcher"], _figure(r["ours"]), _figure(r["published"]),
         "" if r["p_holm_against_ls"] is None else f"{r['p_holm_against_ls']:.1g}", _note(found, r)]
        for r in found["rows"]
    ]  # fmt: skip
    return ["table", "measure", "searcher", "ours", "published", "p against ls", "note"], rows


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
    return list(dict.fromkeys(["", *(row["differs"] for row in found["rows"])]))


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
