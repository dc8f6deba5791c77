"""What cheap clues say about candidates, and how far to believe them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import norm, rankdata, spearmanr

from archwright.errors import SettingsError
from archwright.searchers.base import Clues, Worth
from archwright.space import Architecture, Space

Floats = NDArray[np.float64]
POOL = 100
PRIOR = 0.5
TRIALS = 4
HALF_LIFE = 100


class Guide:
    """Orders candidates before they are paid for, by what their clues promise.

    A clue is turned into the normal score of its rank among those of a pool of random architectures, a worth into that of
    its rank among what is known. The promise of an architecture is a weighted sum of its clues; the weights are a
    least-squares fit to the known worths, not negative, drawn towards equal weights as if :data:`TRIALS` evaluations had
    shown them right. A clue that goes against what was measured so ends at weight 0: it is dropped, not turned round.

    How far to believe the promise, ``trust``, is the rank correlation of promise and worth among what is known, where
    :data:`TRIALS` more evaluations count as having shown :data:`PRIOR`; at most 1, at least 0, and halved every
    ``half_life`` evaluations, since clues that tell good from bad seldom tell the best from the good. Candidates are compared
    by a draw of what they may be worth, ``trust * promise + sqrt(1 - trust^2) * noise``. With no trust their order is
    random: a misleading clue costs the evaluations that it takes to see through it, and no more.

    Args:
        space: what is searched.
        clues: of its architectures.
        rng: generator of the pool and the noise.
        pool: random architectures that are the scale of clues, and from which starts are chosen.
        half_life: evaluations after which trust is halved; 0 for never.

    Raises:
        SettingsError: a number out of range.
    """

    def __init__(
        self, space: Space, clues: Clues, rng: np.random.Generator, *, pool: int = POOL, half_life: int = HALF_LIFE
    ) -> None:
        if pool < 2 or half_life < 0:
            raise SettingsError(f"pool must be at least 2 and half_life 0 or more, not {pool} and {half_life}")
        self.clues = clues
        self.rng = rng
        self.half_life = half_life
        self._space, self._size = space, pool
        self._pool: list[Architecture] = []
        self._scale: Floats = np.empty((0, 0))
        self._seen: dict[Architecture, Floats] = {}
        self._known: dict[Architecture, Worth] = {}
        self._fresh = False
        self.weights: Floats = np.full(len(clues.names), 1.0)
        self.trust = PRIOR

    @property
    def pool(self) -> list[Architecture]:
        """The random architectures, different ones."""
        if not self._pool:
            drawn = self._space.sample(self.rng, self._size)
            self._pool = list(dict.fromkeys(drawn))
            raw = self.clues(self._pool)
            self._scale = np.sort(_lowered(raw), axis=0)
            self._remember(self._pool, raw)
        return self._pool

    def tell(self, architecture: Architecture, value: Worth) -> None:
        """What an architecture turned out to be worth."""
        self._known[architecture] = value
        self._fresh = False

    def order(self, candidates: Sequence[Architecture]) -> list[int]:
        """Positions of the candidates, the one that is drawn to be worth most first."""
        if not candidates:
            return []
        promise = self.promise(candidates)
        noise = self.rng.standard_normal(len(candidates))
        trust = self.trust * self._age
        return [int(i) for i in np.argsort(-(trust * promise + np.sqrt(1 - trust**2) * noise), kind="stable")]

    def promise(self, candidates: Sequence[Architecture]) -> Floats:
        """Of each, in standard deviations of the pool."""
        features = self._features(candidates)
        self._learn()
        spread = float((self._features(self.pool) @ self.weights).std())
        return np.asarray(features @ self.weights / max(spread, 1e-9))

    def remarks(self) -> list[str]:
        """In words, how each clue did."""
        if len(self._known) < 3:
            return []
        features = self._features(list(self._known))
        self._learn()
        worths = self._targets()
        words = []
        for name, column, weight in zip(self.clues.names, features.T, self.weights):
            kept = f"weight {weight:.2f}" if weight > 0 else "dropped"
            words.append(f"{name} {_correlation(column, worths):+.2f} ({kept})")
        return [
            f"rank correlation of clues with worth over {len(worths)} evaluations: {', '.join(words)}; trust in them all "
            f"{self.trust * self._age:.2f}"
        ]

    @property
    def _age(self) -> float:
        return 0.5 ** (len(self._known) / self.half_life) if self.half_life else 1.0

    def _learn(self) -> None:
        """Weights and trust from what is known."""
        if self._fresh:
            return
        self._fresh = True
        count = len(self._known)
        if not count:
            return
        features, worths = self._features(list(self._known)), self._targets()
        k = features.shape[1]
        prior = np.full(k, PRIOR / np.sqrt(k))
        rows = np.concatenate([features, np.sqrt(TRIALS) * np.eye(k)])
        self.weights = nnls(rows, np.concatenate([worths, np.sqrt(TRIALS) * prior]))[0]
        if not self.weights.any():
            self.trust = 0.0
            return
        measured = _correlation(features @ self.weights, worths)
        self.trust = float(np.clip((TRIALS * PRIOR + count * measured) / (TRIALS + count), 0.0, 1.0))

    def _targets(self) -> Floats:
        """Normal scores of the ranks of the known worths; with several objectives, of the mean of their ranks."""
        worths = np.array(list(self._known.values()))
        sound = worths[:, 0] == 0
        merit = np.mean([rankdata(column) for column in worths[:, 1:].T], axis=0)
        merit = np.where(sound, merit, np.maximum(worths[:, 0], -1e300) - 1.0)
        return _normal(rankdata(merit), len(merit))

    def _features(self, architectures: Sequence[Architecture]) -> Floats:
        """``n x clues``: normal scores of ranks among the pool."""
        size = len(self.pool)
        new = [a for a in dict.fromkeys(architectures) if a not in self._seen]
        if new:
            self._remember(new, self.clues(new))
        raw = np.stack([self._seen[a] for a in architectures])
        columns = []
        for column, scale in zip(_lowered(raw).T, self._scale.T):
            low, high = np.searchsorted(scale, column, "left"), np.searchsorted(scale, column, "right")
            columns.append(_normal((low + high + 1) / 2, size))
        return np.stack(columns, axis=1)

    def _remember(self, architectures: Sequence[Architecture], raw: Floats) -> None:
        self._seen |= dict(zip(architectures, raw))


def _lowered(raw: Floats) -> Floats:
    """Clues that could not be had count below all others."""
    return np.where(np.isnan(raw), -np.inf, raw)


def _normal(ranks: Floats, count: int) -> Floats:
    """Normal scores of ranks 1 to ``count`` (Blom 1958); those a little outside are as far out as the ends."""
    return np.asarray(norm.ppf((np.clip(ranks, 1, count) - 0.375) / (count + 0.25)))


def _correlation(a: Floats, b: Floats) -> float:
    """Spearman's; 0 where one of them is everywhere the same."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
