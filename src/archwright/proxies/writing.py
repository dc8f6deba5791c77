"""A comparison of proxies on paper: HTML page, PNG figures, Markdown and LaTeX tables, JSON."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl

from archwright.proxies.comparing import Correlations
from archwright.proxies.figures import FIGURES
from archwright.report import style
from archwright.report.writing import html_page, html_table, latex_table, markdown_table, svg, write_files
from archwright.study.record import jsonable

TITLES = {"scatter": "Scores and worth", "likeness": "How alike the proxies are", "seconds": "What they cost"}
CAPTIONS = {
    "scatter": "A dot per architecture whose score did not fail; the lowest half per cent of scores is cut off.",
    "likeness": "Spearman's rho between the scores of two proxies. Proxies that are much alike add little to each other.",
    "seconds": "Mean seconds per architecture, as recorded with the scores; of a combination, the sum of its parts.",
}
HOW_TO_READ = (
    "A proxy with a high correlation over all architectures may still rank the good ones badly: look at what its first "
    "choices are worth, at the rank of the true best, and at tau among the best tenth. The worth of a single first choice is "
    "decided by one architecture."
)


def main_table(found: Correlations) -> tuple[list[str], list[list[str]]]:
    """Header and rows: correlations, and beside them what the top of the list is worth."""
    header = [
        "proxy", "tau-b", "95 %", "rho", "95 %", "first choice", "95 %", "best of first 10", "mean of first 10",
        "rank of the best", "tau in the best tenth", "95 %", "failed", "seconds",
    ]  # fmt: skip
    return header, [_row(row) for row in found.result["results"]]


def _row(row: dict[str, Any]) -> list[str]:
    return [
        row["proxy"], f"{row['kendall']:.4f}", _interval(row, "kendall", 3), f"{row['spearman']:.4f}",
        _interval(row, "spearman", 3), f"{row['top1_accuracy']:.2f}", _interval(row, "top1_accuracy", 2),
        f"{row['top10_accuracy']:.2f}", f"{row['top10_mean']:.2f}", f"{row['rank_of_best']:,}",
        "–" if row["top_decile_kendall"] is None else f"{row['top_decile_kendall']:.3f}",
        _interval(row, "top_decile_kendall", 3), f"{row['failed']:,}", style.number(row["seconds"]),
    ]  # fmt: skip


def short_table(found: Correlations) -> tuple[list[str], list[list[str]]]:
    """The summary for a terminal, without intervals."""
    header = ["proxy", "tau-b", "rho", "1st", "best of 10", "mean of 10", "rank of best", "tau, best 10 %"]
    _, rows = main_table(found)
    return header, [[row[i] for i in (0, 1, 3, 5, 7, 8, 9, 10)] for row in rows]


def _interval(row: dict[str, Any], name: str, digits: int) -> str:
    ends = row.get(f"{name}_interval")
    return "–" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def top_table(found: Correlations) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the share of a proxy's first k that are among the true first k, and what is lost."""
    ks = [n.removeprefix("overlap_at_") for n in found.result["results"][0] if n.startswith("overlap_at_")]
    header = ["proxy", *(f"overlap of the first {k}" for k in ks), "true rank of the best of 10", "first choice lacks"]
    rows = [
        [r["proxy"], *(f"{r[f'overlap_at_{k}']:.2f}" for k in ks), f"{r['best_rank_at_10']:,}", f"{r['gap']:.2f}"]
        for r in found.result["results"]
    ]
    return header, rows


def lead(found: Correlations) -> str:
    """What was compared, in a sentence or two."""
    result = found.result
    drawn = f", drawn at random with seed {result['seed']}" if result["sample"] else ""
    missing = f" {result['missing']:,} others lack a score." if result["missing"] else ""
    fitted = f" Learned combinations were fitted on {result['fitted_on']:,} others." if result["fitted_on"] else ""
    return (
        f"Table {result['table']}, {result['dataset']}: {result['n']:,} architectures{drawn}, target {result['target']}, best "
        f"{result['ceiling']:.2f}.{missing}{fitted}"
    )


def warnings(found: Correlations) -> list[str]:
    """What the condition of hybrid proxies did, where it changed their first choice."""
    lines = []
    for row in found.result["results"]:
        other = row.get("top1_accuracy_unconditional")
        if other is not None and other != row["top1_accuracy"]:
            lines.append(
                f"{row['proxy']}: its condition lowers the score of {row['condition_fires']:,} architectures, and that decides "
                f"its first choice ({row['top1_accuracy']:.2f}; without it {other:.2f})"
            )
    return lines


def write_correlations(found: Correlations, folder: str | Path) -> dict[str, str]:
    """Write ``proxies.html``, ``proxies.json``, ``proxies.md``, ``proxies.tex`` and PNG figures; returns the files by kind.

    Raises:
        SettingsError: the folder cannot be written.
    """
    with mpl.rc_context(style.RC):
        drawn = {name: draw(found) for name, draw in FIGURES.items()}
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    tables = [markdown_table(*main_table(found)), markdown_table(*top_table(found))]
    texts = {
        "html": ("proxies.html", _page(found, {name: svg(figure) for name, figure in figures.items()})),
        "json": ("proxies.json", json.dumps(jsonable(found.result), indent=1)),
        "markdown": ("proxies.md", "\n\n".join([lead(found), *warnings(found), *tables]) + "\n"),
        "latex": ("proxies.tex", latex_table(lead(found), *main_table(found))),
    }
    return write_files(folder, texts, figures)


def _page(found: Correlations, pictures: dict[str, str]) -> str:
    result = found.result
    parts = [
        f"<h1>Proxies on {escape(result['table'])}, {escape(result['dataset'])}</h1>",
        f'<p class="lead">{escape(lead(found))}</p>',
        html_table(*main_table(found)),
        f'<p class="caption">{escape(HOW_TO_READ)} Intervals are bootstrap percentiles of {result["resamples"]} resamples.</p>',
        *(f"<p>{escape(line)}.</p>" for line in warnings(found)),
        "<h2>The top of the list</h2>",
        html_table(*top_table(found)),
    ]
    for name, picture in pictures.items():
        narrow = "" if name == "scatter" else ' class="narrow"'
        parts.append(
            f'<h2>{TITLES[name]}</h2><p class="caption">{CAPTIONS[name]}</p><figure{narrow}>{picture}</figure>'
        )
    return html_page(f"Proxies: {result['table']}", parts)
