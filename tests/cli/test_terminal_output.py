"""What the command line prints fits terminals of 80 columns and shows brackets as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from archwright.cli import common
from archwright.cli.app import app

GROUP: Any = typer.main.get_command(app)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in leaves(GROUP)], ids="-".join)
def test_help_shows_every_word_at_80_columns(path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, [*path, "--help"]).output
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    words = set(shown.replace("│", " ").split())
    for parameter in dict(leaves(GROUP))[path].params:
        assert set((parameter.help or "").split()) <= words, parameter.name


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fold_names_but_neither_numbers_nor_words_of_headings(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [[f"searcher:option={'x' * n}", "0.657 ± 0.007", "0.592-0.722", "0 of 20", "14.8"] for n in (1, 20)]
    columns = ["searcher", "full equivalents to optimum", "95 % interval", "reached", "seconds"]
    with (out := common.console()).capture() as shown:
        out.print(common.table("", columns, rows, dispensable=["95 % interval"]))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= width
    assert sum("0.657 ± 0.007" in line and "0 of 20" in line and "14.8" in line for line in lines) == 2
    assert "equivalents" in shown.get()
    assert ("0.592-0.722" in shown.get()) == (width == 120)


def test_numbers_are_told_from_names():
    assert [common._is_words(c) for c in ("0 of 20", "–", "nan", "1,234 ± 5", "rea", "to optimum", "x")] == [
        False, False, False, False, True, True, False,
    ]  # fmt: skip


def test_brackets_are_printed_as_they_are(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with (out := common.console()).capture() as shown:
        out.print("failed: [/data] of [bold]")
        out.print(common.labelled("study", "runs/[a]/[/b]"))
        out.print(common.table("[x]", ["[red]"], [["[/y]"]]))
    assert shown.get().split() == [
        "failed:",
        "[/data]",
        "of",
        "[bold]",
        "study",
        "runs/[a]/[/b]",
        "[x]",
        "[red]",
        "━━━━━",
        "[/y]",
    ]
