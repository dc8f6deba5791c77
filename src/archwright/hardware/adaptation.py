"""A new device from a few measurements, with the help of devices that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from archwright.errors import SettingsError
from archwright.hardware.predictors import PREDICTORS, LatencyPredictor, LookUp
from archwright.space import Architecture, Space

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]


class Adapted(LatencyPredictor):
    """Two predictions in one: a combination of known devices, and a look-up table of the new one.

    The combination is ``b + sum of w_i z_i`` for the log latency, where ``z_i`` is the standardised log prediction of
    device ``i``, ``w_i >= 0``, and weights are drawn to equal ones with strength ``shrinkage``: with few measurements
    all devices have a say. The two are averaged in the log, each with the inverse of its mean squared leave-one-out
    error as its weight, so that known devices that do not resemble the new one lose theirs.

    Args:
        space: of the architectures.
        sources: fitted predictors of known devices, by name; a saved one has them in its file.
        shrinkage: in units of one measurement.
    """

    name: ClassVar[str] = "adapted"
    summary: ClassVar[str] = "known devices combined, averaged with a look-up table of the new one"

    def __init__(
        self, space: Space, sources: Mapping[str, LatencyPredictor] | None = None, shrinkage: float = 0.03
    ) -> None:
        super().__init__(space)
        if not shrinkage > 0:
            raise SettingsError(f"shrinkage must be above 0, not {shrinkage}")
        self.sources = dict(sources or {})
        self.shrinkage = shrinkage

    def _fit(self, architectures: Sequence[Architecture], latencies: Floats) -> None:
        if not self.sources:
            raise SettingsError("adaptation needs at least one known device")
        known = self._known(architectures)
        self.centre, self.spread = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-6)
        logs = np.log(latencies)
        features = (known - self.centre) / self.spread
        self.constant, self.weights = combination(features, logs, self.shrinkage)
        self.lookup = LookUp(self.space)
        self.lookup.fit(architectures, latencies)
        self.trust = 0.5
        if len(logs) > 3:
            errors = [self._left_out(list(architectures), features, latencies, i) for i in range(len(logs))]
            mine, table = np.maximum(np.mean(np.square(errors), axis=0), 1e-12)
            self.trust = float(table / (mine + table))

    def _left_out(
        self, architectures: list[Architecture], features: Floats, latencies: Floats, i: int
    ) -> tuple[float, float]:
        """Errors of the log latency of measurement ``i`` by both when it is not in the fit."""
        rest = np.arange(len(latencies)) != i
        constant, weights = combination(features[rest], np.log(latencies[rest]), self.shrinkage)
        table = LookUp(self.space)
        table.fit(architectures[:i] + architectures[i + 1 :], latencies[rest])
        mine = constant + features[i] @ weights
        return mine - np.log(latencies[i]), float(_log(table.predict([architectures[i]]))[0] - np.log(latencies[i]))

    def predict(self, architectures: Sequence[Architecture]) -> Floats:
        """Always positive."""
        mine = self.constant + (self._known(architectures) - self.centre) / self.spread @ self.weights
        table = _log(self.lookup.predict(architectures))
        return np.asarray(np.exp(self.trust * mine + (1 - self.trust) * table))

    def _known(self, architectures: Sequence[Architecture]) -> Floats:
        """Log predictions of the known devices: ``n x devices``."""
        return np.stack([_log(source.predict(architectures)) for source in self.sources.values()], axis=1)

    def state(self) -> dict[str, Any]:
        """With the predictors of the known devices."""
        return {
            "sources": {n: {"predictor": s.name, "state": s.state()} for n, s in self.sources.items()},
            "centre": self.centre.tolist(), "spread": self.spread.tolist(), "constant": self.constant,
            "weights": self.weights.tolist(), "lookup": self.lookup.state(), "trust": self.trust,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """From :meth:`state`."""
        self.sources = {}
        for name, source in state["sources"].items():
            self.sources[name] = PREDICTORS[source["predictor"]](self.space)
            self.sources[name].restore(source["state"])
        self.centre, self.spread = np.array(state["centre"]), np.array(state["spread"])
        self.constant, self.weights = float(state["constant"]), np.array(state["weights"])
        self.lookup = LookUp(self.space)
        self.lookup.restore(state["lookup"])
        self.trust = float(state["trust"])


def combination(features: Floats, targets: Floats, shrinkage: float) -> tuple[float, Floats]:
    """Constant and non-negative weights: least squares, drawn to equal weights that fit best.

    Args:
        features: ``n x k``, standardised.
        targets: ``n``.
        shrinkage: strength.
    """
    k = features.shape[1]
    centre, mean = features.mean(axis=0), float(targets.mean())
    together = (features - centre).mean(axis=1)
    equal = max(float(together @ (targets - mean)) / (float(together @ together) + 1e-9), 0.0) / k
    rows = np.vstack([features - centre, np.sqrt(shrinkage) * np.eye(k)])
    weights = nnls(rows, np.concatenate([targets - mean, np.full(k, np.sqrt(shrinkage) * equal)]))[0]
    return mean - float(centre @ weights), np.asarray(weights)


def _log(latencies: Floats) -> Floats:
    """The log of predictions, some of which may be zero or less."""
    return np.asarray(np.log(np.maximum(latencies, 1e-3)))
