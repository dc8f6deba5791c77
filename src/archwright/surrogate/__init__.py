"""Predictors that searchers use."""

from archwright.surrogate.deep import DeepEnsemble

__all__ = ["DeepEnsemble"]
