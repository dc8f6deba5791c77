"""Goals from plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archwright.errors import SettingsError
from archwright.evaluation import Bound, Goal, Objective


def make_goal(
    objectives: str | Sequence[str] | Mapping[str, str] | Goal = "accuracy",
    *,
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    free_names: bool = False,
) -> Goal:
    """A goal from plain words.

    Args:
        objectives: metric names, each in its natural direction (``["accuracy", "latency_ms"]``), or a mapping
            of name to ``"maximize"`` or ``"minimize"``.
        at_most, at_least: bounds by metric.
        free_names: metrics of a user's own function are allowed; they need a stated direction.

    Raises:
        SettingsError: unknown metric or direction.
    """
    if isinstance(objectives, Goal):
        return objectives
    from archwright.evaluate.metrics import METRICS, check_metrics, natural_direction

    named = [objectives] if isinstance(objectives, str) else objectives
    pairs = named.items() if isinstance(named, Mapping) else [(name, None) for name in named]
    wanted = []
    for name, direction in pairs:
        if direction is None and free_names and name not in METRICS:
            raise SettingsError(
                f"{name!r} is a metric of your own: say whether more is better, {{{name!r}: 'maximize'}}"
            )
        if direction is None:
            direction = natural_direction(name)
        if direction not in ("maximize", "minimize"):
            raise SettingsError(f"objective {name!r}: the direction must be maximize or minimize, not {direction!r}")
        wanted.append(Objective(name, "maximize" if direction == "maximize" else "minimize"))
    bounds = [Bound(name, "at_most", float(limit)) for name, limit in (at_most or {}).items()]
    bounds += [Bound(name, "at_least", float(limit)) for name, limit in (at_least or {}).items()]
    goal = Goal(tuple(wanted), tuple(bounds))
    if not free_names:
        check_metrics(goal)
    return goal
