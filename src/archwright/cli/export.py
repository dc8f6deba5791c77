"""``archwright export``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError


def export(
    study: Annotated[Path, typer.Argument(help="The study's folder.")],
    trial: Annotated[
        int | None,
        typer.Option(
            help="Train this trial in full and export it, instead of the one chosen at the end of the search.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to; by default model, or model-TRIAL, in the study's folder.",
            show_default=False,
        ),
    ] = None,
    final_epochs: Annotated[
        int | None,
        typer.Option(help="Epochs, where training is needed; by default those of the study's end.", show_default=False),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The study's data, if it is no longer where it was.", show_default=False)
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Of several runs (oneshot --runs): export every one, not the best.")
    ] = False,
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Also write ONNX.")] = True,
    json: common.Json = False,
) -> None:
    """Export the chosen network of a study, or any of its trials: weights, architecture, model card, ONNX.

    Of a search inside one network (archwright oneshot) it is the one that was found; it is retrained, unless that is done. Of
    several runs it is that of the run with the best validation accuracy.
    """
    from archwright.study.again import export_trial
    from archwright.supernet.repeated import export_runs, folders_of
    from archwright.supernet.retraining import export_found, is_oneshot

    if trial is not None and (is_oneshot(study) or folders_of(study)):
        raise SettingsError(f"the search in {study} was one inside one network and has no trials; leave --trial out")
    if folders_of(study):
        _show_runs(study, export_runs(study, every=every, out=out, epochs=final_epochs, data=data, onnx=onnx), json)
        return
    if every:
        raise SettingsError(f"{study} does not have several runs of archwright oneshot; leave --all out")
    if not is_oneshot(study):
        files, metrics = export_trial(study, trial=trial, out=out, epochs=final_epochs, data=data, onnx=onnx)
    else:
        files, metrics = export_found(study, out=out, epochs=final_epochs, data=data, onnx=onnx)
    if json:
        common.print_json({"study": str(study), "metrics": metrics, "files": {k: str(v) for k, v in files.items()}})
        return
    _show(files)


def _show_runs(study: Path, runs: list[dict[str, Any]], json: bool) -> None:
    if json:
        common.print_json({"study": str(study), "runs": runs})
        return
    for run in runs:
        why = f", the best {run['chosen_by']} of the runs" if run["chosen_by"] else ""
        common.console().print(f"{run['run']}{why}", soft_wrap=True)
        _show(run["files"])


def _show(files: Mapping[str, object]) -> None:
    for kind, file in files.items():
        common.console().print(common.labelled(f"{kind:>12}", str(file)), soft_wrap=True)
