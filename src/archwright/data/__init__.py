"""Data sets: loading, splitting, augmentation. What needs torch loads on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archwright.data.dataset import Data, Split
from archwright.data.loading import SOURCES, load_data

if TYPE_CHECKING:
    from archwright.data.augment import Augmentation
    from archwright.data.device import DeviceSplit

_HOME = {"Augmentation": "augment", "DeviceSplit": "device"}

__all__ = ["SOURCES", "Augmentation", "Data", "DeviceSplit", "Split", "load_data"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archwright.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archwright.data.{_HOME[name]}"), name)
