"""Figures of a comparison: curves with bands, evaluations to the optimum, average ranks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archwright.arena.comparison import Comparison
from archwright.report import style


def curves(comparison: Comparison) -> Figure:
    """Mean of the incumbent (or of hypervolume and front share) over evaluations; bands: 95 % interval of the mean."""
    if comparison.several:
        return _front_curves(comparison)
    figure, axes = style.new_figure(9.5, 4.2, 1, 2)
    smaller = comparison.problem.report.direction == "minimize"
    best = (comparison.result["optimum"] or comparison.result["best_found"])["report"]
    xs = np.arange(1, comparison.budget + 1)
    for colour, (label, matrix) in zip(style.PALETTE * 3, comparison.curves.items()):
        regret = (matrix - best) if smaller else (best - matrix)
        mean, low, high = _band(matrix)
        axes[0].plot(xs, mean, color=colour, linewidth=2, label=label)
        axes[0].fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)
        mean, low, high = _band(regret)
        floor = np.nanmax(regret) * 1e-4 if np.nanmax(regret) > 0 else 1e-9
        axes[1].plot(xs, np.maximum(mean, floor), color=colour, linewidth=2, label=label)
        axes[1].fill_between(xs, np.maximum(low, floor), np.maximum(high, floor), color=colour, alpha=0.2, linewidth=0)
    axes[0].axhline(best, color=style.GREY, linewidth=1, linestyle="--")
    axes[0].set_ylabel(style.label(str(comparison.problem.report), comparison.problem.report.direction))
    settled = min(float(np.nanmean(m[:, min(4, m.shape[1] - 1)])) for m in comparison.curves.values())
    if not smaller and settled < best:
        axes[0].set_ylim(settled, best + 0.04 * (best - settled))
    known = "the optimum" if comparison.problem.complete else "the best found by anyone"
    axes[1].set_ylabel(f"regret (distance to {known})")
    axes[1].set_yscale("log")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xlabel(comparison.unit)
    axes[0].legend(loc="lower right")
    return figure


def _band(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    known = np.maximum((~np.isnan(matrix)).sum(axis=0), 1)
    filled = np.where(np.isnan(matrix), 0.0, matrix)
    mean = filled.sum(axis=0) / known
    half = 1.96 * np.sqrt(((filled - mean) ** 2 * ~np.isnan(matrix)).sum(axis=0) / np.maximum(known - 1, 1) / known)
    return mean, mean - half, mean + half


def _front_curves(comparison: Comparison) -> Figure:
    figure, axes = style.new_figure(9.5, 4.2, 1, 2)
    for axis, name in zip(axes, ("hypervolume", "front_share")):
        for colour, (label, front) in zip(style.PALETTE * 3, comparison.fronts.items()):
            mean, low, high = _band(front[name])
            axis.plot(comparison.checkpoints, mean, color=colour, linewidth=2, marker="o", markersize=4, label=label)
            axis.fill_between(comparison.checkpoints, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.set_xscale("log")
        axis.set_xlabel(comparison.unit)
        axis.set_ylabel({"hypervolume": "hypervolume", "front_share": "share of the true front found"}[name])
    axes[0].axhline(comparison.result["optimum"]["hypervolume"], color=style.GREY, linewidth=1, linestyle="--")
    axes[1].legend(loc="upper left")
    return figure


def reached(comparison: Comparison) -> Figure | None:
    """Share of the runs that have reached the optimum, over evaluations; one objective, and a known optimum."""
    if comparison.several or not comparison.problem.complete:
        return None
    figure, axes = style.new_figure(6.4, 3.8)
    for colour, (label, counts) in zip(style.PALETTE * 3, comparison.to_optimum.items()):
        done = np.sort(counts[np.isfinite(counts)])
        xs = [1, *done, comparison.budget]
        share = [0, *(np.arange(1, len(done) + 1) / len(counts)), len(done) / len(counts)]
        axes[0].step(xs, share, where="post", color=colour, linewidth=2, label=label)
    axes[0].set_xscale("log")
    axes[0].set_ylim(0, 1.03)
    axes[0].set_xlabel(comparison.unit)
    axes[0].set_ylabel("share of runs at the optimum")
    axes[0].legend(loc="upper left")
    return figure


def ranks(comparison: Comparison) -> Figure | None:
    """Average ranks with Nemenyi's critical difference (Demsar 2006); bars join searchers that do not differ."""
    found = comparison.result["ranks"]
    if not found:
        return None
    order = sorted(found["average"].items(), key=lambda pair: pair[1])
    critical = found["critical_difference"]
    groups = _groups([rank for _, rank in order], critical)
    figure, axes = style.new_figure(8.0, 1.3 + 0.3 * len(order) + 0.14 * len(groups))
    axis = axes[0]
    half = (len(order) + 1) // 2
    for i, (label, rank) in enumerate(order):
        left = i < half
        level = -0.5 - (i if left else len(order) - 1 - i) - 0.4 * len(groups)
        end = 0.75 if left else len(order) + 0.25
        axis.plot([rank, rank, end], [0, level, level], color=style.INK, linewidth=1.2)
        axis.text(end, level, f"{label}  {rank:.2f} " if left else f" {rank:.2f}  {label}", va="center",
                  ha="right" if left else "left")  # fmt: skip
    for i, (first, last) in enumerate(groups):
        axis.plot(
            [first - 0.03, last + 0.03], [-0.3 - 0.35 * i] * 2, color=style.BLUE, linewidth=4, solid_capstyle="round"
        )
    axis.plot([1, 1 + critical], [0.8, 0.8], color=style.RED, linewidth=2, marker="|", markersize=9)
    axis.text(1 + critical / 2, 1.0, f"critical difference {critical:.2f}", ha="center", va="bottom", fontsize=9)
    _rank_axis(axis, len(order))
    return figure


def _groups(sorted_ranks: list[float], critical: float) -> list[tuple[float, float]]:
    groups: list[tuple[float, float]] = []
    for i, first in enumerate(sorted_ranks):
        last = max(r for r in sorted_ranks[i:] if r - first <= critical)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def _rank_axis(axis: Axes, count: int) -> None:
    axis.plot([1, count], [0, 0], color=style.INK, linewidth=1.2)
    for rank in range(1, count + 1):
        axis.plot([rank, rank], [0, 0.15], color=style.INK, linewidth=1.2)
        axis.text(rank, 0.2, str(rank), ha="center", va="bottom", fontsize=9, color=style.GREY)
    axis.set_xlim(0.2 - 0.1 * count, count + 0.8 + 0.1 * count)
    axis.axis("off")


FIGURES: dict[str, Callable[[Comparison], Figure | None]] = {"curves": curves, "reached": reached, "ranks": ranks}
