"""The searcher's side of the conversation: ``ask`` for architectures, ``tell`` what they are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation, Goal
from archwright.space import Architecture, Space

Worth = tuple[float, ...]
"""``(feasibility, objective values...)``, every entry to be maximised; feasibility is 0 when all bounds hold,
minus the violation when some do not, and minus infinity for an evaluation that failed (Deb, 2000)."""


SetScore = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Objective values ``n x objectives``, to be maximised, to ``n`` scores of the members of this set: the best is the result."""


class Clues(Protocol):
    """What can be known of architectures without evaluating them: costs, scores of untrained networks, columns of a table."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the clues."""

    def __call__(self, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """``n x names``; NaN where there is none. The same architecture always gets the same clues."""


def worth(goal: Goal, evaluation: Evaluation) -> Worth:
    """How good an evaluation is, comparable with ``>`` when there is one objective."""
    if evaluation.status == "ok":
        return (0.0, *goal.values(evaluation))
    nothing = (-np.inf,) * len(goal.objectives)
    if evaluation.status == "infeasible":
        return (-goal.violation(evaluation.metrics), *nothing)
    return (-np.inf, *nothing)


def dominates(a: Worth, b: Worth) -> bool:
    """Feasibility first; among the feasible, Pareto dominance (which is ``>`` when there is one objective)."""
    if a[0] != b[0]:
        return a[0] > b[0]
    return a != b and all(x >= y for x, y in zip(a[1:], b[1:]))


class Searcher(ABC):
    """Proposes architectures; a deterministic function of space, goal, seed and what it was told, in order.

    A subclass says how to propose one (:meth:`propose`) and what to learn from an answer (:meth:`observe`).
    This class keeps what is known and what is still out, so that a subclass never proposes an architecture twice.
    One with ``several_fidelities`` takes ``fidelities``, the shares of a full training that an evaluation may have
    (ascending, the last is 1), and may propose an architecture again with a larger share; where ``fidelities_are_optional`` it
    only does so when the user names them.

    One that ``takes_clues`` has the argument ``clues`` (:class:`Clues`, or ``None``) and does without where there are none.

    A searcher whose result is one architecture although there are several objectives says with ``set_score`` which.

    Attributes:
        known: worth of every architecture told so far, in order.
        pending: architectures that were asked for and not told yet, in order, and the fidelity asked for.
        exhausted: nothing is left to propose, now and later.
        ended: why, where it is not that the whole space has been proposed.
        pays_for_repeats: an architecture asked for again counts as an evaluation in comparisons.
        starts: generator of initial architectures. It depends on the seed alone, so that all searchers of
            one seed start alike.
        rng: generator of everything else.

    Raises:
        SettingsError: several objectives, but the searcher handles one.
    """

    several_objectives: ClassVar[bool] = False
    several_fidelities: ClassVar[bool] = False
    fidelities_are_optional: ClassVar[bool] = False
    takes_clues: ClassVar[bool] = False
    summary: ClassVar[str] = ""
    set_score: ClassVar[SetScore | None] = None

    def __init__(self, space: Space, goal: Goal, *, seed: int = 0) -> None:
        if len(goal.objectives) > 1 and not self.several_objectives:
            raise SettingsError(
                f"{type(self).__name__} handles one objective and the goal has {len(goal.objectives)}; use a searcher "
                "that handles several (archwright list searchers), or make all but one a bound (--at-most, --at-least)"
            )
        self.space = space
        self.goal = goal
        self.starts = np.random.default_rng([seed, 0])
        self.rng = np.random.default_rng([seed, 1])
        self.known: dict[Architecture, Worth] = {}
        self.pending: dict[Architecture, float] = {}
        self.exhausted = False
        self.ended = ""
        self.pays_for_repeats = False

    @abstractmethod
    def propose(self) -> Architecture | None:
        """The next architecture, neither known nor pending.

        ``None`` means that answers still out decide what comes next; when none are out, it means that the
        space is exhausted.
        """

    def fidelity(self, architecture: Architecture) -> float:
        """Share of the full training that the proposal just made is to get; below 1 only with ``several_fidelities``."""
        return 1.0

    def observe(self, architecture: Architecture, value: Worth) -> None:  # noqa: B027
        """Learn from an answer, asked for or not; ``known`` already holds it."""

    def remarks(self) -> list[str]:
        """What the searcher has learned that a person may want to read, a sentence each."""
        return []

    def ask(self, n: int = 1) -> list[Architecture]:
        """Up to ``n`` architectures to evaluate; fewer when answers still out must come first."""
        proposals: list[Architecture] = []
        while len(proposals) < n and not self.exhausted:
            architecture = self.propose()
            if architecture is None:
                self.exhausted = not self.pending
                break
            self.pending[architecture] = self.fidelity(architecture)
            proposals.append(architecture)
        return proposals

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Say what an architecture is worth, in any order; also one that was not asked for (a warm start)."""
        self.pending.pop(architecture, None)
        value = worth(self.goal, evaluation)
        self.known[architecture] = value
        self.observe(architecture, value)

    def is_new(self, architecture: Architecture) -> bool:
        """Neither known nor pending."""
        return architecture not in self.known and architecture not in self.pending

    def fresh(self, rng: np.random.Generator, tries: int = 200) -> Architecture | None:
        """A uniformly drawn architecture that is new, or ``None`` when the space has no new one."""
        for _ in range(tries):
            architecture = self.space.sample(rng)
            if self.is_new(architecture):
                return architecture
        size = self.space.size
        if size is None:
            return None
        left = [a for a in self.space.enumerate() if self.is_new(a)]
        return left[int(rng.integers(len(left)))] if left else None
