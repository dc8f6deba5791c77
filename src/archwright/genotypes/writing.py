"""A comparison of genotypes on paper: page, tables in Markdown and LaTeX, figure, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from archwright.genotypes.comparing import table
from archwright.genotypes.figures import frequencies
from archwright.report import style
from archwright.report.writing import html_page, html_table, latex_table, markdown_table, svg, write_files

REMARK = "Mean (standard deviation over the runs) per stacked network, and share of the mean total."


def write_comparison(compared: Sequence[Mapping[str, Any]], folder: str | Path) -> dict[str, str]:
    """Write ``cells.html``, ``cells.json``, ``cells.md``, ``cells.tex`` and ``frequencies.png``; the files by kind.

    Raises:
        SettingsError: the folder cannot be written.
    """
    tables = {what: table(compared, what) for what in ("operations", "depths")}
    with mpl.rc_context(style.RC):
        figure = frequencies(compared)
    page = ["<h1>Cells compared</h1>", f'<p class="caption">{REMARK}</p>', f"<figure>{svg(figure)}</figure>"]
    page += [f"<h2>{what.capitalize()}</h2>{html_table(*rows)}" for what, rows in tables.items()]
    texts = {
        "html": ("cells.html", html_page("Cells compared", page)),
        "json": ("cells.json", json.dumps({"groups": list(compared)}, indent=1)),
        "markdown": ("cells.md", "\n\n".join([REMARK, *(markdown_table(*rows) for rows in tables.values())]) + "\n"),
        "latex": ("cells.tex", "\n".join(latex_table(REMARK, *rows) for rows in tables.values())),
    }
    return write_files(folder, texts, {"frequencies": figure})
