"""A user's file of conditions, and the journal of a search."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archwright.errors import FamilyError, SettingsError
from archwright.families.userfile import import_file
from archwright.space import Architecture, Space


def conditions_from_file(path: Path) -> tuple[Space, Callable[[Architecture], float]]:
    """``space`` and ``evaluate`` of a Python file.

    Raises:
        FamilyError: the file is missing, breaks while it is imported, or lacks one of them.
    """
    if not path.is_file():
        raise FamilyError(f"there is no file {path}")
    module = import_file(path)
    space, evaluate = getattr(module, "space", None), getattr(module, "evaluate", None)
    if not isinstance(space, Space):
        raise FamilyError(f"{path} must define space, an archwright.Space of the conditions")
    if not callable(evaluate):
        raise FamilyError(f"{path} must define evaluate(condition), the classifier's accuracy in a condition")
    return space, evaluate


class Journal:
    """What was evaluated, row by row in a CSV file; without a file nothing is kept.

    Attributes:
        known: answers that the file had; NaN where the evaluation failed.

    Raises:
        SettingsError: the file is not a journal of this space.
    """

    def __init__(self, path: Path | None, space: Space) -> None:
        self.path = path
        self.names = [*space.names, "accuracy"]
        self.known: dict[Architecture, float] = {}
        if path is None:
            return
        if path.exists():
            self._read(path, space)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(self.names)

    def _read(self, path: Path, space: Space) -> None:
        values = {n: {str(v): v for v in p.values or ()} for n, p in space.parameters.items()}
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if list(reader.fieldnames or ()) != self.names:
                raise SettingsError(
                    f"{path} is not a journal of this space: its columns must be {','.join(self.names)}"
                )
            for row in reader:
                try:
                    condition = Architecture({n: values[n][row[n]] for n in space.names if row[n] != ""})
                    self.known[condition] = float(row["accuracy"] or math.nan)
                except (KeyError, TypeError, ValueError) as error:
                    raise SettingsError(
                        f"{path}, line {reader.line_num}: it is not a condition of this space"
                    ) from error

    def write(self, condition: Architecture, accuracy: float) -> None:
        """Add one row; an accuracy that is not finite is left empty."""
        if self.path is not None:
            row = [condition.get(n, "") for n in self.names[:-1]]
            self._append([*row, accuracy if math.isfinite(accuracy) else ""])

    def _append(self, row: list[Any]) -> None:
        assert self.path is not None
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)
