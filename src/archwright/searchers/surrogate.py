"""Bayesian optimisation with one of the surrogate models."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Goal
from archwright.searchers.acquisition import NORMAL
from archwright.searchers.base import Searcher
from archwright.space import Architecture, Space

if TYPE_CHECKING:
    from archwright.surrogate.base import Regressor

Matrix = NDArray[np.float64]
BEST = 5
RANDOM_EVERY = 5
FEWEST = 2


class ModelBO(Searcher):
    """Evaluate what has the highest acquisition value under a surrogate model.

    ::

        evaluate `initial` random architectures
        repeat:
            fit the surrogate: architectures -> objective
            pool <- neighbours of the five best, and `pool` random architectures, none known
            evaluate the `batch` members of the pool with the highest acquisition value; every fifth time a random architecture

    What failed or broke a bound counts as the worst value seen; what is still out, as the mean.

    Args:
        initial: random architectures at the start.
        pool: random candidates beside the neighbours of the best.
        batch: evaluations between fits.
        acquisition: ``ei`` (expected improvement, Jones et al. 1998), ``pi`` (its probability), ``ucb`` (mean and one deviation),
            ``ts`` (a draw for each candidate) or ``mean``.

    Raises:
        SettingsError: a number below 1, or an unknown acquisition.
    """

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        initial: int = 10,
        pool: int = 200,
        batch: int = 1,
        acquisition: str = "ei",
    ) -> None:
        super().__init__(space, goal, seed=seed)
        for name, value in (("initial", initial), ("pool", pool), ("batch", batch)):
            if value < 1:
                raise SettingsError(f"{name} must be at least 1, not {value}")
        if acquisition not in NORMAL:
            raise SettingsError(unknown("acquisition", acquisition, NORMAL))
        self.initial, self.pool, self.batch, self.acquisition = initial, pool, batch, acquisition
        self.seed = seed
        self._queue: list[Architecture] = []

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the most promising candidates."""
        done = len(self.known) + len(self.pending)
        if done < self.initial:
            return self.fresh(self.starts)
        if done % RANDOM_EVERY == 0:
            return self.fresh(self.rng)
        self._queue = [a for a in self._queue if self.is_new(a)] or self._choose()
        return self._queue.pop(0) if self._queue else self.fresh(self.rng)

    def _choose(self) -> list[Architecture]:
        """The next batch; empty where there is nothing to choose from or by."""
        values = {a: value[1] for a, value in self.known.items() if value[0] == 0 and np.isfinite(value[1])}
        seen = [*self.known, *self.pending]
        pool = self._candidates(sorted(values, key=lambda a: -values[a])[:BEST]) if values else []
        if not pool or len(seen) < FEWEST:
            return []
        fill, worst = float(np.mean(list(values.values()))), min(values.values())
        model = self._surrogate
        model.fit(seen, np.array([values.get(a, fill if a in self.pending else worst) for a in seen]))
        mean, std = model.predict(pool)
        promise = NORMAL[self.acquisition](mean, std, max(values.values()), self.rng)
        return [pool[i] for i in np.argsort(-promise, kind="stable")[: self.batch]]

    def _candidates(self, best: list[Architecture]) -> list[Architecture]:
        near = [u for a in best for u in self.space.neighbours(a, self.rng)]
        drawn = self.space.sample(self.rng, self.pool)
        return [a for a in dict.fromkeys([*near, *drawn]) if self.is_new(a)]

    @cached_property
    def _surrogate(self) -> Regressor:
        """The one that is fitted again and again."""
        return self._model()

    @abstractmethod
    def _model(self) -> Regressor:
        """One that has not been fitted."""


class SurrogateBO(ModelBO):
    """:class:`ModelBO` with any of the surrogates that ``archwright arena --surrogates`` compares.

    Args:
        surrogate: its name; by default ``gp-wl`` where cells say all about an architecture (as NAS-BOWL, Ru et al. 2021), else
            ``gp-hamming``.
        initial, pool, batch, acquisition: see :class:`ModelBO`.

    Raises:
        SettingsError: see :class:`ModelBO`; an unknown surrogate, or one that cannot see all of such a space.
    """

    summary: ClassVar[str] = (
        "Bayesian optimisation with any surrogate: Gaussian processes of cells, graph networks, trees ..."
    )

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        surrogate: str = "",
        initial: int = 10,
        pool: int = 200,
        batch: int = 1,
        acquisition: str = "ei",
    ) -> None:
        from archwright.surrogate.base import has_cells_only

        super().__init__(space, goal, seed=seed, initial=initial, pool=pool, batch=batch, acquisition=acquisition)
        self.surrogate = surrogate or ("gp-wl" if space.cells and has_cells_only(space) else "gp-hamming")
        self._model()

    def _model(self) -> Regressor:
        from archwright.surrogate import make_surrogate

        return make_surrogate(self.surrogate, self.space, seed=self.seed)


class ForestBO(ModelBO):
    """:class:`ModelBO` with a random forest, whose trees' spread is the uncertainty (Hutter et al. 2011)."""

    summary: ClassVar[str] = "Bayesian optimisation with a random forest, expected improvement"

    def _model(self) -> Regressor:
        from archwright.surrogate.models import Forest

        return Forest(self.space, seed=self.seed, trees=30, leaf=2)


class GaussianProcessBO(ModelBO):
    """:class:`ModelBO` with a Gaussian process (Matern 5/2 and noise). Its cost grows with the cube of the evaluations."""

    summary: ClassVar[str] = "Bayesian optimisation with a Gaussian process, expected improvement"

    def _model(self) -> Regressor:
        from archwright.surrogate.processes import MaternProcess

        return MaternProcess(self.space, seed=self.seed)
