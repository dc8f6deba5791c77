"""``archwright predict``."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from archwright.cli import common


def predict(
    model: Annotated[Path, typer.Argument(help="A study's folder, or a folder with an exported model.")],
    files: Annotated[list[Path], typer.Argument(help="Images, folders of images, .npy or .npz arrays.")],
    resize: Annotated[
        bool, typer.Option("--resize", help="Resize images to the size that the network was trained on.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or mps.")] = "cpu",
    json: common.Json = False,
) -> None:
    """Predict the classes of new images with a study's network; prints CSV."""
    from archwright.export import load, predict_files

    rows = predict_files(load(model, device=device), files, resize=resize)
    if json:
        common.print_json({"model": str(model), "predictions": rows})
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["file"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    sys.stdout.write(text.getvalue())
