"""``archwright oneshot``: search inside one network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError

_BRIEF = {
    "channels": 4,
    "epochs": 5,
    "pretrain_epochs": 1,
    "batch_size": 32,
    "arch_lr": 0.003,
    "crop": 0,
    "flip": False,
}
_TRAINING = {"epochs": 15, "batch_size": 32, "drop_path": 0.0, "crop": 0, "flip": False, "cutout": 0}
SMALL: dict[str, dict[str, dict[str, Any]]] = {
    "darts": {
        "search": {**_BRIEF, "search_cells": 4, "evaluation_cells": 6},
        "network": {"channels": 8, "cells": 6},
        "training": _TRAINING,
    },
    "nasbench201": {
        "search": {**_BRIEF, "search_cells": 1, "evaluation_cells": 1},
        "network": {"channels": 8, "cells": 1},
        "training": {**_TRAINING, "lr": 0.05},
    },
}
"""What ``--small`` sets: for trying a method on a few thousand small images, not for figures to report."""

SHOWN = {
    "test_accuracy": "test accuracy", "test_auc": "test AUC", "test_f_beta": "test F_beta", "params": "parameters",
    "seconds_per_batch": "s/batch",
}  # fmt: skip
"""Figures of a retrained network that are shown, and what they are called."""


def oneshot(
    method: Annotated[
        str, typer.Argument(help="icdarts, cdarts, hier_v1, ..., see archwright list methods; or my_method.py:name.")
    ],
    family: Annotated[str, typer.Argument(help="The family whose cells are searched: darts or nasbench201.")],
    data: Annotated[str, typer.Option(help="digits, a file, a folder, or module:function; see archwright list data.")],
    epochs: Annotated[
        int | None, typer.Option(help="Joint epochs of a search; 30 by default.", show_default=False)
    ] = None,
    option: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="Option of the search, such as search_cells=6 or penalty=0.05."),
    ] = [],  # noqa: B006
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="Size of the retrained network: channels, cells."),
    ] = [],  # noqa: B006
    train: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="Setting of the retraining; see archwright list training."),
    ] = [],  # noqa: B006
    small: Annotated[
        bool, typer.Option("--small", help="Small networks and few epochs, to try a method; options still count.")
    ] = False,
    cells: Annotated[
        Path | None,
        typer.Option(
            metavar="STUDY",
            help="Do not search: retrain the cells of this study, or of the runs in it, as METHOD does.",
            show_default=False,
        ),
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain/--no-retrain", help="Retrain what was found.")] = True,
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Also export the retrained network to ONNX.")] = False,
    merge: Annotated[
        str,
        typer.Option(help="How larger images of an example are brought to the common size: average or convolution."),
    ] = "average",
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.")] = None,
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random but the splits.")] = 0,
    runs: Annotated[
        int,
        typer.Option(
            help="Independent searches, each retrained, with this seed and those that follow: mean and spread."
        ),
    ] = 1,
    workers: Annotated[int, typer.Option(help="Processes for the games of a tournament; 0 plays them here.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where all is kept; the same command goes on from it. By default runs/METHOD-DATA.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="For nasbench201: a table of its cells, in which the result is looked up: rank, and how the order of the search "
            "agrees with the table's.",
            show_default=False,
        ),
    ] = None,
    dataset: common.DatasetName = None,
    signal: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help=f"Of the table: {common.SIGNAL}. By default the validation (else test) accuracy after the longest training.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(help="For nasbench201: judge so many random cells with the weights of the search.")
    ] = 0,
    data_dir: common.DataDir = None,
    json: common.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No lines on progress.")] = False,
) -> None:
    """Search cells inside one network (ICDARTS and its variants), then retrain, test and export what was found."""
    from archwright.data import load_data
    from archwright.supernet.methods import OneShot
    from archwright.supernet.repeated import run_repeatedly
    from archwright.supernet.running import run_oneshot

    given = {"epochs": epochs} if epochs is not None else {}
    base = _small(method, family) if small else {}
    asked = OneShot(
        method,
        {**base.get("search", {}), **common.pairs(option, "--option"), **given},
        {**base.get("network", {}), **common.pairs(set_, "--set")},
        {**base.get("training", {}), **common.pairs(train, "--train")},
        retrain,
        seed,
        device,
        workers,
        onnx,
        ["archwright", *sys.argv[1:]],
        family,
        sample,
        "" if cells is None else str(cells),
    )
    asked.settings() if family == "darts" else asked.edges()
    judge = _judge(family, table, dataset, signal, data_dir)
    loaded = load_data(data, limit=limit, merge=merge, resize=resize, skip_corrupt=skip_corrupt)
    err = common.console(stderr=True)
    show = not quiet and not json
    name = [
        method.rpartition(":")[2],
        *([family] if family != "darts" else []),
        loaded.name,
        *(["transferred"] if cells else []),
    ]
    folder = study or Path("runs") / "-".join(name)
    say = (lambda line: err.print(line, style="dim")) if show else None
    if runs == 1:
        result = run_oneshot(asked, loaded, folder, say, judge)
    else:
        result = run_repeatedly(asked, loaded, runs, folder, say, judge)
    if json:
        common.print_json(result)
        return
    if runs == 1:
        _summarise(result)
    else:
        _summarise_runs(result)


def _judge(
    family: str, name: str | None, dataset: str | None, text: str | None, data_dir: Path | None
) -> Callable[[Mapping[str, Any]], dict[str, Any]] | None:
    """Looks a result up in the table, which is read now, so that a missing one is noticed before the search."""
    from archwright.arena.problem import default_signal, read_signal
    from archwright.supernet.ranking import check_table, ranking
    from archwright.tables.known import find_table

    if name is None:
        if dataset or text:
            raise SettingsError("--dataset and --signal are of a --table")
        return None
    if family != "nasbench201":
        raise SettingsError("--table is for nasbench201: only its cells are in a table")
    table = find_table(name, data_dir)
    check_table(table)
    of = table.dataset(dataset)
    signal = default_signal(table, of) if text is None else read_signal(table, of, text)
    sign = 1 if signal.direction == "maximize" else -1
    worth = sign * table.column(of, signal.metric).at(signal.epoch, signal.seed)  # type: ignore[arg-type]
    facts = {"table": table.name, "dataset": of, "signal": str(signal)}
    return lambda found: {**facts, **ranking(table, worth, found)}


def _small(method: str, family: str) -> dict[str, dict[str, Any]]:
    """:data:`SMALL`, with no more epochs of any kind than the method declares."""
    from archwright.supernet.methods import find_method

    base, declared = SMALL.get(family, {}), find_method(method).settings
    shorter = {name: declared[name] for name in ("epochs", "pretrain_epochs") if name in declared}
    search = base.get("search", {})
    return {
        **base,
        "search": {**search, **{name: min(n, search[name]) for name, n in shorter.items() if name in search}},
    }


def _readable(nodes: Any) -> str:
    """Of a cell, per node its operations with the predecessors they read; anything else as it is."""
    if not (isinstance(nodes, list) and all(isinstance(node, list) for node in nodes)):
        return str(nodes)
    return " | ".join(" + ".join(f"{name}({i})" for name, i in node) for node in nodes)


def _summarise(result: dict[str, Any]) -> None:
    out = common.console()
    for kind, nodes in result["genotype"].items():
        out.print(common.labelled(kind, _readable(nodes), "bold"))
    found = {name: result[name] for name in ("retrain", "initial") if name in result}
    for name, figures in list(found.items())[:1]:
        shown = [m for m in SHOWN if m in figures]
        rows = [[name, *(common.number(own[m]) for m in shown)] for name, own in found.items()]
        out.print(common.table("Retrained", ["network", *(SHOWN[m] for m in shown)], rows))
    if "ranking" in result:
        _show_ranking(result["ranking"])
    for kind, file in result["files"].items():
        out.print(common.labelled(f"{kind:>16}", file), soft_wrap=True)
    folder = Path(result["files"]["result"]).parent
    also = "" if "cell" in result["genotype"] else f"archwright cells draw {folder} draws the cells; "
    out.print(f"{also}archwright oneshot-report {folder} OTHER ... compares runs", style="dim", soft_wrap=True)


def _show_ranking(ranking: Mapping[str, Any]) -> None:
    out = common.console()
    out.print(
        f"{ranking['table']}, {ranking['dataset']}, {ranking['signal']}: {common.number(ranking['accuracy'])}, rank "
        f"{common.number(ranking['rank'])} of {ranking['of']:,} (best {common.number(ranking['best'])})"
    )
    names = {
        "order": "alpha, all cells",
        "top": "alpha, the table's first",
        "one_shot": "weights of the search, a sample",
    }
    rows = [
        [text, *(common.number(ranking[name][m], 3) for m in ("n", "spearman", "kendall"))]
        for name, text in names.items()
        if name in ranking
    ]
    if rows:
        out.print(common.table("Agreement with the table", ["order", "cells", "Spearman", "Kendall"], rows))


def _summarise_runs(result: dict[str, Any]) -> None:
    out = common.console()
    rows = [
        [name, str(found["n"]), *(common.number(found[m]) if found[m] is not None else "-" for m in ("mean", "std", "min", "max"))]
        for name, found in result["summary"].items()
    ]  # fmt: skip
    out.print(common.table(f"{len(result['runs'])} runs", ["number", "runs", "mean", "std", "min", "max"], rows))
    out.print(result["files"]["runs"], style="dim", soft_wrap=True)
