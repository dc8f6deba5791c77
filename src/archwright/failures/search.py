"""The loop: a policy names a condition, the user's function says how accurate the classifier is in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright.errors import SettingsError
from archwright.evaluation import Evaluation
from archwright.failures.conditions import GOAL
from archwright.failures.policies import make_policy
from archwright.failures.subdomains import SubdomainTable
from archwright.space import Architecture, Space

OnCondition = Callable[[Architecture, float], None]


@dataclass(frozen=True)
class Exploration:
    """What a policy looked at.

    Attributes:
        policy: its name.
        visited: conditions, in order, each once.
        accuracies: of the classifier in each; NaN where the evaluation failed.
        reasons: of failures, by condition.
    """

    policy: str
    visited: tuple[Architecture, ...]
    accuracies: tuple[float, ...]
    reasons: Mapping[Architecture, str]

    def worst(self, count: int = 10) -> list[tuple[Architecture, float]]:
        """The ``count`` conditions with the lowest accuracies, lowest first."""
        known = [(a, v) for a, v in zip(self.visited, self.accuracies) if math.isfinite(v)]
        return sorted(known, key=lambda pair: pair[1])[:count]


def find_failures(
    evaluate: SubdomainTable | Callable[[Architecture], float],
    space: Space | None = None,
    *,
    policy: str = "greedy-bo",
    budget: int = 61,
    seed: int = 0,
    known: Mapping[Architecture, float] | None = None,
    on_condition: OnCondition | None = None,
    **options: Any,
) -> Exploration:
    """Search for the conditions in which a classifier is least accurate.

    Args:
        evaluate: the accuracy in a condition; what it raises, or a value that is no finite number, makes that condition a
            failed one and the search goes on. Or a table of all answers.
        space: of conditions: choices, perhaps with constraints; a table brings its own.
        policy: one of :data:`~archwright.failures.POLICIES`.
        budget: conditions to look at, known ones included; no more than there are.
        seed: of all that is random.
        known: answers of an earlier search, which are not evaluated again. The same policy and seed go on from them as if
            there had been no interruption.
        on_condition: called with each new condition and its accuracy.
        **options: of the policy.

    Raises:
        SettingsError: no space, a budget below 1, an unknown policy or option.
    """
    table = evaluate if isinstance(evaluate, SubdomainTable) else None
    space = table.space if table is not None else space
    if space is None:
        raise SettingsError("a function needs the space of its conditions: find_failures(evaluate, space)")
    if budget < 1:
        raise SettingsError(f"the budget must be at least 1 condition, not {budget}")
    searcher = make_policy(policy, space, seed=seed, table=table, **options)
    visited: dict[Architecture, float] = {}
    reasons: dict[Architecture, str] = {}
    while len(visited) < budget:
        proposals = searcher.ask(1)
        if not proposals:
            break
        condition = proposals[0]
        if known is not None and condition in known:
            value, reason = known[condition], "it failed before"
        else:
            value, reason = _answer(evaluate, condition)
            if on_condition is not None:
                on_condition(condition, value)
        visited[condition] = value
        if not math.isfinite(value):
            reasons[condition] = reason
        searcher.tell(condition, _evaluation(value, reasons.get(condition, "")))
    return Exploration(policy, tuple(visited), tuple(visited.values()), reasons)


def _answer(evaluate: Callable[[Architecture], float], condition: Architecture) -> tuple[float, str]:
    """Accuracy, or NaN and why."""
    try:
        given = evaluate(condition)
        value = float(given)
    except Exception as error:
        return math.nan, f"{type(error).__name__}: {error}"
    return (value, "") if math.isfinite(value) else (math.nan, f"the accuracy was {given}")


def _evaluation(value: float, reason: str) -> Evaluation:
    if reason:
        return Evaluation({}, status="failed", reason=reason)
    return Evaluation({GOAL.objectives[0].metric: value})
