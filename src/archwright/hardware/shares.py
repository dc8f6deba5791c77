"""Latency weights of operations: the share of each in their summed extra latency, for penalties on expected latency.

The published weights come with Archwright, so that results do not depend on the host; others are measured
(:func:`archwright.hardware.stems.measure_weights`) and kept as one JSON file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archwright.errors import SettingsError
from archwright.hardware.predictors import read_json

FORMAT, VERSION = "archwright-latency-weights", 1
NOTHING = ("none", "zero", "random")
"""Operations that stand for no connection; they weigh nothing."""


@dataclass(frozen=True)
class LatencyWeights:
    """How much of their summed latency each operation is.

    Attributes:
        name: where they were measured or published.
        weights: per operation, none negative, of sum 1.
        base_ms: latency of the network as it is; 0 where it is not known.
        measured_ms: latency of the network with copies of the operation in its stem.
        settings: what was measured and how, JSON-able.
    """

    name: str
    weights: Mapping[str, float]
    base_ms: float = 0.0
    measured_ms: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def table(self) -> dict[str, float]:
        """Weight by operation, those that stand for no connection with 0: what a loss of expected latency reads."""
        return {**dict.fromkeys(NOTHING, 0.0), **self.weights}

    def save(self, path: str | Path) -> None:
        """Write the file.

        Raises:
            SettingsError: it cannot be written.
        """
        content = {
            "format": FORMAT, "version": VERSION, "name": self.name, "weights": dict(self.weights),
            "base_ms": self.base_ms, "measured_ms": dict(self.measured_ms), "settings": dict(self.settings),
        }  # fmt: skip
        try:
            Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"cannot write {path}: {error.strerror}") from error


PUBLISHED = LatencyWeights(
    "Herron 2023, table 4.6",
    {
        "avg_pool_3x3": 0.06, "max_pool_3x3": 0.04, "sep_conv_3x3": 0.24, "sep_conv_5x5": 0.36,
        "dil_conv_3x3": 0.11, "dil_conv_5x5": 0.15, "skip_connect": 0.04,
    },
)  # fmt: skip


def load_weights(path: str | Path | None = None) -> LatencyWeights:
    """Weights from a file, the published ones where none is given.

    Raises:
        SettingsError: the file cannot be read, or its weights are not positive numbers of sum 1.
    """
    if path is None:
        return PUBLISHED
    remedy = "measure with: archwright cells latency --out FILE"
    content = read_json(path, FORMAT, VERSION, "file of latency weights", remedy)
    weights = content.get("weights")
    if not isinstance(weights, dict) or not weights or not all(_is_weight(w) for w in weights.values()):
        raise SettingsError(f"{path} has no latency weights of 0 or more by operation; {remedy}")
    if not math.isclose(sum(weights.values()), 1.0, abs_tol=1e-6):
        raise SettingsError(f"the latency weights in {path} sum to {sum(weights.values()):.6g}, not to 1; {remedy}")
    rest = {key: content[key] for key in ("base_ms", "measured_ms", "settings") if key in content}
    return LatencyWeights(str(content.get("name", path)), weights, **rest)


def _is_weight(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def weights_of(base: float, measured: Mapping[str, float]) -> dict[str, float]:
    """Extra latency of each operation over ``base`` as a share of all (Herron 2023, section 4.3).

    An operation that is faster than the base weighs nothing.

    Raises:
        SettingsError: none is slower than the base.
    """
    extra = {name: max(0.0, latency - base) for name, latency in measured.items()}
    total = sum(extra.values())
    if total <= 0:
        raise SettingsError(
            f"no operation took longer than the network without it ({base:.4g} ms); measure with more repeats or copies"
        )
    return {name: value / total for name, value in extra.items()}
