"""Running the command line within the test's process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from archwright.cli import main


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def archwright(capsys, monkeypatch, tmp_path) -> Callable[..., Done]:
    """Call it with the words of a command line; it runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["archwright", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run
