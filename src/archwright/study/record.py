"""What a study holds, as plain values: the form that reports, exports and the command line read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.evaluation import Evaluation, Goal
from archwright.families.base import Family
from archwright.space import Architecture

if TYPE_CHECKING:
    from archwright.searchers.base import SetScore

FULL = 1.0 - 1e-9


@dataclass(frozen=True)
class Trial:
    """One stored evaluation.

    Attributes:
        number: position in the study, from 0, in the order of asking.
        architecture: what was evaluated.
        evaluation: what came out.
        seed: of initial weights, data order and augmentation.
        started, finished: Unix time in seconds.
        worker: index of the worker that ran it.
        origin: ``search``, or ``warm-start`` for an architecture that was given.
        asked, told: positions in the study's conversation, which a resumed study replays.
        fidelity: share of a full training that was asked for.
        parent: number of the trial whose weights it started from, if it inherited any.
    """

    number: int
    architecture: Architecture
    evaluation: Evaluation
    seed: int = 0
    started: float = 0.0
    finished: float = 0.0
    worker: int = 0
    origin: str = "search"
    asked: int = 0
    told: int = 0
    fidelity: float = 1.0
    parent: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether it ended well after a full training; only such trials are compared with each other."""
        return self.evaluation.status == "ok" and self.evaluation.fidelity >= FULL

    @property
    def stopped_early(self) -> bool:
        """Whether training ended before the length asked for though nothing broke."""
        return self.evaluation.status == "ok" and self.evaluation.fidelity < FULL * self.fidelity

    def to_json(self) -> dict[str, Any]:
        """The trial as ``best`` and ``pareto_front`` show it."""
        return {
            "number": self.number,
            "architecture": self.architecture.to_json(),
            **({} if self.parent is None else {"inherited_from": self.parent}),
            "metrics": self.evaluation.to_json()["metrics"],
        }


@dataclass(frozen=True)
class StudyRecord:
    """A whole study, read-only.

    Attributes:
        path: the study's folder.
        settings: JSON-able; what was asked for (``family``, ``data``, ``goal``, ``searcher``, ``seed``,
            ``training``, ``command``, ``versions``, ...).
        goal: objectives and bounds.
        family: space and builder.
        trials: finished trials in the order of finishing.
        repeats: proposals answered from the cache, at no cost.
        final: what the retraining at the end of the search gave (:mod:`archwright.study.final`), or ``None``.
        seconds: wall time of the search over all its sittings.
        remarks: what the searcher learned, a sentence each.
    """

    path: Path
    settings: Mapping[str, Any]
    goal: Goal
    family: Family
    trials: tuple[Trial, ...]
    repeats: int = 0
    final: Mapping[str, Any] | None = None
    seconds: float = 0.0
    files: tuple[str, ...] = field(default=())
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> list[Trial]:
        """Trials that ended well after their full training."""
        return [t for t in self.trials if t.is_full]

    @property
    def final_goal(self) -> Goal:
        """By which one of the fully trained candidates is chosen: the goal, but where the search trained nothing."""
        scoring = self.settings.get("evaluate")
        return Goal.from_json(scoring["goal"]) if scoring else self.goal

    @property
    def best(self) -> Trial | None:
        """The best full trial; with several objectives, the front's member nearest to its ideal point, or the one that
        the searcher takes."""
        if self._set_score is not None:
            return next(iter(self.ranked()), None)
        front = self.pareto
        return knee(front, self.goal) if front else None

    @property
    def pareto(self) -> list[Trial]:
        """Full trials that no other one dominates, one per vector of objectives, best first objective first."""
        return pareto_front(self.ok, self.goal)

    def count(self, status: str) -> int:
        """How many trials ended with ``status``."""
        return sum(t.evaluation.status == status for t in self.trials)

    @property
    def equivalents(self) -> float:
        """What was spent, in equivalent full evaluations."""
        return sum(t.evaluation.cost for t in self.trials)

    def ranked(self) -> list[Trial]:
        """Full trials, best first: by objective, or by non-dominated rank and then distance to the ideal point, or by
        the order of a searcher that has its own."""
        if self._set_score is None or not self.ok:
            return rank(self.ok, self.goal)
        trials = sorted(self.ok, key=lambda t: t.number)
        order = np.argsort(-self._set_score(-objective_matrix(trials, self.goal)), kind="stable")
        return [trials[i] for i in order]

    @property
    def _set_score(self) -> SetScore | None:
        from archwright.searchers import SEARCHERS

        kind = SEARCHERS.get(self.settings.get("searcher", {}).get("name", ""))
        return None if kind is None else kind.set_score


def objective_matrix(trials: Sequence[Trial], goal: Goal) -> np.ndarray:
    """Objective values to be *minimised*, ``trials x objectives``."""
    rows = [[-v for v in goal.values(t.evaluation)] for t in trials]
    return np.array(rows, dtype=float).reshape(len(rows), len(goal.objectives))


def pareto_front(trials: Sequence[Trial], goal: Goal) -> list[Trial]:
    """The non-dominated trials; the earliest of those that share a vector of objectives."""
    if not trials:
        return []
    from moocore import is_nondominated

    trials = sorted(trials, key=lambda t: t.number)
    keep = is_nondominated(objective_matrix(trials, goal), keep_weakly=False)
    front = [t for t, kept in zip(trials, keep) if kept]
    return sorted(front, key=lambda t: goal.values(t.evaluation)[0], reverse=True)


def knee(front: Sequence[Trial], goal: Goal, scale_of: Sequence[Trial] = ()) -> Trial:
    """The trial nearest to the ideal point, every objective scaled to [0, 1].

    The ideal point and the scale are those of ``scale_of`` and ``front`` together: what is a small difference there
    stays small among a few candidates that are close to each other.
    """
    points = objective_matrix([*front, *scale_of], goal)
    return front[int(np.argmin(_distance_to_ideal(points)[: len(front)]))]


def rank(trials: Sequence[Trial], goal: Goal) -> list[Trial]:
    """``trials``, best first; ties go to the earlier one."""
    if not trials:
        return []
    from moocore import pareto_rank

    trials = sorted(trials, key=lambda t: t.number)
    points = objective_matrix(trials, goal)
    if points.shape[1] == 1:
        order = np.argsort(points[:, 0], kind="stable")
    else:
        order = np.lexsort((_distance_to_ideal(points), pareto_rank(points)))
    return [trials[i] for i in order]


def _distance_to_ideal(points: np.ndarray) -> np.ndarray:
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    distance: np.ndarray = np.sqrt((scaled**2).sum(axis=1))
    return distance


def jsonable(value: Any) -> Any:
    """``value`` with NaN and infinities as ``None`` and tuples as lists, so that any JSON reader takes it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, Path):
        return str(value)
    return value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` so that a crash leaves the old file or the new one, never half of one."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(jsonable(value), indent=1, allow_nan=False) + "\n")
    temporary.replace(path)
