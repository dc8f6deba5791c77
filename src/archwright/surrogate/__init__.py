"""Predictors of what architectures are worth: those that searchers use, and others to compare them with."""

from archwright.surrogate.base import Surrogate
from archwright.surrogate.deep import DeepEnsemble
from archwright.surrogate.models import MODELS, make_surrogate, suitable

__all__ = ["MODELS", "DeepEnsemble", "Surrogate", "make_surrogate", "suitable"]
