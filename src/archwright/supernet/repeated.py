"""Independent runs of a search inside one network: how far they spread is part of what they are worth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from archwright.data import Data
from archwright.errors import SettingsError, StudyError
from archwright.report.runs import Runs, read_result, summarise
from archwright.supernet.methods import OneShot, whole
from archwright.supernet.retraining import MODELS, RESULT, export_found, is_oneshot
from archwright.supernet.running import Judge, run_oneshot
from archwright.supernet.transfer import of_run

RUN = "run-"
"""What the folders of runs are called, with the seed behind."""
WORTH = (("retrain", "val_accuracy"), ("search", "val_accuracy"))
"""Validation accuracies that runs are compared by: of the retrained network where it has one, else of the search's."""


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
        own = None if folder is None else folder / f"{RUN}{seed}"
        run = replace(asked, seed=seed, cells=of_run(asked.cells, seed))
        results.append(run_oneshot(run, data, own, say, judge))
    summary = summarise([Runs(asked.method, tuple(results))])[0]["metrics"]
    found: dict[str, Any] = {"method": asked.method, "runs": results, "summary": summary}
    if folder is None:
        return found
    file = folder / "runs.json"
    file.write_text(json.dumps(found, indent=1))
    return {**found, "files": {"runs": str(file)}}


def folders_of(study: Path) -> list[Path]:
    """The folders of the runs in the folder of several, by seed; none in any other folder."""
    found = [path for path in study.glob(f"{RUN}*") if path.name[len(RUN) :].isdigit() and is_oneshot(path)]
    return [] if is_oneshot(study) else sorted(found, key=lambda path: int(path.name[len(RUN) :]))


def best_run(study: Path) -> tuple[Path, str]:
    """The run with the best validation accuracy (the test split chooses nothing), and the name of that number in its result.

    Runs that are equal in it: the one with the smallest seed.

    Raises:
        StudyError: a run is not over.
        SettingsError: runs without validation accuracy, as of random cells.
    """
    folders = folders_of(study)
    open_ = [path.name for path in folders if not (path / RESULT).is_file()]
    if open_:
        raise StudyError(
            f"of the runs in {study} {', '.join(open_)} {'is' if len(open_) == 1 else 'are'} not over; give the same archwright "
            f"oneshot command to go on, or export one that is: archwright export {folders[0]}"
        )
    results = [read_result(path) for path in folders]
    for part, name in WORTH:
        worth = [_number(result, part, name) for result in results]
        known = [value for value in worth if value is not None]
        if len(known) == len(folders):
            return folders[known.index(max(known))], f"{part}.{name}"
    raise SettingsError(
        f"the runs in {study} have no validation accuracy to choose by; export one, such as {folders[0]}, or all with --all"
    )


def _number(result: Mapping[str, Any], part: str, name: str) -> float | None:
    value = (result.get(part) or {}).get(name)
    return float(value) if isinstance(value, (int, float)) else None


def export_runs(
    study: Path, *, every: bool = False, out: Path | None = None, epochs: int | None = None, data: Any = None, onnx: bool = True
) -> list[dict[str, Any]]:  # fmt: skip
    """Export the best of several runs, or every one; those that are not retrained are, first.

    Args:
        study: the folder of the runs.
        every: all runs rather than the best.
        out: where to; by default ``model`` in the folder of the runs, with ``every`` in each run's. With ``every`` it has a
            folder for each run.
        epochs, data, onnx: of :func:`~archwright.supernet.retraining.export_found`.

    Returns:
        Per exported run its folder ``run``, ``metrics``, ``files``, and what it was ``chosen_by``.

    Raises:
        StudyError, SettingsError: as :func:`best_run` and :func:`~archwright.supernet.retraining.export_found`.
    """
    chosen: list[tuple[Path, str | None, Path | None]]
    if every:
        chosen = [(path, None, None if out is None else out / path.name) for path in folders_of(study)]
    else:
        path, by = best_run(study)
        chosen = [(path, by, out or study / MODELS["retrain"])]
    found = []
    for path, name, target in chosen:
        files, metrics = export_found(path, out=target, epochs=epochs, data=data, onnx=onnx)
        found.append(
            {"run": str(path), "chosen_by": name, "metrics": metrics, "files": {k: str(v) for k, v in files.items()}}
        )
    return found
