"""Figures of a comparison of proxies: scores against worth, how alike proxies are, what they cost; the grid's plateau."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archwright.proxies.comparing import Correlations
from archwright.proxies.correlation import best_first
from archwright.report import style

if TYPE_CHECKING:
    from archwright.proxies.grid import Grid

MOST_POINTS = 20_000
PER_ROW = 3


def scatter(found: Correlations) -> Figure:
    """A panel per proxy: worth over score, failures left out; its choice and the true best are marked."""
    count = len(found.scores)
    columns = min(PER_ROW, count)
    rows = -(-count // columns)
    figure, axes = style.new_figure(3.3 * columns, 2.9 * rows, rows, columns)
    best = int(np.argmax(found.worth if found.target.direction == "maximize" else -found.worth))
    shown = np.random.default_rng(0).permutation(len(found.worth))[:MOST_POINTS]
    for axis, (name, scores) in zip(axes, found.scores.items()):
        alive = shown[np.isfinite(scores[shown])]
        axis.scatter(
            scores[alive], found.worth[alive], s=4, alpha=0.25, color=style.BLUE, linewidths=0, rasterized=True
        )
        first = best_first(np.where(np.isfinite(scores), scores, -np.inf))[0]
        axis.scatter(scores[first], found.worth[first], s=46, marker="v", color=style.RED, label="its choice", zorder=3)
        if np.isfinite(scores[best]):
            axis.scatter(scores[best], found.worth[best], s=70, marker="*", color=style.ORANGE, label="best", zorder=3)
        axis.set_title(_short(name))
        low, high = np.quantile(scores[np.isfinite(scores)], [0.005, 1.0])
        if low < high:
            axis.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    for axis in axes[count:]:
        axis.axis("off")
    for axis in axes[::columns]:
        axis.set_ylabel(style.label(found.target.metric))
    axes[0].legend(loc="lower right")
    return figure


def likeness(found: Correlations) -> Figure | None:
    """Heat map of Spearman's rho between proxies."""
    names = [_short(n) for n in found.result["proxy_to_proxy"]["proxies"]]
    if len(names) < 2:
        return None
    matrix = np.array(found.result["proxy_to_proxy"]["spearman"])
    side = 1.8 + 0.52 * len(names)
    figure, axes = style.new_figure(side + 1.2, side)
    image = axes[0].imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
    axes[0].set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].grid(False)
    for (i, j), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 else style.INK
        axes[0].text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes[0], shrink=0.8, label="Spearman")
    return figure


def seconds(found: Correlations) -> Figure | None:
    """Mean seconds per architecture of the proxies whose time is on record."""
    known = [(_short(r["proxy"]), r["seconds"]) for r in found.result["results"] if r["seconds"] is not None]
    if not known:
        return None
    known.sort(key=lambda pair: -pair[1])
    figure, axes = style.new_figure(6.4, 1.0 + 0.32 * len(known))
    values = [value for _, value in known]
    axes[0].barh([name for name, _ in known], values, color=style.BLUE)
    if style.wants_log(values):
        axes[0].set_xscale("log")
    axes[0].set_xlabel("seconds per architecture")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 26 else name[:25] + "…"


FIGURES: dict[str, Callable[[Correlations], Figure | None]] = {
    "scatter": scatter, "likeness": likeness, "seconds": seconds,
}  # fmt: skip


def plateau(grids: Mapping[str, Grid]) -> Figure:
    """Both coefficients over the grid of weights, and over their ratio; a dot where each is largest."""
    figure, axes = style.new_figure(3.6 * len(grids), 8.6, 3, len(grids))
    for column, (name, grid) in enumerate(grids.items()):
        for row, (what, values) in enumerate((("tau-b", grid.kendall), ("rho", grid.spearman))):
            axis = axes[row * len(grids) + column]
            alpha, beta, best = grid.best("spearman" if row else "kendall")
            image = axis.pcolormesh(
                grid.betas, grid.alphas, values, vmin=best - 0.05, vmax=best, cmap="viridis", rasterized=True
            )
            axis.plot(beta, alpha, "o", color=style.RED, markersize=5)
            axis.set_title(f"{name}: {what} up to {best:.4f}")
            axis.set_xlabel("beta")
            axis.set_ylabel("alpha")
            figure.colorbar(image, ax=axis, shrink=0.85, extend="min")
        _over_ratio(axes[2 * len(grids) + column], grid)
    return figure


def _over_ratio(axis: Axes, grid: Grid) -> None:
    alphas, betas = np.meshgrid(grid.alphas, grid.betas, indexing="ij")
    inner = (alphas > 0) & (betas > 0)
    ratios = betas[inner] / alphas[inner]
    for label, values, colour in (("tau-b", grid.kendall, style.BLUE), ("rho", grid.spearman, style.ORANGE)):
        axis.scatter(ratios, values[inner], s=2, color=colour, label=label, rasterized=True)
    axis.set_xscale("log")
    axis.set_xlabel("beta / alpha")
    axis.legend(loc="center right", markerscale=4)
