"""Which searcher a study gets when none is named, and how long evaluations are that a searcher asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.searchers import SEARCHERS, searcher_options
from archwright.study.settings import load_settings_file
from archwright.study.stopping import Budget

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


def make_budget(
    searcher: str,
    evaluations: int | None,
    equivalents: float | None = None,
    seconds: float | None = None,
    fidelities: Sequence[float] | None = None,
) -> Budget:
    """A budget in which short evaluations count by their share, where the searcher asks for such.

    Raises:
        SettingsError: an unknown searcher, no limit, or one that is not positive.
    """
    searcher_options(searcher)
    if _several(searcher, fidelities) and evaluations is not None:
        equivalents = min(float(evaluations), math.inf if equivalents is None else equivalents)
        evaluations = None
    return Budget(evaluations, equivalents, seconds)


def _several(searcher: str, fidelities: Sequence[float] | None) -> bool:
    """Whether evaluations differ in length."""
    kind = SEARCHERS[searcher]
    return kind.several_fidelities and (fidelities is not None or not kind.fidelities_are_optional)


def checked_amounts(
    searcher: str, fidelities: Sequence[float] | None, epochs: int | None, evaluate: Any, stop_early: bool
) -> Sequence[float] | None:
    """What the user says of fidelities, checked; empty for all epochs, ``None`` for a searcher that has no use for them.

    Raises:
        SettingsError: they do not go with the searcher, the epochs or the evaluation.
    """
    searcher_options(searcher)
    kind = SEARCHERS[searcher]
    several = _several(searcher, fidelities)
    if not kind.several_fidelities and fidelities is not None:
        able = ", ".join(name for name, kind in SEARCHERS.items() if kind.several_fidelities)
        raise SettingsError(f"{searcher} evaluates everything in full; for fidelities take one of {able}")
    if several and stop_early:
        raise SettingsError(f"{searcher} decides itself what is trained on; leave out stopping early")
    if several and evaluate is not None and fidelities is None:
        raise SettingsError(
            f"{searcher} needs fidelities=(small, ..., full), and evaluate(architecture, fidelity=...) that heeds them"
        )
    if not several:
        return None
    if fidelities is None:
        return ()
    if not fidelities or list(fidelities) != sorted(set(fidelities)) or not fidelities[0] > 0:
        raise SettingsError(f"fidelities must be positive and ascending, not {list(fidelities)}")
    if evaluate is None and any(amount != int(amount) for amount in fidelities):
        raise SettingsError(f"fidelities are whole epochs, not {list(fidelities)}")
    if evaluate is None and epochs not in (None, fidelities[-1]):
        raise SettingsError(f"the last of the fidelities is a full training: {fidelities[-1]:g} epochs, not {epochs}")
    return fidelities
