"""``archwright oneshot``: search inside one network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError, unknown

SMALL: dict[str, dict[str, Any]] = {
    "search": {
        "channels": 4, "search_cells": 4, "evaluation_cells": 6, "epochs": 5, "pretrain_epochs": 1, "batch_size": 32,
        "arch_lr": 0.003,
    },
    "network": {"channels": 8, "cells": 6},
    "training": {"epochs": 15, "batch_size": 32, "drop_path": 0.0, "crop": 0, "flip": False, "cutout": 0},
}  # fmt: skip
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
    family: Annotated[str, typer.Argument(help="The family whose cells are searched: darts.")],
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
        typer.Option("--set", metavar="NAME=VALUE", help="Size of the retrained network: channels (36), cells (20)."),
    ] = [],  # noqa: B006
    train: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="Setting of the retraining; see archwright list training."),
    ] = [],  # noqa: B006
    small: Annotated[
        bool, typer.Option("--small", help="Small networks and few epochs, to try a method; options still count.")
    ] = False,
    retrain: Annotated[bool, typer.Option("--retrain/--no-retrain", help="Retrain what was found.")] = True,
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Also export the retrained network to ONNX.")] = False,
    merge: Annotated[
        str,
        typer.Option(help="How larger images of an example are brought to the common size: average or convolution."),
    ] = "average",
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.")] = None,
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
    json: common.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No lines on progress.")] = False,
) -> None:
    """Search cells inside one network (ICDARTS and its variants), then retrain, test and export what was found."""
    from archwright.data import load_data
    from archwright.supernet.methods import OneShot
    from archwright.supernet.repeated import run_repeatedly
    from archwright.supernet.running import run_oneshot

    if family != "darts":
        raise SettingsError(unknown("family of search inside one network", family, ["darts"]))
    given = {"epochs": epochs} if epochs is not None else {}
    base: dict[str, dict[str, Any]] = SMALL if small else {"search": {}, "network": {}, "training": {}}
    asked = OneShot(
        method,
        {**base["search"], **common.pairs(option, "--option"), **given},
        {**base["network"], **common.pairs(set_, "--set")},
        {**base["training"], **common.pairs(train, "--train")},
        retrain,
        seed,
        device,
        workers,
        onnx,
        ["archwright", *sys.argv[1:]],
    )
    asked.settings()
    loaded = load_data(data, limit=limit, merge=merge)
    err = common.console(stderr=True)
    show = not quiet and not json
    folder = study or Path("runs") / f"{method.rpartition(':')[2]}-{loaded.name}"
    say = (lambda line: err.print(f"[dim]{line}[/dim]")) if show else None
    if runs == 1:
        result = run_oneshot(asked, loaded, folder, say)
    else:
        result = run_repeatedly(asked, loaded, runs, folder, say)
    if json:
        common.print_json(result)
        return
    if runs == 1:
        _summarise(result)
    else:
        _summarise_runs(result)


def _summarise(result: dict[str, Any]) -> None:
    out = common.console()
    for kind, nodes in result["genotype"].items():
        out.print(f"[bold]{kind}[/bold]  {nodes}", markup=True)
    found = {name: result[name] for name in ("retrain", "initial") if name in result}
    for name, figures in list(found.items())[:1]:
        shown = [m for m in SHOWN if m in figures]
        rows = [[name, *(common.number(own[m]) for m in shown)] for name, own in found.items()]
        out.print(common.table("Retrained", ["network", *(SHOWN[m] for m in shown)], rows))
    for kind, file in result["files"].items():
        out.print(f"[dim]{kind:>16}[/dim]  {file}", soft_wrap=True)


def _summarise_runs(result: dict[str, Any]) -> None:
    out = common.console()
    rows = [
        [name, str(found["n"]), *(common.number(found[m]) if found[m] is not None else "-" for m in ("mean", "std", "min", "max"))]
        for name, found in result["summary"].items()
    ]  # fmt: skip
    out.print(common.table(f"{len(result['runs'])} runs", ["number", "runs", "mean", "std", "min", "max"], rows))
    out.print(f"[dim]{result['files']['runs']}[/dim]", soft_wrap=True)
