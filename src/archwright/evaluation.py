"""What an architecture is worth (:class:`Evaluation`) and what the user wants (:class:`Goal`). No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archwright.errors import SettingsError

Status = Literal["ok", "failed", "infeasible"]
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Evaluation:
    """The outcome of one evaluation.

    Attributes:
        metrics: value by metric name (finite numbers only when ``status`` is ``ok``).
        status: ``ok``; ``failed`` (it broke: ``reason`` says how); ``infeasible`` (a bound does not hold).
        reason: why it failed, is infeasible, or was stopped early; empty otherwise.
        fidelity: share of the full training that was spent, 1.0 = all of it. Below what was asked for
            when training was stopped early.
        cost: what it cost in equivalent full evaluations (0 when nothing was trained).
        seconds: wall time.
        curve: one mapping of metrics per epoch, in order.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    status: Status = "ok"
    reason: str = ""
    fidelity: float = 1.0
    cost: float = 0.0
    seconds: float = 0.0
    curve: tuple[Mapping[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data, without NaN or infinity (they become ``None``)."""
        return {
            "metrics": {name: _finite(value) for name, value in self.metrics.items()},
            "status": self.status,
            "reason": self.reason,
            "fidelity": self.fidelity,
            "cost": self.cost,
            "seconds": self.seconds,
            "curve": [{name: _finite(value) for name, value in point.items()} for point in self.curve],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """The inverse of :meth:`to_json`."""
        return cls(
            metrics={name: _number(value) for name, value in data["metrics"].items()},
            status=data["status"],
            reason=data["reason"],
            fidelity=float(data["fidelity"]),
            cost=float(data["cost"]),
            seconds=float(data["seconds"]),
            curve=tuple({name: _number(value) for name, value in point.items()} for point in data["curve"]),
        )


@dataclass(frozen=True)
class Objective:
    """A metric and the direction in which it should go."""

    metric: str
    direction: Direction

    @property
    def sign(self) -> float:
        """+1 for maximisation, -1 for minimisation."""
        return 1.0 if self.direction == "maximize" else -1.0


@dataclass(frozen=True)
class Bound:
    """A constraint on a metric: ``at_most`` or ``at_least`` a limit."""

    metric: str
    kind: Literal["at_most", "at_least"]
    limit: float

    def violation(self, value: float) -> float:
        """By how much ``value`` breaks the bound, relative to the limit's size; 0 when it holds."""
        excess = value - self.limit if self.kind == "at_most" else self.limit - value
        if math.isnan(excess):
            return math.inf
        return max(0.0, excess) / max(abs(self.limit), 1e-12)

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.kind == 'at_most' else '>='} {self.limit:g}"


@dataclass(frozen=True)
class Goal:
    """What a search is after: one or more objectives, and bounds that must hold.

    Raises:
        SettingsError: no objective, or the same metric twice among the objectives.
    """

    objectives: tuple[Objective, ...]
    bounds: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        if not self.objectives:
            raise SettingsError("a search needs at least one objective, for example --maximize accuracy")
        names = [objective.metric for objective in self.objectives]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"the metric {name!r} is an objective twice; name it once")

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that an objective or a bound needs, each once."""
        wanted = [*(o.metric for o in self.objectives), *(b.metric for b in self.bounds)]
        return tuple(dict.fromkeys(wanted))

    def values(self, evaluation: Evaluation) -> tuple[float, ...]:
        """Objective values, all to be *maximised* (minimised metrics are negated); NaN where absent."""
        return tuple(o.sign * evaluation.metrics.get(o.metric, math.nan) for o in self.objectives)

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Sum of the relative violations of the bounds whose metric is in ``metrics``; 0 if all hold."""
        return sum(b.violation(metrics[b.metric]) for b in self.bounds if b.metric in metrics)

    def broken(self, metrics: Mapping[str, float]) -> list[str]:
        """The bounds that ``metrics`` breaks, in words (``params 1200000, wanted params <= 1e+06``)."""
        return [
            f"{b.metric} {metrics[b.metric]:.6g}, wanted {b}"
            for b in self.bounds
            if b.metric in metrics and b.violation(metrics[b.metric]) > 0
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data; the inverse of :meth:`from_json`."""
        return {
            "objectives": [[o.metric, o.direction] for o in self.objectives],
            "bounds": [[b.metric, b.kind, b.limit] for b in self.bounds],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Goal:
        """The inverse of :meth:`to_json`."""
        return cls(
            tuple(Objective(metric, direction) for metric, direction in data["objectives"]),
            tuple(Bound(metric, kind, float(limit)) for metric, kind, limit in data["bounds"]),
        )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
