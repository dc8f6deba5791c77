"""Several runs on paper: page, tables in Markdown and LaTeX, curves, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from archwright.report import style
from archwright.report.runs import Floats, band
from archwright.report.writing import html_page, html_table, latex_table, markdown_table, svg, write_files

REMARK = "Mean (standard deviation over the runs, n - 1)."
TESTS = (
    "Ratio of the variances with its one-sided 5 % limit (F test): a spread is firmly smaller where the ratio is above. "
    "Difference of the means with Welch's t test, two-sided."
)
BANDS = "Mean over the runs after each epoch of the search; bands are 95 % confidence intervals of the mean (Student)."


def results_table(summaries: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row per metric, a column per group."""
    metrics = list(dict.fromkeys(m for s in summaries for m in s["metrics"]))
    runs = ["runs", *(str(s["runs"]) for s in summaries)]
    rows = [[m, *(_cell(s["metrics"].get(m), s["runs"]) for s in summaries)] for m in metrics]
    return ["metric", *(s["name"] for s in summaries)], [runs, *rows]


def _cell(found: Mapping[str, float] | None, runs: int) -> str:
    if found is None:
        return "–"
    spread = "" if found["std"] is None else f" ({found['std']:.3g})"
    some = "" if found["n"] == runs else f", {found['n']} of {runs}"
    return f"{found['mean']:.4g}{spread}{some}"


def tests_table(tests: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: one row per pair of groups."""
    header = ["steadier", "than", "variance ratio", "5 % limit", "firm", "mean difference", "t", "p"]
    rows = []
    for test in tests:
        ratio, t, p = ("–" if v is None else f"{v:.3g}" for v in (test["ratio"], test["t"], test["p"]))
        firm = "yes" if test["firm"] else "no"
        rows.append(
            [test["steadier"], test["other"], ratio, f"{test['limit']:.2f}", firm, f"{test['difference']:.3g}", t, p]
        )
    return header, rows


def curves_figure(name: str, curves: Mapping[str, Floats]) -> Figure:
    """Mean and confidence band of each group over the epochs."""
    figure, axes = style.new_figure(7.2, 4.2)
    for colour, (group, matrix) in zip(style.PALETTE * 5, curves.items()):
        mean, half = band(matrix)
        epochs = np.arange(1, len(mean) + 1)
        axes[0].plot(epochs, mean, color=colour, linewidth=2, label=f"{group} ({len(matrix)})")
        axes[0].fill_between(epochs, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    axes[0].set_xlabel("epoch of the search")
    axes[0].set_ylabel(style.label(name.rpartition(".")[2]))
    axes[0].legend(loc="best")
    return figure


def write_runs(
    folder: str | Path, summaries: Sequence[Mapping[str, Any]], tests: Sequence[Mapping[str, Any]],
    curve_name: str, curves: Mapping[str, Floats],
) -> dict[str, str]:  # fmt: skip
    """Write ``runs.html``, ``runs.json``, ``runs.md``, ``runs.tex``, and ``curves.png`` where there are curves.

    Args:
        folder: where to.
        summaries: of :func:`~archwright.report.runs.summarise`.
        tests: of :func:`~archwright.report.runs.stability`.
        curve_name, curves: of :func:`~archwright.report.runs.curves`.

    Raises:
        SettingsError: the folder cannot be written.
    """
    with mpl.rc_context(style.RC):
        figures = {"curves": curves_figure(curve_name, curves)} if curves else {}
    main, pairs = results_table(summaries), tests_table(tests)
    page = ["<h1>Runs</h1>", f'<p class="caption">{REMARK}</p>', html_table(*main)]
    page += [f'<h2>Search</h2><p class="caption">{BANDS}</p><figure>{svg(f)}</figure>' for f in figures.values()]
    parts = [REMARK, markdown_table(*main)]
    if tests:
        title = f"Stability of {tests[0]['metric']}"
        page.append(f'<h2>{title}</h2><p class="caption">{TESTS}</p>{html_table(*pairs)}')
        parts += [f"{title}. {TESTS}", markdown_table(*pairs)]
    content = {"groups": list(summaries), "stability": list(tests), "curves": curves_json(curve_name, curves)}
    texts = {
        "html": ("runs.html", html_page("Runs", page)),
        "json": ("runs.json", json.dumps(content, indent=1, allow_nan=False)),
        "markdown": ("runs.md", "\n\n".join(parts) + "\n"),
        "latex": ("runs.tex", latex_table(REMARK, *main)),
    }
    return write_files(folder, texts, figures)


def curves_json(name: str, curves: Mapping[str, Floats]) -> dict[str, Any]:
    """Mean and half width of the band per group and epoch; ``None`` where there is none."""
    found = {}
    for group, matrix in curves.items():
        mean, half = band(matrix)
        found[group] = {"runs": len(matrix), "mean": _plain(mean), "half_width": _plain(half)}
    return {"name": name, "groups": found}


def _plain(values: Floats) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
