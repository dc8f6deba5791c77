"""LS-Weights: local search that tries the operations first which people's networks use most."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.local import LocalSearch
from archwright.space import Architecture, Space

CNN_RANKS = (("conv", 1), ("pool", 2), ("skip", 3), ("identity", 3), ("none", 4), ("zero", 4))
"""Rank by a part of an operation's name: convolutions prevail in LeNet-5 to EfficientNet (Zouambi 2023, tables 3.1
and 3.2); skip and zero are ranked by their role."""


class LSWeights(LocalSearch):
    """Local search with operation importance (Zouambi 2023, section 3.3).

    As ``ls`` with first improvement, but the neighbours of a scan are drawn without replacement with probabilities that
    belong to the new value: from ranks 1, 2, ... of a parameter's values ``p = (1 / rank) / sum(1 / rank)``, so that ranks
    1, 1, 2, 3, 4 give 0.324, 0.324, 0.162, 0.108, 0.081. Every neighbour stays reachable.

    Args:
        ranking: ``cnn`` (:data:`CNN_RANKS`, for parameters all of whose values it knows); ``learned``: by the mean
            rank of what was evaluated with each value, for example in the study of a warm start; or an order
            of values such as ``conv3=conv1>pool>skip>none``, where ``=`` joins values of one rank. A parameter with a
            value that is not ranked keeps equal probabilities.
        draw: ``joint``: a neighbour is drawn among all that are left; ``variable``: first the parameter, any that has
            values left alike, then its value.
        weighting: ``reciprocal`` as above, or ``linear``: ``p`` is proportional to ``highest rank - rank + 1``.
        ties: as in ``ls``.
    """

    takes_clues: ClassVar[bool] = False
    summary: ClassVar[str] = "local search that tries prevalent operations first"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        ranking: str = "cnn",
        draw: Literal["joint", "variable"] = "joint",
        weighting: Literal["reciprocal", "linear"] = "reciprocal",
        ties: bool = False,
    ) -> None:
        super().__init__(space, goal, seed=seed, ties=ties)
        if draw not in ("joint", "variable"):
            raise SettingsError(f"draw must be joint or variable, not {draw!r}")
        if weighting not in ("reciprocal", "linear"):
            raise SettingsError(f"weighting must be reciprocal or linear, not {weighting!r}")
        self.draw = draw
        self.weighting = weighting
        self.learned = ranking == "learned"
        self._given = {} if self.learned or ranking == "cnn" else _read_ranking(space, ranking)
        self._cnn = ranking == "cnn"
        self._weights = {} if self.learned else {name: self._of_parameter(name) for name in space.names}

    def order(self, current: Architecture, neighbours: list[Architecture]) -> list[Architecture]:
        """By ``Exponential(1) / p``, ascending, which draws without replacement with probabilities ``p``."""
        if self.learned:
            self._weights = self._learn()
        changes = [_changed(current, neighbour) for neighbour in neighbours]
        p = np.array(
            [self._weights.get(n, {}).get(_text(u[n]), 1.0) if n else 1.0 for n, u in zip(changes, neighbours)]
        )
        keys = self.rng.exponential(size=len(neighbours)) / p
        ranked = np.argsort(keys, kind="stable")
        if self.draw == "joint":
            return [neighbours[i] for i in ranked]
        left: dict[str, list[int]] = {}
        for i in ranked[::-1]:
            left.setdefault(changes[i], []).append(int(i))
        out = []
        while left:
            name = list(left)[int(self.rng.integers(len(left)))]
            out.append(neighbours[left[name].pop()])
            if not left[name]:
                del left[name]
        return out

    def _of_parameter(self, name: str) -> dict[str, float]:
        values = self.space.parameters[name].values
        if values is None or not 1 < len(values) <= 1000:
            return {}
        texts = [_text(v) for v in values]
        ranks = [_cnn_rank(t) if self._cnn else self._given.get(t) for t in texts]
        known = [r for r in ranks if r is not None]
        return self._probabilities(texts, known) if len(known) == len(texts) else {}

    def _probabilities(self, texts: list[str], ranks: list[int]) -> dict[str, float]:
        dense = {rank: place for place, rank in enumerate(sorted(set(ranks)), start=1)}
        places = np.array([dense[rank] for rank in ranks], dtype=float)
        weights = 1 / places if self.weighting == "reciprocal" else places.max() - places + 1
        return dict(zip(texts, (weights / weights.sum()).tolist()))

    def _learn(self) -> dict[str, dict[str, float]]:
        """Rank the values of each parameter by the mean rank of the architectures that have them; unseen ones last."""
        best_first = sorted(self.known, key=lambda a: self.known[a], reverse=True)
        places: dict[tuple[str, str], list[int]] = {}
        for place, architecture in enumerate(best_first):
            for name, value in architecture.items():
                places.setdefault((name, _text(value)), []).append(place)
        found = {}
        for name in self.space.names:
            values = self.space.parameters[name].values
            if values is not None and 1 < len(values) <= 1000:
                texts = [_text(v) for v in values]
                means = [float(np.mean(places.get((name, t), [len(best_first)]))) for t in texts]
                order = sorted(set(means))
                found[name] = self._probabilities(texts, [order.index(m) for m in means])
        return found


def _changed(current: Mapping[str, object], neighbour: Mapping[str, object]) -> str:
    """The parameter in which a neighbour differs; what comes and goes with it does not count."""
    return next((name for name in neighbour if name in current and neighbour[name] != current[name]), "")


def _text(value: object) -> str:
    return str(value)


def _cnn_rank(text: str) -> int | None:
    return next((rank for part, rank in CNN_RANKS if part in text.lower()), None)


def _read_ranking(space: Space, text: str) -> dict[str, int]:
    tiers = [[v.strip() for v in tier.split("=")] for tier in str(text).split(">")]
    ranks = {value: rank for rank, tier in enumerate(tiers, start=1) for value in tier}
    if not re.search(r"[=>]", str(text)) or "" in ranks or len(ranks) < sum(map(len, tiers)):
        raise SettingsError(
            f"ranking must be cnn, learned or an order such as conv3=conv1>pool>skip>none, not {text!r}"
        )
    values = {_text(v) for p in space.parameters.values() for v in (p.values or ())[:1000]}
    strangers = sorted(set(ranks) - values)
    if strangers:
        raise SettingsError(f"ranking names {', '.join(strangers)}, which no parameter of this space can be")
    return ranks
