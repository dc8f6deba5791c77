"""A comparison on paper: HTML page, PNG figures, Markdown and LaTeX tables, JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl

from archwright.arena.comparison import Comparison
from archwright.arena.figures import FIGURES
from archwright.errors import SettingsError
from archwright.report import style
from archwright.report.page import CSS

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
            lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
            parts.append("\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]))
    return "\n\n".join(parts) + "\n"


def latex(comparison: Comparison) -> str:
    """The summary as a LaTeX table (booktabs)."""
    header, rows = main_table(comparison)
    lines = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            "% " + lead(comparison), r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}", r"\toprule",
            " & ".join(map(_tex, header)) + r" \\", r"\midrule", *lines, r"\bottomrule", r"\end{tabular}", "",
        ]
    )  # fmt: skip


def _tex(text: str) -> str:
    for char in "\\&%_#":
        text = text.replace(char, "\\" + char if char != "\\" else r"\textbackslash ")
    return text.replace("±", r"$\pm$").replace("–", "--")


def write_comparison(comparison: Comparison, folder: str | Path) -> dict[str, str]:
    """Write ``arena.html``, ``arena.json``, ``arena.md``, ``arena.tex`` and PNG figures; returns the files by kind.

    Raises:
        SettingsError: the folder cannot be written.
    """
    folder = Path(folder)
    files: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = {}
        with mpl.rc_context(style.RC):
            for name, draw in FIGURES.items():
                figure = draw(comparison)
                if figure is None:
                    continue
                figure.savefig(folder / f"{name}.png", dpi=160)
                files[name] = str(folder / f"{name}.png")
                text = io.StringIO()
                figure.savefig(text, format="svg", metadata={"Date": None})
                pictures[name] = text.getvalue()[text.getvalue().index("<svg") :]
        texts = {
            "html": ("arena.html", _page(comparison, pictures)),
            "json": ("arena.json", json.dumps(comparison.result, indent=1)),
            "markdown": ("arena.md", markdown(comparison)),
            "latex": ("arena.tex", latex(comparison)),
        }
        for kind, (name, content) in texts.items():
            (folder / name).write_text(content, encoding="utf-8")
            files[kind] = str(folder / name)
    except OSError as error:
        raise SettingsError(f"the folder {folder} cannot be written: {error.strerror or error}") from error
    return files


def _page(comparison: Comparison, pictures: dict[str, str]) -> str:
    result: dict[str, Any] = comparison.result
    top = result["optimum"] or result["best_found"]
    title_of_top = "Optimum of the table" if result["optimum"] else "Nobody knows the optimum; best found by anyone"
    optimum = ", ".join(f"{name} {style.number(value)}" for name, value in top.items())
    parts = [
        f"<h1>Searchers on {escape(result['table'])}, {escape(result['dataset'])}</h1>",
        f'<p class="lead">{escape(lead(comparison))} {title_of_top}: {escape(optimum)}.</p>',
        _html_table(*main_table(comparison)),
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
        parts.append(f'<h2>Tests</h2><p class="caption">{caption}</p>{_html_table(header, rows)}')
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Arena: {escape(result["table"])}</title>'
        f"<style>{CSS}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
