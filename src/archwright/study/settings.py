"""The settings of a study: kept beside it, and compared with those of a continuation."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from archwright.errors import StudyError
from archwright.families import CATALOGUE
from archwright.searchers import SEARCHERS, searcher_options
from archwright.study.record import jsonable, write_json

LOOSE = ("budget", "workers", "threads", "device", "processes", "time_limit", "final", "command", "versions", "storage")
"""Settings that may change when a study is continued."""


def save_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings beside the database, for people, and for those who read the study."""
    try:
        write_json(path / "settings.json", settings)
    except OSError as error:
        raise StudyError(f"cannot write in {path}: {error.strerror}") from error


def load_settings_file(path: Path) -> Mapping[str, Any]:
    """The settings written by :func:`save_settings`; empty when there are none."""
    try:
        data: Mapping[str, Any] = json.loads((path / "settings.json").read_text())
    except (OSError, ValueError):
        return {}
    return data


def refuse_other_settings(stored: Mapping[str, Any], asked: Mapping[str, Any], path: Path | None) -> None:
    """Compare the settings of a study with those asked for now.

    Raises:
        StudyError: they differ in something that makes evaluations incomparable.
    """
    stored = _with_new_options(stored)
    differing = []
    for name in sorted(set(stored) | set(asked)):
        if name not in LOOSE and stored.get(name) != asked.get(name):
            differing += _differences(name, stored.get(name), asked.get(name))
    if differing:
        shown = "; ".join(differing[:4]) + (f"; and {len(differing) - 4} more" if len(differing) > 4 else "")
        raise StudyError(
            f"the study {path} was made with other settings ({shown}); repeat them to continue it, or name another --study"
        )


def _with_new_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings, options that searcher and family have got since then at their defaults."""
    family, searcher = stored.get("family", {}), stored.get("searcher", {})
    filled = dict(stored)
    if searcher.get("name") in SEARCHERS:
        defaults = jsonable(searcher_options(searcher["name"]))
        filled["searcher"] = {**searcher, "options": {**defaults, **searcher.get("options", {})}}
    if family.get("kind") == "catalogue" and family.get("name") in CATALOGUE:
        defaults = jsonable(dict(CATALOGUE[family["name"]]().options))
        filled["family"] = {**family, "options": {**defaults, **family.get("options", {})}}
    return filled


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(set(before) | set(now))
        pairs = [_differences(f"{name}.{k}", before.get(k), now.get(k)) for k in keys if before.get(k) != now.get(k)]
        return [line for lines in pairs for line in lines]
    return [f"{name} was {_short(before)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def versions() -> dict[str, str]:
    """Versions of what an evaluation depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("archwright", "torch", "numpy", "optuna", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
