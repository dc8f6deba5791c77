"""Which searcher a study gets when none is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archwright.evaluation import Goal
from archwright.searchers import SEARCHERS
from archwright.study.storage import load_settings_file

SAVING = "ensemble-bo"
"""Fewest trainings; thinks for tenths of a second about each."""
PLAIN = "rea"


def choose_searcher(
    goal: Goal, *, trains: bool, fidelities: Sequence[float] | None = None, study: str | Path | None = None
) -> str:
    """The name of the searcher.

    A study that is continued keeps its own. Else ``ensemble-bo`` where networks are built and trained for one objective, or
    where short evaluations are asked for; ``rea`` for several objectives, weights that neighbours inherit, scores of untrained
    networks, and functions of the user's.

    Args:
        goal: objectives.
        trains: whether evaluations are trainings, from scratch, of networks that a builder makes.
        fidelities: as the user named them.
        study: folder, whose settings are looked at if they are there.
    """
    stored = {} if study is None else load_settings_file(Path(study)).get("searcher", {})
    if stored.get("name") in SEARCHERS:
        return str(stored["name"])
    return SAVING if fidelities is not None or (trains and len(goal.objectives) == 1) else PLAIN
