"""A comparison of surrogates on paper: HTML page, figure, Markdown and LaTeX tables, JSON."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from archwright.arena.calibration import LEVEL, Matrix, Trials
from archwright.report import style
from archwright.report.writing import html_page, html_table, latex_table, markdown_table, svg, write_files

CAPTION = (
    "Spearman, Kendall: rank correlation of predictions and values (of what is reported, where that is something else). "
    "NLL: mean negative log density of a value under the "
    "predicted mean and deviation. In 90%: share of the values within the predicted 90 % interval, which should be 0.9; width: "
    "how wide it is on average. NLL and width are in standard deviations of the values that are predicted: whoever predicts their mean "
    "and deviation for all has 1.42 and 3.29. Mean ± standard deviation over the runs."
)


def lead(trials: Trials) -> str:
    """What was compared, in one sentence."""
    return (
        f"Table {trials.table.name}, {trials.dataset}: surrogates of {trials.signal}, trained on random rows {trials.runs} times and "
        f"judged on {trials.test_rows:,} others, the same for all{_ranked(trials)}."
    )


def _ranked(trials: Trials) -> str:
    return "" if trials.report == trials.signal else f"; the rank correlations are with {trials.report}"


def main_table(trials: Trials, *, deviations: bool = True) -> tuple[list[str], list[list[str]]]:
    """Header and rows, the surrogates by size of the training set; the deviations over the runs can be left out."""
    header = ["surrogate", "rows", "Spearman", "Kendall", "NLL", f"in {LEVEL:.0%}", "width", "fit (s)"]
    rows = []
    for size in trials.sizes:
        for name in trials.names:
            found = trials.values[name, size]
            texts = [_text(found[m], deviations) for m in ("spearman", "kendall", "nll", "coverage", "width")]
            rows.append([name, str(size), *texts, f"{found['seconds'].mean():.2f}"])
    return header, rows


def _text(values: Matrix, deviations: bool) -> str:
    digits = 3 if abs(values.mean()) < 10 else 1
    mean = f"{values.mean():.{digits}f}"
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{mean} ± {deviation:.{digits}f}" if deviations else mean


def draw(trials: Trials) -> Figure:
    """Rank correlation and coverage over the number of training rows."""
    figure, axes = style.new_figure(9.5, 4.2, 1, 2)
    for i, name in enumerate(trials.names):
        colour, line = style.PALETTE[i % 7], "-" if i < 7 else "--"
        for axis, measure in zip(axes, ("spearman", "coverage")):
            means = [trials.values[name, size][measure].mean() for size in trials.sizes]
            axis.plot(trials.sizes, means, line, color=colour, linewidth=2, marker="o", markersize=4, label=name)
    axes[1].set_ylim(0, 1.03)
    axes[1].axhline(LEVEL, color=style.GREY, linewidth=1, linestyle="--")
    axes[0].set_ylabel("Spearman correlation (higher is better)")
    axes[1].set_ylabel(f"share within the {LEVEL:.0%} interval")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xticks(trials.sizes, [str(size) for size in trials.sizes])
        axis.minorticks_off()
        axis.set_xlabel("rows trained on")
    axes[0].legend(loc="lower right")
    return figure


def write_trials(trials: Trials, folder: str | Path) -> dict[str, str]:
    """Write ``surrogates.html``, ``.json``, ``.md``, ``.tex`` and ``.png``; returns the files by kind.

    Raises:
        SettingsError: the folder cannot be written.
    """
    with mpl.rc_context(style.RC):
        figure = draw(trials)
    header, rows = main_table(trials)
    page = [
        f"<h1>Surrogates on {escape(trials.table.name)}, {escape(trials.dataset)}</h1>",
        f'<p class="lead">{escape(lead(trials))}</p><figure>{svg(figure)}</figure>',
        f'<p class="caption">{escape(CAPTION)}</p>{html_table(header, rows)}',
    ]
    texts = {
        "html": ("surrogates.html", html_page(f"Surrogates: {trials.table.name}", page)),
        "json": ("surrogates.json", json.dumps(trials.result, indent=1)),
        "markdown": ("surrogates.md", f"{lead(trials)}\n\n{markdown_table(header, rows)}\n\n{CAPTION}\n"),
        "latex": ("surrogates.tex", latex_table(lead(trials), header, rows)),
    }
    return write_files(folder, texts, {"surrogates": figure})
