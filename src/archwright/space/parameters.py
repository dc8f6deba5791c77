"""Parameters: the named choices that make up a space."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from archwright.errors import SpaceError
from archwright.space.architecture import Value

Condition = tuple[tuple[str, tuple[Value, ...]], ...]
SPREAD = 0.2
"""Standard deviation of a neighbour of a real value, in units of the range (Hutter et al. 2011)."""


class Parameter(ABC):
    """One choice.

    Attributes:
        when: conditions ``((parent, allowed values), ...)`` that must all hold for the parameter to be active.
        values: all values in order, or ``None`` for a continuous parameter.
    """

    when: Condition
    values: Sequence[Value] | None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.to_json().items() if k != 'type')})"

    @property
    def count(self) -> int:
        """Number of values; a continuous parameter counts as one."""
        return 1 if self.values is None else len(self.values)

    @property
    def is_movable(self) -> bool:
        """Whether it has more than one value."""
        return self.values is None or len(self.values) > 1

    def is_active(self, assignment: Mapping[str, Any]) -> bool:
        """Whether the parents have the values that its conditions ask for."""
        for parent, allowed in self.when:  # noqa: SIM110  (a loop is three times faster than all() here)
            if parent not in assignment or assignment[parent] not in allowed:
                return False
        return True

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Whether ``value`` is one of its values."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Value:
        """A uniformly drawn value (log-uniform for a real parameter with ``log``)."""

    @abstractmethod
    def others(self, value: Value, rng: np.random.Generator | None) -> list[Value]:
        """The values that a neighbour may take instead of ``value``."""

    @abstractmethod
    def unit(self, value: Value) -> float:
        """``value`` on the scale from 0 to 1."""

    @property
    @abstractmethod
    def default(self) -> Value:
        """The value of the space's default architecture."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain data."""

    @abstractmethod
    def describe(self) -> str:
        """The values in words."""


class Choice(Parameter):
    """One of a few values.

    Args:
        values: JSON scalars, all different.
        ordered: their order means something (kernel sizes, widths).
        when: ``{parent: value or values}``; the parameter is active only if all parents are active with one of these.

    Raises:
        SpaceError: no value, a repeated one, or one that is no JSON scalar.
    """

    values: tuple[Value, ...]

    def __init__(self, *values: Value, ordered: bool = False, when: Mapping[str, Any] | None = None) -> None:
        if not values:
            raise SpaceError("a Choice needs at least one value")
        values = tuple(plain(value) for value in values)
        for value in values:
            if not is_scalar(value):
                hint = "; give the values one by one: Choice(1, 2)" if isinstance(value, (list, tuple, set)) else ""
                raise SpaceError(
                    f"Choice: {value!r} is not a text, number, truth value or None, so it cannot be stored as JSON{hint}"
                )
        if len(set(values)) < len(values):
            raise SpaceError(f"Choice: some of the values {values!r} are equal to each other")
        lookup = {value: i for i, value in enumerate(values)}
        self._set(values=values, ordered=bool(ordered), when=_condition(when), _lookup=lookup)

    ordered: bool
    _lookup: dict[Value, int]

    def allows(self, value: object) -> bool:
        """Whether it is one of the values, of the same type."""
        try:
            index = self._lookup.get(value)  # type: ignore[call-overload]
        except TypeError:
            return False
        return index is not None and type(self.values[index]) is type(value)

    def sample(self, rng: np.random.Generator) -> Value:
        """Uniform."""
        return self.values[int(rng.integers(len(self.values)))]

    def others(self, value: Value, rng: np.random.Generator | None) -> list[Value]:
        """All other values."""
        index = self._lookup[value]
        return [*self.values[:index], *self.values[index + 1 :]]

    def unit(self, value: Value) -> float:
        """Position among the values."""
        return self._lookup[value] / max(1, len(self.values) - 1)

    @property
    def default(self) -> Value:
        """The first value."""
        return self.values[0]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": "choice",
            "values": list(self.values),
            "ordered": self.ordered,
            "when": _when_json(self.when),
        }

    def describe(self) -> str:
        """The values."""
        return ("ordered " if self.ordered else "") + ", ".join(map(str, self.values))


class _Number(Parameter):
    """What integer and real parameters share: a range, on a linear or logarithmic scale."""

    low: float
    high: float
    log: bool

    def unit(self, value: Value) -> float:
        """Position in the range, on its scale."""
        low, high, at = (self._scale(v) for v in (self.low, self.high, float(value)))  # type: ignore[arg-type]
        return 0.0 if high == low else (at - low) / (high - low)

    def _scale(self, value: float) -> float:
        return math.log(value) if self.log else float(value)

    def _from_unit(self, unit: float) -> float:
        low, high = self._scale(self.low), self._scale(self.high)
        at = low + unit * (high - low)
        return math.exp(at) if self.log else at

    def _near(self, value: Value, rng: np.random.Generator | None, n: int = 4) -> list[Value]:
        """``n`` Gaussian neighbours in the unit interval, those outside rejected (Hutter et al. 2011)."""
        if rng is None:
            raise SpaceError(
                "neighbours of a real or long integer parameter are drawn at random: give a generator (rng)"
            )
        if self.low == self.high:
            return []
        found: dict[Value, None] = {}
        for _ in range(1000):
            unit = rng.normal(self.unit(value), SPREAD)
            if 0.0 <= unit <= 1.0:
                near = self._nearest(self._from_unit(unit))
                if near != value:
                    found[near] = None
            if len(found) == n:
                break
        return list(found)

    @abstractmethod
    def _nearest(self, value: float) -> Value: ...


class Integer(_Number):
    """A whole number ``low, low + step, ...`` up to ``high``.

    Args:
        log: the scale of encodings and of drawn neighbours is logarithmic. Sampling stays uniform over the values.

    Raises:
        SpaceError: an empty range, a step below 1, or ``log`` with ``low`` below 1.
    """

    values: Sequence[int]
    low: int
    high: int
    LONG = 32
    """A range with more values than this has drawn neighbours, not all of them."""

    def __init__(
        self, low: int, high: int, step: int = 1, log: bool = False, when: Mapping[str, Any] | None = None
    ) -> None:
        for name, number in (("low", low), ("high", high), ("step", step)):
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
                raise SpaceError(f"Integer: {name} must be a whole number, not {number!r}")
        if low > high:
            raise SpaceError(f"Integer: low {low} is above high {high}")
        if step < 1:
            raise SpaceError(f"Integer: the step must be at least 1, not {step}")
        if log and low < 1:
            raise SpaceError(f"Integer: a logarithmic scale needs low of at least 1, not {low}")
        values = range(int(low), int(high) + 1, int(step))
        self._set(
            values=values,
            low=values[0],
            high=values[-1],
            step=int(step),
            log=bool(log),
            when=_condition(when),
        )

    step: int

    def allows(self, value: object) -> bool:
        """Whether it is a whole number of the range."""
        return type(value) is int and self.low <= value <= self.high and (value - self.low) % self.step == 0

    def sample(self, rng: np.random.Generator) -> Value:
        """Uniform over the values."""
        return self.low + self.step * int(rng.integers(len(self.values)))

    def others(self, value: Value, rng: np.random.Generator | None) -> list[Value]:
        """All other values; of a long range, four drawn near ``value``."""
        if len(self.values) > self.LONG:
            return self._near(value, rng)
        return [v for v in self.values if v != value]

    def _nearest(self, value: float) -> Value:
        steps = round((value - self.low) / self.step)
        return self.low + self.step * min(max(steps, 0), len(self.values) - 1)

    @property
    def default(self) -> Value:
        """The lowest value."""
        return self.low

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": "integer", "low": self.low, "high": self.high, "step": self.step, "log": self.log,
            "when": _when_json(self.when),
        }  # fmt: skip

    def describe(self) -> str:
        """The range."""
        step = f" step {self.step}" if self.step > 1 else ""
        return f"{self.low} to {self.high}{step}{' (log)' if self.log else ''}"


class Real(_Number):
    """A real number from ``low`` to ``high``.

    Args:
        log: sampling, encodings and neighbours use the logarithmic scale.

    Raises:
        SpaceError: an empty or infinite range, or ``log`` with ``low`` not above 0.
    """

    values: None

    def __init__(self, low: float, high: float, log: bool = False, when: Mapping[str, Any] | None = None) -> None:
        for name, number in (("low", low), ("high", high)):
            if isinstance(number, bool) or not isinstance(number, (int, float, np.number)) or not math.isfinite(number):
                raise SpaceError(f"Real: {name} must be a finite number, not {number!r}")
        if low > high:
            raise SpaceError(f"Real: low {low} is above high {high}")
        if log and low <= 0:
            raise SpaceError(f"Real: a logarithmic scale needs low above 0, not {low}")
        self._set(values=None, low=float(low), high=float(high), log=bool(log), when=_condition(when))

    def allows(self, value: object) -> bool:
        """Whether it is a number of the range."""
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def is_movable(self) -> bool:
        """Whether the range is more than a point."""
        return self.low < self.high

    def sample(self, rng: np.random.Generator) -> Value:
        """Uniform on its scale."""
        return self._nearest(self._from_unit(float(rng.random())))

    def others(self, value: Value, rng: np.random.Generator | None) -> list[Value]:
        """Four values drawn near ``value``."""
        return self._near(value, rng)

    def _nearest(self, value: float) -> Value:
        return min(max(value, self.low), self.high)

    @property
    def default(self) -> Value:
        """The middle, on its scale."""
        return self._nearest(self._from_unit(0.5))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": "real",
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "when": _when_json(self.when),
        }

    def describe(self) -> str:
        """The range."""
        return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"


def parameter_from_json(data: Mapping[str, Any]) -> Parameter:
    """The inverse of ``to_json`` of any parameter.

    Raises:
        SpaceError: an unknown type, or something is missing.
    """
    when = data.get("when") or None
    kind = data.get("type")
    try:
        if kind == "choice":
            return Choice(*data["values"], ordered=data.get("ordered", False), when=when)
        if kind == "integer":
            return Integer(data["low"], data["high"], data.get("step", 1), data.get("log", False), when)
        if kind == "real":
            return Real(data["low"], data["high"], data.get("log", False), when)
    except KeyError as error:
        raise SpaceError(f"the description of a parameter lacks {error}: {dict(data)}") from error
    raise SpaceError(f"unknown type of parameter {kind!r}; known: choice, integer, real")


def is_scalar(value: object) -> bool:
    """Whether JSON can hold it as one value: a text, finite number, truth value or None."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int, bool))


def plain(value: Any) -> Any:
    """The Python value of a NumPy scalar."""
    return value.item() if isinstance(value, np.generic) else value


def _condition(when: Mapping[str, Any] | None) -> Condition:
    if when is not None and not isinstance(when, Mapping):
        raise SpaceError(f"when must map parents to their values, as in when={{'block': 'conv'}}, not {when!r}")
    conditions = []
    for parent, allowed in (when or {}).items():
        many = isinstance(allowed, Iterable) and not isinstance(allowed, (str, bytes))
        values = tuple(map(plain, allowed)) if many else (plain(allowed),)
        if not all(map(is_scalar, values)):
            raise SpaceError(f"when {parent!r}: {allowed!r} must be one value of {parent!r} or a list of values")
        values = tuple(dict.fromkeys(values))
        if isinstance(allowed, (set, frozenset)):
            values = tuple(sorted(values, key=lambda value: (type(value).__name__, repr(value))))
        if not values:
            raise SpaceError(f"when {parent!r}: no value is allowed, so the parameter can never be active")
        conditions.append((parent, values))
    return tuple(conditions)


def _when_json(when: Condition) -> dict[str, list[Value]]:
    return {parent: list(values) for parent, values in when}
