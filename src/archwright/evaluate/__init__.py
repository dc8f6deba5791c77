"""What a network is worth: training, scoring, and measuring what it costs.

The names load on first use; the catalogue of metrics and the settings of a training do not need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archwright.evaluate.cost import profile_network
    from archwright.evaluate.devices import resolve_device, seeded
    from archwright.evaluate.metrics import METRICS, Metric, check_metrics, natural_direction, score
    from archwright.evaluate.network import NetworkEvaluator
    from archwright.evaluate.scoring import Scored, evaluate_split
    from archwright.evaluate.settings import Training
    from archwright.evaluate.team import Team
    from archwright.evaluate.training import Trained, train

_HOMES = {
    "cost": ("profile_network",),
    "devices": ("resolve_device", "seeded"),
    "metrics": ("METRICS", "Metric", "check_metrics", "natural_direction", "score"),
    "network": ("NetworkEvaluator",),
    "scoring": ("Scored", "evaluate_split"),
    "settings": ("Training",),
    "team": ("Team",),
    "training": ("Trained", "train"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "METRICS",
    "Metric",
    "NetworkEvaluator",
    "Scored",
    "Team",
    "Trained",
    "Training",
    "check_metrics",
    "evaluate_split",
    "natural_direction",
    "profile_network",
    "resolve_device",
    "score",
    "seeded",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archwright.evaluate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archwright.evaluate.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
