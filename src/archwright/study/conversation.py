"""The conversation between a searcher and a study, with the cache of answers between them.

It is the part that must be the same, word for word, in an uninterrupted search and in one that is resumed: both
drive it through :meth:`Conversation.next` and :meth:`Conversation.answer`, the one with new evaluations and the other
with the stored ones (:func:`replay`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from archwright.errors import StudyError
from archwright.evaluation import Evaluation
from archwright.searchers import Searcher
from archwright.space import Architecture
from archwright.study.record import Trial
from archwright.study.storage import Running

REPEATS_IN_A_ROW = 1000


@dataclass(frozen=True)
class Request:
    """An architecture that must be evaluated, whether it comes from the searcher or was given, and at what fidelity."""

    architecture: Architecture
    origin: str
    fidelity: float = 1.0


class Conversation:
    """Asks the searcher until something is not known yet.

    Args:
        searcher: a fresh one.
        key: canonical key; architectures that share it are one network, evaluated once at each fidelity.
        given: architectures to evaluate before the searcher is asked (a warm start).
        replicate: evaluate repeats again instead of answering from the cache.
    """

    def __init__(
        self,
        searcher: Searcher,
        key: Callable[[Architecture], str],
        given: Iterable[Architecture] = (),
        *,
        replicate: bool = False,
    ) -> None:
        self.searcher = searcher
        self.repeats = 0
        self.exhausted = ""
        self._key = key
        self._given = deque(given)
        self._replicate = replicate
        self._answers: dict[tuple[str, float], Evaluation] = {}
        self._out: dict[tuple[str, float], list[Architecture]] = {}

    def next(self) -> Request | None:
        """What to evaluate next; ``None`` when answers still out come first, or at the end (``exhausted``)."""
        while self._given:
            architecture = self._given.popleft()
            work = (self._key(architecture), 1.0)
            if work not in self._answers and work not in self._out:
                self._out[work] = []
                return Request(architecture, "warm-start")
        for _ in range(REPEATS_IN_A_ROW):
            proposals = self.searcher.ask(1)
            if not proposals:
                if self.searcher.exhausted:
                    self.exhausted = self.searcher.ended or "every architecture of the space has been evaluated"
                return None
            architecture = proposals[0]
            fidelity = self.searcher.pending[architecture]
            if not self._is_repeat(architecture, (self._key(architecture), fidelity)):
                return Request(architecture, "search", fidelity)
        if not self._out:
            self.exhausted = f"the last {REPEATS_IN_A_ROW} proposals were all repeats"
        return None

    def answer(self, architecture: Architecture, evaluation: Evaluation, fidelity: float = 1.0) -> None:
        """Tell the searcher, also about the equal networks that it asked for meanwhile at that fidelity."""
        work = (self._key(architecture), fidelity)
        self._answers[work] = evaluation
        twins = self._out.pop(work, [])
        for twin in [architecture, *twins]:
            self.searcher.tell(twin, evaluation)

    def _is_repeat(self, architecture: Architecture, work: tuple[str, float]) -> bool:
        if work in self._out:
            self._out[work].append(architecture)
        elif work in self._answers and not self._replicate:
            self.searcher.tell(architecture, self._answers[work])
        else:
            self._out[work] = []
            return False
        self.repeats += 1
        return True


def replay(conversation: Conversation, finished: Sequence[Trial], running: Sequence[Running]) -> int:
    """Repeat a stored conversation; returns the position of the next turn.

    Raises:
        StudyError: the searcher no longer says what it said then.
    """
    turns: list[tuple[int, Trial | Running, bool]] = [(t.told, t, False) for t in finished]
    turns += [(t.asked, t, True) for t in finished]
    turns += [(r.asked, r, True) for r in running]
    for _, trial, is_question in sorted(turns, key=lambda turn: turn[0]):
        if not is_question:
            assert isinstance(trial, Trial)
            conversation.answer(trial.architecture, trial.evaluation, trial.fidelity)
            continue
        request = conversation.next()
        if request is None or (request.architecture, request.fidelity) != (trial.architecture, trial.fidelity):
            said = "nothing" if request is None else f"{request.architecture} at fidelity {request.fidelity:g}"
            raise StudyError(
                f"the study cannot be continued: at trial {trial.number} the searcher now proposes {said}, not the stored "
                f"{trial.architecture} at {trial.fidelity:g}; it was made by another version. Start a new study with --warm-start on this one"
            )
    return 1 + max((turn[0] for turn in turns), default=-1)
