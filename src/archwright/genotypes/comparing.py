"""Groups of genotypes side by side: one group per task, method or search space (Herron 2023, section 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, TypeVar

from archwright.errors import SettingsError
from archwright.genotypes.counting import depth_counts, operation_counts
from archwright.genotypes.reading import Cells

Key = TypeVar("Key", str, int)


@dataclass(frozen=True)
class Group:
    """Genotypes of one kind, say the runs of a method on a data set.

    Attributes:
        name: as it is shown.
        genotypes: one per run.
        cells: of the stacked network.
    """

    name: str
    genotypes: tuple[Cells, ...]
    cells: int = 20


def compare(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Per group: counts over its stacked networks, as means and standard deviations over its runs, and mean shares.

    Returns:
        Per group ``name``, ``runs``, ``cells``, ``operations`` and ``depths``, the last two by operation and by depth:
        ``mean``, ``std`` (n - 1, ``None`` for a single run) and ``share`` of the mean total. The counts of all groups have
        the same keys.

    Raises:
        SettingsError: no group, one without genotypes, or two of one name.
    """
    if not groups:
        raise SettingsError("nothing to compare: give at least one genotype")
    names = [group.name for group in groups]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SettingsError(f"two groups are called {sorted(twice)[0]!r}")
    empty = [group.name for group in groups if not group.genotypes]
    if empty:
        raise SettingsError(f"the group {empty[0]!r} has no genotype")
    operations = [_counts(group, operation_counts) for group in groups]
    depths = [_counts(group, depth_counts) for group in groups]
    every_operation = _by_total(operations)
    every_depth = sorted({d for runs in depths for run in runs for d in run})
    return [
        {
            "name": group.name, "runs": len(group.genotypes), "cells": group.cells,
            "operations": _means(ops, every_operation), "depths": _means(deep, every_depth),
            "mean_depth": fmean(_average(run) for run in deep),
        }
        for group, ops, deep in zip(groups, operations, depths)
    ]  # fmt: skip


def _counts(group: Group, count: Callable[[Cells, int], Mapping[Key, int]]) -> list[Mapping[Key, int]]:
    return [count(genotype, group.cells) for genotype in group.genotypes]


def _by_total(counts: Sequence[Sequence[Mapping[str, int]]]) -> list[str]:
    """All operations, the most frequent over all groups first, equals by name."""
    names = {op for runs in counts for run in runs for op in run}
    total = {op: sum(fmean(run.get(op, 0) for run in runs) for runs in counts) for op in names}
    return sorted(names, key=lambda op: (-total[op], op))


def _means(runs: Sequence[Mapping[Key, int]], keys: Sequence[Key]) -> dict[Key, dict[str, float | None]]:
    total = fmean(sum(run.values()) for run in runs)
    found: dict[Key, dict[str, float | None]] = {}
    for key in keys:
        values = [run.get(key, 0) for run in runs]
        spread = stdev(values) if len(values) > 1 else None
        found[key] = {"mean": fmean(values), "std": spread, "share": fmean(values) / total}
    return found


def _average(run: Mapping[int, int]) -> float:
    return sum(d * n for d, n in run.items()) / sum(run.values())


def table(compared: Sequence[Mapping[str, Any]], what: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one of the two tables.

    Args:
        compared: of :func:`compare`.
        what: ``operations`` or ``depths``.
    """
    header = [{"operations": "operation", "depths": "depth"}[what], *(group["name"] for group in compared)]
    rows = [[str(key), *(_cell(group[what][key]) for group in compared)] for key in compared[0][what]]
    if what == "depths":
        rows.append(["mean depth", *(f"{group['mean_depth']:.2f}" for group in compared)])
    rows.append(["runs", *(str(group["runs"]) for group in compared)])
    return header, rows


def _cell(entry: Mapping[str, float | None]) -> str:
    spread = "" if entry["std"] is None else f" ({entry['std']:.1f})"
    return f"{entry['mean']:.1f}{spread} {entry['share']:.0%}"
