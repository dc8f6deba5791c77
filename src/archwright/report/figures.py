"""The figures of a report. Each takes a :class:`~archwright.study.record.StudyRecord`; ``None`` means nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archwright.evaluation import Objective
from archwright.report import style
from archwright.study.record import StudyRecord, Trial, objective_matrix, pareto_front

MOST_CURVES = 200


def progress(record: StudyRecord) -> Figure | None:
    """Best so far (or hypervolume, with several objectives) over evaluations and over time."""
    paid = [t for t in record.trials if t.evaluation.status != "infeasible" or t.evaluation.cost > 0]
    usable = [t for t in paid if t.is_full]
    if not usable:
        return None
    several = len(record.goal.objectives) > 1
    values, name = _hypervolumes(record, paid) if several else _best_so_far(record, paid)
    figure, axes = style.new_figure(9.5, 3.4, 1, 2)
    begun = min(t.started for t in paid)
    minutes = [(t.finished - begun) / 60 for t in paid]
    for axis, xs, title in ((axes[0], list(range(1, len(paid) + 1)), "evaluations"), (axes[1], minutes, "minutes")):
        axis.step(xs, values, where="post", color=style.BLUE, linewidth=2.2, label=name)
        if not several:
            _trial_dots(axis, xs, paid, record.goal.objectives[0])
        axis.set_xlabel(title)
    objective = record.goal.objectives[0]
    axes[0].set_ylabel(name if several else style.label(objective.metric, objective.direction))
    axes[0].legend(loc="best")
    return figure


def _best_so_far(record: StudyRecord, paid: Sequence[Trial]) -> tuple[list[float], str]:
    sign = record.goal.objectives[0].sign
    best, values = -np.inf, []
    for trial in paid:
        if trial.is_full:
            best = max(best, record.goal.values(trial.evaluation)[0])
        values.append(sign * best if np.isfinite(best) else np.nan)
    return values, "best so far"


def _hypervolumes(record: StudyRecord, paid: Sequence[Trial]) -> tuple[list[float], str]:
    """Objectives scaled to [0, 1] over all that was seen; the reference point is the worst corner."""
    from moocore import Hypervolume

    ok = [t for t in paid if t.is_full]
    points = objective_matrix(ok, record.goal)
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = dict(zip((t.number for t in ok), (points - low) / np.where(high > low, high - low, 1.0)))
    measure = Hypervolume(ref=np.full(points.shape[1], 1.0 + 1e-9))
    seen: list[Any] = []
    values = []
    volume = 0.0
    for trial in paid:
        if trial.number in scaled:
            seen = [p for p in seen if not (scaled[trial.number] <= p).all()] + [scaled[trial.number]]
            volume = float(measure(np.array(seen)))
        values.append(volume)
    return values, "hypervolume, 0 to 1"


def _trial_dots(axis: Axes, xs: Sequence[float], paid: Sequence[Trial], objective: Objective) -> None:
    kinds: dict[str, tuple[list[float], list[float]]] = {
        "evaluation": ([], []), "stopped early": ([], []), "short training": ([], [])
    }  # fmt: skip
    failed = []
    for x, trial in zip(xs, paid):
        value = trial.evaluation.metrics.get(objective.metric)
        if trial.evaluation.status == "failed" or value is None:
            failed.append(x)
        else:
            name = "stopped early" if trial.stopped_early else "evaluation" if trial.is_full else "short training"
            kind = kinds[name]
            kind[0].append(x)
            kind[1].append(value)
    axis.scatter(*kinds["evaluation"], s=16, color=style.GREY, alpha=0.65, linewidths=0, label="evaluation")
    for name, marker, color in (("stopped early", "v", style.ORANGE), ("short training", ".", style.ORANGE)):
        if kinds[name][0]:
            axis.scatter(*kinds[name], s=18, marker=marker, color=color, alpha=0.8, linewidths=0, label=name)
    if failed:
        floor = axis.get_ylim()[0]
        axis.scatter(failed, [floor] * len(failed), s=24, marker="x", color=style.RED, label="failed", clip_on=False)


def trade_off(record: StudyRecord) -> Figure | None:
    """Objectives against each other with the front; with one objective, against the number of parameters."""
    objectives = [(o.metric, o.direction) for o in record.goal.objectives]
    if len(objectives) == 1:
        if objectives[0][0] == "params":
            return None
        objectives.append(("params", "minimize"))
    pairs = list(combinations(objectives, 2))
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    shown = [t for t in record.ok if all(m in t.evaluation.metrics for m, _ in objectives)]
    if not shown:
        return None
    figure, axes = style.new_figure(6.8 if columns == 1 else 4.6 * columns, 4.2 * rows, rows, columns)
    for axis, (second, first) in zip(axes, pairs):
        _scatter(axis, record, shown, first, second)
    for axis in axes[len(pairs) :]:
        axis.set_visible(False)
    axes[0].legend(loc="best")
    return figure


def _scatter(
    axis: Axes, record: StudyRecord, trials: Sequence[Trial], first: tuple[str, str], second: tuple[str, str]
) -> None:
    def places(chosen: Sequence[Trial]) -> tuple[list[float], list[float]]:
        return [t.evaluation.metrics[first[0]] for t in chosen], [t.evaluation.metrics[second[0]] for t in chosen]

    xs, ys = places(trials)
    if style.wants_log(xs):
        axis.set_xscale("log")
    if style.wants_log(ys):
        axis.set_yscale("log")
    axis.scatter(xs, ys, s=26, color=style.SKY, alpha=0.7, linewidths=0, label="evaluation")
    if len(record.goal.objectives) > 1:
        front = sorted(pareto_front(trials, record.goal), key=lambda t: t.evaluation.metrics[first[0]])
        fx, fy = places(front)
        kind: dict[str, Any] = (
            {"drawstyle": "steps-post"} if len(record.goal.objectives) == 2 else {"linestyle": "none"}
        )
        axis.plot(fx, fy, color=style.BLUE, marker="o", markersize=6, linewidth=1.6, label="Pareto front", **kind)
    final = record.final
    if final is not None:
        candidates = [c for c in final["candidates"] if first[0] in c["validation"] and second[0] in c["validation"]]
        axis.scatter(
            [c["validation"][first[0]] for c in candidates], [c["validation"][second[0]] for c in candidates],
            s=85, marker="*", color=style.RED, zorder=5, label="trained in full",
        )  # fmt: skip
        for kind_, marker, colour in (("default", "D", style.GREEN), ("random", "s", style.ORANGE)):
            found = [b["validation"] for b in final["baselines"] if b["kind"] == kind_]
            found = [v for v in found if first[0] in v and second[0] in v]
            if found:
                axis.scatter(
                    [v[first[0]] for v in found], [v[second[0]] for v in found],
                    s=46, marker=marker, facecolors="none", edgecolors=colour, linewidths=1.8, zorder=4, label=f"{kind_}, in full",
                )  # fmt: skip
    axis.set_xlabel(style.label(*first))
    axis.set_ylabel(style.label(*second))


def curves(record: StudyRecord) -> Figure | None:
    """Validation metric by epoch: all trials faint, the best three in colour; the retrained ones beside them."""
    metric = _curve_metric(record)
    if metric is None:
        return None
    final = [c for c in (record.final or {}).get("candidates", []) if any(metric in p for p in c["curve"])]
    figure, axes = style.new_figure(9.5 if final else 6.0, 3.4, 1, 2 if final else 1)
    trials = [t for t in record.trials if t.evaluation.curve]
    step = max(1, len(trials) // MOST_CURVES)
    for trial in trials[::step]:
        _line(axes[0], trial.evaluation.curve, metric, color=style.FAINT, linewidth=0.9)
    for trial, colour in zip(record.ranked()[:3], style.PALETTE):
        _line(axes[0], trial.evaluation.curve, metric, color=colour, linewidth=2, label=f"trial {trial.number}")
    axes[0].set_title("in the search")
    axes[0].set_ylabel("validation " + style.label(metric))
    if final:
        for candidate, colour in zip(final, style.PALETTE):
            _line(axes[1], candidate["curve"], metric, color=colour, linewidth=2, label=f"trial {candidate['number']}")
        axes[1].set_title("trained in full")
        axes[1].legend(loc="best")
    for axis in axes:
        axis.set_xlabel("epoch")
        _zoom(axis)
    if record.ranked():
        axes[0].legend(loc="best")
    return figure


def _zoom(axis: Axes) -> None:
    """Leave out the lowest and highest twentieth of the points, where first epochs would flatten all that follows."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axis.lines] or [np.zeros(0)])
    ends = [float(np.asarray(line.get_ydata(), dtype=float)[-1]) for line in axis.lines]
    if len(values) > 20:
        low, high = min(np.percentile(values, 5), *ends), max(np.percentile(values, 95), *ends)
        margin = 0.06 * (high - low) or 0.01
        axis.set_ylim(low - margin, high + margin)


def _curve_metric(record: StudyRecord) -> str | None:
    seen = {name for t in record.trials for point in t.evaluation.curve for name in point}
    for name in [*(o.metric for o in record.goal.objectives), "accuracy", "loss", *sorted(seen)]:
        if name in seen and name not in ("params", "macs", "flops"):
            return name
    return None


def _line(axis: Axes, curve: Sequence[Mapping[str, float | None]], metric: str, **look: Any) -> None:
    points = [(i, p[metric]) for i, p in enumerate(curve, start=1) if p.get(metric) is not None]
    if points:
        look.setdefault("marker", "o" if len(points) == 1 else None)
        look.setdefault("markersize", 3)
        axis.plot([i for i, _ in points], [v for _, v in points], **look)  # type: ignore[arg-type]


def costs(record: StudyRecord) -> Figure | None:
    """How long evaluations took."""
    seconds = [t.evaluation.seconds for t in record.trials if t.evaluation.seconds > 0]
    if len(seconds) < 2:
        return None
    figure, axes = style.new_figure(6.0, 2.4)
    axes[0].hist(seconds, bins=min(30, max(5, len(seconds) // 3)), color=style.SKY, edgecolor="white")
    axes[0].axvline(
        float(np.median(seconds)), color=style.BLUE, linewidth=1.8, label=f"median {np.median(seconds):.2g} s"
    )
    axes[0].set_xlabel("seconds for one evaluation")
    axes[0].set_ylabel("evaluations")
    axes[0].legend()
    return figure
