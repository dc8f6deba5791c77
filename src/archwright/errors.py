"""Errors that tell a user what was wrong, where, and what to do."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class ArchwrightError(Exception):
    """A mistake that the user can mend. The command line prints its message on one line and exits with 2."""


class SpaceError(ArchwrightError, ValueError):
    """A space, a parameter or an architecture that does not hold together."""


class FamilyError(ArchwrightError, ValueError):
    """A family that is unknown, incomplete, or cannot take the data's shape."""


class DataError(ArchwrightError, ValueError):
    """Data that is missing, empty or not laid out as it must be."""


class SettingsError(ArchwrightError, ValueError):
    """An option, objective, bound or metric that makes no sense."""


class StudyError(ArchwrightError):
    """A study that cannot be opened, continued or written."""


class TableError(ArchwrightError, ValueError):
    """A benchmark table that is missing, broken, or lacks what it was asked for."""


class MissingDependencyError(ArchwrightError, ImportError):
    """An optional package that is not installed."""


class ArchwrightWarning(UserWarning):
    """Something the user should know, though the work goes on."""


def unknown(kind: str, name: str, options: Iterable[str]) -> str:
    """The message for a name that is not among ``options``, with near matches first."""
    names = sorted(options)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return f"unknown {kind} {name!r}; {hint}"


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which command installs it.

    Raises:
        MissingDependencyError: ``module`` is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"this needs the package {module.split('.')[0]!r}; install it with: pip install 'archwright[{extra}]'"
        ) from error
