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
from archwright.supernet.needs import mind_edges, peak_of
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
    mind_edges(asked, data, edge, settings, say)
    peak = peak_of(asked, folder)
    found = search_edges(
        data, edge, settings, seed=asked.seed, device=asked.device, checkpoint=file, on_epoch=told(say, "search", peak)
    )
    more: dict[str, Any] = {
        "curve": list(found.search.curve), "operations": list(found.operations), "alpha": [list(r) for r in found.alpha],
    }  # fmt: skip
    if asked.sample:
        say(f"{asked.sample} cells with the weights of the search")
        scores = one_shot_accuracies(found.student, data, asked.sample, seed=derived_seed(asked.seed, 70))
        more["one_shot"] = [list(pair) for pair in scores]
    search = found.search
    return Searched(
        *_found(found.architecture, size), search.seconds, len(search.curve), peak.mb, search.curve[-1]["val_accuracy"], None,
        more, search.history,
    )  # fmt: skip


def random(
    asked: OneShot, _data: Data, edge: EdgeSettings, _settings: JointSettings, size: Mapping[str, int],
    _folder: Path | None, _say: Callable[[str], object],
) -> Searched:  # fmt: skip
    """A cell without a search."""
    return Searched(*_found(random_edges(edge, asked.seed), size), 0.0, 0, None, None, None, {})


def _found(architecture: Architecture, size: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Design]]:
    family = get_family("nasbench201", **size)
    return {"cell": to_string(architecture)}, {"retrain": Design(family, architecture)}


EDGE_SEARCHES = {"cells": edges, "random": random}
"""By the kind of search of a method."""
