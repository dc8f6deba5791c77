"""One point of a space."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Union

Value = Union[str, int, float, bool, None]  # noqa: UP007  (evaluated at run time on Python 3.10)


class Architecture(Mapping[str, Value]):
    """An immutable mapping of parameter names to values; parameters that are not active are absent.

    Two architectures are equal when they have equal values, in whatever order; equal ones hash alike and share their
    key. A truth value never equals a number (``True`` is not ``1``), while ``1`` and ``1.0`` are the same number.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: dict[str, Value] = dict(values)
        self._hash: int | None = None

    @classmethod
    def adopt(cls, values: dict[str, Value]) -> Architecture:
        """An architecture around ``values`` itself, not a copy: for a dict that nobody else will touch."""
        made = cls.__new__(cls)
        made._values = values
        made._hash = None
        return made

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._values.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Architecture):
            theirs: Mapping[Any, Any] = other._values
        elif isinstance(other, Mapping):
            theirs = dict(other)
        else:
            return NotImplemented
        if self._values != theirs:
            return False
        for name, value in self._values.items():
            mine, other_type = value.__class__, theirs[name].__class__
            if mine is not other_type and bool in (mine, other_type):
                return False
        return True

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return (Architecture, (self._values,))

    def __repr__(self) -> str:
        return f"Architecture({self._values!r})"

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self._values.items())

    @property
    def key(self) -> str:
        """A canonical text: equal for equal architectures, different for different ones."""
        values = {n: int(v) if v.__class__ is float and v.is_integer() else v for n, v in self._values.items()}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def replace(self, **changes: Value) -> Architecture:
        """A copy with some values changed."""
        return Architecture.adopt({**self._values, **changes})

    def to_json(self) -> dict[str, Value]:
        """A plain dict."""
        return dict(self._values)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """The inverse of :meth:`to_json`."""
        return cls(data)
