"""A search without training, for tests of the study: quick, and with failures and infeasible points in it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import archwright as aw
from archwright.evaluation import Evaluation, Goal, Objective
from archwright.searchers import make_searcher
from archwright.space import Choice, Space
from archwright.study import Budget, InProcess, Processes
from archwright.study.conversation import Conversation
from archwright.study.loop import Loop
from archwright.study.storage import Store

SPACE = Space({f"x{i}": Choice(0, 1, 2, 3) for i in range(5)})
GOAL = Goal((Objective("score", "maximize"),))


class Toy:
    """Scores at once or after ``pause`` seconds per epoch; some candidates fail and some are infeasible."""

    def __init__(self, pause: float = 0.0, epochs: int = 3) -> None:
        self.pause = pause
        self.epochs = epochs

    def __call__(self, architecture, *, fidelity=1.0, seed=0, on_epoch=None):
        total = float(sum(v * (i + 1) for i, v in enumerate(architecture.values())))
        if architecture["x0"] == architecture["x1"] == 1:
            return Evaluation(status="failed", reason="diverged", cost=1.0)
        if architecture["x2"] == architecture["x3"] == 0:
            return Evaluation({"params": 9.0}, status="infeasible", reason="params 9, wanted params <= 5")
        curve = []
        for epoch in range(1, self.epochs + 1):
            time.sleep(self.pause)
            curve.append({"score": total * epoch / self.epochs})
            if on_epoch is not None and not on_epoch(epoch, curve[-1]):
                share = epoch / self.epochs
                return Evaluation(curve[-1], fidelity=share, cost=share, curve=tuple(curve), reason="stopped early")
        return Evaluation({"score": total}, cost=1.0, curve=tuple(curve))


def run(
    path: Path | None,
    budget: int,
    *,
    evaluator=None,
    searcher="ls",
    workers=0,
    key=None,
    time_limit=None,
    stopping=None,
    given=(),
    seed=0,
    url=None,
    limits=None,
    space=SPACE,
    fidelities=(1.0,),
    inherits=False,
):
    """A stored search; returns its loop, with trials and conversation."""
    store = Store(path, url)
    try:
        store.open({"goal": GOAL.to_json()}, GOAL)
        made = make_searcher(searcher, space, GOAL, seed=seed, fidelities=fidelities)
        conversation = Conversation(made, key or (lambda a: a.key), given)
        evaluator = evaluator or Toy()
        executor = InProcess(evaluator) if workers == 0 else Processes(evaluator, workers, time_limit=time_limit)
        loop = Loop(
            space, GOAL, conversation, store, executor, limits or Budget(budget), seed=seed, fidelities=fidelities,
            early_stopping=stopping, inherits=inherits,
        )  # fmt: skip
        loop.reason = loop.run()
        return loop
    finally:
        store.close()


if __name__ == "__main__":
    assert aw.__version__
    run(Path(sys.argv[1]), int(sys.argv[2]), evaluator=Toy(float(sys.argv[4])), workers=int(sys.argv[3]))
