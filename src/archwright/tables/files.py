"""The file of a table.

It is a zip of NumPy arrays (``.npz``, compressed; nothing in it is ever unpickled):

- ``header``: JSON as UTF-8 bytes: ``format``, ``version``, ``name``, ``family`` (name and options, or null), ``space``
  (as :meth:`archwright.space.Space.to_json` gives it), ``columns`` (of each: ``dataset``, ``metric``, ``direction``,
  ``epochs``, ``seeds``) and ``provenance``;
- ``codes``: ``n x parameters``, the index of every value in its parameter, -1 where the parameter is not active;
- ``column0``, ``column1``, ...: ``n x epochs x seeds`` of float32 (float64 where that overflows or rounds whole numbers),
  NaN where there is no answer.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError
from archwright.space import Space
from archwright.tables.column import Column, Floats
from archwright.tables.table import Table, own_family

FORMAT, VERSION = "archwright-table", 1


def write_table(table: Table, path: Path) -> Path:
    """Write the file, whole or not at all.

    Raises:
        TableError: it cannot be written.
    """
    header = {
        "format": FORMAT, "version": VERSION, "name": table.name, "family": table.family,
        "space": table.space.to_json(), "provenance": dict(table.provenance),
        "columns": [
            {"dataset": c.dataset, "metric": c.metric, "direction": c.direction,
             "epochs": list(c.epochs), "seeds": list(c.seeds)}
            for c in table.columns
        ],
    }  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "codes": table.codes.astype(np.int8 if table.codes.max(initial=0) < 128 else np.int32),
    }
    arrays |= {f"column{i}": _compact(c.values) for i, c in enumerate(table.columns)}
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TableError(f"the table {path} cannot be written: {error.strerror or error}") from error
    return path


def load_table(path: str | Path) -> Table:
    """Read a table's file.

    Raises:
        TableError: it is missing, truncated, not a table, or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"there is no table {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(bytes(file["header"]).decode())
            if header.get("format") != FORMAT:
                raise TableError(f"{path} is not an Archwright table; import it with: archwright table import")
            if header["version"] > VERSION:
                raise TableError(
                    f"{path} was written by a newer Archwright (format {header['version']}); update Archwright"
                )
            columns = [
                Column(
                    c["dataset"], c["metric"], c["direction"], file[f"column{i}"], tuple(c["epochs"]), tuple(c["seeds"])
                )
                for i, c in enumerate(header["columns"])
            ]
            codes = file["codes"].astype(np.int64)
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(
            f"{path} is not a whole Archwright table ({type(error).__name__}); make or import it again"
        ) from error
    return Table(header["name"], _space(header), codes, tuple(columns), header["family"], header["provenance"])


def _space(header: Mapping[str, Any]) -> Space:
    """A family's own space, which has its constraints, or the one that is written down."""
    family = own_family(header["family"])
    return family.space if family is not None else Space.from_json(header["space"])


def _compact(values: Floats) -> Floats:
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    exact = np.array_equal(small, values, equal_nan=True)
    whole = not exact and np.array_equal(values, np.round(values), equal_nan=True)
    return values if whole or not np.array_equal(np.isinf(small), np.isinf(values)) else small
