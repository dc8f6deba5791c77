"""Hyperband and successive halving: many short trainings, few long ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers.base import Searcher, Worth
from archwright.space import Architecture, Space


@dataclass
class Bracket:
    """One run of successive halving.

    Attributes:
        rungs: fidelities, ascending.
        sizes: architectures on each rung.
        rung: the present one.
        drawn: architectures of the first rung so far.
        waiting: to be proposed on it, in order.
        out: proposed and not answered yet.
        done: answered, and what they are worth at this fidelity.
    """

    rungs: tuple[float, ...]
    sizes: tuple[int, ...]
    rung: int = 0
    drawn: int = 0
    waiting: list[Architecture] = field(default_factory=list)
    out: set[Architecture] = field(default_factory=set)
    done: dict[Architecture, Worth] = field(default_factory=dict)

    @property
    def draws(self) -> bool:
        """Whether the first rung wants another random architecture."""
        return self.rung == 0 and self.drawn < self.sizes[0]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to propose or to wait for."""
        return self.rung == len(self.rungs)

    def promote(self) -> None:
        """Go on to the next rung with the best, once all of this one have been answered."""
        while not (self.finished or self.draws or self.waiting or self.out):
            alive = [a for a in self.done if self.done[a][0] > -math.inf]
            alive.sort(key=lambda a: self.done[a], reverse=True)
            self.rung += 1
            self.waiting = [] if self.finished else alive[: self.sizes[self.rung]]
            self.done = {}


class Hyperband(Searcher):
    """Brackets of successive halving, from many short trainings to a few full ones (Li et al. 2018, algorithm 1).

    ::

        rungs r_0 < ... < r_K = 1
        repeat for s = 0 ... K:
            draw (K + 1) / (K - s + 1) / r_s new random architectures, evaluate them at fidelity r_s
            for i = s + 1 ... K:
                evaluate the best of them at fidelity r_i, as many as cost what the rung before did

    A rung keeps the share ``r_(i-1) / r_i`` of the one before, which is ``1 / eta`` where the fidelities allow it. The
    bracket that starts at full trainings is random search, a guard against a misleading short training. Longer
    trainings start anew, and cost what they cost. What failed is not promoted. While answers of a bracket are out the
    next one begins, so that no worker waits.

    The rungs are 1, 1/eta, 1/eta^2, ..., each replaced by the nearest of ``fidelities`` (on a logarithmic scale).

    Args:
        eta: how much longer each rung's trainings are.
        rungs: at most so many; all that there are by default.
        fidelities: what an evaluation may have, ascending, the last is 1.

    Raises:
        SettingsError: ``eta`` not above 1, ``rungs`` below 1, or fidelities that are not ascending shares that end with 1.
    """

    several_fidelities: ClassVar[bool] = True
    summary: ClassVar[str] = "many short trainings, of which the best are prolonged"
    _every_bracket: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        eta: float = 3.0,
        rungs: int | None = None,
        fidelities: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__(space, goal, seed=seed)
        if not eta > 1:
            raise SettingsError(f"eta must be above 1, not {eta:g}")
        if rungs is not None and rungs < 1:
            raise SettingsError(f"rungs must be at least 1, not {rungs}")
        self.rungs = ladder(fidelities, eta)[-(rungs or 0) :]
        self._next = 0
        self._brackets: list[Bracket] = []
        self._fidelity = 1.0

    def propose(self) -> Architecture | None:
        """Of the oldest bracket that has something to evaluate; of a new one when all wait for answers."""
        for bracket in self._brackets:
            architecture = self._from(bracket)
            if architecture is not None:
                return architecture
        self._brackets.append(self._new_bracket())
        return self._from(self._brackets[-1])

    def fidelity(self, architecture: Architecture) -> float:
        """That of the rung it was proposed for."""
        return self._fidelity

    def observe(self, architecture: Architecture, value: Worth) -> None:
        """Note it on its rung; what was not asked for belongs to none."""
        for bracket in self._brackets:
            if architecture in bracket.out:
                bracket.out.remove(architecture)
                bracket.done[architecture] = value
                bracket.promote()
        self._brackets = [b for b in self._brackets if not b.finished]

    def _from(self, bracket: Bracket) -> Architecture | None:
        if bracket.draws:
            architecture = self.fresh(self.starts)
            if architecture is None:
                bracket.drawn = bracket.sizes[0]
                bracket.promote()
                return self._from(bracket)
            bracket.drawn += 1
        elif bracket.waiting:
            architecture = bracket.waiting.pop(0)
        else:
            return None
        bracket.out.add(architecture)
        self._fidelity = bracket.rungs[bracket.rung]
        return architecture

    def _new_bracket(self) -> Bracket:
        rungs = self.rungs[self._next :]
        first = max(1, math.ceil(len(self.rungs) / len(rungs) / rungs[0] - 1e-9))
        sizes = tuple(max(1, math.floor(first * rungs[0] / r + 1e-9)) for r in rungs)
        self._next = (self._next + 1) % len(self.rungs) if self._every_bracket else 0
        return Bracket(rungs, sizes)


class SuccessiveHalving(Hyperband):
    """Hyperband's first bracket again and again (Jamieson and Talwalkar 2016), which trusts the shortest trainings.

    Args:
        eta: how much longer each rung's trainings are.
        rungs: at most so many; all that there are by default.
        fidelities: what an evaluation may have, ascending, the last is 1.
    """

    summary: ClassVar[str] = "the same without the cautious brackets"
    _every_bracket: ClassVar[bool] = False


def ladder(fidelities: Sequence[float], eta: float) -> tuple[float, ...]:
    """1, 1/eta, 1/eta^2, ... as far down as ``fidelities`` go, each replaced by the nearest of them; ascending.

    Raises:
        SettingsError: ``fidelities`` are not ascending shares that end with 1.
    """
    shares = [float(f) for f in fidelities]
    if not shares or shares[-1] != 1.0 or shares != sorted(set(shares)) or not shares[0] > 0:
        raise SettingsError(f"fidelities must be ascending shares of a full training that end with 1, not {shares}")
    steps = round(math.log(1 / shares[0]) / math.log(eta))
    wanted = [eta**-k for k in range(steps + 1)]
    return tuple(sorted({min(shares, key=lambda f: abs(math.log(f / w))) for w in wanted}))
