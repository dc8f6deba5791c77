"""Which parameters mattered: a random forest fitted to the trials, and what shuffling a parameter does to it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from archwright.report import style
from archwright.study.record import StudyRecord

FEWEST = 12


@dataclass(frozen=True)
class Importance:
    """Share of each parameter in the forest's predictions, most important first, and the forest's out-of-bag R2."""

    names: tuple[str, ...]
    shares: tuple[float, ...]
    spread: tuple[float, ...]
    r2: float
    metric: str
    trials: int


def importance(record: StudyRecord) -> Importance | None:
    """Permutation importance for the first objective; ``None`` with fewer than 12 full trials or nothing to explain."""
    trials = record.ok
    objective = record.goal.objectives[0]
    y = np.array([t.evaluation.metrics[objective.metric] for t in trials])
    if len(trials) < FEWEST or np.ptp(y) == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    space = record.family.space
    x = space.encode([t.architecture for t in trials], "ordinal")
    forest = RandomForestRegressor(200, oob_score=True, min_samples_leaf=2, random_state=0).fit(x, y)
    found = permutation_importance(forest, x, y, n_repeats=10, random_state=0)
    means = np.maximum(found.importances_mean, 0.0)
    total = means.sum() or 1.0
    order = np.argsort(-means)
    return Importance(
        tuple(space.names[i] for i in order),
        tuple((means[order] / total).tolist()),
        tuple((found.importances_std[order] / total).tolist()),
        float(forest.oob_score_),
        objective.metric,
        len(trials),
    )


def importance_figure(found: Importance, most: int = 12) -> Figure:
    """Bars, most important at the top."""
    names, shares, spread = found.names[:most], found.shares[:most], found.spread[:most]
    figure, axes = style.new_figure(6.4, 0.9 + 0.3 * len(names))
    places = np.arange(len(names))[::-1]
    axes[0].barh(
        places, shares, xerr=spread, color=style.BLUE, height=0.62, error_kw={"ecolor": style.GREY, "linewidth": 1}
    )
    axes[0].set_yticks(places, names)
    axes[0].set_xlabel(f"share of the explained {found.metric.replace('_', ' ')}")
    axes[0].set_xlim(left=0)
    axes[0].grid(axis="y", visible=False)
    return figure


def effects_figure(record: StudyRecord, found: Importance, most: int = 4) -> Figure:
    """For the most important parameters: the trials' values of the objective at each of their values."""
    names = found.names[: min(most, len(found.names))]
    figure, axes = style.new_figure(2.6 * len(names) + 0.6, 2.8, 1, len(names))
    for axis, name in zip(axes, names):
        groups: dict[object, list[float]] = defaultdict(list)
        for trial in record.ok:
            groups[trial.architecture.get(name, "(none)")].append(trial.evaluation.metrics[found.metric])
        values = sorted(groups, key=lambda v: (isinstance(v, str), v if not isinstance(v, str) else 0, str(v)))
        if len(values) > 12:
            axis.scatter(
                [float(str(v)) for v in values for _ in groups[v]],
                [y for v in values for y in groups[v]],
                s=10,
                color=style.SKY,
            )
        else:
            for i, value in enumerate(values):
                ys = groups[value]
                axis.scatter(
                    np.linspace(i - 0.16, i + 0.16, len(ys)), ys, s=9, color=style.SKY, alpha=0.6, linewidths=0
                )
                axis.hlines(float(np.mean(ys)), i - 0.28, i + 0.28, color=style.BLUE, linewidth=2.2)
            texts = [str(v) for v in values]
            tilt = sum(map(len, texts)) > 22
            axis.set_xticks(
                range(len(values)), texts, rotation=35 if tilt else 0, ha="right" if tilt else "center", fontsize=8
            )
        axis.set_title(name)
    axes[0].set_ylabel(style.label(found.metric))
    return figure
