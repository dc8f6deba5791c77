"""Read a study back from its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import StudyError
from archwright.evaluation import Goal
from archwright.families import family_from, family_from_spec
from archwright.families.base import Family
from archwright.space import Space
from archwright.study.record import StudyRecord
from archwright.study.settings import load_settings_file
from archwright.study.storage import load_trials

if TYPE_CHECKING:
    from torch import nn


def load_record(path: str | Path, *, family: Family | None = None) -> StudyRecord:
    """The record of a study, also while it runs.

    A family that was made in Python and cannot be made again from the stored settings is replaced by its space,
    which is enough to read and report.

    Raises:
        StudyError: there is no study in ``path``.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise StudyError(f"there is no study folder {folder}")
    settings, trials, stored = load_trials(folder, load_settings_file(folder).get("storage"))
    return StudyRecord(
        path=folder,
        settings=load_settings_file(folder) or settings,
        goal=Goal.from_json(settings["goal"]),
        family=family or _stored_family(settings),
        trials=tuple(trials),
        repeats=int(stored.get("repeats", 0)),
        final=_read_final(folder),
        seconds=float(stored.get("seconds", 0.0)),
        remarks=tuple(stored.get("remarks", ())),
    )


def _stored_family(settings: Any) -> Family:
    spec = settings["family"]
    try:
        return family_from_spec(spec)
    except ValueError:
        return family_from(Space.from_json(settings["space"]), _not_here(spec["name"]), name=spec["name"])


def _not_here(name: str) -> Callable[..., nn.Module]:
    def build(*_: Any) -> nn.Module:
        raise StudyError(
            f"the family {name!r} was made in Python and cannot be built from the study alone; pass build="
        )

    return build


def _read_final(folder: Path) -> Any:
    file = folder / "final.json"
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise StudyError(
            f"{file} is damaged ({error}); delete it and run the search command again to make it anew"
        ) from error
