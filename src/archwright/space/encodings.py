"""Architectures as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError, unknown
from archwright.space.architecture import Architecture
from archwright.space.parameters import Choice, Integer, Parameter

if TYPE_CHECKING:
    from archwright.space.space import Space

KINDS = ("ordinal", "one_hot", "thermometer", "adjacency", "path")


def codes(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
    """See :meth:`archwright.space.Space.codes`."""
    if space._has_real:
        raise SpaceError("a space with a real parameter has no codes; use encode()")
    rows = _rows(architectures)
    return np.stack([_column(name, p, rows) for name, p in space.parameters.items()], axis=1)


def from_codes(space: Space, codes: NDArray[np.int64]) -> list[Architecture]:
    """See :meth:`archwright.space.Space.from_codes`."""
    if space._has_real:
        raise SpaceError("a space with a real parameter has no codes; use encode()")
    codes = np.asarray(codes)
    counts = np.array([p.count for p in space.parameters.values()])
    if codes.ndim != 2 or codes.shape[1] != len(counts) or not np.issubdtype(codes.dtype, np.integer):
        raise SpaceError(f"codes must be integers, n x {len(counts)}, not {codes.dtype} of shape {codes.shape}")
    if ((codes < -1) | (codes >= counts)).any():
        row, column = np.argwhere((codes < -1) | (codes >= counts))[0]
        raise SpaceError(
            f"the code {codes[row, column]} of {space.names[column]!r} is not between 0 and {counts[column] - 1}"
        )
    columns_ = [_values(p, codes[:, k]) for k, p in enumerate(space.parameters.values())]
    rows = [dict(zip(space.names, row)) for row in zip(*columns_)]
    if (codes < 0).any():
        rows = [{n: v for (n, v), c in zip(row.items(), code) if c >= 0} for row, code in zip(rows, codes.tolist())]
    return [Architecture.adopt(row) for row in rows]


def _values(parameter: Parameter, codes: NDArray[np.int64]) -> list[Any]:
    if isinstance(parameter, Integer):
        numbers: list[Any] = (parameter.low + parameter.step * codes).tolist()
        return numbers
    table: list[Any] = np.array([*(parameter.values or ()), None], dtype=object)[codes].tolist()
    return table


def encode(space: Space, architectures: Sequence[Architecture], kind: str) -> NDArray[np.float64]:
    """See :meth:`archwright.space.Space.encode`."""
    _check(space, kind)
    rows = _rows(architectures)
    if kind == "ordinal":
        return np.stack([_ordinal(n, p, rows) for n, p in space.parameters.items()], axis=1)
    if kind in ("one_hot", "thermometer"):
        return np.hstack([_by_value(n, p, rows, kind) for n, p in space.parameters.items()])
    blocks = []
    for cell in space.cells:
        columns_ = [_column(name, space.parameters[name], rows) for name in cell.names]
        blocks.append(cell.encode(np.stack(columns_, axis=1), kind))
    return np.hstack(blocks)


def columns(space: Space, kind: str) -> list[str]:
    """See :meth:`archwright.space.Space.columns`."""
    _check(space, kind)
    if kind == "ordinal":
        return list(space.names)
    if kind == "one_hot":
        return [label for name, p in space.parameters.items() for label in labels(name, p)]
    if kind == "thermometer":
        return [
            label.replace(f"{name}=", f"{name}>=", 1) if _is_ordered(p) else label
            for name, p in space.parameters.items()
            for label in labels(name, p)
        ]
    return [label for cell in space.cells for label in cell.columns(kind)]


def _check(space: Space, kind: str) -> None:
    if kind not in KINDS:
        raise SpaceError(unknown("encoding", kind, KINDS))
    if kind in ("adjacency", "path") and not space.cells:
        raise SpaceError(
            f"the encoding {kind!r} is of cell graphs, and this space has none; use ordinal, one_hot or thermometer"
        )


def _rows(architectures: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The plain mappings.

    Raises:
        SpaceError: one architecture instead of several, or something else.
    """
    if isinstance(architectures, Mapping):
        raise SpaceError("give a list of architectures, not a single one: encode([architecture])")
    rows = [a._values if isinstance(a, Architecture) else a for a in architectures]
    for row in rows:
        if not isinstance(row, dict) and not isinstance(row, Mapping):
            raise SpaceError(f"{row!r} is not an architecture")
    return rows


def _column(name: str, parameter: Parameter, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Index of the value, -1 where not active."""
    if isinstance(parameter, Integer) and _is_wide(parameter):
        return _wide_column(name, parameter, rows)
    index = {value: i for i, value in enumerate(parameter.values or ())}
    try:
        if not parameter.when:
            return np.fromiter((index[row[name]] for row in rows), np.int64, len(rows))
        return np.fromiter((index[row[name]] if name in row else -1 for row in rows), np.int64, len(rows))
    except (KeyError, TypeError):
        raise _misfit(name, parameter, rows) from None


def _wide_column(name: str, parameter: Integer, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    if not all(parameter.allows(row[name]) if name in row else parameter.when for row in rows):
        raise _misfit(name, parameter, rows)
    low, step = parameter.low, parameter.step
    return np.fromiter(((row[name] - low) // step if name in row else -1 for row in rows), np.int64, len(rows))


def _misfit(name: str, parameter: Parameter, rows: Sequence[Mapping[str, Any]]) -> SpaceError:
    bad = next(row for row in rows if not (parameter.allows(row[name]) if name in row else parameter.when))
    if name not in bad:
        return SpaceError(f"{name!r} has no value in {Architecture(bad)}")
    return SpaceError(f"{name!r} cannot be {bad[name]!r}; it takes {parameter.describe()}")


def _places(name: str, parameter: Parameter, rows: Sequence[Mapping[str, Any]], absent: float) -> NDArray[np.float64]:
    """Places in the range from 0 to 1."""
    if not all(parameter.allows(row[name]) if name in row else parameter.when for row in rows):
        raise _misfit(name, parameter, rows)
    return np.fromiter((parameter.unit(row[name]) if name in row else absent for row in rows), np.float64, len(rows))


def _ordinal(name: str, parameter: Parameter, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    if parameter.values is None:
        return _places(name, parameter, rows, -1.0)
    return _column(name, parameter, rows).astype(np.float64)


def _is_wide(parameter: Parameter) -> bool:
    return parameter.values is None or (_is_ordered(parameter) and parameter.count > Integer.LONG)


def _one_hot(name: str, parameter: Parameter, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    if _is_wide(parameter):
        return _places(name, parameter, rows, 0.0)[:, None]
    column = _column(name, parameter, rows)
    one_hot: NDArray[np.float64] = (column[:, None] == np.arange(parameter.count)).astype(np.float64)
    return one_hot


def _by_value(name: str, parameter: Parameter, rows: Sequence[Mapping[str, Any]], kind: str) -> NDArray[np.float64]:
    one_hot = _one_hot(name, parameter, rows)
    if kind == "one_hot" or not _is_ordered(parameter):
        return one_hot
    return np.asarray(one_hot[:, ::-1].cumsum(axis=1)[:, ::-1])


def _is_ordered(parameter: Parameter) -> bool:
    return isinstance(parameter, Integer) or (isinstance(parameter, Choice) and parameter.ordered)


def pooled(space: Space) -> tuple[list[str], NDArray[np.float64]]:
    """How one-hot columns add up over all parameters that have the same values to take, such as the edges of a cell.

    A parameter without a list of values stands alone, with its place in its range.

    Returns:
        Names, parameters and value as ``0-1,0-2=conv``, and ``columns x names`` of zeros and ones: ``one_hot @ matrix``
        counts how often each value is taken.
    """
    kinds: dict[object, list[tuple[str, int]]] = {}
    at = 0
    for name, parameter in space.parameters.items():
        own = labels(name, parameter)
        shared = name if parameter.values is None or own == [name] else tuple(map(repr, parameter.values))
        kinds.setdefault(shared, []).append((name, at))
        at += len(own)
    names: list[str] = []
    blocks = []
    for members in kinds.values():
        first = members[0][0]
        values = [label.removeprefix(first) for label in labels(first, space.parameters[first])]
        names += [",".join(name for name, _ in members) + value for value in values]
        block = np.zeros((at, len(values)))
        for _, start in members:
            block[start + np.arange(len(values)), np.arange(len(values))] = 1.0
        blocks.append(block)
    return names, np.hstack(blocks)


def labels(name: str, parameter: Parameter) -> list[str]:
    """Names of a parameter's one-hot columns: one per value, or one in all for reals and long ranges."""
    return [name] if _is_wide(parameter) else [f"{name}={value}" for value in parameter.values or ()]
