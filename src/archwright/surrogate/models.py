"""Surrogates by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch

from archwright.errors import SettingsError, SpaceError, unknown
from archwright.space import Architecture, Space
from archwright.surrogate.base import Matrix, Prediction, Regressor, has_cells_only
from archwright.surrogate.deep import DeepEnsemble
from archwright.surrogate.graphs import GraphNetwork
from archwright.surrogate.perceptrons import Perceptrons
from archwright.surrogate.pretraining import encoded
from archwright.surrogate.processes import HammingProcess, MaternProcess, PathProcess, WeisfeilerLehmanProcess


class DeepEnsembleSurrogate(Regressor):
    """The deep ensemble of Ouertatani (2024) with one head and without pretraining; its members' spread is the uncertainty.

    Args:
        space, seed: see :class:`~archwright.surrogate.base.Regressor`.
        encoding: of the space, scaled to -1 to 1. The published one is ``ordinal``; that choices without order have one makes
            such a network rank badly where it is not pretrained.
        epochs, lr: of the training. At the published rate of 0.005 networks of many inputs may end up predicting a constant.
    """

    summary: ClassVar[str] = "deep ensemble of Ouertatani (2024), not pretrained"

    def __init__(
        self, space: Space, *, seed: int = 0, encoding: str = "thermometer", epochs: int = 60, lr: float = 1e-3
    ) -> None:
        super().__init__(space, seed=seed)
        self.encoding, self.epochs, self.lr = encoding, epochs, lr

    def _describe(self, architectures: Sequence[Architecture], *, new: bool = False) -> Matrix:
        return np.asarray(encoded(self.space, architectures, self.encoding).double().numpy())

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        self._ensemble = DeepEnsemble(rows.shape[1], 1, lr=self.lr, seed=self.seed)
        self._ensemble.fit(torch.from_numpy(rows), torch.from_numpy(targets)[:, None], epochs=self.epochs)

    def _predict(self, rows: Matrix) -> Prediction:
        return _spread(self._ensemble.predict(torch.from_numpy(rows)).double().numpy())


class BananasSurrogate(Regressor):
    """The ensemble of BANANAS (White et al. 2021), on path encodings where cells say all and have not too many, else one-hot."""

    summary: ClassVar[str] = "ensemble of perceptrons of BANANAS, on path encodings where there are cells"
    cutoff: ClassVar[int] = 30

    def _describe(self, architectures: Sequence[Architecture], *, new: bool = False) -> Matrix:
        if not self._has_paths:
            return super()._describe(architectures)
        return self.space.encode(architectures, "path")[:, : self.cutoff]

    @cached_property
    def _has_paths(self) -> bool:
        try:
            return has_cells_only(self.space) and bool(self.space.columns("path"))
        except SpaceError:
            return False

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        self._ensemble = Perceptrons(rows.shape[1], seed=self.seed)
        self._ensemble.fit(rows, targets)

    def _predict(self, rows: Matrix) -> Prediction:
        return _spread(self._ensemble.predict(rows))


class Forest(Regressor):
    """A random forest; the spread of its trees is the uncertainty (Hutter et al. 2011).

    Each tree is grown on a bootstrap sample, with half of the columns to split by (Breiman 2001). The trees are scikit-learn's; its
    forest of them spends more time on copies of settings than on trees of so few examples.

    Args:
        space, seed: see :class:`~archwright.surrogate.base.Regressor`.
        trees: how many.
        leaf: examples that a leaf has at least.
    """

    summary: ClassVar[str] = "random forest, one-hot"

    def __init__(self, space: Space, *, seed: int = 0, trees: int = 100, leaf: int = 1) -> None:
        super().__init__(space, seed=seed)
        self.trees, self.leaf = trees, leaf

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        from sklearn import config_context
        from sklearn.tree import DecisionTreeRegressor

        rng = np.random.RandomState(self.seed)
        n, narrow = len(rows), rows.astype(np.float32)
        self._made = []
        with config_context(assume_finite=True, skip_parameter_validation=True):
            for _ in range(self.trees):
                seed = int(rng.randint(np.iinfo(np.int32).max))
                times = np.bincount(np.random.RandomState(seed).randint(0, n, n), minlength=n).astype(float)
                tree = DecisionTreeRegressor(min_samples_leaf=self.leaf, max_features=0.5, random_state=seed)
                self._made.append(tree.fit(narrow, targets, sample_weight=times, check_input=False).tree_)

    def _predict(self, rows: Matrix) -> Prediction:
        narrow = rows.astype(np.float32)
        return _spread(np.stack([tree.predict(narrow)[:, 0] for tree in self._made]))


class Boosting(Regressor):
    """Ten times gradient boosting (Friedman 2002), each tree of half the examples; their spread is the uncertainty."""

    summary: ClassVar[str] = "ensemble of gradient boosting, one-hot"
    members: ClassVar[int] = 10

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        from sklearn.ensemble import GradientBoostingRegressor

        seeds = np.random.default_rng(self.seed).integers(2**31, size=self.members).tolist()
        made = [GradientBoostingRegressor(subsample=0.5, random_state=s) for s in seeds]
        self._members = [model.fit(rows, targets) for model in made]

    def _predict(self, rows: Matrix) -> Prediction:
        return _spread(np.stack([model.predict(rows) for model in self._members]))


class Ridge(Regressor):
    """Bayesian ridge regression (MacKay 1992): a linear model, whose penalty and noise have the highest evidence."""

    summary: ClassVar[str] = "Bayesian ridge regression, one-hot"

    def _fit(self, rows: Matrix, targets: Matrix) -> None:
        from sklearn.linear_model import BayesianRidge

        self._model = BayesianRidge().fit(rows, targets)

    def _predict(self, rows: Matrix) -> Prediction:
        mean, std = self._model.predict(rows, return_std=True)
        return np.asarray(mean), np.asarray(std)


MODELS: Mapping[str, type[Regressor]] = {
    "deep-ensemble": DeepEnsembleSurrogate,
    "bananas": BananasSurrogate,
    "gp-hamming": HammingProcess,
    "gp-path": PathProcess,
    "gp-wl": WeisfeilerLehmanProcess,
    "gp-matern": MaternProcess,
    "forest": Forest,
    "boosting": Boosting,
    "ridge": Ridge,
    "gnn": GraphNetwork,
}


def make_surrogate(name: str, space: Space, *, seed: int = 0) -> Regressor:
    """A surrogate by its name.

    Raises:
        SettingsError: there is none of this name, or it is not for such a space.
    """
    if name not in MODELS:
        raise SettingsError(unknown("surrogate", name, MODELS))
    try:
        return MODELS[name](space, seed=seed)
    except (SettingsError, SpaceError) as error:
        able = ", ".join(other for other, model in MODELS.items() if not model.of_cells)
        raise SettingsError(f"surrogate {name}: {error}; these are for any space: {able}") from error


def suitable(space: Space) -> list[str]:
    """The names of the surrogates that such a space can have."""
    found = []
    for name in MODELS:
        with suppress(SettingsError):
            make_surrogate(name, space)
            found.append(name)
    return found


def _spread(members: Matrix) -> Prediction:
    """Mean and population deviation over ``members x n``."""
    return members.mean(axis=0), members.std(axis=0)
