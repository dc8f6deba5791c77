"""Predictors that searchers use."""

from archwright.surrogate.deep import DeepEnsemble, read_header
from archwright.surrogate.pretraining import pretrain, store, stored

__all__ = ["DeepEnsemble", "pretrain", "read_header", "store", "stored"]
