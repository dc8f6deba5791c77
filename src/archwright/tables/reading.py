"""From files of others to a :class:`~archwright.tables.table.Table`: any CSV, and the notations of architectures."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import ArchwrightError, TableError, unknown
from archwright.evaluation import Direction
from archwright.families import Family
from archwright.families.macro import from_string as macro_from_string
from archwright.families.nasbench201 import CELL, from_string, isomorphism_class
from archwright.space import Architecture
from archwright.tables.column import Column
from archwright.tables.table import Table

SMALLER_IS_BETTER = re.compile(
    r"loss|param|flops|macs|latency|energy|_ms$|_mb$|time|second|memory|error", re.IGNORECASE
)
NASLIB_EDGES = ("0-1", "0-2", "0-3", "1-2", "1-3", "2-3")
NASLIB_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NOISE_SHARE, SURE, FEWEST = 0.25, 0.99, 20


@dataclass(frozen=True)
class Metric:
    """How to read one column: ``COLUMN[=METRIC][:DATASET][@EPOCH][:min|max]``.

    Attributes:
        source: name of the column in the file.
        metric: name in the table.
        dataset: empty if it does not depend on data.
        epoch: training length behind it, or ``None``.
        direction: where it should go.
        scale: the file's numbers are multiplied by it.
    """

    source: str
    metric: str
    dataset: str = ""
    epoch: int | None = None
    direction: Direction = "maximize"
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Read the notation above; what is smaller is better for losses, sizes and times unless said otherwise.

        Raises:
            TableError: the text is not in that notation.
        """
        match = re.fullmatch(r"([^=:@]+)(?:=([^=:@]+))?(?::([^=:@]+?))??(?:@(\d+))?(?::(min|max))?", text.strip())
        if match is None:
            raise TableError(f"--metric {text!r} is not of the form COLUMN[=METRIC][:DATASET][@EPOCH][:min|max]")
        source, name, dataset, epoch, way = match.groups()
        name = name or source
        smaller = way == "min" if way else bool(SMALLER_IS_BETTER.search(name))
        return cls(source, name, dataset or "", int(epoch) if epoch else None, "minimize" if smaller else "maximize")


def read_csv(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV file, plain or gzipped, as text.

    Raises:
        TableError: it is missing, empty, not text, or has ragged rows.
    """
    if not path.is_file():
        raise TableError(f"there is no file {path}")
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} cannot be read as CSV: {error}") from error
    if len(rows) < 2:
        raise TableError(f"{path} has no rows under its header")
    header = rows[0]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise TableError(f"{path}, line {number}: {len(row)} fields, and the header has {len(header)}")
    return dict(zip(header, map(list, zip(*rows[1:]))))


def numbers(path: Path, columns: Mapping[str, list[str]], name: str) -> NDArray[np.float64]:
    """A column as numbers; an empty field is NaN.

    Raises:
        TableError: there is no such column, or a field is not a number.
    """
    if name not in columns:
        raise TableError(f"{path}: " + unknown("column", name, columns))
    try:
        return np.array([v or "nan" for v in columns[name]], dtype=np.float64)
    except ValueError as error:
        line = next(i for i, v in enumerate(columns[name], start=2) if v and not _is_number(v))
        raise TableError(
            f"{path}, line {line}: {columns[name][line - 2]!r} in column {name} is not a number"
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _digits(family: Family) -> Callable[[str], Architecture]:
    names = family.space.names
    values = [list(family.space.parameters[n].values or ()) for n in names]

    def parse(text: str) -> Architecture:
        digits = re.sub(r"[^0-9]", "", text)
        if len(digits) != len(names):
            raise TableError(f"{text!r} has {len(digits)} digits, and {family.name} has {len(names)} parameters")
        if any(int(d) >= len(v) for d, v in zip(digits, values)):
            raise TableError(f"{text!r} has a digit without an operation; {family.name} has {len(values[0])} of them")
        return Architecture({n: v[int(d)] for n, v, d in zip(names, values, digits)})

    return parse


def _naslib(text: str) -> Architecture:
    digits = re.findall(r"\d+", text)
    if len(digits) != 6 or any(int(d) > 4 for d in digits):
        raise TableError(f"{text!r} is not a NASLib tuple of six operations 0 to 4")
    cell = {edge: NASLIB_OPERATIONS[int(d)] for edge, d in zip(NASLIB_EDGES, digits)}
    return Architecture({name: cell[name] for name in CELL.names})


def notations(family: Family) -> dict[str, Callable[[str], Architecture]]:
    """What a column that identifies architectures may hold, by name of the notation.

    ``digits``: one digit per parameter, in the order of the family's parameters and values; for NAS-Bench-201 also
    ``string`` (the official ``|op~0|+|...|``) and ``naslib`` (edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3; 0 skip, 1 none, 2 conv
    3x3, 3 conv 1x1, 4 pool); for ``macro`` also ``string`` (I or 0, 1, 2).
    """
    known: dict[str, Callable[[str], Architecture]] = {"digits": _digits(family)}
    if family.name == "nasbench201":
        known |= {"string": from_string, "naslib": _naslib}
    if family.name == "macro":
        known["string"] = macro_from_string
    return known


def import_csv(
    path: Path,
    *,
    name: str,
    family: Family,
    identity: str,
    notation: str,
    metrics: Sequence[Metric],
    provenance: Mapping[str, str] | None = None,
    where: tuple[str, str] | None = None,
) -> Table:
    """A table from a CSV file, plain or gzipped.

    Args:
        path: the file.
        name: of the table.
        family: whose architectures they are.
        identity: the column that identifies the architecture.
        notation: how (:func:`notations`).
        metrics: the columns to take. Several with one metric and data set become its epochs.
        provenance: where it comes from.
        where: ``(column, value)``: only the rows that have it.

    Raises:
        TableError: a missing file, column or notation; an architecture that is twice there or not of the family; a
            field that is not a number; no metric; or a notation that contradicts the figures (:func:`contradiction`).
    """
    columns = read_csv(path)
    if where is not None:
        columns = _rows_where(path, columns, *where)
    if identity not in columns:
        raise TableError(f"{path}: " + unknown("column", identity, columns))
    known = notations(family)
    if notation not in known:
        raise TableError(unknown("notation", notation, known))
    architectures = []
    for line, text in enumerate(columns[identity], start=2):
        try:
            architecture = known[notation](text)
            family.space.validate(architecture)
        except ArchwrightError as error:
            raise TableError(f"{path}, row {line}: {error}") from error
        architectures.append(architecture)
    first: dict[Architecture, int] = {}
    for line, architecture in enumerate(architectures, start=2):
        if first.setdefault(architecture, line) != line:
            raise TableError(f"{path}: rows {first[architecture]} and {line} hold the same architecture {architecture}")
    return table_of(
        name, family, family.space.codes(architectures),
        [(m, numbers(path, columns, m.source) * m.scale) for m in metrics], {"file": path.name, **(provenance or {})},
    )  # fmt: skip


def _rows_where(path: Path, columns: dict[str, list[str]], name: str, value: str) -> dict[str, list[str]]:
    if name not in columns:
        raise TableError(f"{path}: " + unknown("column", name, columns))
    keep = [i for i, v in enumerate(columns[name]) if v == value]
    if not keep:
        raise TableError(
            f"{path}: no row has {name} = {value!r}; there are {', '.join(sorted(set(columns[name]))[:10])}"
        )
    return {n: [v[i] for i in keep] for n, v in columns.items()}


def table_of(
    name: str,
    family: Family,
    codes: NDArray[np.int64],
    metrics: Sequence[tuple[Metric, NDArray[np.float64]]],
    provenance: Mapping[str, str],
) -> Table:
    """A table from values of each architecture: ``n`` (one training, or none) or ``n x seeds``.

    Raises:
        TableError: no metric; a metric with and without epochs; a notation that contradicts the figures.
    """
    groups: dict[tuple[str, str], list[tuple[Metric, NDArray[np.float64]]]] = {}
    for metric, values in metrics:
        groups.setdefault((metric.dataset, metric.metric), []).append((metric, values.reshape(len(codes), -1)))
    columns = []
    for (dataset, metric_name), members in groups.items():
        members.sort(key=lambda pair: pair[0].epoch or 0)
        epochs = [m.epoch for m, _ in members]
        if len(set(epochs)) < len(epochs) or (len(epochs) > 1 and None in epochs):
            raise TableError(
                f"{metric_name} on {dataset or 'no data set'} is there twice; tell epochs apart with @EPOCH"
            )
        values = np.stack([v for _, v in members], axis=1)
        seeds = tuple(range(values.shape[2])) if values.shape[2] > 1 else ()
        taken = tuple(e for e in epochs if e is not None)
        columns.append(Column(dataset, metric_name, members[0][0].direction, values, taken, seeds))
    if not columns:
        raise TableError("a table needs at least one metric: --metric COLUMN[=METRIC][:DATASET][@EPOCH][:min|max]")
    spec: dict[str, Any] = {"name": family.name, "options": dict(family.options)}
    table = Table(name, family.space, codes, tuple(columns), spec, provenance)
    problem = contradiction(table, family)
    if problem:
        raise TableError(
            f"{problem}; the order of edges or the codes of operations are probably others: try another notation"
        )
    return table


def contradiction(table: Table, family: Family) -> str:
    """Why the figures do not belong to these NAS-Bench-201 cells; empty when they may, and for other families.

    A wrong guess of the notation gives valid but wrong architectures. Two things give it away: parameter counts, which
    follow from the convolutions (a 3x3 one has nine times the weights of a 1x1 one), and accuracies of isomorphic cells,
    which are one network and may differ by the noise of training alone.
    """
    if family.name != "nasbench201":
        return ""
    for column in table.columns:
        values = column.at()
        known = ~np.isnan(values)
        if known.sum() < FEWEST or np.ptp(values[known]) == 0:
            continue
        if "param" in column.metric.lower():
            weights = np.array([_weights(a) for a in table.architectures])
            if np.ptp(weights) > 0 and np.corrcoef(weights[known], values[known])[0, 1] < SURE:
                return f"{column.label} does not follow the number of convolutions"
        elif "acc" in column.metric.lower():
            share = _share_within([isomorphism_class(a) for a in table.architectures], values)
            if share > NOISE_SHARE:
                return f"{column.label} differs by {share:.0%} of its variance among isomorphic cells, which are one network"
    return ""


def _weights(cell: Architecture) -> int:
    return sum({"nor_conv_1x1": 1, "nor_conv_3x3": 9}.get(str(operation), 0) for operation in cell.values())


def _share_within(groups: Sequence[str], values: NDArray[np.float64]) -> float:
    """Variance within groups of two or more, relative to the variance among the members of those groups."""
    _, which, counts = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    known = ~np.isnan(values) & (counts[which] > 1)
    if known.sum() < FEWEST:
        return 0.0
    sizes = np.bincount(which[known], minlength=len(counts))
    means = np.bincount(which[known], values[known], minlength=len(counts)) / np.maximum(sizes, 1)
    total = float(values[known].var())
    return float(((values[known] - means[which[known]]) ** 2).mean()) / total if total > 0 else 0.0
