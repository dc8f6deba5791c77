"""A comparison on paper: HTML page, PNG figures, Markdown and LaTeX tables, JSON."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl

from archwright.arena.comparison import Comparison
from archwright.arena.figures import FIGURES
from archwright.report import style
from archwright.report.writing import html_page, html_table, latex_table, markdown_table, svg, write_files

CAPTIONS = {
    "curves": "Mean over the runs; bands are 95 % intervals of the mean.",
    "reached": "A curve that rises early has found the best architecture of the table in few evaluations.",
    "ranks": "Average rank over the runs, 1 is best; a bar joins searchers that the Nemenyi test cannot tell apart.",
}


def main_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the summary."""
    result = comparison.result
    if comparison.several:
        header = [
            "searcher",
            *(f"front found at {n}" for n in comparison.checkpoints),
            "hypervolume at the end",
            "seconds",
        ]
        rows = []
        for row in result["results"]:
            shares = [f"{100 * at['mean']:.1f} ± {100 * at['std']:.1f} %" for at in row["front_share"]]
            last = row["hypervolume"][-1]
            rows.append([row["searcher"], *shares, f"{last['mean']:.4f} ± {last['std']:.4f}", f"{row['seconds']:.1f}"])
        return header, rows
    header = [
        "searcher",
        "best at the end",
        "95 % interval",
        f"{comparison.unit} to optimum",
        "min-max",
        "reached",
        "seconds",
    ]
    rows = []
    for row in result["results"]:
        to = row["to_optimum"] or {"mean": None, "reached": "–"}
        some = to["mean"] is not None
        rows.append(
            [
                row["searcher"],
                f"{row['best_mean']:.3f} ± {row['best_std']:.3f}",
                "{:.3f}-{:.3f}".format(*row["best_interval"]),
                f"{to['mean']:.1f} ± {to['std']:.1f}" if some else "–",
                f"{to['min']:.0f}-{to['max']:.0f}" if some else "–",
                f"{to['reached']} of {result['runs']}" if comparison.problem.complete else "–",
                f"{row['seconds']:.1f}",
            ]
        )
    return header, rows


def significance(comparison: Comparison, only: str = "") -> tuple[list[str], list[list[str]]]:
    """Header and rows of the tests, all or of one kind; of the last checkpoint where there are several."""
    header = ["a", "b", "measure", *(() if only else ("test",)), "a - b", "P(a beats b)", "p", "p (Holm)"]
    rows = []
    for test in comparison.result["tests"]:
        last = test.get("evaluations", comparison.budget) == comparison.budget
        if last and only in ("", test["test"]):
            rows.append(
                [
                    test["a"], test["b"], test["measure"].replace("_", " "), *(() if only else (test["test"],)),
                    f"{test['difference']:.4g}", f"{test['effect']:.2f}", f"{test['p']:.2g}", f"{test['p_holm']:.2g}",
                ]
            )  # fmt: skip
    return header, rows


def lead(comparison: Comparison) -> str:
    """What was compared, in one sentence."""
    result = comparison.result
    signal = " and ".join(result["signal"]) if comparison.several else result["signal"]
    judged = "" if comparison.several else f", judged by {result['report']}"
    return (
        f"Table {result['table']}, {result['dataset']}: {result['runs']} runs of at most {result['budget']} {comparison.unit}; "
        f"searchers see {signal}{judged}. Runs of one seed start alike."
    )


def markdown(comparison: Comparison) -> str:
    """The two tables in Markdown."""
    parts = [lead(comparison)]
    for header, rows in (main_table(comparison), significance(comparison)):
        if rows:
            parts.append(markdown_table(header, rows))
    return "\n\n".join(parts) + "\n"


def latex(comparison: Comparison) -> str:
    """The summary as a LaTeX table (booktabs)."""
    return latex_table(lead(comparison), *main_table(comparison))


def write_comparison(comparison: Comparison, folder: str | Path) -> dict[str, str]:
    """Write ``arena.html``, ``arena.json``, ``arena.md``, ``arena.tex`` and PNG figures; returns the files by kind.

    Raises:
        SettingsError: the folder cannot be written.
    """
    with mpl.rc_context(style.RC):
        drawn = {name: draw(comparison) for name, draw in FIGURES.items()}
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    texts = {
        "html": ("arena.html", _page(comparison, {name: svg(figure) for name, figure in figures.items()})),
        "json": ("arena.json", json.dumps(comparison.result, indent=1)),
        "markdown": ("arena.md", markdown(comparison)),
        "latex": ("arena.tex", latex(comparison)),
    }
    return write_files(folder, texts, figures)


def _page(comparison: Comparison, pictures: dict[str, str]) -> str:
    result: dict[str, Any] = comparison.result
    top = result["optimum"] or result["best_found"]
    title_of_top = "Optimum of the table" if result["optimum"] else "Nobody knows the optimum; best found by anyone"
    optimum = ", ".join(f"{name} {style.number(value)}" for name, value in top.items())
    parts = [
        f"<h1>Searchers on {escape(result['table'])}, {escape(result['dataset'])}</h1>",
        f'<p class="lead">{escape(lead(comparison))} {title_of_top}: {escape(optimum)}.</p>',
        html_table(*main_table(comparison)),
    ]
    for name, picture in pictures.items():
        narrow = "" if name == "curves" else ' class="narrow"'
        title = {"curves": "How the searches went", "reached": "Runs at the optimum", "ranks": "Average ranks"}[name]
        parts.append(f'<h2>{title}</h2><p class="caption">{CAPTIONS[name]}</p><figure{narrow}>{picture}</figure>')
    header, rows = significance(comparison)
    if rows:
        caption = (
            "Two-sided tests between all pairs. Wilcoxon's signed-rank test pairs runs of one seed; Mann and Whitney's does "
            "not. Holm's correction is over all pairs of one test and measure."
        )
        parts.append(f'<h2>Tests</h2><p class="caption">{caption}</p>{html_table(header, rows)}')
    return html_page(f"Arena: {result['table']}", parts)
