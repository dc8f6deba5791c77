"""Predictors of what architectures are worth: those that searchers use, and others to compare them with."""

from archwright.surrogate.base import Surrogate
from archwright.surrogate.deep import DeepEnsemble, read_header
from archwright.surrogate.models import MODELS, make_surrogate, suitable
from archwright.surrogate.pretraining import pretrain, store, stored

__all__ = [
    "MODELS",
    "DeepEnsemble",
    "Surrogate",
    "make_surrogate",
    "pretrain",
    "read_header",
    "store",
    "stored",
    "suitable",
]
