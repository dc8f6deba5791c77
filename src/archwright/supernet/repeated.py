"""Independent runs of a search inside one network: how far they spread is part of what they are worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from archwright.data import Data
from archwright.report.runs import Runs, summarise
from archwright.supernet.methods import OneShot, whole
from archwright.supernet.running import Judge, run_oneshot
from archwright.supernet.transfer import of_run


def run_repeatedly(
    asked: OneShot, data: Data, runs: int, folder: Path | None = None, say: Callable[[str], object] | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:  # fmt: skip
    """So many searches, each retrained once, which differ in nothing but the seed; JSON-able.

    Args:
        asked: for; the runs have its seed and those that follow.
        data: images.
        runs: how many; 8 is the usual number (Herron 2023, section 3.4.2).
        folder: keeps each run in a folder ``run-SEED`` and what they have in common in ``runs.json``; the same call goes on
            from it, and one with more runs adds to it.
        say: called with a line on each step.
        judge: see :func:`~archwright.supernet.running.run_oneshot`.

    Returns:
        ``method``, ``runs``, the result of each, and ``summary``: of every number ``n``, mean, standard deviation (n - 1), least
        and most over the runs.

    Raises:
        SettingsError: fewer than one run, or what a run raises.
    """
    whole("runs", runs)
    results = []
    for seed in range(asked.seed, asked.seed + runs):
        if say is not None:
            say(f"run {seed - asked.seed + 1} of {runs}, seed {seed}")
        own = None if folder is None else folder / f"run-{seed}"
        run = replace(asked, seed=seed, cells=of_run(asked.cells, seed))
        results.append(run_oneshot(run, data, own, say, judge))
    summary = summarise([Runs(asked.method, tuple(results))])[0]["metrics"]
    found: dict[str, Any] = {"method": asked.method, "runs": results, "summary": summary}
    if folder is None:
        return found
    file = folder / "runs.json"
    file.write_text(json.dumps(found, indent=1))
    return {**found, "files": {"runs": str(file)}}
