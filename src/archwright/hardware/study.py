"""How well latency predictors do on a table that has the measured ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SettingsError, TableError
from archwright.hardware.accuracy import MEASURES, accuracy
from archwright.hardware.adaptation import Adapted
from archwright.hardware.predictors import PREDICTORS, LatencyPredictor, make_predictor
from archwright.tables import Table

Floats = NDArray[np.float64]
Report = Callable[[str], None]
ADAPTED = Adapted.name
KNOWN_PAIRS = 900
"""Measured pairs of each known device in a few-shot study, as in HELP (Lee et al. 2021)."""
HELD_OUT = 3000
"""Other architectures, drawn at random, that predictions are judged by."""


def costs(table: Table, dataset: str) -> list[str]:
    """The table's columns of latency and energy."""
    return [m for m in table.metrics(dataset) if m.endswith(("latency_ms", "energy_mj"))]


def device_column(table: Table, dataset: str, device: str) -> Floats:
    """Measured costs of all architectures, NaN where there is none.

    Raises:
        TableError: the table has no such column, or one that holds no positive numbers.
    """
    values = table.column(dataset, device).at()
    usable = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    if not np.isfinite(usable).any():
        raise TableError(f"table {table.name}: {device} has no positive number, so it is no latency")
    return usable


def compare(
    table: Table,
    dataset: str,
    devices: Sequence[str],
    *,
    train: Sequence[int] = (50, 200, 900),
    predictors: Sequence[str] = tuple(PREDICTORS),
    seeds: int = 3,
    on_done: Report = lambda _: None,
) -> list[dict[str, Any]]:
    """Fit each predictor on ``train`` measured architectures, and judge it on others.

    Returns:
        A row per device, size and predictor: ``device``, ``train``, ``predictor``, ``held_out``, and the mean over seeds of
        :func:`~archwright.hardware.accuracy` with the standard deviation ``*_std``.

    Raises:
        TableError: no such column.
        SettingsError: an unknown predictor, or more pairs wanted than there are.
    """
    for name in predictors:
        make_predictor(name, table.space)
    if seeds < 1:
        raise SettingsError(f"seeds must be at least 1, not {seeds}")
    rows = []
    for device in devices:
        values = device_column(table, dataset, device)
        for n in train:
            trials: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
            for seed in range(seeds):
                fitted, rest = split(values, n, seed, device)
                for name in predictors:
                    model = make_predictor(name, table.space)
                    trials[name].append(_judged(table, model, values, fitted, rest))
                on_done(f"{device}, {n} pairs")
            rows += [_row(device, n, name, len(rest), trials[name]) for name in predictors]
    return rows


def few_shot(
    table: Table,
    dataset: str,
    devices: Sequence[str],
    sources: Sequence[str],
    *,
    shots: Sequence[int] = (10, 20),
    predictors: Sequence[str] = tuple(PREDICTORS),
    seeds: int = 3,
    on_done: Report = lambda _: None,
) -> list[dict[str, Any]]:
    """Adapt to each device from ``shots`` measurements and :data:`KNOWN_PAIRS` of each source; and fit from scratch.

    Returns:
        Rows as of :func:`compare`; adaptation is the predictor ``adapted``.

    Raises:
        TableError: no such column.
        SettingsError: a device is among its own sources, or more pairs wanted than there are.
    """
    both = sorted(set(devices) & set(sources))
    if both:
        raise SettingsError(f"{both[0]} cannot be a known device and the new one at once")
    rows = compare(table, dataset, devices, train=shots, predictors=predictors, seeds=seeds, on_done=on_done)
    trials: dict[tuple[str, int], list[dict[str, float]]] = {}
    for seed in range(seeds):
        known = known_devices(table, dataset, sources, seed)
        for device in devices:
            values = device_column(table, dataset, device)
            for n in shots:
                fitted, rest = split(values, n, seed, device)
                model = Adapted(table.space, known)
                trials.setdefault((device, n), []).append(_judged(table, model, values, fitted, rest))
                on_done(f"{device}, {n} shots")
    adapted = [_row(d, n, ADAPTED, len(rest), found) for (d, n), found in trials.items()]
    order = {(d, n): i for i, (d, n) in enumerate((d, n) for d in devices for n in shots)}
    return sorted([*rows, *adapted], key=lambda row: order[row["device"], row["train"]])


def known_devices(table: Table, dataset: str, sources: Sequence[str], seed: int = 0) -> dict[str, LatencyPredictor]:
    """Boosted predictors of known devices, each fitted on :data:`KNOWN_PAIRS` (or half of the table)."""
    made = {}
    for source in sources:
        values = device_column(table, dataset, source)
        number = min(KNOWN_PAIRS, int(np.isfinite(values).sum()) // 2)
        fitted, _ = split(values, number, 1000 + seed, source)
        made[source] = make_predictor("boosted", table.space).fit(_taken(table, fitted), values[fitted])
    return made


def split(values: Floats, number: int, seed: int, device: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit on, and up to :data:`HELD_OUT` others, of those that have a value.

    Raises:
        SettingsError: not enough rows to fit on and to judge by.
    """
    there = np.flatnonzero(np.isfinite(values))
    if not 3 <= number <= len(there) - 2:
        raise SettingsError(
            f"{device} has {len(there)} measured architectures; fit on 3 to {len(there) - 2}, not {number}"
        )
    order = np.random.default_rng(seed).permutation(there)
    return order[:number], order[number:][:HELD_OUT]


def predicted_column(
    table: Table, dataset: str, device: str, model: LatencyPredictor, number: int, seed: int = 0
) -> tuple[Floats, dict[str, float]]:
    """Fit on ``number`` measured architectures; predictions for all, and how good they are on others."""
    values = device_column(table, dataset, device)
    fitted, rest = split(values, number, seed, device)
    model.fit(_taken(table, fitted), values[fitted])
    predicted = model.predict(table.architectures)
    return predicted, accuracy(predicted[rest], values[rest])


def means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean over devices for each size and predictor, in the order of the rows."""
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["train"], row["predictor"]), []).append(row)
    return [
        {"train": n, "predictor": name, "devices": len(found)}
        | {m: float(np.mean([row[m] for row in found])) for m in MEASURES}
        for (n, name), found in groups.items()
    ]


def _judged(
    table: Table, model: LatencyPredictor, values: Floats, fitted: NDArray[np.int64], rest: NDArray[np.int64]
) -> dict[str, float]:
    model.fit(_taken(table, fitted), values[fitted])
    return accuracy(model.predict(_taken(table, rest)), values[rest])


def _taken(table: Table, rows: NDArray[np.int64]) -> list[Any]:
    return [table.architectures[i] for i in rows]


def _row(
    device: str, train: int, predictor: str, held_out: int, trials: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"device": device, "train": train, "predictor": predictor, "held_out": held_out}
    for measure in MEASURES:
        found = [t[measure] for t in trials]
        row |= {measure: float(np.mean(found)), f"{measure}_std": float(np.std(found))}
    return row
