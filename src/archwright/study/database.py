"""The database of a study, through Optuna."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from archwright.errors import StudyError

OURS = "archwright"
"""Under which attribute the settings stand."""


def storage_url(path: Path | None, url: str | None) -> str:
    """The database of a study: the one named, or SQLite in the study's folder."""
    if url is not None:
        return url
    if path is None:
        raise StudyError("a study needs a folder or a database")
    return f"sqlite:///{(path / 'study.db').absolute()}"


def connect(url: str) -> BaseStorage:
    """Connect to a database as Optuna does.

    Raises:
        StudyError: it cannot be opened, or is not a database of Optuna's.
    """
    if url.startswith("sqlite:///"):
        file = Path(url.removeprefix("sqlite:///"))
        if file.is_file() and file.stat().st_size and not file.open("rb").read(16).startswith(b"SQLite format 3"):
            raise StudyError(f"{file} is not an SQLite database; name another --study, or move this file away")
    for attempt in range(8):
        try:
            return RDBStorage(url)
        except (DatabaseError, optuna.exceptions.StorageInternalError) as error:
            if attempt == 7 or not (may_pass(error) or _made_meanwhile(error)):
                raise StudyError(f"cannot open the database {url}: {first_line(error)}") from error
        except (RuntimeError, SQLAlchemyError, ImportError, ValueError) as error:
            raise StudyError(f"the database {url} cannot hold a study: {first_line(error)}") from error
        time.sleep(0.1 * 2**attempt)  # another process is making the tables
    raise AssertionError("unreachable")


def study_name(storage: BaseStorage, path: Path | None, url: str | None) -> str:
    """A study is named after its folder; a folder that was renamed keeps the one study of its own database."""
    if url is None:
        names = [s.study_name for s in storage.get_all_studies()]
        if len(names) == 1:
            return names[0]
    return path.absolute().name if path is not None else "study"


def read_settings(storage: BaseStorage, name: str) -> Mapping[str, Any] | None:
    """Settings stored with a study, ``None`` where there is no study of this name.

    Raises:
        StudyError: there is one, but Archwright did not make it.
    """
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        return None
    attrs = storage.get_study_user_attrs(study_id)
    if OURS not in attrs:
        raise StudyError(f"the database holds a study {name!r} that Archwright did not make; use another --study")
    settings: Mapping[str, Any] = attrs[OURS]
    return settings


def _made_meanwhile(error: Exception) -> bool:
    """Whether another process was making the same tables and rows at the same moment."""
    return any(sign in str(error) for sign in ("already exists", "UNIQUE constraint failed", "duplicate key"))


def may_pass(error: Exception) -> bool:
    """Whether the database was busy and the same may succeed a moment later."""
    return "locked" in str(error) or "busy" in str(error)


def first_line(error: Exception) -> str:
    """What an error of the database says, without its SQL."""
    cause = error.__cause__ or error
    return str(cause).strip().split("\n")[0] or type(error).__name__
