"""Exact counting of what conditions leave possible, for sizes and for uniform sampling."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from archwright.space.architecture import Value
from archwright.space.parameters import Parameter

State = int
"""Bit ``k`` is set while all conditions of parameter ``k`` of the order hold, as far as parents have values."""


@dataclass(frozen=True)
class _Step:
    """One parameter of the order.

    Attributes:
        bit: its own in the state.
        masks: for every value that later conditions can tell from others, the bits that stay.
        absent: the bits that stay when it is not active, or when no condition depends on it.
    """

    name: str
    parameter: Parameter
    bit: int
    masks: Mapping[Value, int]
    absent: int

    def follow(self, state: State) -> Iterable[State]:
        """The next states, one for each value (only one if all lead to the same)."""
        if self.masks and state & self.bit:
            return [state & mask for mask in self.masks.values()]
        return (state & self.absent,)


class Completions:
    """In how many ways the parameters can be given values, step by step, parents before children.

    The number of ways to go on depends on the state only: on which later parameters may still become active. States are
    few where children come soon after their parents.
    """

    def __init__(self, parameters: Mapping[str, Parameter], order: Sequence[str]) -> None:
        self._steps = _steps(parameters, order)
        self._start: State = (1 << len(order)) - 1

    @cached_property
    def _counts(self) -> list[dict[State, int]]:
        """Per step, the number of completions from every state that can be reached."""
        reached: list[dict[State, None]] = [{self._start: None}]
        for step in self._steps:
            reached.append({following: None for state in reached[-1] for following in step.follow(state)})
        counts: list[dict[State, int]] = [dict.fromkeys(reached[-1], 1)]
        for step, states in zip(reversed(self._steps), reversed(reached[:-1])):
            counts.append({state: self._sum(step, state, counts[-1]) for state in states})
        return counts[::-1]

    @staticmethod
    def _sum(step: _Step, state: State, later: Mapping[State, int]) -> int:
        total = sum(later[following] for following in step.follow(state))
        return total * step.parameter.count if state & step.bit and not step.masks else total

    @property
    def total(self) -> int:
        """Number of assignments."""
        return self._counts[0][self._start]

    def draw(self, fixed: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value]:
        """Values for all active parameters: those of ``fixed`` where given, the others drawn.

        Without ``fixed``, every assignment is as likely as any other (a real parameter counts as one value).
        """
        drawn: dict[str, Value] = {}
        state = self._start
        for position, step in enumerate(self._steps):
            if not state & step.bit:
                state &= step.absent
                continue
            if step.name in fixed:
                value = fixed[step.name]
            elif step.masks:
                value = self._draw_parent(position, state, rng)
            else:
                value = step.parameter.sample(rng)
            drawn[step.name] = value
            state &= step.masks.get(value, step.absent)
        return drawn

    @cached_property
    def _cumulative(self) -> dict[tuple[int, State], list[float]]:
        return {}

    def _draw_parent(self, position: int, state: State, rng: np.random.Generator) -> Value:
        """A value, with probability proportional to the number of its completions."""
        step = self._steps[position]
        values = step.parameter.values or ()
        sums = self._cumulative.get((position, state))
        if sums is None:
            later, total = self._counts[position + 1], self._counts[position][state]
            sums = list(accumulate(later[following] / total for following in step.follow(state)))
            self._cumulative[position, state] = sums
        return values[min(bisect(sums, rng.random()), len(values) - 1)]


def _steps(parameters: Mapping[str, Parameter], order: Sequence[str]) -> list[_Step]:
    children: dict[str, list[tuple[int, frozenset[Value]]]] = {name: [] for name in order}
    for position, name in enumerate(order):
        for parent, allowed in parameters[name].when:
            children[parent].append((1 << position, frozenset(allowed)))
    steps = []
    for position, name in enumerate(order):
        own, absent = 1 << position, ~(1 << position)
        for bit, _ in children[name]:
            absent &= ~bit
        masks = {}
        for value in parameters[name].values or () if children[name] else ():
            masks[value] = ~own & ~sum(bit for bit, allowed in children[name] if value not in allowed)
        steps.append(_Step(name, parameters[name], own, masks, absent))
    return steps
