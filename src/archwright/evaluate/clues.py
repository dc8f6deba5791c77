"""Clues about architectures from their untrained networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluate.untrained import SKIP
from archwright.space import Architecture, mean_skip

if TYPE_CHECKING:
    from archwright.evaluate.network import NetworkEvaluator
    from archwright.proxies.many import ScoreLog, Scoring

FILE = "clues.jsonl"


def check_clues(names: Iterable[str]) -> tuple[str, ...]:
    """Names of clues: of proxies (``params`` and ``flops`` among them) or ``skip``; ``-NAME`` turns one round.

    Raises:
        SettingsError: an unknown name, one twice, or none.
    """
    from archwright.proxies import PROXIES

    found = tuple(name.strip() for name in names if name.strip())
    if not found:
        raise SettingsError("name at least one clue, such as nwot")
    for name in found:
        plain = name.removeprefix("-")
        if plain != SKIP and plain not in PROXIES:
            raise SettingsError(unknown("clue", plain, [*PROXIES, SKIP]))
        if found.count(name) > 1:
            raise SettingsError(f"the clue {name!r} is named twice")
    return found


@dataclass
class NetworkClues:
    """Proxies of untrained networks as :class:`~archwright.searchers.Clues`.

    All networks are scored on the same training examples, from initial weights of the same seed. What cannot be scored is
    NaN. More is better: proxies of which less is are turned round, and so is ``-NAME``.

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

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise SettingsError(f"the batch must be at least 1, not {self.batch}")
        plain = [name.removeprefix("-") for name in self.names]
        if SKIP in plain and not self.networks.family.space.cells:
            raise SettingsError(
                f"skip is a metric of cell graphs, and the family {self.networks.family.name!r} has none; leave it out"
            )
        from archwright.proxies.many import ScoreLog, Scoring, header_of

        scored = tuple(name for name in dict.fromkeys(plain) if name != SKIP)
        self._scoring = Scoring(self.networks, scored, self.batch, self.seed)
        self._log = ScoreLog(self.path, header_of(self.networks, scored, self.batch, self.seed))

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """``n x names``."""
        return np.array([self._of(a) for a in architectures]).reshape(len(architectures), len(self.names))

    def _of(self, architecture: Architecture) -> list[float]:
        from archwright.proxies import PROXIES

        scores = self._scores(architecture) if self._scoring.names else {}
        found = {name: PROXIES[name].sign * value for name, value in scores.items()}
        space = self.networks.family.space
        if space.cells:
            found[SKIP] = float(mean_skip(space, space.codes([architecture]))[0])
        return [(-1 if name.startswith("-") else 1) * found[name.removeprefix("-")] for name in self.names]

    def _scores(self, architecture: Architecture) -> Mapping[str, float]:
        from archwright.proxies.many import row_of

        key = self.networks.family.key(architecture)
        if key not in self._log.rows:
            self._log.add(key, row_of(architecture, self._scoring(architecture), self._scoring.names))
            if self.on_done is not None:
                self.on_done(len(self._log.rows))
        scores: Mapping[str, float] = self._log.rows[key]["scores"]
        return scores
