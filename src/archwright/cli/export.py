"""``archwright export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Also write ONNX.")] = True,
    json: common.Json = False,
) -> None:
    """Export the chosen network of a study, or any of its trials: weights, architecture, model card, ONNX.

    Of a search inside one network (archwright oneshot) it is the one that was found; it is retrained, unless that is done.
    """
    from archwright.study.again import export_trial
    from archwright.supernet.retraining import export_found, is_oneshot

    if not is_oneshot(study):
        files, metrics = export_trial(study, trial=trial, out=out, epochs=final_epochs, data=data, onnx=onnx)
    elif trial is None:
        files, metrics = export_found(study, out=out, epochs=final_epochs, data=data, onnx=onnx)
    else:
        raise SettingsError(f"the search in {study} was one inside one network and has no trials; leave --trial out")
    if json:
        common.print_json({"study": str(study), "metrics": metrics, "files": {k: str(v) for k, v in files.items()}})
        return
    screen = common.console()
    for kind, file in files.items():
        screen.print(common.labelled(f"{kind:>12}", file), soft_wrap=True)
