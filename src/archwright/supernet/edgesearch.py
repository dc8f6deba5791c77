"""Running a search over NAS-Bench-201's cells as a method of ``archwright oneshot``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from archwright.data import Data
from archwright.evaluate.devices import derived_seed
from archwright.families import get_family
from archwright.families.nasbench201 import to_string
from archwright.space import Architecture
from archwright.supernet.methods import OneShot
from archwright.supernet.nasbench201 import EdgeSettings, random_edges, search_edges
from archwright.supernet.ranking import one_shot_accuracies
from archwright.supernet.retraining import Design
from archwright.supernet.searched import Searched, told
from archwright.supernet.settings import JointSettings


def edges(
    asked: OneShot, data: Data, edge: EdgeSettings, settings: JointSettings, size: Mapping[str, int],
    folder: Path | None, say: Callable[[str], object],
) -> Searched:  # fmt: skip
    """A joint search, and the sample that is asked for."""
    file = None if folder is None else folder / "search.safetensors"
    found = search_edges(
        data, edge, settings, seed=asked.seed, device=asked.device, checkpoint=file, on_epoch=told(say, "search")
    )
    more: dict[str, Any] = {
        "curve": list(found.search.curve), "operations": list(found.operations), "alpha": [list(r) for r in found.alpha],
    }  # fmt: skip
    if asked.sample:
        say(f"{asked.sample} cells with the weights of the search")
        scores = one_shot_accuracies(found.student, data, asked.sample, seed=derived_seed(asked.seed, 70))
        more["one_shot"] = [list(pair) for pair in scores]
    seconds, accuracy = found.search.seconds, found.search.curve[-1]["val_accuracy"]
    return _found(found.architecture, size, seconds, accuracy, more, found.search.history)


def random(
    asked: OneShot, _data: Data, edge: EdgeSettings, _settings: JointSettings, size: Mapping[str, int],
    _folder: Path | None, _say: Callable[[str], object],
) -> Searched:  # fmt: skip
    """A cell without a search."""
    return _found(random_edges(edge, asked.seed), size, 0.0, None, {})


def _found(
    architecture: Architecture, size: Mapping[str, int], seconds: float, accuracy: float | None,
    more: dict[str, Any], history: tuple[dict[str, Any], ...] = (),
) -> Searched:  # fmt: skip
    design = Design(get_family("nasbench201", **size), architecture)
    return Searched({"cell": to_string(architecture)}, {"retrain": design}, seconds, accuracy, None, more, history)


EDGE_SEARCHES = {"cells": edges, "random": random}
"""By the kind of search of a method."""
