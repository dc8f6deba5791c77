"""Exported models: writing, loading, predicting. What needs torch loads on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archwright.export.loading import load, predict_files
    from archwright.export.model import Model, Predictions
    from archwright.export.writing import export_model, export_onnx

_HOME = {
    "Model": "model",
    "Predictions": "model",
    "export_model": "writing",
    "export_onnx": "writing",
    "load": "loading",
    "predict_files": "loading",
}

__all__ = ["Model", "Predictions", "export_model", "export_onnx", "load", "predict_files"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archwright.export' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archwright.export.{_HOME[name]}"), name)
