"""How well scores rank architectures: correlations, the top of the list, and bootstrap intervals.

A failed score (not finite) ranks below all others. Ties at the top go to the lower row, which in a table of a published
benchmark is its official index.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from archwright.errors import SettingsError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Interval = tuple[float, float]
TOP = (5, 10, 50, 100)
DECILE = 0.9
BATCH = 50
"""Resamples at a time, which bounds memory."""


@dataclass(frozen=True)
class Assessment:
    """What a proxy is worth on a set of ``n`` architectures.

    Attributes:
        kendall, spearman: tau-b, and rho on mid-ranks; ``tau_a`` leaves ties in the denominator.
        top1_accuracy: true worth of the architecture it ranks first; ``gap`` is what the best of the set has more.
        top10_accuracy, top10_mean: best and mean of its first ten.
        rank_of_best: its rank (from 1) of the truly best architecture, the best placed where several are.
        best_rank_at_10: true rank of the best of its first ten.
        overlap: share of its first k that are among the true first k (ties of the k-th included), by k.
        top_decile: ``n``, ``kendall`` and ``spearman`` among the architectures at or above the 90 % quantile of true worth;
            ``None`` where fewer than three or all the same.
        intervals: 95 %, by the percentiles of bootstrap resamples of the architectures, by name.
        failed: scores that are not finite.
    """

    n: int
    failed: int
    kendall: float
    spearman: float
    tau_a: float
    top1_accuracy: float
    gap: float
    top10_accuracy: float
    top10_mean: float
    rank_of_best: int
    best_rank_at_10: int
    overlap: dict[int, float]
    top_decile: dict[str, Any]
    intervals: dict[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """As plain data; ``NAME_interval`` beside each name that has one."""
        found = {k: v for k, v in asdict(self).items() if k not in ("intervals", "overlap", "top_decile")}
        decile = {f"top_decile_{k}": v for k, v in self.top_decile.items()}
        overlap = {f"overlap_at_{k}": v for k, v in self.overlap.items()}
        return found | overlap | decile | {f"{k}_interval": list(v) for k, v in self.intervals.items()}


def assess(
    scores: Floats, worth: Floats, *, resamples: int = 200, seed: int = 0, name: str = "the proxy"
) -> Assessment:
    """Compare scores with true worth (higher is better), see :class:`Assessment`.

    Args:
        scores: of ``n`` architectures; what is not finite has failed and ranks last.
        worth: their accuracy, or the negative of what should be small; finite.
        resamples: of the bootstrap; 0 leaves intervals out.
        seed: of the bootstrap.
        name: for messages.

    Raises:
        SettingsError: fewer than three architectures; all scores failed, or scores or worth everywhere the same.
    """
    check(scores, worth, name)
    lowered = np.where(np.isfinite(scores), scores, -np.inf)
    order = best_first(lowered)
    ten = worth[order[:10]]
    best = float(worth.max())
    elite = np.flatnonzero(worth >= np.quantile(worth, DECILE))
    pairs = Pairs(lowered, worth)
    tau, rho = pairs.kendall(), pairs.spearman()
    intervals, decile = {}, _decile(lowered[elite], worth[elite])
    if resamples:
        intervals = _intervals(pairs, order, worth, resamples, np.random.default_rng(seed))
        if decile["kendall"] is not None:
            inner = Pairs(lowered[elite], worth[elite])
            drawn = [_drawn(len(elite), b, np.random.default_rng([seed, b])) for b in _batches(resamples)]
            intervals |= {
                "top_decile_kendall": interval(np.concatenate([inner.kendalls(w) for w in drawn])),
                "top_decile_spearman": interval(np.concatenate([inner.spearmans(w) for w in drawn])),
            }
    return Assessment(
        n=len(worth), failed=int((~np.isfinite(scores)).sum()), kendall=tau, spearman=rho, tau_a=pairs.tau_a(tau),
        top1_accuracy=float(ten[0]), gap=best - float(ten[0]), top10_accuracy=float(ten.max()),
        top10_mean=float(ten.mean()), rank_of_best=int(np.argmax(worth[order] == best)) + 1,
        best_rank_at_10=int((worth > ten.max()).sum()) + 1,
        overlap={k: overlap(order, worth, k) for k in TOP if k <= len(worth)}, top_decile=decile, intervals=intervals,
    )  # fmt: skip


def check(scores: Floats, worth: Floats, name: str = "the proxy") -> None:
    """Whether there is anything to correlate.

    Raises:
        SettingsError: fewer than three architectures; all scores failed, or scores or worth everywhere the same.
    """
    if scores.shape != worth.shape or len(worth) < 3:
        raise SettingsError(
            f"{name}: correlations need the scores and worth of three or more architectures, not {len(worth)}"
        )
    if not np.isfinite(worth).all():
        raise SettingsError(f"{name}: the worth of {int((~np.isfinite(worth)).sum())} architectures is not finite")
    known = np.isfinite(scores)
    if not known.any():
        raise SettingsError(f"{name} failed on all {len(scores)} architectures; there is nothing to correlate")
    if known.all() and np.ptp(scores) == 0:
        raise SettingsError(f"{name} gives all {len(scores)} architectures the score {scores[0]:.6g}; it ranks nothing")
    if np.ptp(worth) == 0:
        raise SettingsError(
            f"all {len(worth)} architectures are worth {worth[0]:.6g}; there is no ranking to compare with"
        )


def best_first(scores: Floats) -> Counts:
    """Rows by decreasing score; equal ones by row."""
    return np.asarray(np.argsort(-scores, kind="stable"))


def overlap(order: Counts, worth: Floats, k: int) -> float:
    """Share of the first ``k`` of ``order`` whose worth is at least that of the true ``k``-th."""
    least = np.partition(worth, len(worth) - k)[len(worth) - k]
    return float((worth[order[:k]] >= least).mean())


def _decile(scores: Floats, worth: Floats) -> dict[str, Any]:
    if len(worth) < 3 or np.ptp(worth) == 0 or len(np.unique(scores)) < 2:
        return {"n": len(worth), "kendall": None, "spearman": None}
    pairs = Pairs(scores, worth)
    return {"n": len(worth), "kendall": pairs.kendall(), "spearman": pairs.spearman()}


def _intervals(
    pairs: Pairs, order: Counts, worth: Floats, resamples: int, rng: np.random.Generator
) -> dict[str, Interval]:
    found: dict[str, list[Floats]] = {}
    for size in _batches(resamples):
        drawn = _drawn(len(worth), size, rng)
        tops = _tops(drawn[order], worth[order])
        for name, values in {"kendall": pairs.kendalls(drawn), "spearman": pairs.spearmans(drawn), **tops}.items():
            found.setdefault(name, []).append(values)
    return {name: interval(np.concatenate(values)) for name, values in found.items()}


def _tops(drawn: Counts, worth: Floats) -> dict[str, Floats]:
    """Figures of the top of resamples; rows are in the order of the proxy, ``drawn`` is ``n x resamples``."""
    there = drawn > 0
    nth = np.cumsum(there, axis=0)
    first_ten = np.where(there & (nth <= 10), worth[:, None], -np.inf)
    known = np.where(there, worth[:, None], -np.inf)
    best = np.argmax(known, axis=0)
    before = np.cumsum(drawn, axis=0) - drawn
    across = np.arange(drawn.shape[1])
    return {
        "top1_accuracy": worth[np.argmax(there, axis=0)],
        "top10_accuracy": first_ten.max(axis=0),
        "rank_of_best": before[best, across] + 1.0,
    }


def interval(values: Floats) -> Interval:
    """The 2.5 and 97.5 percentiles; values that are not defined are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return (float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    return (float(low), float(high))


def _batches(resamples: int) -> list[int]:
    return [min(BATCH, resamples - start) for start in range(0, resamples, BATCH)]


def _drawn(n: int, resamples: int, rng: np.random.Generator) -> Counts:
    """``n x resamples``: how often each architecture is drawn."""
    rows = rng.integers(n, size=(resamples, n))
    rows += np.arange(resamples)[:, None] * n
    return np.ascontiguousarray(np.bincount(rows.ravel(), minlength=n * resamples).reshape(resamples, n).T)


class Pairs:
    """Two rankings of one set, and their coefficients over it and over many resamples at once.

    A resample is a column of counts, how often each architecture is drawn; all work that does not depend on the counts is
    done once.

    Args:
        x, y: ``n`` values each; minus infinity is lower than all.
    """

    def __init__(self, x: Floats, y: Floats) -> None:
        self.n = len(x)
        self._x = np.unique(x, return_inverse=True)[1].reshape(-1)
        self._y = np.unique(y, return_inverse=True)[1].reshape(-1)

    def kendall(self) -> float:
        """Tau-b."""
        return float(kendalltau(self._x, self._y).statistic)

    def tau_a(self, tau_b: float) -> float:
        """Concordant minus discordant pairs, over all pairs."""
        pairs = self.n * (self.n - 1) / 2
        tied = [float((c * (c - 1) / 2).sum()) for c in (np.bincount(self._x), np.bincount(self._y))]
        return tau_b * float(np.sqrt((pairs - tied[0]) * (pairs - tied[1]))) / pairs

    def spearman(self) -> float:
        """Pearson's coefficient of mid-ranks."""
        return float(np.corrcoef(rankdata(self._x), rankdata(self._y))[0, 1])

    def spearmans(self, drawn: Counts) -> Floats:
        """Spearman's rho of each resample (``n x resamples``)."""
        ranks = [self._ranks(groups, drawn) for groups in (self._x, self._y)]
        mean = (self.n + 1) / 2
        a, b = ranks[0] - mean, ranks[1] - mean
        over = (drawn * a * b).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(over / np.sqrt((drawn * a * a).sum(axis=0) * (drawn * b * b).sum(axis=0)))

    def _ranks(self, groups: Counts, drawn: Counts) -> Floats:
        sizes = _sums(groups, drawn)
        return np.asarray((np.cumsum(sizes, axis=0) - sizes + (sizes + 1) / 2)[groups])

    def kendalls(self, drawn: Counts) -> Floats:
        """Tau-b of each resample (``n x resamples``)."""
        both = np.unique(self._x.astype(np.int64) * (self._y.max() + 1) + self._y, return_inverse=True)[1].reshape(-1)
        pairs = self.n * (self.n - 1) / 2
        in_x, in_y, in_both = (_tied(groups, drawn) for groups in (self._x, self._y, both))
        over = pairs - in_x - in_y + in_both - 2 * self._discordant(drawn)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(over / np.sqrt((pairs - in_x) * (pairs - in_y)))

    @cached_property
    def _levels(self) -> tuple[list[Counts], Counts]:
        """Rows by x, and their order at each level of a merge sort: blocks of doubling size, each by falling y.

        Blocks have two halves; where y is equal the second half comes first. Padded to a power of two with row ``n``.
        """
        size = 1 << max(self.n - 1, 1).bit_length()
        rows = np.concatenate([np.lexsort((self._y, self._x)), np.full(size - self.n, self.n)])
        y = np.append(self._y, -1)[rows]
        places = np.arange(size)
        levels = range((size - 1).bit_length())
        return [np.lexsort((1 - (places >> k & 1), -y, places >> (k + 1))) for k in levels], rows

    def _discordant(self, drawn: Counts) -> Floats:
        """Weighted pairs that x and y order differently: in each block, the second half's that follow a larger y."""
        levels, rows = self._levels
        padded = np.vstack([drawn, np.zeros((1, drawn.shape[1]), drawn.dtype)])[rows].astype(np.int32)
        total = np.zeros(drawn.shape[1])
        for level, order in enumerate(levels):
            here = padded[order].reshape(-1, 2 << level, drawn.shape[1])
            second = (order >> level & 1).reshape(-1, 2 << level, 1).astype(np.int32)
            later = here * second
            here -= later
            np.cumsum(here, axis=1, out=here)
            here *= later
            total += here.sum(axis=(0, 1), dtype=np.float64)
        return total


def _sums(groups: Counts, drawn: Counts) -> Floats:
    """``groups x resamples``: how many of each group are drawn; groups are 0, 1, 2, ... without gaps."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    return np.asarray(np.add.reduceat(drawn[order], starts, axis=0).astype(np.float64))


def _tied(groups: Counts, drawn: Counts) -> Floats:
    sizes = _sums(groups, drawn)
    return np.asarray((sizes * (sizes - 1) / 2).sum(axis=0))
