"""Published zero-cost scores of NAS-Bench-201, joined to its table where their files are there.

A score of minus infinity is one that failed (a network that passes nothing on); NaN is one that is not on record. Columns
named ``*_seconds`` are what it took to compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError
from archwright.families import get_family
from archwright.tables.column import Column
from archwright.tables.reading import Metric, import_csv, numbers, read_csv
from archwright.tables.table import Table

FREEREA = ("naswot", "synflow", "logsynflow", "nregions")
SUITE_ACCURACY, TARGET = "_seed888", "naslib_accuracy"
FAILED = -1e8
"""How NASLib writes a failed score."""
OFFICIAL = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}
SHORT = {"cifar10": "c10", "cifar100": "c100", "imagenet16-120": "in16"}
Scores = dict[str, NDArray[np.float64]]


def with_scores(table: Table, folder: Path) -> Table:
    """The table of all cells, in the order of the official index, with the scores whose files are in ``folder``.

    Raises:
        TableError: a file does not fit the table.
    """
    columns: list[Column] = []
    said: dict[str, str] = {}
    for source, reader in READERS.items():
        for dataset in OFFICIAL:
            found = reader(table, folder, dataset)
            columns += [_column(name, dataset, values) for name, values in found.items() if not np.isnan(values).all()]
            said |= {f"scores, {reader.__name__.removeprefix('_')}": source} if found else {}
    provenance = {**table.provenance, **said}
    return Table(table.name, table.space, table.codes, table.columns + tuple(columns), table.family, provenance)


def _freerea(table: Table, folder: Path, dataset: str) -> Scores:
    """FreeREA's cache: naswot, logsynflow, natural log of synflow (0 where it is 0), nregions, seconds of three trials,
    parameters with the data set's number of classes (in millions or in units).

    Its ``logsynflow`` of CIFAR-10 is of an older version that credits convolutions in dead branches. The score depends on
    the data by input size and class count alone, so that CIFAR-100's is taken; the older one is ``logsynflow_old``.
    """
    path = _cache(folder, dataset)
    if not path.is_file():
        return {}
    found = _arrays(path, len(table))
    if dataset == "cifar10" and "logsynflow" in found:
        found["logsynflow_old"] = found.pop("logsynflow")
        if _cache(folder, "cifar100").is_file():
            found["logsynflow"] = _arrays(_cache(folder, "cifar100"), len(table))["logsynflow"]
    if "synflow" in found:
        raw = found["synflow"]
        found["synflow"] = np.log(np.where(raw > 0, raw, 1.0))
    return found


def _cache(folder: Path, dataset: str) -> Path:
    return folder / f"nb201_{OFFICIAL[dataset]}_freerea_15625.npz"


def _arrays(path: Path, count: int) -> Scores:
    with np.load(path, allow_pickle=False) as file:
        names = [n for n in FREEREA if n in file.files]
        found = {n: np.asarray(file[n], dtype=np.float64) for n in names}
        for name in names:
            if f"{name}_time_s" in file.files and not np.isnan(found[name]).all():
                found[f"{name}_seconds"] = np.asarray(file[f"{name}_time_s"], dtype=np.float64)
        if "params_m" in file.files:
            params = np.asarray(file["params_m"], dtype=np.float64)
            found["freerea_params"] = np.round(params * (1e6 if params.min() < 1000 else 1.0))
    if not found or any(v.shape != (count,) for v in found.values()):
        raise TableError(f"{path} does not hold the scores of all {count} architectures")
    return found


def _naslib(table: Table, folder: Path, dataset: str) -> Scores:
    """Zen, and the accuracy that NASLib returns as ``val_accuracy``: on the test split, of the training with seed 888.

    On CIFAR-10 these are the networks trained on half of the training images.
    """
    path = folder / "naslib_zen_target_15625.csv.gz"
    if not path.is_file():
        return {}
    columns, short = read_csv(path), SHORT[dataset]
    rows = _rows(table, path, columns)
    return {
        "zen": _spread(rows, _marked(numbers(path, columns, f"{short}_zen")), len(table)),
        TARGET: _spread(rows, numbers(path, columns, f"{short}_target"), len(table)),
    }


def _suite(table: Table, folder: Path, dataset: str) -> Scores:
    """NAS-Bench-Suite-Zero, batch 64: the 9,445 cells without unreachable operations; its accuracy is ``naslib_accuracy``."""
    path = folder / f"nb201_{OFFICIAL[dataset]}_suite_zero_9445.csv.gz"
    if not path.is_file():
        return {}
    columns = read_csv(path)
    rows = _rows(table, path, columns)
    names = [n for n in columns if n != "idx" and not n.endswith(SUITE_ACCURACY)]
    return {f"suite_{n}": _spread(rows, _marked(numbers(path, columns, n)), len(table)) for n in names}


def _records(table: Table, folder: Path, dataset: str) -> Scores:
    """NASLib's records of 725 cells, batch 32, with seconds."""
    path = folder / "naslib_zc_nb201.csv.gz"
    if not path.is_file():
        return {}
    columns = read_csv(path)
    scored = [n.removesuffix("_time_s") for n in columns if n.endswith("_time_s")]
    sources = {n: f"naslib_{n}" for n in scored}
    sources |= {f"{n}_time_s": f"naslib_{n}_seconds" for n in scored if n not in ("params", "flops")}
    records = import_csv(
        path, name=table.name, family=get_family("nasbench201"), identity="arch", notation="naslib", where=("dataset", OFFICIAL[dataset]),
        metrics=[Metric(source, name) for source, name in sources.items()],
    )  # fmt: skip
    rows = np.array([table.rows[a] for a in records.architectures])
    return {c.metric: _spread(rows, _marked(c.at()), len(table)) for c in records.columns}


READERS: Mapping[str, Callable[[Table, Path, str], Scores]] = {
    "FreeREA's cache (Cavagnero et al. 2023), logsynflow of CIFAR-10 from CIFAR-100": _freerea,
    "NASLib, branch zerocost: zen, and the accuracy it returns": _naslib,
    "NAS-Bench-Suite-Zero (Krishnakumar et al. 2022), 9,445 cells": _suite,
    "NASLib's records of 725 cells": _records,
}


def _column(name: str, dataset: str, values: NDArray[np.float64]) -> Column:
    smaller = name.endswith(("_seconds", "params", "flops"))
    epochs = (200,) if name == TARGET else ()
    return Column(dataset, name, "minimize" if smaller else "maximize", values[:, None, None], epochs)


def _marked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= FAILED, -np.inf, values)


def _spread(rows: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    whole = np.full(count, np.nan)
    whole[rows] = values
    return whole


def _rows(table: Table, path: Path, columns: Mapping[str, list[str]]) -> NDArray[np.int64]:
    """The rows of a file's architectures, by their official index.

    Raises:
        TableError: an index that the table lacks or that comes twice, or ``ops`` that are not those of the index.
    """
    rows = numbers(path, columns, "idx")
    if not np.isin(rows, np.arange(len(table))).all() or len(np.unique(rows)) < len(rows):
        raise TableError(f"{path}: every idx must be one of the table's 0 to {len(table) - 1}, and come once")
    found = rows.astype(np.int64)
    if "ops" in columns:
        theirs = np.array([[int(d) for d in ops] for ops in columns["ops"]])
        if theirs.shape != table.codes.shape or (theirs != table.codes[found]).any():
            raise TableError(f"{path}: ops and idx do not name the same architectures as the table {table.name}")
    return found
