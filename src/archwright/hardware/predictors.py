"""Predictors of latency from the architecture alone, fitted on measured pairs and kept as JSON.

All read the same features: one column per value of each parameter (``one_hot``), and :func:`counts`. Latencies are in
milliseconds by custom; any positive cost (energy) goes as well.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from archwright.errors import SettingsError, unknown
from archwright.space import Architecture, Space
from archwright.space.encodings import pooled

Floats = NDArray[np.float64]
FORMAT, VERSION = "archwright-latency-predictor", 1
FEWEST = 3
"""Pairs that a fit needs at least."""


class LatencyPredictor(ABC):
    """Fitted once, asked often.

    Args:
        space: of the architectures; a saved predictor belongs to it.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    def __init__(self, space: Space) -> None:
        self.space = space

    def fit(self, architectures: Sequence[Architecture], latencies: Floats | Sequence[float]) -> LatencyPredictor:
        """Learn from measured pairs; returns itself.

        Raises:
            SettingsError: too few pairs, or latencies that are not positive numbers, one per architecture.
        """
        measured = np.asarray(latencies, dtype=np.float64)
        check_pairs(len(architectures), measured)
        self._fit(architectures, measured)
        return self

    @abstractmethod
    def _fit(self, architectures: Sequence[Architecture], latencies: Floats) -> None:
        """Learn."""

    @abstractmethod
    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """Latencies in the unit of those it was fitted on: ``n``."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learnt, as plain data."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""

    def save(self, path: str | Path) -> Path:
        """Write a JSON file.

        Raises:
            SettingsError: it cannot be written.
        """
        content = {
            "format": FORMAT, "version": VERSION, "predictor": self.name, "space": self.space.fingerprint,
            "state": self.state(),
        }  # fmt: skip
        try:
            Path(path).write_text(json.dumps(content) + "\n")
        except OSError as error:
            raise SettingsError(f"the predictor {path} cannot be written: {error.strerror or error}") from error
        return Path(path)


class LookUp(LatencyPredictor):
    """A constant plus a time for each operation, wherever it stands; times are not negative.

    Parameters with the same values share their times (the edges of a cell do). Least squares with
    :func:`scipy.optimize.nnls`.
    """

    name = "lookup"
    summary = "one time per operation and a constant (non-negative least squares)"

    def _fit(self, architectures: Sequence[Architecture], latencies: Floats) -> None:
        features = counts(self.space, architectures)
        found = nnls(np.column_stack([np.ones(len(features)), features]), latencies)[0]
        self.constant, self.times = float(found[0]), np.asarray(found[1:])

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """The sum of the operations' times and the constant."""
        return np.asarray(self.constant + counts(self.space, architectures) @ self.times)

    def state(self) -> dict[str, Any]:
        """The times by operation, as a person would read them."""
        return {"constant": self.constant, "times": dict(zip(pooled(self.space)[0], self.times.tolist()))}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From :meth:`state`."""
        self.constant = float(state["constant"])
        self.times = np.array([state["times"][label] for label in pooled(self.space)[0]])


class Linear(LatencyPredictor):
    """Ridge regression on one-hot columns and counts; its strength is that of the least leave-one-out error."""

    name = "linear"
    summary = "ridge regression on one-hot columns and counts of operations"

    def _fit(self, architectures: Sequence[Architecture], latencies: Floats) -> None:
        self.constant, self.weights = ridge(features_of(self.space, architectures), latencies)

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """May be negative far from what was measured."""
        return np.asarray(self.constant + features_of(self.space, architectures) @ self.weights)

    def state(self) -> dict[str, Any]:
        """Constant and weights."""
        return {"constant": self.constant, "weights": self.weights.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From :meth:`state`."""
        self.constant, self.weights = float(state["constant"]), np.array(state["weights"], dtype=np.float64)


class Boosted(LatencyPredictor):
    """Gradient-boosted trees (Friedman 2001) on what :class:`Linear` leaves of the log latency.

    A saved one keeps its pairs and is fitted again when it is read, which gives the same trees.
    """

    name = "boosted"
    summary = "gradient-boosted trees on the residuals of a linear model of the log latency"

    def _fit(self, architectures: Sequence[Architecture], latencies: Floats) -> None:
        self._learn(features_of(self.space, architectures), self.space.codes(architectures), latencies)

    def _learn(self, features: Floats, codes: NDArray[np.int64], latencies: Floats) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        self.codes, self.latencies = codes, latencies
        logs = np.log(latencies)
        self.constant, self.weights = ridge(features, logs)
        leaf = max(2, min(20, len(logs) // 20))
        self.trees: Any = HistGradientBoostingRegressor(min_samples_leaf=leaf, early_stopping=False, random_state=0)
        self.trees.fit(features, logs - self.constant - features @ self.weights)

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """Always positive."""
        features = features_of(self.space, architectures)
        return np.asarray(np.exp(self.constant + features @ self.weights + self.trees.predict(features)))

    def state(self) -> dict[str, Any]:
        """The pairs: integer codes and latencies."""
        return {"codes": self.codes.tolist(), "latencies": self.latencies.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From :meth:`state`."""
        codes = np.array(state["codes"], dtype=np.int64)
        latencies = np.array(state["latencies"], dtype=np.float64)
        self._learn(features_of(self.space, self.space.from_codes(codes)), codes, latencies)


PREDICTORS: Mapping[str, type[LatencyPredictor]] = {kind.name: kind for kind in (LookUp, Linear, Boosted)}


def make_predictor(name: str, space: Space) -> LatencyPredictor:
    """By name.

    Raises:
        SettingsError: there is none of this name.
    """
    if name not in PREDICTORS:
        raise SettingsError(unknown("latency predictor", name, PREDICTORS))
    return PREDICTORS[name](space)


def load_predictor(path: str | Path, space: Space) -> LatencyPredictor:
    """Read what :meth:`LatencyPredictor.save` wrote.

    Raises:
        SettingsError: it is missing, not a predictor, of a newer version, truncated, or of another space.
    """
    from archwright.hardware.adaptation import Adapted

    content = read_json(path, FORMAT, VERSION, "latency predictor", "fit it again")
    try:
        if content["space"] != space.fingerprint:
            raise SettingsError(f"{path} was fitted on another space; fit one on this space")
        made = Adapted(space) if content["predictor"] == Adapted.name else make_predictor(content["predictor"], space)
        made.restore(content["state"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{path} is not a whole latency predictor ({error!r}); fit it again") from error
    return made


def read_json(path: str | Path, kind: str, version: int, what: str, remedy: str) -> dict[str, Any]:
    """The content of a file whose ``format`` is ``kind``.

    Raises:
        SettingsError: it is missing, not such a file, of a newer version, or truncated.
    """
    try:
        content = json.loads(Path(path).read_text())
    except OSError as error:
        raise SettingsError(f"the {what} {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not a whole {what} (no JSON: {error}); {remedy}") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise SettingsError(f"{path} is not a {what}; {remedy}")
    if not isinstance(content.get("version"), int) or content["version"] > version:
        raise SettingsError(f"{path} was written by another Archwright (format {content.get('version')}); {remedy}")
    return content


def check_pairs(architectures: int, latencies: Floats) -> None:
    """Refuse what cannot be learnt from.

    Raises:
        SettingsError: too few pairs, another number of latencies, or one that is not a positive number.
    """
    if latencies.shape != (architectures,):
        raise SettingsError(f"{architectures} architectures need as many latencies, not {latencies.shape}")
    if architectures < FEWEST:
        raise SettingsError(f"a latency predictor needs at least {FEWEST} measured pairs, not {architectures}")
    bad = np.flatnonzero(~np.isfinite(latencies) | (latencies <= 0))
    if len(bad):
        raise SettingsError(
            f"latency {bad[0]} is {latencies[bad[0]]}; all must be positive numbers: leave out what was not measured"
        )


def features_of(space: Space, architectures: Sequence[Architecture]) -> Floats:
    """One-hot columns and :func:`counts`: ``n x features``."""
    return np.hstack([space.encode(architectures, "one_hot"), counts(space, architectures)])


def counts(space: Space, architectures: Sequence[Architecture]) -> Floats:
    """How often each value is taken, see :func:`~archwright.space.encodings.pooled`: ``n x values``."""
    return np.asarray(space.encode(architectures, "one_hot") @ pooled(space)[1])


STRENGTHS = np.logspace(-4, 3, 22)


def ridge(features: Floats, targets: Floats) -> tuple[float, Floats]:
    """Constant and weights of ridge regression with the strength that has the least leave-one-out error."""
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(STRENGTHS).fit(features, targets)
    return float(model.intercept_), np.asarray(model.coef_, dtype=np.float64)
