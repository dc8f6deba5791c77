"""Drawings of cells: a line per state, an arrow per kept pair, so that any number of pairs stays readable."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archwright.errors import SettingsError
from archwright.genotypes.reading import INPUTS, NONE, Cells
from archwright.report import style

FORMATS = (".svg", ".png", ".pdf")
LANE, TOP = 0.3, 1.1
"""Inches: height of an arrow's lane, and of title and names of states."""


def cells_figure(cells: Cells) -> Figure:
    """All types of cells of a genotype, one above the other; an operation has one colour in all of them.

    Vertical lines are states from left to right: the outputs of the two cells before, the nodes, the cell's output. An arrow
    leads from the state that an operation reads to the node that it enters; dashed ones carry ``none``. A dot on the last line
    says that the node is put out.
    """
    operations = {op for nodes in cells.kinds.values() for node in nodes for op, _ in node}
    colours = dict(zip(sorted(operations - {NONE}), style.PALETTE * 5))
    lanes = [sum(map(len, nodes)) + 1 for nodes in cells.kinds.values()]
    widest = max(len(nodes) for nodes in cells.kinds.values())
    figure, axes = style.new_figure(1.6 * (widest + INPUTS + 1), sum(LANE * n + TOP for n in lanes), 1, 1)
    axes[0].remove()
    grid = figure.add_gridspec(len(lanes), 1, height_ratios=[LANE * n + TOP for n in lanes])
    for row, kind in enumerate(cells.kinds):
        _draw(figure.add_subplot(grid[row, 0]), cells, kind, colours, widest)
    return figure


def _draw(axis: Axes, cells: Cells, kind: str, colours: dict[str, str], widest: int) -> None:
    nodes = cells.kinds[kind]
    names = ["cell k-2", "cell k-1", *(str(j + INPUTS) for j in range(len(nodes))), "out"]
    bottom = sum(map(len, nodes)) + 1
    for x, name in enumerate(names):
        axis.plot([x, x], [0, bottom], color=style.FAINT, linewidth=2, zorder=1, solid_capstyle="round")
        axis.text(x, -0.35, name, ha="center", va="bottom", fontweight="bold", color=style.INK)
    lane = 0.0
    for j, node in enumerate(nodes):
        for operation, source in sorted(node, key=lambda pair: pair[1]):
            lane += 1
            _arrow(axis, source, j + INPUTS, lane, operation, colours.get(operation, style.GREY))
        axis.scatter([j + INPUTS], [lane + 0.5], s=34, color=style.INK, zorder=3)
        if j + INPUTS in cells.concat[kind]:
            axis.plot([j + INPUTS, len(names) - 1], [lane + 0.5] * 2, color=style.GREY, linewidth=0.8, zorder=2)
            axis.scatter([len(names) - 1], [lane + 0.5], s=34, color=style.INK, zorder=3)
    axis.set_title(kind, pad=6)
    axis.set_xlim(-0.5, widest + INPUTS + 0.5)
    axis.set_ylim(bottom + 0.1, -1.3)
    axis.axis("off")


def _arrow(axis: Axes, source: int, node: int, lane: float, operation: str, colour: str) -> None:
    dashed = "--" if operation == NONE else "-"
    axis.annotate(
        "", (node, lane), (source, lane), zorder=4,
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "linestyle": dashed, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    axis.text(
        (source + node) / 2 - 0.04, lane, operation.replace("_", " "), ha="center", va="center", fontsize=8, zorder=5,
        color=style.INK, bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": colour},
    )  # fmt: skip


def draw_cells(cells: Cells, path: str | Path) -> Path:
    """Write a drawing; the ending of ``path`` says the format.

    Raises:
        SettingsError: another ending than svg, png or pdf, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise SettingsError(f"cells are drawn as {', '.join(FORMATS)}, not as {target.name!r}")
    with mpl.rc_context(style.RC):
        figure = cells_figure(cells)
        try:
            metadata = {"Date": None} if target.suffix.lower() == ".svg" else None
            figure.savefig(target, dpi=160, metadata=metadata)
        except OSError as error:
            raise SettingsError(f"cannot write {target}: {error.strerror}") from error
    return target
