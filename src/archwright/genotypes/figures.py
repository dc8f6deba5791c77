"""Figures of compared genotypes: operations and depths per network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archwright.report import style


def frequencies(compared: Sequence[Mapping[str, Any]]) -> Figure:
    """Bars: mean count of each operation (left) and of each depth (right) per network; lines: standard deviation."""
    operations = len(compared[0]["operations"])
    figure, axes = style.new_figure(8.0, 2.6 + max(2.4, 0.12 * operations * (len(compared) + 1)), 1, 2)
    _bars(axes[0], compared, "operations", "per network")
    _bars(axes[1], compared, "depths", "cells per network")
    axes[1].set_title("depth of cells")
    axes[0].set_title("operations")
    axes[1].legend(loc="best")
    return figure


def _bars(axis: Axes, compared: Sequence[Mapping[str, Any]], what: str, unit: str) -> None:
    keys = list(compared[0][what])
    thick = 0.8 / len(compared)
    for i, group in enumerate(compared):
        means = [group[what][key]["mean"] for key in keys]
        errors = [group[what][key]["std"] or 0.0 for key in keys]
        places = np.arange(len(keys)) + (i - (len(compared) - 1) / 2) * thick
        axis.barh(
            places, means, thick, xerr=errors if any(errors) else None, label=group["name"],
            color=style.PALETTE[i % len(style.PALETTE)], error_kw={"ecolor": style.GREY, "elinewidth": 1},
        )  # fmt: skip
    axis.set_yticks(range(len(keys)), [str(key).replace("_", " ") for key in keys])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(unit)
