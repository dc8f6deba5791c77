"""Neural architecture search on your own PyTorch code and data.

The public names load on first use, so that ``import archwright`` is quick and does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archwright.api import search
    from archwright.data import Data, load_data
    from archwright.evaluate import NetworkEvaluator, Training
    from archwright.evaluation import Bound, Evaluation, Goal, Objective
    from archwright.export import load
    from archwright.families import Family, get_family
    from archwright.searchers import SEARCHERS, Searcher, make_searcher
    from archwright.space import Architecture, Cell, Choice, Constraint, Genotype, Integer, Real, Space
    from archwright.study import Budget
    from archwright.study.result import Result

__version__ = "0.1.0"

_HOMES = {
    "api": ("search",),
    "data": ("Data", "load_data"),
    "evaluate": ("NetworkEvaluator", "Training"),
    "evaluation": ("Bound", "Evaluation", "Goal", "Objective"),
    "export": ("load",),
    "families": ("Family", "get_family"),
    "searchers": ("SEARCHERS", "Searcher", "make_searcher"),
    "space": ("Architecture", "Cell", "Choice", "Constraint", "Genotype", "Integer", "Real", "Space"),
    "study": ("Budget",),
    "study.result": ("Result",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SEARCHERS",
    "Architecture",
    "Bound",
    "Budget",
    "Cell",
    "Choice",
    "Constraint",
    "Data",
    "Evaluation",
    "Family",
    "Genotype",
    "Goal",
    "Integer",
    "NetworkEvaluator",
    "Objective",
    "Real",
    "Result",
    "Searcher",
    "Space",
    "Training",
    "get_family",
    "load",
    "load_data",
    "make_searcher",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archwright' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archwright.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
