"""The deep ensemble as the model of a failure search."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Goal
from archwright.failures.conditions import GOAL, all_of
from archwright.searchers import Searcher
from archwright.searchers.acquisition import best_first
from archwright.space import Architecture, Space

if TYPE_CHECKING:
    from torch import Tensor

    from archwright.surrogate import DeepEnsemble

ACQUISITIONS = {"greedy": "mean", "ei": "ei"}


class DeepBO(Searcher):
    """Bayesian optimisation of a deep ensemble on one-hot attributes (Ouertatani 2024, sections 4.3 and 5.2).

    ::

        evaluate `initial` random conditions
        repeat:
            go on training the ensemble on all accuracies known, `epochs` passes
            evaluate the condition with the lowest mean prediction of all that are not known

    The members go on from where they are; values are standardised. What failed is left out of the training.

    Args:
        initial: random conditions at the start.
        epochs: passes per update.
        members: networks of the ensemble.
        acquisition: ``greedy`` (the incumbent minus the mean prediction, as above) or ``ei``.
    """

    summary: ClassVar[str] = "greedy Bayesian optimisation: what a deep ensemble expects to be worst"

    def __init__(
        self,
        space: Space,
        goal: Goal = GOAL,
        *,
        seed: int = 0,
        initial: int = 10,
        epochs: int = 5,
        members: int = 6,
        acquisition: str = "greedy",
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if min(initial, epochs, members) < 1:
            raise SettingsError(
                f"initial, epochs and members must be at least 1, not {initial}, {epochs} and {members}"
            )
        if acquisition not in ACQUISITIONS:
            raise SettingsError(unknown("acquisition", acquisition, ACQUISITIONS))
        self.initial, self.epochs, self.seed = initial, epochs, seed
        self.acquisition = ACQUISITIONS[acquisition]
        self.members = all_of(space)
        self._place = {member: i for i, member in enumerate(self.members)}
        self._size = members
        self._inputs: Tensor | None = None
        self._ensemble: DeepEnsemble | None = None

    def propose(self) -> Architecture | None:
        """A random condition at first, then the one that promises most."""
        told = {a: value[1] for a, value in self.known.items() if value[0] == 0}
        if len(self.known) + len(self.pending) < self.initial or not told:
            return self.fresh(self.starts)
        left = [i for i, member in enumerate(self.members) if self.is_new(member)]
        if not left:
            return None
        predicted, best = self._learn(told, left)
        return self.members[left[int(best_first(predicted, best, self.acquisition, self.rng)[0])]]

    def _learn(self, told: dict[Architecture, float], left: list[int]) -> tuple[np.ndarray, float]:
        """``members x left`` predictions after an update, and the best known on the same scale."""
        import torch

        from archwright.surrogate import DeepEnsemble

        if self._inputs is None or self._ensemble is None:
            self._inputs = torch.from_numpy(self.space.encode(self.members, "one_hot")).float() * 2 - 1
            self._ensemble = DeepEnsemble(self._inputs.shape[1], 1, members=self._size, seed=self.seed)
        values = np.array(list(told.values()))
        values = (values - values.mean()) / (values.std() or 1.0)
        rows = [self._place[a] for a in told]
        self._ensemble.fit(self._inputs[rows], torch.from_numpy(values)[:, None], epochs=self.epochs)
        return self._ensemble.predict(self._inputs[left]).double().numpy(), float(values.max())
