"""Our searchers as an Optuna sampler, for people who keep their own Optuna script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from archwright.errors import StudyError
from archwright.evaluation import Evaluation
from archwright.searchers import Searcher
from archwright.space import Architecture


class ArchwrightSampler(BaseSampler):
    """Lets a searcher choose the parameters of Optuna trials.

    ::

        searcher = make_searcher("ls", space, Goal((Objective("accuracy", "maximize"),)))
        study = optuna.create_study(direction="maximize", sampler=ArchwrightSampler(searcher))

    The objective function suggests the space's parameters by their names, as Optuna asks (those that are active). It
    runs in one process: the searcher lives in this one.

    Raises:
        StudyError: the space is exhausted, or the objective asks for a parameter that the space does not have.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._out: dict[int, Architecture] = {}
        self._distributions: dict[str, BaseDistribution] = searcher.space.to_optuna()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of the architecture that this trial will have."""
        proposals = self._searcher.ask(1)
        if not proposals:
            raise StudyError("the searcher has no further proposal: the space is exhausted, or answers must come first")
        self._out[trial.number] = proposals[0]
        return {name: self._distributions[name] for name in proposals[0]}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of that architecture."""
        return dict(self._out[trial.number])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter outside of the architecture is an error."""
        raise StudyError(
            f"the objective asks for {param_name!r}, which the architecture {self._out[trial.number]} does not have"
        )

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the searcher."""
        architecture = self._out.pop(trial.number)
        names = [o.metric for o in self._searcher.goal.objectives]
        if state is TrialState.COMPLETE and values is not None and all(map(math.isfinite, values)):
            evaluation = Evaluation(dict(zip(names, values)))
        else:
            evaluation = Evaluation(status="failed", reason=f"Optuna trial {state.name}")
        self._searcher.tell(architecture, evaluation)
