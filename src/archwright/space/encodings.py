"""Architectures as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archwright.errors import SpaceError, unknown
from archwright.space.architecture import Architecture
from archwright.space.parameters import Integer, Parameter

if TYPE_CHECKING:
    from archwright.space.space import Space

KINDS = ("ordinal", "one_hot", "adjacency", "path")


def codes(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
    """See :meth:`archwright.space.Space.codes`."""
    if space._has_real:
        raise SpaceError("a space with a real parameter has no codes; use encode()")
    return np.stack([_column(name, p, architectures) for name, p in space.parameters.items()], axis=1)


def encode(space: Space, architectures: Sequence[Architecture], kind: str) -> NDArray[np.float64]:
    """See :meth:`archwright.space.Space.encode`."""
    _check(space, kind)
    if kind == "ordinal":
        return np.stack([_ordinal(n, p, architectures) for n, p in space.parameters.items()], axis=1)
    if kind == "one_hot":
        return np.hstack([_one_hot(n, p, architectures) for n, p in space.parameters.items()])
    blocks = []
    for cell in space.cells:
        columns_ = [_column(name, space.parameters[name], architectures) for name in cell.names]
        blocks.append(cell.encode(np.stack(columns_, axis=1), kind))
    return np.hstack(blocks)


def columns(space: Space, kind: str) -> list[str]:
    """See :meth:`archwright.space.Space.columns`."""
    _check(space, kind)
    if kind == "ordinal":
        return list(space.names)
    if kind == "one_hot":
        return [label for name, p in space.parameters.items() for label in _labels(name, p)]
    return [label for cell in space.cells for label in cell.columns(kind)]


def _check(space: Space, kind: str) -> None:
    if kind not in KINDS:
        raise SpaceError(unknown("encoding", kind, KINDS))
    if kind in ("adjacency", "path") and not space.cells:
        raise SpaceError(f"the encoding {kind!r} is of cell graphs, and this space has none; use ordinal or one_hot")


def _column(name: str, parameter: Parameter, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
    """Index of the value, -1 where not active."""
    index = {value: i for i, value in enumerate(parameter.values or ())}
    try:
        if not parameter.when:
            return np.fromiter((index[a._values[name]] for a in architectures), np.int64, len(architectures))
        found = (index[a._values[name]] if name in a._values else -1 for a in architectures)
        return np.fromiter(found, np.int64, len(architectures))
    except KeyError:
        bad = next(a for a in architectures if a.get(name) not in index)
        raise SpaceError(f"{name!r} cannot be {bad.get(name)!r}; it takes {parameter.describe()}") from None


def _places(
    name: str, parameter: Parameter, architectures: Sequence[Architecture], absent: float
) -> NDArray[np.float64]:
    places = (parameter.unit(a[name]) if name in a else absent for a in architectures)
    return np.fromiter(places, np.float64, len(architectures))


def _ordinal(name: str, parameter: Parameter, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    if parameter.values is None:
        return _places(name, parameter, architectures, -1.0)
    return _column(name, parameter, architectures).astype(np.float64)


def _is_wide(parameter: Parameter) -> bool:
    return parameter.values is None or (isinstance(parameter, Integer) and parameter.count > Integer.LONG)


def _one_hot(name: str, parameter: Parameter, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    if _is_wide(parameter):
        return _places(name, parameter, architectures, 0.0)[:, None]
    column = _column(name, parameter, architectures)
    one_hot: NDArray[np.float64] = (column[:, None] == np.arange(parameter.count)).astype(np.float64)
    return one_hot


def _labels(name: str, parameter: Parameter) -> list[str]:
    return [name] if _is_wide(parameter) else [f"{name}={value}" for value in parameter.values or ()]
