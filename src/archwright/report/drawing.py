"""Drawings of architectures: cell graphs, and the parameters of any other one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

from archwright.families.base import Family
from archwright.report import style
from archwright.space import Architecture, Genotype
from archwright.space.parameters import Choice, Integer

NOTHING = ("none", "zero")


def draw_genotype(genotype: Genotype, axis: Axes, colours: Mapping[str, str] | None = None) -> None:
    """A cell graph from left to right: nodes as circles, operations as labelled arcs; edges without signal are left out.

    Args:
        genotype: the graph.
        axis: to draw on; its frame is taken away.
        colours: by operation; chosen here when not given.
    """
    operations = sorted({op for *_, op in genotype.edges if op is not None and op not in NOTHING})
    colours = colours or dict(zip(operations, style.PALETTE * 3))
    last = genotype.nodes - 1
    for i, j, operation in genotype.edges:
        if operation in NOTHING:
            continue
        lift = 0.0 if j == i + 1 else 0.34 * (j - i) * (1 if (i + j) % 2 else -1)
        colour = style.INK if operation is None else colours.get(operation, style.GREY)
        middle = ((i + j) / 2, 2 * lift)
        curve = Curve([(i, 0.0), middle, (j, 0.0)], [Curve.MOVETO, Curve.CURVE3, Curve.CURVE3])
        axis.add_patch(
            FancyArrowPatch(
                path=curve,
                arrowstyle="-|>",
                mutation_scale=13,
                linewidth=2,
                color=colour,
                shrinkA=13,
                shrinkB=13,
                zorder=1,
            )
        )
        if operation is not None:
            axis.text((i + j) / 2, lift, operation.replace("_", " "), ha="center", va="center", fontsize=8.5, color=style.INK,
                      bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour, "linewidth": 1.2}, zorder=3)  # fmt: skip
    for node in range(genotype.nodes):
        name = "in" if node == 0 else "out" if node == last else str(node)
        inside = genotype.operations[node] if node < len(genotype.operations) else None
        axis.scatter([node], [0], s=620, color="white", edgecolors=style.INK, linewidths=1.6, zorder=4)
        axis.text(node, 0, name, ha="center", va="center", fontsize=9.5, zorder=5)
        if inside:
            axis.text(node, -0.42, inside.replace("_", " "), ha="center", va="top", fontsize=8.5, zorder=5)
    reach = max((0.34 * (j - i) for i, j, op in genotype.edges if j > i + 1 and op not in NOTHING), default=0.3)
    axis.set_xlim(-0.4, last + 0.4)
    axis.set_ylim(-reach - 0.35, reach + 0.35)
    axis.axis("off")


def architecture_figure(family: Family, architecture: Architecture) -> Figure:
    """The cells of a cell-based architecture; else a ladder with the place of each value among its alternatives."""
    if family.genotypes is not None:
        graphs = family.genotypes(architecture)
        figure, axes = style.new_figure(8.0, 3.4 * len(graphs), len(graphs), 1)
        for axis, (name, graph) in zip(axes, graphs.items()):
            draw_genotype(graph, axis)
            axis.set_title(name)
        return figure
    return _ladder(family, architecture)


def _ladder(family: Family, architecture: Architecture) -> Figure:
    shown = [name for name in family.space.names if name in architecture]
    figure, axes = style.new_figure(8.0, 0.5 + 0.42 * len(shown))
    axis = axes[0]
    for row, name in enumerate(reversed(shown)):
        parameter = family.space.parameters[name]
        options = [architecture[name]]
        if isinstance(parameter, (Choice, Integer)) and parameter.count <= 9:
            options = list(parameter.values)
        for column, option in enumerate(options):
            chosen = option == architecture[name]
            box = FancyBboxPatch(
                (column + 0.05, row - 0.32), 0.9, 0.64, boxstyle="round,pad=0,rounding_size=0.12",
                facecolor=style.BLUE if chosen else "#f3f5f7", edgecolor="none",
            )  # fmt: skip
            axis.add_patch(box)
            text = f"{option:.4g}" if isinstance(option, float) else str(option)
            axis.text(
                column + 0.5, row, text if len(text) <= 12 else text[:11] + "…", ha="center", va="center", fontsize=8.5,
                color="white" if chosen else style.GREY, fontweight="bold" if chosen else "normal",
            )  # fmt: skip
    axis.set_yticks(range(len(shown)), list(reversed(shown)))
    axis.tick_params(length=0)
    axis.set_xlim(0, 9)
    axis.set_ylim(-0.6, len(shown) - 0.4)
    axis.set_xticks([])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return figure


def draw_architecture(family: Family, architecture: Architecture, path: Path) -> Path:
    """Write a drawing of an architecture; the ending of ``path`` says the format (png, svg, pdf)."""
    import matplotlib as mpl

    with mpl.rc_context(style.RC):
        architecture_figure(family, architecture).savefig(path, dpi=160)
    return path
