"""Bayesian optimisation with an ensemble that learns from cheap clues and short trainings what long ones will give."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Evaluation, Goal
from archwright.searchers.acquisition import ACQUISITIONS, best_first, hypervolume_first
from archwright.searchers.base import Clues, Searcher, Worth, worth
from archwright.searchers.lsgp import LSGP
from archwright.space import Architecture, Space

Matrix = NDArray[np.float64]
FULL = 1.0
FEWEST = 6
ENUMERATED = 20_000
LEADERS = 10
AUTO = "auto"
PARTS = 6
"""Of a forest, whose means are the samples of a hypervolume: outcomes of single trees promise too much at odd places."""
SEVERAL = ("chebyshev", "epsilon", "hypervolume")
Merit = Callable[[Matrix], Matrix]
"""Ranks ``n x objectives`` from 1 / n to 1, to one number each, more being better."""


class EnsembleBO(Searcher):
    """Bayesian optimisation with a stack of random forests over encodings, clues and short trainings.

    ::

        profile up to `profiled` random architectures: their clues, where there are any
        clue model: one-hot -> clues, for all that were not profiled
        repeat, with fidelities:
            low picks  <- the `low_batch` best by a forest: one-hot, clues -> value of a short training
            high picks <- the `high_batch` best by a second forest: one-hot, clues, value of the short training (known or as the
                          first forest predicts it) -> value of a full training; by the first forest until six are known;
                         `local` of them are those of `ls-gp`, which is told of all full trainings
        without: one pick at a time by a forest: one-hot, clues -> value; every second one is that of `ls-gp`
        "best" is by the acquisition, with the trees as samples

    The second forest sees next to each other what an architecture is, what it promises untrained and how it began, and so
    learns from the full trainings which of these to trust; it needs no weights for fidelities or proxies. Values are normal
    scores of ranks, so that scales and outliers do not matter. Where short trainings mislead, or the forest has seen nothing like the
    best, the mean of trees stays away from it for good; the picks of a local search, guided by a Gaussian process of the full trainings
    alone (:class:`~archwright.searchers.lsgp.LSGP`), depend on neither. What failed or broke a bound ranks last, by how much it broke
    it. Several objectives are one of three things, by ``several``: random weights for each batch, which maximises the least of the
    weighted ranks (``chebyshev``); the first objective under random bounds on the others, within the known values, for each
    batch (``epsilon``); or a forest for each and the expected improvement of the hypervolume over six parts of them
    (``hypervolume``, whatever the ``acquisition``; exact, and slow beyond four objectives).

    Candidates are all architectures of a space of up to 20,000; of larger ones, neighbours of the ten best and of their
    neighbours, and 500 random ones. What is out is no candidate. The first picks are random.

    The idea of pretrained ensembles with two fidelities is that of Ouertatani (2024); see ``ensemble-bo-thesis`` for its recipe.

    Args:
        initial: random architectures at the start (short trainings, where there are fidelities).
        low_batch, high_batch: picks per round, where there are fidelities.
        low: which fidelity short trainings have: the one nearest to this share of a full one.
        profiled: architectures whose clues are looked at, at most.
        trees: of each forest.
        acquisition: ``mean``, ``ei``, ``pi``, ``ucb`` or ``ts``. By default (``auto``) the mean with fidelities, where a batch of
            short trainings explores and the second forest has few values to be sure of, and expected improvement without.
        several: ``chebyshev``, ``epsilon`` or ``hypervolume``, see above.
        local: full picks per round that are those of ``ls-gp`` (without fidelities, 0 for none); one objective only.
        fidelities: what an evaluation may have, ascending, the last is 1.
        clues: of architectures, or ``None``.

    Raises:
        SettingsError: a number out of range, or an unknown acquisition or treatment of several objectives.
    """

    several_objectives: ClassVar[bool] = True
    several_fidelities: ClassVar[bool] = True
    fidelities_are_optional: ClassVar[bool] = True
    takes_clues: ClassVar[bool] = True
    summary: ClassVar[str] = "Bayesian optimisation with stacked forests of encodings, clues and short trainings"

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        initial: int = 8,
        low_batch: int = 16,
        high_batch: int = 3,
        low: float = 0.06,
        profiled: int = 1000,
        trees: int = 100,
        acquisition: str = "auto",
        several: str = "chebyshev",
        local: int = 1,
        fidelities: Sequence[float] = (FULL,),
        clues: Clues | None = None,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        for name, value in (
            ("initial", initial),
            ("low_batch", low_batch),
            ("high_batch", high_batch),
            ("trees", trees),
        ):
            if value < 1:
                raise SettingsError(f"{name} must be at least 1, not {value}")
        if profiled < 2 or not 0 < low <= 1:
            raise SettingsError(f"profiled must be at least 2 and low a share, not {profiled} and {low}")
        if acquisition not in (AUTO, *ACQUISITIONS):
            raise SettingsError(unknown("acquisition", acquisition, (AUTO, *ACQUISITIONS)))
        if several not in SEVERAL:
            raise SettingsError(unknown("treatment of several objectives", several, SEVERAL))
        if not 0 <= local <= high_batch:
            raise SettingsError(f"local must be from 0 to high_batch, which is {high_batch}, not {local}")
        self.local = local
        self._local_search = LSGP(space, goal, seed=seed) if local and len(goal.objectives) == 1 else None
        self.several = several if len(goal.objectives) > 1 else "chebyshev"
        self.initial, self.low_batch, self.high_batch = initial, low_batch, high_batch
        self.profiled, self.trees, self.clues = profiled, trees, clues
        short = [f for f in fidelities if f < FULL]
        self.low = min(short, key=lambda f: abs(np.log(f / low))) if short else FULL
        batches = "mean" if self.low < FULL else "ei"
        self.acquisition = batches if acquisition == AUTO else acquisition
        self.told: dict[float, dict[Architecture, Worth]] = {self.low: {}, FULL: {}}
        self._queue: deque[tuple[Architecture, float]] = deque()
        self._fidelity = FULL
        self._low_is_next = False
        self._whole: list[Architecture] | None = None
        self._rows: tuple[dict[Architecture, int], Matrix] | None = None
        self._clue_model: _ClueModel | None = None
        self._fits = 0

    def propose(self) -> Architecture | None:
        """The next of the batch; a new batch when all of the last one is told."""
        while self._queue:
            architecture, self._fidelity = self._queue.popleft()
            if architecture not in self.pending and architecture not in self.told[self._fidelity]:
                return architecture
        if self.pending and self.low < FULL:
            return None
        self._plan()
        if not self._queue:
            return self._anything()
        architecture, self._fidelity = self._queue.popleft()
        return architecture

    def fidelity(self, architecture: Architecture) -> float:
        """That of the batch it belongs to."""
        return self._fidelity

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Note it at its fidelity; only full evaluations count as known."""
        asked = self.pending.pop(architecture, FULL)
        value = worth(self.goal, evaluation)
        self.told.setdefault(asked, {})[architecture] = value
        if asked == FULL:
            self.known[architecture] = value
            if self._local_search is not None:
                self._local_search.tell(architecture, evaluation)

    def _anything(self) -> Architecture | None:
        """A random architecture that is not known in full, when there are no candidates left to choose from."""
        self._fidelity = FULL
        return self.fresh(self.rng)

    def _plan(self) -> None:
        """The next batch."""
        if self.low == FULL:
            self._fill(FULL, 1 if len(self.known) + len(self.pending) >= self.initial else 0, 1)
            return
        self._low_is_next = not self._low_is_next
        if self._low_is_next:
            self._fill(self.low, self.low_batch if self.told[self.low] else 0, max(self.initial, self.low_batch))
        if not self._queue:
            self._low_is_next = False
            self._fill(FULL, self.high_batch, self.high_batch)

    def _fill(self, fidelity: float, picks: int, random: int) -> None:
        """Queue ``picks`` chosen architectures, or ``random`` random ones when there is nothing to choose by."""
        if not picks or not any(self.told.values()):
            for _ in range(random):
                architecture = self.fresh(self.starts)
                if architecture is not None and (architecture, fidelity) not in self._queue:
                    self._queue.append((architecture, fidelity))
            return
        chosen = self._local_picks(picks) if fidelity == FULL else []
        if len(chosen) < picks and (candidates := self._candidates(fidelity)):
            best = (candidates[i] for i in self._order(candidates, fidelity)[: picks + len(chosen)])
            chosen = list(dict.fromkeys([*chosen, *best]))[:picks]
        self._queue.extend((architecture, fidelity) for architecture in chosen)

    def _local_picks(self, picks: int) -> list[Architecture]:
        """What the local search would evaluate next, if it is its turn."""
        search, known = self._local_search, len(self.known)
        if search is None or known < FEWEST or (self.low == FULL and known % 2):
            return []
        search.pending = dict(self.pending)
        found = search.ask(min(self.local, picks))
        search.pending = {}
        return found

    def _order(self, candidates: list[Architecture], fidelity: float) -> NDArray[np.int64]:
        """Positions of the candidates, the most promising first."""
        if self.several != "hypervolume":
            members, targets = self._members(candidates, fidelity, self._merit())
            return best_first(members, float(targets.max()), self.acquisition, self.rng)
        found = [self._members(candidates, fidelity, _objective(k)) for k in range(len(self.goal.objectives))]
        members, targets = (np.stack(pair, axis=-1) for pair in zip(*found))
        parts = [part.mean(axis=0) for part in np.array_split(members, min(PARTS, len(members)))]
        return hypervolume_first(np.stack(parts), targets, self.rng)

    def _merit(self) -> Merit:
        """What the ranks of the objectives are worth together, for one batch."""
        count = len(self.goal.objectives)
        if count == 1:
            return lambda ranks: ranks[:, 0]
        if self.several == "epsilon":
            bounds = self.rng.random(count - 1)
            return lambda ranks: _within(ranks, bounds)
        weights = np.maximum(self.rng.dirichlet(np.ones(count)), 1e-3)
        return lambda ranks: np.asarray((ranks / weights).min(axis=1))

    def _candidates(self, fidelity: float) -> list[Architecture]:
        taken = self.told[fidelity]
        return [a for a in self._members_of_space() if a not in taken and a not in self.pending]

    def _members_of_space(self) -> list[Architecture]:
        size = self.space.size
        if size is not None and size <= ENUMERATED:
            if self._whole is None:
                self._whole = list(self.space.enumerate())
            return self._whole
        known = {**self.told[self.low], **self.told[FULL]}
        leaders = sorted(known, key=lambda a: known[a], reverse=True)[:LEADERS]
        near = [u for a in leaders for u in self.space.neighbours(a, self.rng)]
        far = [self.space.mutate(near[i], self.rng) for i in self.rng.integers(len(near), size=300)] if near else []
        return list(dict.fromkeys([*near, *far, *self.space.sample(self.rng, 500), *self.told[self.low]]))

    def _members(self, candidates: list[Architecture], fidelity: float, merit: Merit) -> tuple[Matrix, Matrix]:
        """``trees x candidates`` predictions, and the known values on the same scale."""
        low, full = self.told[self.low], self.told[FULL]
        rows = self._describe(candidates)
        if self.low == FULL:
            return self._forest(self._describe(list(full)), full, rows, merit)
        if fidelity < FULL or len(full) < FEWEST:
            return self._forest(self._describe(list(low)), low, rows, merit)
        theirs = self._describe(list(full))
        begun = self._forest(self._describe(list(low)), low, np.concatenate([theirs, rows]), merit)[0].mean(axis=0)
        measured = dict(zip(low, _normal_scores(low, merit)))
        values = [measured.get(a, b) for a, b in zip([*full, *candidates], begun)]
        return self._forest(
            np.column_stack([theirs, values[: len(full)]]), full, np.column_stack([rows, values[len(full) :]]), merit
        )

    def _forest(
        self, rows: Matrix, known: Mapping[Architecture, Worth], others: Matrix, merit: Merit
    ) -> tuple[Matrix, Matrix]:
        from sklearn.ensemble import RandomForestRegressor

        targets = _normal_scores(known, merit)
        self._fits += 1
        forest = RandomForestRegressor(self.trees, min_samples_leaf=1, max_features=0.5, random_state=self._fits)
        forest.fit(rows, targets)
        others = np.asarray(others, dtype=np.float32)
        return np.stack([tree.tree_.predict(others)[:, 0] for tree in forest.estimators_]), targets

    def _describe(self, architectures: list[Architecture]) -> Matrix:
        """``n x features``: one-hot and clues; those of an enumerated space are worked out once."""
        if self._whole is None:
            return self._features(architectures)
        if self._rows is None:
            self._rows = dict(zip(self._whole, range(len(self._whole)))), self._features(self._whole)
        places, features = self._rows
        return features[[places[a] for a in architectures]]

    def _features(self, architectures: list[Architecture]) -> Matrix:
        encoded = self.space.encode(architectures, "one_hot")
        if self.clues is None:
            return encoded
        if self._clue_model is None:
            drawn = list(dict.fromkeys(self.space.sample(self.rng, self.profiled)))
            self._clue_model = _ClueModel(drawn, self.clues(drawn), self.space.encode(drawn, "one_hot"))
        return np.column_stack([encoded, self._clue_model(architectures, encoded)])


class _ClueModel:
    """Clues of architectures: as measured, or as a forest makes them out from those that were.

    Clues are normal scores of ranks among the measured ones; what could not be had ranks lowest.
    """

    def __init__(self, architectures: list[Architecture], clues: Matrix, encoded: Matrix) -> None:
        from sklearn.ensemble import RandomForestRegressor

        lowered = np.where(np.isnan(clues), -np.inf, clues)
        scores = norm.ppf((np.apply_along_axis(rankdata, 0, lowered) - 0.375) / (len(clues) + 0.25))
        self.measured = dict(zip(architectures, scores))
        self.predicted: dict[Architecture, Matrix] = {}
        self._forest = RandomForestRegressor(30, random_state=0).fit(
            encoded, scores[:, 0] if scores.shape[1] == 1 else scores
        )

    def __call__(self, architectures: list[Architecture], encoded: Matrix) -> Matrix:
        """``n x clues``."""
        unknown_ = [i for i, a in enumerate(architectures) if a not in self.measured and a not in self.predicted]
        if unknown_:
            found = self._forest.predict(encoded[unknown_]).reshape(len(unknown_), -1)
            self.predicted.update((architectures[i], row) for i, row in zip(unknown_, found))
        return np.stack([self.measured[a] if a in self.measured else self.predicted[a] for a in architectures])


def _objective(number: int) -> Merit:
    return lambda ranks: ranks[:, number]


def _within(ranks: Matrix, bounds: Matrix) -> Matrix:
    """The first objective where the others keep their bounds; elsewhere less, by how much they miss them."""
    missed = np.clip(bounds - ranks[:, 1:], 0, None).sum(axis=1)
    return np.where(missed == 0, ranks[:, 0], -missed)


def _normal_scores(known: Mapping[Architecture, Worth], merit: Merit) -> Matrix:
    """Of the ranks of what is known by its merit, scaled to standard deviation 1; what is not sound comes last."""
    worths = np.array(list(known.values()))
    ranks = np.stack([rankdata(column) for column in worths[:, 1:].T], axis=1) / len(worths)
    sound = worths[:, 0] == 0
    valued = merit(ranks)
    worst = min(0.0, float(valued.min())) - 1.0
    valued = np.where(sound, valued, np.maximum(worths[:, 0], -1e300) + worst)
    scores = norm.ppf((rankdata(valued) - 0.375) / (len(valued) + 0.25))
    return np.asarray(scores / (scores.std() or 1.0))
