"""Several proxies made one: normalisers, the hybrid proxy, weighted sums, and a combination learned from trials.

Scores are arrays over a *set* of architectures, higher is predicted better. A score that is not finite has failed. What is
normalised depends on the whole set: the same architecture has another hybrid score in another set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from archwright.errors import SettingsError, unknown

Floats = NDArray[np.float64]
Mode = Literal["thesis", "unconditional"]
Failures = Literal["lowest", "minimum"]
LOWEST = -1e8
"""What NASLib gives a failed score; far below all others."""


def normalise(scores: Floats, how: str = "max", *, failures: Failures = "lowest", name: str = "the proxy") -> Floats:
    """Scores of a set on a common scale.

    Args:
        scores: of the architectures of a set, higher is better; what is not finite has failed.
        how: ``max`` (``s / max s``), ``abs-max`` (``s / (max |s| + 1e-9)``), ``min-max`` (to 0 and 1), ``z`` (mean 0, standard
            deviation 1) or ``rank`` (mid-rank over ``n``). Equal scores become zeros.
        failures: what ``max`` makes of a failed score: ``lowest`` is -1e8 before it is divided, ``minimum`` the smallest of
            the others, as for all other normalisers.
        name: for messages.

    Raises:
        SettingsError: no such normaliser; all failed; ``max`` where the largest score is not positive, since dividing by it
            would turn the order round.
    """
    if how not in NORMALISERS:
        raise SettingsError(unknown("normaliser", how, NORMALISERS))
    known = np.isfinite(scores)
    if not known.any():
        raise SettingsError(f"{name} failed on all {len(scores)} architectures; there is nothing to normalise")
    alive = scores[known]
    if how == "max" and alive.max() <= 0 and np.ptp(alive) > 0:
        raise SettingsError(
            f"the largest score of {name} is {alive.max():.6g}; dividing by a maximum that is not positive would turn the "
            "order round: use the normaliser abs-max, min-max, z or rank"
        )
    lowest = how == "max" and failures == "lowest"
    filled = np.where(known, scores, LOWEST if lowest else alive.min())
    if np.ptp(alive) == 0:
        return np.where(known | (not lowest), 0.0, LOWEST)
    return NORMALISERS[how](filled, alive)


NORMALISERS: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "max": lambda s, alive: s / alive.max(),
    "abs-max": lambda s, alive: s / (np.abs(alive).max() + 1e-9),
    "min-max": lambda s, alive: (s - alive.min()) / np.ptp(alive),
    "z": lambda s, _: (s - s.mean()) / s.std(),
    "rank": lambda s, _: rankdata(s) / len(s),
}
"""Each takes all scores, failures filled in, and those that did not fail."""


@dataclass(frozen=True)
class Hybrid:
    """The hybrid proxy (Poeta 2023, eq. 5.3 and 5.4): ``alpha DIN + beta DDN`` where ``DIN <= DDN``, else ``DIN``.

    ``DIN`` and ``DDN`` are the normalised scores of a data-independent and a data-dependent proxy. The condition lowers the
    architecture that ``di`` likes best from about ``alpha + beta`` to 1, unless ``dd`` likes it best too; in a small set
    that often changes the winner. ``unconditional`` takes the sum everywhere.

    Attributes:
        di, dd: names of the two proxies.
        alpha, beta: their weights.
        mode: ``thesis`` as above, or ``unconditional``.
        normaliser: of both scores, see :func:`normalise`.
        failures: with ``max``, what a failed ``dd`` counts; a failed ``di`` counts 0.

    Raises:
        SettingsError: a weight that is negative or not finite, an unknown mode or normaliser.
    """

    di: str = "logsynflow"
    dd: str = "nwot"
    alpha: float = 0.5
    beta: float = 1.5
    mode: Mode = "thesis"
    normaliser: str = "max"
    failures: Failures = "lowest"

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            _check_weight(f"hybrid: {name}", value)
        _check_choice("mode", self.mode, get_args(Mode))
        _check_choice("normaliser", self.normaliser, NORMALISERS)
        _check_choice("failures", self.failures, get_args(Failures))

    @property
    def parts(self) -> tuple[str, ...]:
        """The proxies it needs."""
        return (self.di, self.dd)

    def __call__(self, scores: Mapping[str, Floats]) -> Floats:
        """The hybrid scores of a set, from those of its parts.

        Raises:
            SettingsError: a part cannot be normalised.
        """
        return combine(*self.normalised(scores), self.alpha, self.beta, self.mode)

    def normalised(self, scores: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        """``DIN`` and ``DDN`` of a set."""
        di = np.asarray(scores[self.di], dtype=np.float64)
        if self.normaliser == "max" and np.isfinite(di).any():
            di = np.where(np.isfinite(di), di, 0.0)
        dd = np.asarray(scores[self.dd], dtype=np.float64)
        return (
            normalise(di, self.normaliser, name=self.di),
            normalise(dd, self.normaliser, failures=self.failures, name=self.dd),
        )


def combine(din: Floats, ddn: Floats, alpha: float, beta: float, mode: Mode = "thesis") -> Floats:
    """Equation 5.4 on normalised scores."""
    total = alpha * din + beta * ddn
    return np.where(din <= ddn, total, din) if mode == "thesis" else total


@dataclass(frozen=True)
class WeightedSum:
    """A weighted sum of two or more normalised proxies.

    Attributes:
        weights: by proxy. A negative weight turns the proxy round before it is normalised.
        normaliser: of all, see :func:`normalise`.
        failures: what ``max`` makes of failed scores.

    Raises:
        SettingsError: fewer than two proxies, a weight that is zero or not finite, an unknown normaliser.
    """

    weights: Mapping[str, float]
    normaliser: str = "rank"
    failures: Failures = "lowest"

    def __post_init__(self) -> None:
        if len(self.weights) < 2:
            raise SettingsError(f"sum combines two or more proxies, not {len(self.weights)}")
        for name, weight in self.weights.items():
            _check_weight(f"sum: the weight of {name}", abs(weight))
            if weight == 0:
                raise SettingsError(f"sum: the weight of {name} is 0; leave it out")
        _check_choice("normaliser", self.normaliser, NORMALISERS)
        _check_choice("failures", self.failures, get_args(Failures))

    @property
    def parts(self) -> tuple[str, ...]:
        """The proxies it needs."""
        return tuple(self.weights)

    def __call__(self, scores: Mapping[str, Floats]) -> Floats:
        """The sum over a set.

        Raises:
            SettingsError: a part cannot be normalised.
        """
        total = np.zeros(len(scores[self.parts[0]]))
        for name, weight in self.weights.items():
            turned = np.sign(weight) * np.where(np.isfinite(scores[name]), scores[name], np.nan)
            total += abs(weight) * normalise(turned, self.normaliser, failures=self.failures, name=name)
        return total


@dataclass(frozen=True)
class Vote:
    """The majority vote of proxies on every pair of a set (Abdelfattah et al. 2021), as Copeland's score.

    A beats B if more proxies put A first than B. The relation need not be transitive, so the score of A is the number
    of architectures that it beats, and half of those that it ties with. A failed score loses to all that did not fail.

    Attributes:
        proxies: at least two; in the original synflow, jacov and snip.

    Raises:
        SettingsError: fewer than two, or one that is there twice.
    """

    proxies: tuple[str, ...] = ("synflow", "jacov", "snip")

    def __post_init__(self) -> None:
        if len(set(self.proxies)) < len(self.proxies) or len(self.proxies) < 2:
            raise SettingsError(f"vote: name at least two different proxies, not {', '.join(self.proxies) or 'none'}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The proxies it needs."""
        return self.proxies

    def __call__(self, scores: Mapping[str, Floats]) -> Floats:
        """``n`` scores between 0 and ``n - 1``; needs of the order of ``n^2`` comparisons."""
        ranks = [rankdata(_lowered(scores[name])) for name in self.proxies]
        count = len(ranks[0])
        found = np.empty(count)
        for rows in np.array_split(np.arange(count), max(1, count * count // 2**22)):
            ahead = np.zeros((len(rows), count), dtype=np.int8)
            for rank in ranks:
                ahead += np.sign(rank[rows, None] - rank[None, :]).astype(np.int8)
            found[rows] = (ahead > 0).sum(axis=1) + 0.5 * ((ahead == 0).sum(axis=1) - 1)
        return found


@dataclass(frozen=True)
class LogRanks:
    """The sum over proxies of the logarithm of an architecture's rank from below over their number (Lee and Ham 2024, AZ-NAS).

    One that is poor by any proxy is punished more than it gains by being good by another. Ties share their mean rank.

    Attributes:
        proxies: at least two; in the original the four components, complexity being FLOPs.

    Raises:
        SettingsError: fewer than two, or one that is there twice.
    """

    proxies: tuple[str, ...] = ("az_expressivity", "az_progressivity", "az_trainability", "flops")

    def __post_init__(self) -> None:
        if len(set(self.proxies)) < len(self.proxies) or len(self.proxies) < 2:
            raise SettingsError(f"az_nas: name at least two different proxies, not {', '.join(self.proxies) or 'none'}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The proxies it needs."""
        return self.proxies

    def __call__(self, scores: Mapping[str, Floats]) -> Floats:
        """``n`` scores, at most 0."""
        ranks = [rankdata(_lowered(scores[name])) for name in self.proxies]
        return np.asarray(sum(np.log(rank / len(rank)) for rank in ranks))


@dataclass(frozen=True)
class Learned:
    """A combination learned from architectures whose worth is known, such as the trials of a study so far.

    Scores and worth become their shares of smaller ones among the known architectures (mid-ranks from 0 to 1; scores beyond
    the known ones go on as among the best tenth), and a ridge regression predicts the second from the first. Failed scores
    are below all others.

    Attributes:
        parts: names of the proxies.
        monotone: no proxy may count against an architecture (weights that are not negative). Free weights correlate better
            but may turn round a proxy that is right about the best architectures.
        penalty: of the ridge, in architectures: with ``n`` much above it the weights are free.
        fewest: with fewer known architectures :meth:`fit` refuses.
    """

    parts: tuple[str, ...]
    monotone: bool = True
    penalty: float = 1.0
    fewest: int = 5
    _known: Mapping[str, Floats] = field(default_factory=dict, repr=False)
    _model: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise SettingsError(f"learned needs different proxies, not {', '.join(self.parts) or 'none'}")
        _check_weight("learned: penalty", self.penalty)

    def fit(self, scores: Mapping[str, Floats], worth: Floats) -> Learned:
        """A fitted copy.

        Args:
            scores: of the known architectures, by proxy.
            worth: their accuracy or another metric, higher is better.

        Raises:
            SettingsError: too few architectures, or worth that is not finite or everywhere the same.
        """
        from sklearn.linear_model import Ridge

        if len(worth) < self.fewest or not np.isfinite(worth).all() or np.ptp(worth) == 0:
            raise SettingsError(
                f"learned is fitted on {self.fewest} or more architectures with finite, different worth; got {len(worth)}"
            )
        known = {name: np.sort(_lowered(scores[name])) for name in self.parts}
        fitted = Learned(self.parts, self.monotone, self.penalty, self.fewest, known)
        # weights of a ridge per unit of rank variance (1/12), so that the penalty is in architectures
        model = Ridge(alpha=max(self.penalty, 1e-9) / 12, positive=self.monotone)
        model.fit(fitted._features(scores), rankdata(worth) / len(worth))
        return Learned(self.parts, self.monotone, self.penalty, self.fewest, known, model)

    @cached_property
    def weights(self) -> dict[str, float]:
        """Of each proxy's share, by name; only when fitted."""
        return {name: float(w) for name, w in zip(self.parts, self._model.coef_)}

    def __call__(self, scores: Mapping[str, Floats]) -> Floats:
        """Predicted shares, of any architectures.

        Raises:
            SettingsError: it was not fitted.
        """
        if self._model is None:
            raise SettingsError("learned was not fitted; call fit with scores and accuracies that are known")
        return np.asarray(self._model.predict(self._features(scores)), dtype=np.float64)

    def _features(self, scores: Mapping[str, Floats]) -> Floats:
        """``n x proxies``."""
        return np.stack([_share(self._known[name], _lowered(scores[name])) for name in self.parts], axis=1)


def _share(known: Floats, new: Floats) -> Floats:
    """Mid-rank among the known scores over their number, linear between them, and above them as in their best tenth."""
    values, at, sizes = np.unique(known, return_index=True, return_counts=True)
    shares = (at + (sizes + 1) / 2) / len(known)
    alive = np.isfinite(values)
    if not alive.any():
        return np.zeros(len(new))
    values, shares = values[alive], shares[alive]
    found = np.where(np.isfinite(new), np.interp(new, values, shares), 0.0)
    tenth = values[-1] - np.interp(shares[-1] - 0.1, shares, values)
    above = np.isfinite(new) & (new > values[-1]) & (tenth > 0)
    return np.where(above, found + 0.1 * (new - values[-1]) / max(tenth, np.finfo(float).tiny), found)


def _lowered(scores: Floats) -> Floats:
    return np.where(np.isfinite(scores), scores, -np.inf)


def _check_weight(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value) or value < 0:
        raise SettingsError(f"{name} must be a finite number that is not negative, not {value!r}")


def _check_choice(kind: str, value: str, options: Any) -> None:
    if value not in options:
        raise SettingsError(unknown(kind, str(value), options))
