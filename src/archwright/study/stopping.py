"""When to stop: the whole search (:class:`Budget`) and one bad trial (:class:`EarlyStopping`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.study.record import Trial


@dataclass(frozen=True)
class Budget:
    """What a search may spend, counted over all its sittings. The first limit that is reached ends it.

    Attributes:
        evaluations: trainings, failed ones included; infeasible candidates and repeats cost nothing.
        equivalents: full trainings; one that was stopped half-way counts one half.
        seconds: wall time; what runs when it is over is finished.

    Raises:
        SettingsError: no limit at all, or one that is not positive.
    """

    evaluations: int | None = None
    equivalents: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        limits = {"evaluations": self.evaluations, "full equivalents": self.equivalents, "seconds": self.seconds}
        if all(limit is None for limit in limits.values()):
            raise SettingsError("a search needs a budget: evaluations, full equivalents or seconds")
        for name, limit in limits.items():
            if limit is not None and not limit > 0:
                raise SettingsError(f"the budget in {name} must be positive, not {limit:g}")

    def allows(self, trials: Sequence[Trial], running: Sequence[float], seconds: float, cost: float = 1.0) -> bool:
        """Whether one more evaluation of a ``cost`` may start beside those ``running``, given by their costs."""
        paid = sum(t.evaluation.status != "infeasible" or t.evaluation.cost > 0 for t in trials)
        spent = sum(t.evaluation.cost for t in trials) + sum(running)
        return (
            (self.evaluations is None or paid + len(running) < self.evaluations)
            and (self.equivalents is None or spent + cost <= self.equivalents + 1e-9)
            and (self.seconds is None or seconds < self.seconds)
        )


class EarlyStopping:
    """Stops a trial that is among the worse half at equal epochs (the median rule, Golovin et al. 2017).

    The objectives after epoch ``e`` are ranked among those that the finished trials had after epoch ``e``: by value
    if there is one objective, by non-dominated rank if there are several. Metrics that do not change while training
    (parameters, latency) stand for themselves.

    Args:
        goal: what is ranked.
        epochs: of a full training.
        warm_up: share of the epochs before which nothing is stopped.
        after: finished trials that must be there to compare with.
    """

    def __init__(self, goal: Goal, epochs: int, *, warm_up: float = 0.25, after: int = 5) -> None:
        self._goal = goal
        self._first = max(1, round(warm_up * epochs))
        self._epochs = epochs
        self._after = after

    def goes_on(self, epoch: int, metrics: Mapping[str, float], finished: Sequence[Trial]) -> bool:
        """Whether the trial with ``metrics`` after ``epoch`` (from 1) deserves another epoch."""
        if epoch < self._first or epoch >= self._epochs:
            return True
        others = [self._point(t, epoch) for t in finished if t.evaluation.status == "ok"]
        points = np.array([p for p in others if p is not None], dtype=float)
        mine = self._values(metrics)
        if len(points) < self._after or mine is None:
            return True
        from moocore import pareto_rank

        everyone = np.vstack([points, mine])
        ranks = pareto_rank(everyone) if everyone.shape[1] > 1 else everyone[:, 0]
        return bool(ranks[-1] <= np.median(ranks[:-1]))

    def _point(self, trial: Trial, epoch: int) -> list[float] | None:
        curve = trial.evaluation.curve
        if len(curve) < epoch:
            return None
        return self._values({**trial.evaluation.metrics, **curve[epoch - 1]})

    def _values(self, metrics: Mapping[str, float]) -> list[float] | None:
        """To be minimised; ``None`` when a metric is not known at this point."""
        values = [-o.sign * metrics.get(o.metric, np.nan) for o in self._goal.objectives]
        return values if np.isfinite(values).all() else None
