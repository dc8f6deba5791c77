"""Architectures to begin a search with, from another study or from a file."""

from __future__ import annotations

import json
from pathlib import Path

from archwright.errors import SettingsError
from archwright.evaluation import Goal
from archwright.space import Architecture
from archwright.study.record import rank
from archwright.study.settings import load_settings_file
from archwright.study.storage import load_trials

MOST = 10


def read_architectures(path: Path) -> list[Architecture]:
    """The best ten of a study's folder, or all those of a JSON file (one mapping, or a list of mappings).

    Raises:
        SettingsError: the file is not there or is not of that form.
        StudyError: the folder has no study.
    """
    if path.is_dir():
        storage = load_settings_file(path).get("storage")
        settings, trials, _ = load_trials(path, storage)
        full = [t for t in trials if t.is_full]
        return [t.architecture for t in rank(full, Goal.from_json(settings["goal"]))[:MOST]]
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"warm start: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"warm start: {path} is not JSON: {error}") from error
    rows = data if isinstance(data, list) else [data]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(
            f"warm start: {path} must hold one architecture (a mapping of names to values), or a list of them"
        )
    return [Architecture(row.get("architecture", row)) for row in rows]
