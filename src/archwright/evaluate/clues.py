"""Clues about architectures from their untrained networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluate.metrics import METRICS
from archwright.evaluate.untrained import SKIP
from archwright.evaluation import Goal, Objective
from archwright.space import Architecture, mean_skip

if TYPE_CHECKING:
    from archwright.evaluate.network import NetworkEvaluator
    from archwright.proxies.many import ScoreLog, Scoring

FILE = "clues.jsonl"
COSTS = tuple(name for name, metric in METRICS.items() if metric.needs != "training")
"""What a network costs is a clue too; those that are proxies as well (``params``, ``flops``) are taken as such."""


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

    Raises:
        SettingsError: ``skip`` where there is no cell, or a number below 1.
    """

    networks: NetworkEvaluator
    names: tuple[str, ...]
    batch: int = 64
    seed: int = 0
    path: Path | None = None
    on_done: Callable[[int], None] | None = None
    _log: ScoreLog = field(init=False, repr=False, compare=False)
    _scoring: Scoring = field(init=False, repr=False, compare=False)
    _costs: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise SettingsError(f"the batch must be at least 1, not {self.batch}")
        plain = [name.removeprefix("-") for name in self.names]
        if SKIP in plain and not self.networks.family.space.cells:
            raise SettingsError(
                f"skip is a metric of cell graphs, and the family {self.networks.family.name!r} has none; leave it out"
            )
        from archwright.proxies import PROXIES
        from archwright.proxies.many import ScoreLog, Scoring, header_of

        named = [name for name in dict.fromkeys(plain) if name != SKIP]
        scored = tuple(name for name in named if name in PROXIES)
        self._costs = tuple(name for name in named if name not in PROXIES)
        self._scoring = Scoring(self.networks, scored, self.batch, self.seed)
        self._log = ScoreLog(self.path, header_of(self.networks, (*scored, *self._costs), self.batch, self.seed))

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """``n x names``."""
        return np.array([self._of(a) for a in architectures]).reshape(len(architectures), len(self.names))

    def _of(self, architecture: Architecture) -> list[float]:
        scores = self._scores(architecture) if self._scoring.names or self._costs else {}
        found = {name: _sign(name) * value for name, value in scores.items()}
        space = self.networks.family.space
        if space.cells:
            found[SKIP] = float(mean_skip(space, space.codes([architecture]))[0])
        return [(-1 if name.startswith("-") else 1) * found[name.removeprefix("-")] for name in self.names]

    def _scores(self, architecture: Architecture) -> Mapping[str, float]:
        from archwright.proxies.many import row_of

        key = self.networks.family.key(architecture)
        if key not in self._log.rows:
            row = row_of(architecture, self._scoring(architecture), self._scoring.names) if self._scoring.names else {}
            scored: Mapping[str, float] = row.get("scores", {})
            both = {**row, "architecture": architecture.to_json(), "scores": {**scored, **self._measured(architecture)}}
            self._log.add(key, both)
            if self.on_done is not None:
                self.on_done(len(self._log.rows))
        scores: Mapping[str, float] = self._log.rows[key]["scores"]
        return scores

    def _measured(self, architecture: Architecture) -> dict[str, float]:
        if not self._costs:
            return {}
        goal = Goal(tuple(Objective(name, METRICS[name].direction) for name in self._costs))
        measured = replace(self.networks, goal=goal).cheap_metrics(architecture)
        return {name: measured.get(name, math.nan) for name in self._costs}


def _sign(name: str) -> int:
    from archwright.proxies import PROXIES

    if name in PROXIES:
        return PROXIES[name].sign
    return 1 if METRICS[name].direction == "maximize" else -1
