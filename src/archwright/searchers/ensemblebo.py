"""Bayesian optimisation that learns from cheap clues and short trainings what long ones will give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Evaluation, Goal
from archwright.searchers.acquisition import NORMAL, hypervolume_first
from archwright.searchers.base import Clues, Searcher, Worth, worth
from archwright.searchers.cluemodel import ClueModel
from archwright.searchers.cokriging import FEWEST, CoKriging, Seen
from archwright.searchers.kernels import Distances
from archwright.searchers.merits import Merit, normal_scores, objective, within
from archwright.searchers.writings import Writings
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
FULL = 1.0
ENUMERATED = 20_000
LEADERS = 10
EVERY = 10
SCREENED = 1000
MOST = 200
LEAST_DOUBT, RECENT = 16, 5
TRIES = 200
SAMPLES = 16
"""Outcomes per candidate, from which the hypervolume's expectation is taken."""
SEVERAL = ("chebyshev", "epsilon", "hypervolume")


class EnsembleBO(Searcher):
    """Bayesian optimisation with processes that learn what clues and short trainings say of full ones.

    ::

        evaluate `initial` random architectures (short trainings, where there are any)
        repeat:
            order all candidates by the acquisition of a full training
            with fidelities:
                if one of the best few has had no short training, and no more than a full one's worth has been spent on short ones
                    since the last full one: the first of them gets one
                else: the best that has had one is trained in full
                after six full trainings, one after every fourth is instead the best by a model of full trainings alone; one after
                    half as many when it ranks higher than the last five others, else after twice as many (up to 16)
            without: the best is trained in full

    A model sees short and full trainings together (:class:`~archwright.searchers.cokriging.CoKriging`): full values are a share of
    what short ones show, and something of their own; both are Gaussian processes with the kernels of
    :class:`~archwright.searchers.lsgp.LSGP`, and the likelihood of what is known decides how far short trainings, and clues, are
    to be trusted. So no weights have to be set. Where short trainings mislead, those that they recommend are all alike and the
    likelihood cannot tell; hence the model that does without. Where some parameters have an order, one more kernel has a weight
    for each parameter (automatic relevance determination).

    Values are normal scores of ranks, so that scales and outliers do not matter. What failed or broke a bound ranks last, by how
    much it broke it. What is still out lowers the deviation of its like, as if it had been as expected, so that any number of
    workers get different architectures and none waits. Clues are those of up to ``profiled`` architectures; a forest makes those of
    others out from their parameters.

    Several objectives are one of three things, by ``several``: random weights for each proposal, which maximises the least of the
    weighted ranks (``chebyshev``); the first objective under random bounds on the others, within the known values, for each
    proposal (``epsilon``); or a model for each and the expected improvement of the hypervolume over samples of them
    (``hypervolume``, whatever the ``acquisition``; slow beyond four objectives).

    Candidates are all architectures of a space of up to 20,000 (between two fits the thousand best of them); of larger ones,
    neighbours of the best and of their neighbours, what had a short training, and 500 random ones. Of the writings of one network one
    is proposed. Models are fitted anew whenever a tenth more is known; of more than 200 evaluations of a kind they are told the
    100 best and the 100 last.

    The searcher is ours and has the name of what it stands in for: the idea of learning from cheap metrics and two fidelities is
    that of Ouertatani (2024), whose ensembles are in ``ensemble-bo-thesis``. It had forests before; co-kriging is Kennedy and
    O'Hagan's (2000).

    Args:
        initial: random architectures at the start.
        low: which fidelity short trainings have: the one nearest to this share of a full one.
        ahead: how many of the best must have had a short training before one is trained in full, as a share of a full training
            (0.25: four, where a short one costs 0.06; at least one).
        doubt: after how many full trainings that short ones led to comes the first that they did not; 0 for none.
        profiled: architectures whose clues are looked at, at most.
        acquisition: ``ei``, ``pi``, ``ucb``, ``ts`` or ``mean``.
        several: ``chebyshev``, ``epsilon`` or ``hypervolume``, see above.
        fidelities: what an evaluation may have, ascending, the last is 1.
        clues: of architectures, or ``None``.

    Raises:
        SettingsError: a number out of range, or an unknown acquisition or treatment of several objectives.
    """

    several_objectives: ClassVar[bool] = True
    several_fidelities: ClassVar[bool] = True
    fidelities_are_optional: ClassVar[bool] = True
    takes_clues: ClassVar[bool] = True
    summary: ClassVar[str] = "Bayesian optimisation of short and full trainings together, and clues"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        initial: int = 10,
        low: float = 0.06,
        ahead: float = 0.25,
        doubt: int = 4,
        profiled: int = 1000,
        acquisition: str = "ei",
        several: str = SEVERAL[0],
        fidelities: Sequence[float] = (FULL,),
        clues: Clues | None = None,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        for name, value in (("initial", initial), ("profiled", profiled)):
            if value < 1:
                raise SettingsError(f"{name} must be at least 1, not {value}")
        if not 0 < low <= 1 or not 0 <= ahead < np.inf:
            raise SettingsError(f"low must be a share of a full training and ahead not below 0, not {low} and {ahead}")
        if doubt < 0:
            raise SettingsError(f"doubt must be 0 or more, not {doubt}")
        if acquisition not in NORMAL:
            raise SettingsError(unknown("acquisition", acquisition, NORMAL))
        if several not in SEVERAL:
            raise SettingsError(unknown("treatment of several objectives", several, SEVERAL))
        self.initial, self.profiled, self.acquisition = initial, profiled, acquisition
        self.several = several if len(goal.objectives) > 1 else SEVERAL[0]
        self.clues = clues
        short = [f for f in fidelities if f < FULL]
        self.low = min(short, key=lambda f: abs(np.log(f / low))) if short else FULL
        self.ahead, self.most_ahead = max(1, round(ahead / self.low)), max(1, round(FULL / self.low))
        self._ahead = 0
        self.told: dict[float, dict[Architecture, Worth]] = {self.low: {}, FULL: {}}
        self._fidelity = FULL
        self._distances, self._writings = Distances(space), Writings(space)
        count = len(goal.objectives) if self.several == "hypervolume" else 1
        shapes, parameters = self._distances.shapes, self._distances.parameters
        self._models = [CoKriging(shapes, self.low < FULL, parameters) for _ in range(count)]
        self._alone = [CoKriging(shapes, False, parameters) for _ in range(count)]
        self._led: dict[Architecture, bool] = {}
        self.doubt, self._since_doubt, self._interval = doubt, 0, doubt
        self._fitted_at = 0, 0
        self._whole: list[Architecture] | None = None
        self._screened: list[Architecture] = []
        self._clue_model: ClueModel | None = None

    def propose(self) -> Architecture | None:
        """A random architecture at first, then the most promising one; at low fidelity if that is not known of it yet."""
        self._fidelity = self.low
        if self._done() + len(self.pending) < self.initial or not self._done():
            return self._random()
        if self._doubts() and (candidates := self._candidates(self._pool())):
            chosen = candidates[int(self._order(candidates, self._alone, True)[0])]
            return self._in_full(chosen, led=False)
        due = self._due()
        candidates = self._candidates(self._screened if self._screened and not due else self._pool())
        if not candidates:
            return self._in_full(self.fresh(self.rng), led=True)
        best = [candidates[int(i)] for i in self._order(candidates, self._models, due)]
        if due:
            self._fitted_at = self._done(), len(self.known)
            self._screened = best[:SCREENED] if self._whole is not None else []
        if self.low == FULL:
            return best[0]
        begun = [a for a in best if a in self.told[self.low]]
        if not begun or (self._ahead < self.most_ahead and begun[: self.ahead] != best[: self.ahead]):
            self._ahead += 1
            return next(a for a in best if a not in self.told[self.low])
        return self._in_full(begun[0], led=True)

    def _in_full(self, architecture: Architecture | None, led: bool) -> Architecture | None:
        self._fidelity, self._ahead = FULL, 0
        self._since_doubt = self._since_doubt + 1 if led else 0
        if architecture is not None:
            self._led[architecture] = led
        return architecture

    def _doubts(self) -> bool:
        """Whether the next full training is the choice of the model that is told of full ones alone."""
        return self.low < FULL and self.doubt > 0 and len(self.known) >= FEWEST and self._since_doubt >= self._interval

    def _learn(self, architecture: Architecture) -> None:
        """Doubt twice as often where it paid: where its choice ranks higher than the last five of the other; else half as often."""
        scores = dict(zip(self.known, normal_scores(self.known, self._merits()[0])))
        others = [scores[a] for a, led in self._led.items() if led and a in scores][-RECENT:]
        better = not others or scores[architecture] > np.mean(others)
        self._interval = self._interval // 2 if better else min(LEAST_DOUBT, max(1, 2 * self._interval))

    def fidelity(self, architecture: Architecture) -> float:
        """Of the last proposal."""
        return self._fidelity

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Note it at its fidelity; only full evaluations count as known."""
        asked = self.pending.pop(architecture, FULL)
        value = worth(self.goal, evaluation)
        self.told.setdefault(asked, {})[architecture] = value
        if asked == FULL:
            self.known[architecture] = value
            if self._led.get(architecture) is False:
                self._learn(architecture)

    def _random(self) -> Architecture | None:
        """A start; in full where a small space has no other."""
        for _ in range(TRIES):
            architecture = self.fresh(self.starts)
            if architecture is None or architecture not in self.told[self.low]:
                return architecture
        self._fidelity = FULL
        return architecture

    def _candidates(self, pool: Sequence[Architecture]) -> list[Architecture]:
        """Those that are neither known in full nor out."""
        new = [a for a in pool if self.is_new(a)]
        return self._writings.different(new, [*self.known, *self.pending])

    def _pool(self) -> list[Architecture]:
        size = self.space.size
        if size is not None and size <= ENUMERATED:
            if self._whole is None:
                self._whole = list(self.space.enumerate())
            return self._whole
        leaders = [a for told in self.told.values() for a in self._leaders(told)]
        near = [u for a in dict.fromkeys(leaders) for u in self.space.neighbours(a, self.rng)]
        far = [self.space.mutate(near[i], self.rng) for i in self.rng.integers(len(near), size=300)] if near else []
        return list(dict.fromkeys([*self.told[self.low], *near, *far, *self.space.sample(self.rng, 500)]))

    def _leaders(self, told: Mapping[Architecture, Worth]) -> list[Architecture]:
        """Ten of the best; of several objectives, ten that nothing dominates."""
        order = sorted(told, key=lambda a: told[a], reverse=True)
        if len(self.goal.objectives) == 1 or not order or told[order[0]][0] < 0:
            return order[:LEADERS]
        from moocore import is_nondominated

        sound = [a for a in order if told[a][0] == 0]
        on_front = is_nondominated(np.array([told[a][1:] for a in sound]), maximise=True)
        front = [a for a, best in zip(sound, on_front) if best]
        return [front[i] for i in self.rng.permutation(len(front))[:LEADERS]]

    def _due(self) -> bool:
        """Whether the models are to be fitted anew: after a tenth more is known, and once it can be said whom to trust."""
        done, full = self._fitted_at
        return self._done() >= done + max(EVERY, done // 10) or full < FEWEST <= len(self.known)

    def _done(self) -> int:
        return sum(map(len, self.told.values()))

    def _order(self, candidates: list[Architecture], models: list[CoKriging], fit: bool) -> NDArray[np.int64]:
        """Positions of the candidates, the most promising first."""
        found = self._outlook(candidates, models, fit)
        if self.several == "hypervolume":
            mean, std, targets = (np.stack(part, axis=-1) for part in zip(*found))
            drawn = self.rng.normal(size=(SAMPLES, 1, len(found)))
            return hypervolume_first(mean + std * drawn, targets, self.rng)
        mean, std, targets = found[0]
        score = NORMAL[self.acquisition](mean, std, float(targets.max()), self.rng)
        return np.asarray(np.lexsort(np.stack([self.rng.random(len(mean)), -mean, -score])))

    def _outlook(
        self, candidates: list[Architecture], models: list[CoKriging], fit: bool
    ) -> list[tuple[Matrix, Matrix, Matrix]]:
        """Of each model: mean and deviation of full trainings of the candidates, and the known values (the means, while there are none).

        What is out lowers the deviations, as if it had been told and were as expected.
        """
        levels = [f for f in self.told if f == FULL or models[0].several]
        members, full = self._members(levels)
        pending = {a: f for a, f in self.pending.items() if f in levels}
        seen = Seen(full, self._clues_of(members))
        out = [*members, *pending]
        after = Seen(np.append(full, [f == FULL for f in pending.values()]).astype(bool), self._clues_of(out))
        others = Seen(np.ones(len(candidates), dtype=bool), self._clues_of(candidates))
        rows, n, found = self._distances.read(candidates), len(members), []
        for merit, model in zip(self._merits(), models):
            targets = self._targets(members, full, merit)
            if fit:
                by_parameter = self._distances.by_parameter(members) if self._distances.parameters else None
                model.fit(self._distances.between(members), seen, targets, by_parameter)
            weights = model.trust.weights
            apart = self._distances.between(out, model.distances, weights)
            cross = self._distances.to(rows, out, model.distances, weights)
            mean, std = model.predict(apart[:, :n, :n], seen, targets, cross[:, :, :n], others)
            if pending:
                std = model.predict(apart, after, np.zeros(len(out)), cross, others)[1]
            found.append((mean, std, targets[full] if full.any() else mean))
        return found

    def _targets(self, members: list[Architecture], full: NDArray[np.bool_], merit: Merit) -> Matrix:
        """Normal scores among all short values, or among all full ones."""
        scores = {f: dict(zip(told, normal_scores(told, merit))) for f, told in self.told.items() if told}
        return np.array([scores[FULL if whole else self.low][a] for a, whole in zip(members, full)])

    def _members(self, levels: Sequence[float]) -> tuple[list[Architecture], NDArray[np.bool_]]:
        """What the processes are told, short trainings first, and which are full; of many the best and the last."""
        members: list[Architecture] = []
        full: list[bool] = []
        for fidelity in levels:
            told = self.told[fidelity]
            chosen = list(told)
            if len(told) > MOST:
                order = sorted(told, key=lambda a: told[a], reverse=True)
                chosen = list(dict.fromkeys([*order[: MOST // 2], *chosen[-MOST // 2 :]]))
            members += chosen
            full += [fidelity == FULL] * len(chosen)
        return members, np.array(full, dtype=bool)

    def _merits(self) -> list[Merit]:
        """What the ranks of the objectives are worth together, for one proposal; or each by itself."""
        count = len(self.goal.objectives)
        if count == 1 or self.several == "hypervolume":
            return [objective(k) for k in range(count)]
        if self.several == "epsilon":
            bounds = self.rng.random(count - 1)
            return [lambda ranks: within(ranks, bounds)]
        weights = np.maximum(self.rng.dirichlet(np.ones(count)), 1e-3)
        return [lambda ranks: np.asarray((ranks / weights).min(axis=1))]

    def _clues_of(self, architectures: list[Architecture]) -> Matrix:
        if self.clues is None:
            return np.zeros((len(architectures), 0))
        if self._clue_model is None:
            drawn = list(dict.fromkeys(self.space.sample(self.rng, self.profiled)))
            self._clue_model = ClueModel(drawn, self.clues(drawn), self.space.encode(drawn, "one_hot"))
        return self._clue_model(architectures, self.space.encode(architectures, "one_hot"))
