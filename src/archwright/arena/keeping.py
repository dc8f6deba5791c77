"""Finished runs of the arena in a file, so that a later call need not repeat them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from archwright.arena.problem import Problem
from archwright.arena.runs import Entry, Run
from archwright.errors import SettingsError

FORMAT = "archwright-arena-runs 1"


class RunFile:
    """Finished runs, a line of JSON each, by everything that a run depends on; a line that was cut off is left out.

    Args:
        path: the file; made when the first run is added.
        problem: what is searched; its values are part of the key.
        budget: of the runs.
        until_optimum: whether they end at the optimum.

    Raises:
        SettingsError: the file holds something else than runs.
    """

    def __init__(self, path: Path, problem: Problem, budget: int, until_optimum: bool) -> None:
        self.path = path
        self._problem = _facts(problem) | {"budget": budget, "until_optimum": until_optimum}
        self._found: dict[str, Run] = {}
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for line in text.splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            try:
                if said["format"] != FORMAT:
                    raise ValueError
                self._found[_key(said["of"])] = _run(said["run"])
            except (KeyError, TypeError, ValueError):
                raise SettingsError(f"{path} holds something else than runs of the arena; name another file") from None
        if text and not text.endswith("\n"):
            path.write_text(text + "\n", encoding="utf-8")

    def get(self, entry: Entry, seed: int) -> Run | None:
        """The run of a searcher, if it is there."""
        return self._found.get(_key(self._of(entry, seed)))

    def add(self, entry: Entry, run: Run) -> None:
        """Keep one more."""
        of = self._of(entry, run.seed)
        self._found[_key(of)] = run
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"format": FORMAT, "of": of, "run": _plain(run)}) + "\n")

    def _of(self, entry: Entry, seed: int) -> dict[str, Any]:
        clues = self._problem["clues"] if entry.clues is None else list(entry.clues)
        options = dict(sorted(entry.options.items()))
        return {**self._problem, "searcher": entry.searcher, "options": options, "clues": clues, "seed": seed}


def _facts(problem: Problem) -> dict[str, Any]:
    values = b"".join(problem.values(signal).tobytes() for signal in (*problem.signals, problem.report))
    return {
        "table": problem.table.name,
        "dataset": problem.dataset,
        "signals": [str(signal) for signal in problem.signals],
        "report": str(problem.report),
        "values": zlib.crc32(values),
        "given": list(problem.given),
        "fidelities": list(problem.fidelities),
        "clues": list(problem.clue_names),
    }


def _key(of: dict[str, Any]) -> str:
    return json.dumps(of, sort_keys=True)


def _plain(run: Run) -> dict[str, Any]:
    spent = None if run.spent is None else run.spent.tolist()
    return {
        "seed": run.seed, "rows": run.rows.tolist(), "repeats": run.repeats, "seconds": run.seconds,
        "steps": [list(step) for step in run.steps], "short": run.short, "spent": spent,
    }  # fmt: skip


def _run(said: dict[str, Any]) -> Run:
    spent = None if said["spent"] is None else np.array(said["spent"], dtype=float)
    rows = np.array(said["rows"], dtype=np.int64)
    return Run(**{**said, "rows": rows, "spent": spent, "steps": tuple(tuple(step) for step in said["steps"])})
