"""Clues about architectures from their untrained networks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluate.metrics import METRICS
from archwright.evaluate.untrained import SKIP
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.space import Architecture, mean_skip

if TYPE_CHECKING:
    from archwright.evaluate.network import NetworkEvaluator
    from archwright.proxies.many import ScoreLog, Scoring

FILE = "clues.jsonl"
COSTS = tuple(name for name, metric in METRICS.items() if metric.needs != "training")
"""What a network costs is a clue too; those that are proxies as well (``params``, ``flops``) are taken as such."""

TIMED = ("latency_ms", "throughput")
"""Costs that are measured with a clock."""


def check_clues(names: Iterable[str]) -> tuple[str, ...]:
    """Names of clues: of proxies, of costs (:data:`COSTS`) or ``skip``; ``-NAME`` turns one round.

    Raises:
        SettingsError: an unknown name, one twice, or none.
    """
    from archwright.proxies import PROXIES

    found = tuple(name.strip() for name in names if name.strip())
    if not found:
        raise SettingsError("name at least one clue, such as nwot")
    for name in found:
        plain = name.removeprefix("-")
        if plain != SKIP and plain not in PROXIES and plain not in COSTS:
            raise SettingsError(unknown("clue", plain, [*PROXIES, *COSTS, SKIP]))
        if found.count(name) > 1:
            raise SettingsError(f"the clue {name!r} is named twice")
    return found


@dataclass
class NetworkClues:
    """Proxies and costs of untrained networks as :class:`~archwright.searchers.Clues`.

    All networks are scored on the same training examples, from initial weights of the same seed. What cannot be scored is
    NaN. More is better: proxies and costs of which less is are turned round, and so is ``-NAME``.

    Attributes:
        networks: builds networks.
        names: see :func:`check_clues`.
        batch: training examples.
        seed: of the examples and the initial weights.
        path: file that keeps scores (:class:`~archwright.proxies.many.ScoreLog`), so that a continued study has them.
        on_done: called with the number of networks scored so far.
        workers: processes that score; 0 scores in this one. What is timed is timed in this one, one network after the other,
            since neighbours would disturb it, and kept in a file of its own beside ``path``.

    Raises:
        SettingsError: ``skip`` where there is no cell, or a number below 1.
    """

    networks: NetworkEvaluator
    names: tuple[str, ...]
    batch: int = 64
    seed: int = 0
    path: Path | None = None
    on_done: Callable[[int], None] | None = None
    workers: int = 0
    _log: ScoreLog = field(init=False, repr=False, compare=False)
    _timed_log: ScoreLog = field(init=False, repr=False, compare=False)
    _profiling: Profiling = field(init=False, repr=False, compare=False)
    _timed: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.workers < 0:
            raise SettingsError(
                f"the batch must be at least 1 and workers 0 or more, not {self.batch} and {self.workers}"
            )
        plain = [name.removeprefix("-") for name in self.names]
        if SKIP in plain and not self.networks.family.space.cells:
            raise SettingsError(
                f"skip is a metric of cell graphs, and the family {self.networks.family.name!r} has none; leave it out"
            )
        from archwright.proxies import PROXIES
        from archwright.proxies.many import ScoreLog, Scoring, header_of

        named = [name for name in dict.fromkeys(plain) if name != SKIP]
        scored = tuple(name for name in named if name in PROXIES)
        costs = tuple(name for name in named if name not in PROXIES)
        self._timed = tuple(name for name in costs if name in TIMED)
        untimed = tuple(name for name in costs if name not in TIMED)
        self._profiling = Profiling(Scoring(self.networks, scored, self.batch, self.seed), untimed)
        self._log = ScoreLog(self.path, header_of(self.networks, (*scored, *untimed), self.batch, self.seed))
        beside = None if self.path is None else self.path.with_suffix(f".timed{self.path.suffix}")
        self._timed_log = ScoreLog(beside, header_of(self.networks, self._timed, self.batch, self.seed))

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """``n x names``."""
        keyed = {self.networks.family.key(a): a for a in architectures}
        if self._profiling.names:
            self._score({key: a for key, a in keyed.items() if key not in self._log.rows})
        if self._timed:
            self._time({key: a for key, a in keyed.items() if key not in self._timed_log.rows})
        return np.array([self._of(a) for a in architectures]).reshape(len(architectures), len(self.names))

    def _of(self, architecture: Architecture) -> list[float]:
        key = self.networks.family.key(architecture)
        rows = [log.rows[key]["scores"] for log in (self._log, self._timed_log) if key in log.rows]
        found = {name: _sign(name) * value for row in rows for name, value in row.items()}
        space = self.networks.family.space
        if space.cells:
            found[SKIP] = float(mean_skip(space, space.codes([architecture]))[0])
        return [(-1 if name.startswith("-") else 1) * found[name.removeprefix("-")] for name in self.names]

    def _score(self, wanted: Mapping[str, Architecture]) -> None:
        from archwright.proxies.many import row_of, scored
        from archwright.study.executors import Workers

        executor = Workers(self.workers if len(wanted) > 1 else 0).executor(self._profiling)
        try:
            for key, evaluation in scored(executor, wanted):
                self._keep(self._log, key, row_of(wanted[key], evaluation, self._profiling.names))
        finally:
            executor.shutdown()

    def _time(self, wanted: Mapping[str, Architecture]) -> None:
        for key, architecture in wanted.items():
            scores = _costs(self.networks, architecture, self._timed)
            self._keep(self._timed_log, key, {"architecture": architecture.to_json(), "scores": scores})

    def _keep(self, log: ScoreLog, key: str, row: dict[str, Any]) -> None:
        log.add(key, row)
        if self.on_done is not None:
            self.on_done(len(log.rows))


@dataclass
class Profiling:
    """An evaluator whose metrics are scores and costs, as :class:`~archwright.proxies.many.Scoring` gives them."""

    scoring: Scoring
    costs: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the metrics."""
        return (*self.scoring.names, *self.costs)

    def __call__(self, architecture: Architecture, **how: Any) -> Evaluation:
        evaluation = self.scoring(architecture, **how)
        if not self.costs or evaluation.status != "ok":
            return evaluation
        started = time.perf_counter()
        found = _costs(self.scoring.networks, architecture, self.costs)
        spent = time.perf_counter() - started
        seconds = {f"seconds {name}": spent for name in self.costs}
        return replace(
            evaluation, metrics={**evaluation.metrics, **found, **seconds}, seconds=evaluation.seconds + spent
        )


def _costs(networks: NetworkEvaluator, architecture: Architecture, names: tuple[str, ...]) -> dict[str, float]:
    """NaN where the network cannot be built."""
    goal = Goal(tuple(Objective(name, METRICS[name].direction) for name in names))
    measured = replace(networks, goal=goal).cheap_metrics(architecture)
    return {name: measured.get(name, math.nan) for name in names}


def _sign(name: str) -> int:
    from archwright.proxies import PROXIES

    if name in PROXIES:
        return PROXIES[name].sign
    return 1 if METRICS[name].direction == "maximize" else -1
