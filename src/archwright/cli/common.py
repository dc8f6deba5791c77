"""What several commands share: reading KEY=VALUE options and durations, printing JSON and tables."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from archwright.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from archwright.study.record import StudyRecord


PIPED_WIDTH = 200
"""Characters of a line where standard output is no terminal and ``COLUMNS`` is not set."""
SIGNAL = "METRIC@EPOCH#SEED, of which @EPOCH and #SEED may be left out"
"""How a column of a table is named."""
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Resize = Annotated[
    int | None, typer.Option(help="Resize images of a folder, or bands, to this many pixels.", show_default=False)
]
SkipCorrupt = Annotated[bool, typer.Option("--skip-corrupt", help="Leave out unreadable images of a folder.")]
Target = Annotated[
    str | None, typer.Option(help="Label column of a CSV file; the last one by default.", show_default=False)
]
TableName = Annotated[str, typer.Argument(help="A table's name (archwright list tables) or its file.")]
DatasetName = Annotated[
    str | None, typer.Option(help="One of the table's data sets; its first one by default.", show_default=False)
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Where tables and raw files are; else $ARCHWRIGHT_DATA, then the user's cache.", show_default=False
    ),
]


def pairs(words: Iterable[str], flag: str) -> dict[str, Any]:
    """``["a=1", "b=x"]`` as ``{"a": 1, "b": "x"}``; values are JSON where they can be.

    Raises:
        SettingsError: a word without ``=``, or a name given twice.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise SettingsError(f"{flag} takes NAME=VALUE, not {word!r}")
        if name in found:
            raise SettingsError(f"{flag} names {name!r} twice")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = {"True": True, "False": False, "None": None}.get(text, text)
    return found


def numbers(words: Iterable[str], flag: str) -> dict[str, float]:
    """Like :func:`pairs`, for numbers.

    Raises:
        SettingsError: a value that is not a number.
    """
    found = pairs(words, flag)
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise SettingsError(f"{flag} {name}={value}: the limit must be a number")
    return {name: float(value) for name, value in found.items()}


def whole_numbers(text: str | None, flag: str) -> tuple[int, ...] | None:
    """``"3,30"`` as ``(3, 30)``.

    Raises:
        SettingsError: anything but positive whole numbers.
    """
    if text is None:
        return None
    words = [w.strip() for w in text.split(",")]
    if not all(w.isdigit() and int(w) > 0 for w in words):
        raise SettingsError(f"{flag} takes positive whole numbers with commas between, such as 3,30, not {text!r}")
    return tuple(int(w) for w in words)


def seconds(text: str | None, flag: str) -> float | None:
    """``90``, ``90s``, ``30m`` or ``2h`` in seconds.

    Raises:
        SettingsError: anything else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None:
        raise SettingsError(f"{flag} takes seconds, or a number with s, m or h (90, 30m, 2h), not {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    from archwright.study.record import jsonable

    sys.stdout.write(json.dumps(jsonable(value), allow_nan=False) + "\n")


def console(*, stderr: bool = False) -> Console:
    """A terminal to write to, as it stands: brackets in names, paths and reasons are no markup."""
    from rich.console import Console

    shown = sys.stdout.isatty()
    width = None if shown or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=not shown, width=width)


def labelled(label: str, text: object, style: str = "dim") -> Text:
    """``label  text`` on one line, the label in a style."""
    from rich.text import Text

    return Text.assemble((label, style), "  ", str(text))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], dispensable: Sequence[str] = ()) -> Table:
    """A plain table; columns of numbers should come formatted.

    Where the terminal is too narrow, ``dispensable`` columns are left out first; then headings wrap between words and names
    fold, but never numbers.
    """
    from rich.table import Table

    room = console().width
    cells = [list(column) for column in zip(columns, *rows, strict=True)]
    if _width(cells) > room:
        cells = [column for column in cells if column[0] not in dispensable]
    narrow = _width(cells) > room
    made = Table(title=title, title_justify="left", show_edge=False, pad_edge=False, header_style="bold")
    for i, (heading, *below) in enumerate(cells):
        fixed = narrow and not any(map(_is_words, below))
        width = max(map(len, [*heading.split(), *below]), default=0) if fixed else None
        made.add_column(heading, overflow="fold", justify="left" if i == 0 else "right", width=width)
    for row in zip(*(column[1:] for column in cells), strict=True):
        made.add_row(*row)
    return made


def _width(cells: Sequence[Sequence[str]]) -> int:
    """Characters that columns take without folding, with what stands between."""
    return sum(max(map(len, column)) for column in cells) + 3 * (len(cells) - 1)


def _is_words(cell: str) -> bool:
    """Whether a cell is a name or text, not a number with its unit or interval."""
    return re.search(r"[A-Za-z]{3,}", cell) is not None and cell not in ("nan", "inf", "-inf")


class Advance(Protocol):
    """Moves a bar on by one, or to ``done`` of ``total``, with a word on what was done."""

    def __call__(self, word: str, done: int | None = None, total: int | None = None) -> None: ...


@contextmanager
def counting(total: int, what: str, *, quiet: bool = False) -> Iterator[Advance]:
    """A bar on standard error; only on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    out = console(stderr=True)
    bar = (
        TextColumn(what),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*bar, console=out, disable=quiet or not out.is_terminal) as progress:
        task = progress.add_task("", total=total)

        def advance(word: str, done: int | None = None, total: int | None = None) -> None:
            if done is None:
                progress.update(task, advance=1, description=word)
            else:
                progress.update(task, completed=done, total=total, description=word)

        yield advance


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: ``0.9722``, ``73,306``, ``1.25e-05``."""
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def metrics_line(metrics: Mapping[str, float], names: Iterable[str]) -> str:
    """``accuracy 0.972, params 73,306``."""
    return ", ".join(f"{name} {number(metrics[name])}" for name in dict.fromkeys(names) if name in metrics)


def open_record(study: Path) -> StudyRecord:
    """The record of a study's folder.

    Raises:
        StudyError: there is none.
    """
    from archwright.study.load import load_record

    return load_record(study)
