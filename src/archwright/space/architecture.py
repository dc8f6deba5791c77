"""One point of a space."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Union

Value = Union[str, int, float, bool, None]  # noqa: UP007  (evaluated at run time on Python 3.10)


class Architecture(Mapping[str, Value]):
    """An immutable mapping of parameter names to values; parameters that are not active are absent.

    Two architectures are equal when they have the same values, in whatever order; equal ones hash alike.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: dict[str, Value] = dict(values)
        self._hash: int | None = None

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
        if isinstance(other, Architecture):
            return self._values == other._values
        return NotImplemented

    def __reduce__(self) -> tuple[type[Architecture], tuple[dict[str, Value]]]:
        return (Architecture, (self._values,))

    def __repr__(self) -> str:
        return f"Architecture({self._values!r})"

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self._values.items())

    @property
    def key(self) -> str:
        """A canonical text: equal for equal architectures, different for different ones."""
        return json.dumps(self._values, sort_keys=True, separators=(",", ":"))

    def replace(self, **changes: Value) -> Architecture:
        """A copy with some values changed."""
        return Architecture({**self._values, **changes})

    def to_json(self) -> dict[str, Value]:
        """A plain dict."""
        return dict(self._values)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """The inverse of :meth:`to_json`."""
        return cls(data)
