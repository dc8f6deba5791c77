"""What searches inside one network find among NAS-Bench-201's cells, and how well they order them, at a small scale."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.arena.problem import Signal, read_signal
from archwright.errors import SettingsError, unknown
from archwright.tables.known import find_table
from archwright.tables.table import Table

if TYPE_CHECKING:
    from archwright.data import Data
    from archwright.supernet.methods import OneShot

NAME = "oneshot-nasbench201"
RUNS = 4
METHODS = ("darts1", "darts2", "icdarts", "cdarts", "random_v4")
DEAF = ("darts1", "darts2")
"""Methods whose search does not hear what alpha is discretised to: the same one also says what it finds without ``none``."""
SEARCH: Mapping[str, Any] = {
    "channels": 4, "search_cells": 1, "evaluation_cells": 1, "stages": 2, "epochs": 20, "batch_size": 32, "arch_lr": 0.01,
    "crop": 0, "flip": False,
}  # fmt: skip
"""Options of every search: minutes on a processor in place of days."""
OWN: Mapping[str, Any] = {
    "data": "digits",
    "table": "nasbench201-digits",
    "dataset": None,
    "signal": "test_accuracy",
    "sample": 50,
}
"""Options of the comparison itself; ``sample``: cells judged with the weights of a search."""
PUBLISHED: Mapping[str, Mapping[str, float]] = {name: {"mean": 54.30, "std": 0.0} for name in DEAF}
"""Test accuracy on CIFAR-10 of what was found (Dong and Yang 2020, table 5)."""
SCALE = "published at full scale, where it ends at the cell of skips alone: 16 channels, 15 cells, all of CIFAR-10, 50 epochs"
MEASURES: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("accuracy",), "rank": ("rank",), "spearman": ("order", "spearman"), "kendall": ("order", "kendall"),
    "spearman, first 1000": ("top", "spearman"), "spearman, shared weights": ("one_shot", "spearman"),
    "spearman, alpha on the same cells": ("one_shot", "alpha_spearman"),
}  # fmt: skip
"""Where a :func:`~archwright.supernet.ranking.ranking` has each figure."""


def reproduce_oneshot(
    *, data_dir: str | Path | None = None, runs: int | None = None, seed: int = 0, options: Mapping[str, Any] | None = None,
    only: Sequence[str] = (), out: str | Path | None = None, on_done: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:  # fmt: skip
    """Search several times with each method; no found cell is trained, as the table has what it reaches.

    Args:
        data_dir: where tables are, see :func:`~archwright.tables.find_table`.
        runs: of each method.
        seed: of the first run.
        options: in place of those of :data:`OWN` and :data:`SEARCH`, or others of the joint search.
        only: names of methods, or texts one of which a method must contain.
        out: folder that keeps searches; the same call goes on from there.
        on_done: called with a label and the numbers of searches done and of all.

    Returns:
        ``name``, ``source``, ``rows`` (per method and measure the mean, standard deviation (n - 1), least and largest)
        and ``runs`` (per method and seed the cell and its ranking).

    Raises:
        SettingsError: an unknown option or method, or a number below 1.
        TableError: the table is not at hand, or of another space.
        DataError: the data are not.
    """
    from archwright.data import load_data
    from archwright.supernet.ranking import check_table

    own, search = _options(options or {})
    number = RUNS if runs is None else runs
    if number < 1:
        raise SettingsError(f"runs must be at least 1, not {number}")
    methods = [m for m in METHODS if not only or any(_named(m, text) for text in only)]
    if not methods:
        raise SettingsError(unknown("method", only[0], METHODS))
    table = find_table(str(own["table"]), data_dir)
    check_table(table)
    dataset = table.dataset(own["dataset"])
    signal = read_signal(table, dataset, str(own["signal"]))
    asked = {(m, s): _asked(m, s, search, own["sample"]) for s in range(seed, seed + number) for m in methods}
    data = load_data(own["data"])
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for done, ((method, s), one) in enumerate(asked.items(), start=1):
            result = _result(one, data, Path(scratch if out is None else out) / f"{method}-{s}")
            found[method, s] = _looked_up(table, dataset, signal, result)
            if method in DEAF:
                found[f"{method}, V0", s] = _looked_up(table, dataset, signal, _without_none(result))
            on_done(f"{method}, seed {s}", done, len(asked))
    rows = [
        row
        for m in methods
        for row in _rows(m, [one for (name, _), one in found.items() if name == m], table, dataset, signal)
    ]
    listed = [{"method": m, "seed": s, **one} for (m, s), one in found.items()]
    source = (
        f"searches on {data.name} ({len(data.train):,} examples, {data.input_shape}), {number} runs; {_words(search)}"
    )
    return {"name": NAME, "source": source, "rows": rows, "runs": listed}


def _named(method: str, text: str) -> bool:
    """A whole name means that method alone."""
    return method == text if text in METHODS else text in method


def _options(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the comparison, and those of the searches."""
    from archwright.supernet.nasbench201 import EdgeSettings
    from archwright.supernet.settings import JointSettings

    known = [*OWN, *(f.name for settings in (EdgeSettings, JointSettings) for f in fields(settings))]
    for name in given:
        if name not in known:
            raise SettingsError(unknown("option", name, known))
    own = {**OWN, **{k: v for k, v in given.items() if k in OWN}}
    return own, {**SEARCH, **{k: v for k, v in given.items() if k not in OWN}}


def _asked(method: str, seed: int, search: Mapping[str, Any], sample: int) -> OneShot:
    from archwright.supernet.methods import METHODS as KNOWN
    from archwright.supernet.methods import OneShot

    if KNOWN[method].search == "random":
        search, sample = {}, 0
    made = OneShot(method, search, retrain=False, seed=seed, family="nasbench201", sample=sample)
    made.edges()
    return made


def _result(asked: OneShot, data: Data, folder: Path) -> dict[str, Any]:
    """The result of a search; one that is over is read, if it is of the same data and settings."""
    from archwright.supernet.running import claim, run_oneshot

    file = folder / "result.json"
    if not file.is_file():
        return run_oneshot(asked, data, folder)
    claim(folder, asked, data)
    result: dict[str, Any] = json.loads(file.read_text())
    sampled = len(result["search"].get("one_shot", ()))
    return result if sampled == asked.sample else run_oneshot(asked, data, folder)


def _without_none(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result as it is under zero configuration V0, where ``none`` takes part in the softmax and is never chosen."""
    from torch import tensor

    from archwright.families.nasbench201 import to_string
    from archwright.supernet.nasbench201 import EdgeSettings, discretised

    cell = discretised(tensor(result["search"]["alpha"]), EdgeSettings(zeros="V0"))
    return {**result, "architecture": dict(cell), "genotype": {"cell": to_string(cell)}}


def _looked_up(table: Table, dataset: str, signal: Signal, result: Mapping[str, Any]) -> dict[str, Any]:
    from archwright.supernet.ranking import ranking

    sign = 1.0 if signal.direction == "maximize" else -1.0
    worth = sign * table.column(dataset, signal.metric).at(signal.epoch, signal.seed)  # type: ignore[arg-type]
    operations = list(result["architecture"].values())
    return {
        "cell": result["genotype"]["cell"],
        "skips": operations.count("skip_connect"),
        "none": operations.count("none"),
        "seconds": result["search"]["seconds"],
        **ranking(table, worth, result),
    }


def _rows(
    method: str, found: Sequence[Mapping[str, Any]], table: Table, dataset: str, signal: Signal
) -> list[dict[str, Any]]:
    published = dataset == "cifar10" and signal.metric == "test_accuracy" and signal.epoch == 200
    rows = []
    for measure, path in MEASURES.items():
        values = [value for one in found if (value := _at(one, path)) is not None]
        theirs = PUBLISHED.get(method, {}) if published and measure == "accuracy" else {}
        if values:
            rows.append({
                "table": table.name, "dataset": dataset, "signal": str(signal), "measure": measure, "searcher": method,
                "runs": len(found), "ours": _figures(np.array(values)),
                "published": {**dict.fromkeys(("mean", "std", "min", "max")), **theirs},
                "p_holm_against_ls": None, "differs": SCALE if theirs else "",
            })  # fmt: skip
    return rows


def _at(found: Mapping[str, Any], path: Sequence[str]) -> float | None:
    value: Any = found
    for name in path:
        value = None if value is None else value.get(name)
    return value if value is None else float(value)


def _figures(values: NDArray[np.float64]) -> dict[str, float | None]:
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()), "std": spread, "min": float(values.min()), "max": float(values.max())}


def _words(search: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in search.items())
