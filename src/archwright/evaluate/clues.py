"""Clues about architectures from their untrained networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import derived_seed
from archwright.evaluate.untrained import SKIP, examples
from archwright.space import Architecture, mean_skip

if TYPE_CHECKING:
    from torch import Tensor

    from archwright.evaluate.network import NetworkEvaluator

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
        path: file that keeps them, a line of JSON per architecture, so that a study that is continued does not score again.
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
    _known: dict[str, list[float]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _given: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise SettingsError(f"the batch must be at least 1, not {self.batch}")
        plain = [name.removeprefix("-") for name in self.names]
        if SKIP in plain and not self.networks.family.space.cells:
            raise SettingsError(
                f"skip is a metric of cell graphs, and the family {self.networks.family.name!r} has none; leave it out"
            )
        if self.path is not None:
            self._known = dict(_stored(self.path, len(self.names)))

    def __call__(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """``n x names``."""
        return np.array([self._of(a) for a in architectures]).reshape(len(architectures), len(self.names))

    def _of(self, architecture: Architecture) -> list[float]:
        key = self.networks.family.key(architecture)
        if key not in self._known:
            self._known[key] = self._measured(architecture)
            self._keep(key)
            if self.on_done is not None:
                self.on_done(len(self._known))
        return self._known[key]

    def _measured(self, architecture: Architecture) -> list[float]:
        from archwright.proxies import PROXIES, score

        plain = [name.removeprefix("-") for name in self.names]
        found = dict.fromkeys(plain, float("nan"))
        if SKIP in plain:
            space = self.networks.family.space
            found[SKIP] = float(mean_skip(space, space.codes([architecture]))[0])
        wanted = [name for name in dict.fromkeys(plain) if name != SKIP]
        if self._given is None:
            self._given = examples(self.networks, self.batch, self.seed)
        try:
            network = self.networks.build(architecture, seed=derived_seed(self.seed, 0))
            scored = score(network, self._given, wanted, seed=derived_seed(self.seed, 0, 1)) if wanted else None
            found |= {} if scored is None else {n: PROXIES[n].sign * v for n, v in scored.values.items()}
        except (Exception, SystemExit):  # a network that cannot be built has no clues; its evaluation will say why
            pass
        return [(-1 if name.startswith("-") else 1) * found[name.removeprefix("-")] for name in self.names]

    def _keep(self, key: str) -> None:
        if self.path is not None:
            values = [v if np.isfinite(v) else None for v in self._known[key]]
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"architecture": key, "clues": values}) + "\n")


def _stored(path: Path, count: int) -> Iterable[tuple[str, list[float]]]:
    """What the file keeps; lines that were cut off are passed over."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
            values = [float("nan") if v is None else float(v) for v in row["clues"]]
        except (ValueError, KeyError, TypeError):
            continue
        if len(values) == count:
            yield str(row["architecture"]), values
