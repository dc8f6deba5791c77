"""``archwright report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli import common


def report(
    study: Annotated[Path, typer.Argument(help="The study's folder; it may still be running.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write; by default report.html in the study's folder.", show_default=False),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the report.", show_default=False)] = None,
    json: common.Json = False,
) -> None:
    """Write a study's report: one HTML file that needs no network, and its figures as PNG."""
    from archwright.report import write_report

    files = write_report(common.open_record(study), out, title=title)
    if json:
        common.print_json({"study": str(study), "files": [str(f) for f in files]})
    else:
        for file in files:
            common.console().print(str(file), soft_wrap=True)
