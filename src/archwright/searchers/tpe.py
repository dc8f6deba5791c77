"""Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth
from archwright.space import Architecture, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

TRIES = 20


class TPE(Searcher):
    """The tree-structured Parzen estimator (Bergstra et al. 2011), by Optuna's ``TPESampler``.

    Parameters are suggested one after another; conditional ones where their condition holds. A suggestion that is known
    already or breaks a constraint is drawn again, after twenty times an architecture is drawn uniformly. What failed or
    broke a bound is kept from the estimator.

    Args:
        initial: random architectures at the start.
    """

    summary: ClassVar[str] = "tree-structured Parzen estimator (Optuna)"

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0, initial: int = 10) -> None:
        super().__init__(space, goal, seed=seed)
        if initial < 1:
            raise SettingsError(f"initial must be at least 1, not {initial}")
        import optuna

        self.initial = initial
        self._distributions: dict[str, BaseDistribution] = space.to_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the estimator's suggestion."""
        if len(self.known) + len(self.pending) < self.initial:
            return self.fresh(self.starts)
        for _ in range(TRIES):
            suggested = self._suggest()
            if suggested in self.space and self.is_new(suggested):
                return suggested
        return self.fresh(self.rng)

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """Give the estimator one more trial."""
        from optuna.trial import create_trial

        if value[0] == 0 and np.isfinite(value[1]):
            params = architecture.to_json()
            known = {name: self._distributions[name] for name in params}
            self._study.add_trial(create_trial(params=params, distributions=known, value=value[1]))

    def _suggest(self) -> Architecture:
        from optuna.trial import TrialState

        trial = self._study.ask()
        values: dict[str, Any] = {}
        for name in self.space.parents_first:
            if self.space.parameters[name].is_active(values):
                values[name] = _suggest(trial, name, self._distributions[name])
        self._study.tell(trial, state=TrialState.FAIL)
        return Architecture(values)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
