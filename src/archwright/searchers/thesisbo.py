"""Bayesian optimisation with a pretrained deep ensemble and two fidelities, as published."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, unknown
from archwright.evaluation import Evaluation, Goal
from archwright.searchers.acquisition import ACQUISITIONS, best_first
from archwright.searchers.base import Clues, Searcher, Worth, worth
from archwright.space import Architecture, Space

if TYPE_CHECKING:
    from torch import Tensor

    from archwright.surrogate import DeepEnsemble

Matrix = NDArray[np.float64]
FULL = 1.0
LOW, HIGH = 0, 1
ENUMERATED = 60_000


class EnsembleBOThesis(Searcher):
    """Bayesian optimisation with a deep ensemble (Ouertatani 2024, section 5.2 and figure 5.12).

    ::

        pretrain the trunk: up to `profiled` random architectures, a head per clue
        repeat, iteration t:
            evaluate at low fidelity the p best of the low head
            train trunk and low head on all low values for `low_epochs`
            if t is a multiple of f:  evaluate in full the q best of the high head      (of the low head, while nothing is known in full)
            once there are full values: train trunk and high head on them for `high_epochs`
        "best": by the probability of improvement over the members, then their mean

    With one fidelity, `batch` full evaluations per iteration. Values and clues are standardised; encodings are scaled to -1 to 1.
    The first picks are random. Candidates are all architectures of a space of up to 60,000, else 2,000 random ones and the
    neighbours of the five best (the thesis only has enumerated spaces). The numbers of epochs per update, the optimiser, the
    refresh of the high head in every iteration and the tie-break are readings of what the thesis leaves open.

    Args:
        p, q, f: as above.
        batch: with one fidelity.
        profiled: architectures whose clues the pretraining sees.
        pretraining: ``simultaneous``, ``sequential`` (one clue after the other, as many steps in all) or ``none``.
        pretraining_epochs: 300 in the thesis, 500 with one fidelity.
        low_epochs, high_epochs: per update.
        lr: of the search; that of the pretraining is 0.01.
        encoding: ``ordinal`` (a number per parameter) or ``one_hot``.
        acquisition: ``pi``, ``ei``, ``ucb``, ``ts`` or ``mean``.
        members: K.
        surrogate: a file with a pretrained ensemble for this space (``archwright surrogate pretrain``). It takes the place of
            pretraining: nothing is profiled, and clues are not looked at.
        fidelities: what an evaluation may have; the first is the low one, the last is 1.
        clues: pretraining targets, or ``None``.

    Raises:
        SettingsError: a number out of range, an unknown choice, fewer architectures than members, or a stored surrogate of
            another space.
    """

    several_fidelities: ClassVar[bool] = True
    fidelities_are_optional: ClassVar[bool] = True
    takes_clues: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "Bayesian optimisation with a pretrained deep ensemble and two fidelities, as published; slow"
    )

    def __init__(
        self,
        space: Space,
        goal: Goal,
        *,
        seed: int = 0,
        p: int = 5,
        q: int = 3,
        f: int = 10,
        batch: int = 32,
        profiled: int = 2000,
        pretraining: str = "simultaneous",
        pretraining_epochs: int = 300,
        low_epochs: int = 20,
        high_epochs: int = 60,
        lr: float = 5e-3,
        encoding: str = "ordinal",
        acquisition: str = "pi",
        members: int = 6,
        surrogate: str | None = None,
        fidelities: Sequence[float] = (FULL,),
        clues: Clues | None = None,
    ) -> None:
        super().__init__(space, goal, seed=seed)
        numbers = {
            "p": p, "q": q, "f": f, "batch": batch, "profiled": profiled, "pretraining_epochs": pretraining_epochs,
            "low_epochs": low_epochs, "high_epochs": high_epochs, "members": members,
        }  # fmt: skip
        for name, number in numbers.items():
            if number < 1:
                raise SettingsError(f"{name} must be at least 1, not {number}")
        for kind, value, known in (
            ("pretraining", pretraining, PRETRAININGS),
            ("encoding", encoding, ("ordinal", "one_hot")),
            ("acquisition", acquisition, ACQUISITIONS),
        ):
            if value not in known:
                raise SettingsError(unknown(kind, value, known))
        if space.size is not None and space.size < members:
            raise SettingsError(
                f"the space has {space.size} architectures, fewer than the {members} members of the ensemble; evaluate them "
                f"all with another searcher, or set members={space.size}"
            )
        if not lr > 0:
            raise SettingsError(f"lr must be above 0, not {lr}")
        self.p, self.q, self.f, self.batch = p, q, f, batch
        self.profiled, self.pretraining, self.pretraining_epochs = profiled, pretraining, pretraining_epochs
        self.epochs = (low_epochs, high_epochs)
        self.lr, self.encoding, self.acquisition, self.members = lr, encoding, acquisition, members
        self.low = fidelities[0]
        self.clues, self.seed = clues, seed
        self.told: tuple[dict[Architecture, Worth], dict[Architecture, Worth]] = ({}, {})
        self.iteration = 0
        self._queue: deque[tuple[Architecture, float]] = deque()
        self._fidelity = FULL
        self._high_was_last = False
        self._whole: tuple[list[Architecture], Tensor] | None = None
        self._ensemble: DeepEnsemble | None = None
        self._given = self._read(surrogate)

    def propose(self) -> Architecture | None:
        """The next of the batch; a new batch when all of the last one is told."""
        if not self._queue:
            if self.pending:
                return None
            self._plan()
        if not self._queue:
            self._fidelity = FULL
            return self.fresh(self.rng)
        architecture, self._fidelity = self._queue.popleft()
        return architecture

    def fidelity(self, architecture: Architecture) -> float:
        """That of the batch it belongs to."""
        return self._fidelity

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Note it at its fidelity; only full evaluations count as known."""
        asked = self.pending.pop(architecture, FULL)
        value = worth(self.goal, evaluation)
        self.told[HIGH if asked == FULL else LOW][architecture] = value
        if asked == FULL:
            self.known[architecture] = value

    def _plan(self) -> None:
        self._network()
        if self.low == FULL:
            self._learn(HIGH)
            self._pick(HIGH, self.batch)
            return
        if self._high_was_last:
            self._high_was_last = False
        else:
            self._learn(LOW)
            if self.iteration and self.iteration % self.f == 0:
                self._learn(HIGH)
                self._high_was_last = True
                self._pick(HIGH, self.q)
                return
        self._learn(HIGH)
        self.iteration += 1
        self._pick(LOW, self.p)

    def _pick(self, level: int, count: int) -> None:
        """Queue the ``count`` best; random ones while nothing is known to go by."""
        fidelity = FULL if level == HIGH else self.low
        scorer = level if self.told[level] else LOW
        if not self.told[scorer]:
            found: dict[Architecture, None] = {}
            for _ in range(50 * count):
                architecture = self.fresh(self.starts)
                if architecture is None or len(found) == count:
                    break
                found[architecture] = None
            self._queue.extend((a, fidelity) for a in found)
            return
        everything, inputs = self._members_of_space()
        open_ = [i for i, a in enumerate(everything) if a not in self.told[level]]
        if not open_:
            return
        members = self._network().predict(inputs[open_], scorer).double().numpy()
        order = best_first(members, float(self._targets(scorer).max()), self.acquisition, self.rng)
        self._queue.extend((everything[open_[i]], fidelity) for i in order[:count])

    def _members_of_space(self) -> tuple[list[Architecture], Tensor]:
        """All candidates and their encodings."""
        size = self.space.size
        if size is not None and size <= ENUMERATED:
            if self._whole is None:
                everything = list(self.space.enumerate())
                self._whole = everything, self._encoded(everything)
            return self._whole
        known = {**self.told[LOW], **self.told[HIGH]}
        leaders = sorted(known, key=lambda a: known[a], reverse=True)[:5]
        near = [u for a in leaders for u in self.space.neighbours(a, self.rng)]
        candidates = list(dict.fromkeys([*near, *self.space.sample(self.rng, 2000)]))
        return candidates, self._encoded(candidates)

    def _learn(self, level: int) -> None:
        """Train the trunk and the head of a fidelity on all of its values."""
        import torch

        known = self.told[level]
        if known:
            targets = torch.from_numpy(self._targets(level))[:, None]
            self._network().fit(self._encoded(list(known)), targets, heads=[level], epochs=self.epochs[level])

    def _targets(self, level: int) -> Matrix:
        """Standardised values; what failed or broke a bound counts as the worst value seen."""
        worths = list(self.told[level].values())
        sound = [w[1] for w in worths if w[0] == 0 and np.isfinite(w[1])]
        worst = min(sound, default=0.0)
        values = np.array([w[1] if w[0] == 0 and np.isfinite(w[1]) else worst for w in worths])
        return np.asarray((values - values.mean()) / (values.std() or 1.0))

    def _encoded(self, architectures: list[Architecture]) -> Tensor:
        """``n x inputs``, from -1 to 1."""
        from archwright.surrogate.pretraining import encoded

        return encoded(self.space, architectures, self.encoding)

    def _network(self) -> DeepEnsemble:
        if self._ensemble is None:
            self._ensemble = self._pretrained()
            self._ensemble.restart(2, self.lr)
        return self._ensemble

    def _pretrained(self) -> DeepEnsemble:
        from archwright.surrogate import DeepEnsemble, pretrain

        if self._given is not None:
            given, self._given = self._given, None
            return given
        if self.clues is None or self.pretraining == "none":
            width = self.space.encode([self.space.sample(np.random.default_rng(0))], self.encoding).shape[1]
            return DeepEnsemble(width, 1, members=self.members, seed=self.seed)
        return pretrain(
            self.space, self.clues, profiled=self.profiled, pretraining=self.pretraining, epochs=self.pretraining_epochs,
            members=self.members, encoding=self.encoding, seed=self.seed, rng=self.rng,
        )  # fmt: skip

    def _read(self, surrogate: str | None) -> DeepEnsemble | None:
        """The stored ensemble, read at once so that what is wrong with it is known before anything is evaluated."""
        if surrogate is None:
            return None
        from archwright.surrogate import stored

        given = stored(surrogate, self.space, self.encoding, seed=self.seed)
        if given.members != self.members:
            raise SettingsError(
                f"the surrogate in {surrogate} has {given.members} members, not {self.members}; set members={given.members}"
            )
        return given


PRETRAININGS = ("simultaneous", "sequential", "none")
