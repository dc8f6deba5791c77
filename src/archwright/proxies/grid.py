"""The weights of the hybrid proxy: both coefficients at every pair of a grid, and where they are largest.

On the first branch of the hybrid (``DIN <= DDN``) the order depends on ``beta / alpha`` alone. So its members are sorted once
per ratio, and the members of the second branch, whose scores do not change, are inserted for each pair of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata, spearmanr

from archwright.errors import SettingsError
from archwright.proxies.combining import Hybrid, combine
from archwright.proxies.correlation import check

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Coefficient = Literal["kendall", "spearman"]
GRID = np.arange(0.0, 100.25, 0.5)
"""The published one: 0, 0.5, ..., 100."""
BLOCK = 256


@dataclass(frozen=True)
class Grid:
    """Coefficients of the hybrid over its weights.

    Attributes:
        alphas, betas: ascending.
        kendall, spearman: tau-b and rho, ``alphas x betas``; NaN where all scores are the same.
    """

    alphas: Floats
    betas: Floats
    kendall: Floats
    spearman: Floats

    def best(self, which: Coefficient = "kendall") -> tuple[float, float, float]:
        """The first pair of the largest coefficient, with alpha in the outer loop, and the coefficient."""
        values = getattr(self, which)
        i, j = np.unravel_index(np.nanargmax(values), values.shape)
        return float(self.alphas[i]), float(self.betas[j]), float(values[i, j])

    def at(self, alpha: float, beta: float, which: Coefficient = "kendall") -> float:
        """The coefficient at a pair of the grid."""
        i, j = np.argmin(np.abs(self.alphas - alpha)), np.argmin(np.abs(self.betas - beta))
        return float(getattr(self, which)[i, j])

    def rounded_best(self, which: Coefficient = "kendall", digits: int = 2) -> NDArray[np.bool_]:
        """Pairs at which the coefficient, rounded, is as large as anywhere."""
        rounded = np.round(getattr(self, which), digits)
        return np.asarray(rounded == np.nanmax(rounded))

    def first(self, reached: NDArray[np.bool_]) -> tuple[float, float] | None:
        """The first pair that is marked, with alpha in the outer loop."""
        if not reached.any():
            return None
        i, j = np.unravel_index(int(np.argmax(reached)), reached.shape)
        return float(self.alphas[i]), float(self.betas[j])


def first_for_all(grids: Sequence[Grid], which: Coefficient = "kendall", digits: int = 2) -> tuple[float, float] | None:
    """The first pair at which the rounded coefficient is largest on all data sets: how the published pair was found."""
    return grids[0].first(np.logical_and.reduce([g.rounded_best(which, digits) for g in grids]))


def study(
    din: Floats,
    ddn: Floats,
    worth: Floats,
    *,
    alphas: Floats = GRID,
    betas: Floats = GRID,
    on_done: Callable[[int], None] | None = None,
) -> Grid:
    """The thesis's hybrid at every pair of weights.

    Args:
        din, ddn: normalised scores, see :meth:`~archwright.proxies.combining.Hybrid.normalised`.
        worth: of the same architectures, larger is better.
        alphas, betas: weights, ascending and not negative.
        on_done: called with the number of pairs done.

    Raises:
        SettingsError: weights that are negative, not finite or not ascending; nothing to correlate.
    """
    for name, values in (("alphas", alphas), ("betas", betas)):
        if not len(values) or not np.isfinite(values).all() or (values < 0).any() or (np.diff(values) <= 0).any():
            raise SettingsError(f"grid: {name} must be finite, not negative and ascending")
    for name, scores in (("the data-independent score", din), ("the data-dependent score", ddn)):
        check(scores, worth, name)
    rays = Rays(din, ddn, worth)
    kendall, spearman = (np.full((len(alphas), len(betas)), np.nan) for _ in range(2))
    pairs = [(i, j) for i in range(len(alphas)) for j in range(len(betas))]
    inner: dict[float, list[tuple[int, int]]] = {}
    for i, j in pairs:
        if alphas[i] > 0 and betas[j] > 0:
            inner.setdefault(round(float(betas[j] / alphas[i]), 12), []).append((i, j))
        else:
            kendall[i, j], spearman[i, j] = direct(combine(din, ddn, alphas[i], betas[j]), worth)
    done = len(pairs) - sum(map(len, inner.values()))
    ratios = np.array(sorted(inner))
    along = rays.first_branch(ratios)
    for ratio, concordance in zip(ratios, along):
        members = inner[float(ratio)]
        scales = np.array([alphas[i] for i, _ in members])
        tau, rho = rays.insert(float(ratio), float(concordance), scales)
        for (i, j), a, b in zip(members, tau, rho):
            kendall[i, j], spearman[i, j] = a, b
        done += len(members)
        if on_done:
            on_done(done)
    return Grid(alphas, betas, kendall, spearman)


def direct(scores: Floats, worth: Floats) -> tuple[float, float]:
    """Tau-b and rho of one vector; NaN where it is constant."""
    if np.ptp(scores) == 0:
        return float("nan"), float("nan")
    return float(kendalltau(scores, worth).statistic), float(spearmanr(scores, worth).statistic)


class Rays:
    """The hybrid along rays of constant ``beta / alpha``.

    Args:
        din, ddn, worth: as for :func:`study`.
    """

    def __init__(self, din: Floats, ddn: Floats, worth: Floats) -> None:
        first = din <= ddn
        order = np.argsort(worth, kind="stable")  # of no effect but on the order of sums
        self._di, self._dd = din[order][first[order]], ddn[order][first[order]]
        levels = np.unique(worth, return_inverse=True)[1].reshape(-1)
        self._a = levels[order][first[order]]
        self._centred = rankdata(worth)[order] - (len(worth) + 1) / 2
        self._ranks, self._other_ranks = self._centred[first[order]], self._centred[~first[order]]
        self._other, self._other_a = din[order][~first[order]], levels[order][~first[order]]
        self._n = len(worth)

    @cached_property
    def _tied(self) -> tuple[float, float, float]:
        """Tied pairs of worth; of scores within both branches; and sum of ``t^3 - t`` over the latter."""
        both = np.unique(np.stack([self._di, self._dd]), axis=1, return_counts=True)[1]
        sizes = np.concatenate([both, np.unique(self._other, return_counts=True)[1]]).astype(np.float64)
        worth = np.unique(np.concatenate([self._a, self._other_a]), return_counts=True)[1].astype(np.float64)
        return (
            float((worth * (worth - 1) / 2).sum()),
            float((sizes * (sizes - 1) / 2).sum()),
            float((sizes**3 - sizes).sum()),
        )

    def first_branch(self, ratios: Floats) -> Floats:
        """Concordant minus discordant pairs within the first branch, for ascending ratios.

        Two architectures change places at one ratio at most, ``(DIN1 - DIN2) / (DDN2 - DDN1)``: all pairs are looked at once.
        """
        start, changes = 0.0, np.zeros(len(ratios) + 1)
        for begin in range(0, len(self._a), BLOCK):
            mine = slice(begin, begin + BLOCK)
            later = np.arange(begin, len(self._a))
            up = np.arange(begin, min(begin + BLOCK, len(self._a)))[:, None] < later[None, :]
            di = (self._di[later][None, :] - self._di[mine, None])[up]
            dd = (self._dd[later][None, :] - self._dd[mine, None])[up]
            way = np.sign((self._a[later][None, :] - self._a[mine, None])[up])
            start += float((way * np.where(di == 0, np.sign(dd), np.sign(di))).sum())
            swap = (di * dd < 0) & (way != 0)
            at = np.searchsorted(ratios, -di[swap] / dd[swap])
            changes += np.bincount(at, -2.0 * way[swap] * np.sign(di[swap]), len(ratios) + 1)
        return np.asarray(start + np.cumsum(changes)[:-1])

    def insert(self, ratio: float, concordance: float, scales: Floats) -> tuple[Floats, Floats]:
        """Tau-b and rho of the whole set along one ray.

        Args:
            ratio: ``beta / alpha``.
            concordance: of the first branch there.
            scales: values of alpha.
        """
        scores = self._di + ratio * self._dd
        order = np.argsort(scores)
        sorted_scores, ranks, levels = scores[order], self._ranks[order], self._a[order]
        suffix = np.append(np.cumsum(ranks[::-1])[::-1], 0.0)
        within = float((_mid_ranks(sorted_scores) * ranks).sum())
        values, which = self._other_levels
        ahead = np.zeros((len(values), len(order) + 1))
        np.cumsum(np.sign(values[:, None] - levels[None, :]), axis=1, out=ahead[:, 1:])
        low = np.searchsorted(sorted_scores, self._other[None, :] / scales[:, None], "left")
        high = np.searchsorted(sorted_scores, self._other[None, :] / scales[:, None], "right")
        return (
            self._tau(concordance, ahead, which, low, high),
            self._rho(within, suffix, low, high),
        )

    def _tau(self, concordance: float, ahead: Floats, which: Ints, low: Ints, high: Ints) -> Floats:
        """``ahead[v, k]``: how many of the lowest ``k`` of the first branch are worth less than ``v``, minus those worth more."""
        across = (ahead[which, low] - (ahead[which, -1] - ahead[which, high])).sum(axis=1)
        pairs = self._n * (self._n - 1) / 2
        worth_tied, tied, _ = self._tied
        tied_here = tied + (high - low).sum(axis=1)
        return np.asarray(
            (concordance + self._among_others + across) / np.sqrt((pairs - tied_here) * (pairs - worth_tied))
        )

    @cached_property
    def _other_levels(self) -> tuple[Ints, Ints]:
        """Different worths in the second branch, and which of them each member has."""
        values, which = np.unique(self._other_a, return_inverse=True)
        return values, which.reshape(-1)

    @cached_property
    def _own_ranks(self) -> Floats:
        return np.asarray(rankdata(self._other)) if len(self._other) else np.zeros(0)

    @cached_property
    def _among_others(self) -> float:
        step = np.sign(self._other[:, None] - self._other[None, :]) * np.sign(
            self._other_a[:, None] - self._other_a[None, :]
        )
        return float(step.sum() / 2)

    def _rho(self, within: float, suffix: Floats, low: Ints, high: Ints) -> Floats:
        lifted = (suffix[low] + suffix[high]).sum(axis=1) / 2
        others = ((self._own_ranks + (low + high) / 2) * self._other_ranks[None, :]).sum(axis=1)
        spread = (self._n**3 - self._n - self._tied[2]) / 12
        return np.asarray((within + lifted + others) / np.sqrt(spread * float((self._centred**2).sum())))


def _mid_ranks(ascending: Floats) -> Floats:
    if (ascending[1:] > ascending[:-1]).all():
        return np.arange(1.0, len(ascending) + 1)
    starts = np.searchsorted(ascending, ascending, "left")
    ends = np.searchsorted(ascending, ascending, "right")
    return np.asarray((starts + ends + 1) / 2)


def held_out(
    hybrid: Hybrid,
    scores: dict[str, Floats],
    worth: Floats,
    *,
    sample: int,
    seed: int = 0,
    alphas: Floats = GRID[:21],
    betas: Floats = GRID[:21],
) -> dict[str, Any]:
    """Weights tuned on a random part of the architectures, judged on the others, each part normalised over itself.

    Raises:
        SettingsError: a sample that leaves nothing.
    """  # fmt: skip
    if not 3 <= sample <= len(worth) - 3:
        raise SettingsError(f"a sample of {sample} of {len(worth)} architectures leaves too few on one side")
    mixed = np.random.default_rng(seed).permutation(len(worth))
    parts = (mixed[:sample], mixed[sample:])
    tuned, others = ({n: s[rows] for n, s in scores.items()} for rows in parts)
    alpha, beta, there = study(*hybrid.normalised(tuned), worth[parts[0]], alphas=alphas, betas=betas).best()
    tau, rho = direct(combine(*hybrid.normalised(others), alpha, beta), worth[parts[1]])
    return {"alpha": alpha, "beta": beta, "kendall_tuned": there, "kendall": tau, "spearman": rho}
