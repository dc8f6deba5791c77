"""Widths that give different designs the same latency (Ouertatani 2024, 8.1): the epsilon-constraint method with one bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archwright.errors import SettingsError


@dataclass(frozen=True)
class EqualWidth:
    """A width coefficient that was found.

    Attributes:
        coefficient: of all widths.
        latency: at this coefficient.
        clamped: ``low`` or ``high`` where the target lies outside the bounds and the coefficient is that bound.
    """

    coefficient: float
    latency: float
    clamped: str = ""


def scaled(widths: Sequence[int], coefficient: float) -> tuple[int, ...]:
    """Each width times the coefficient, rounded to the nearest even number, 2 at least."""
    return tuple(max(2, 2 * round(coefficient * width / 2)) for width in widths)


def equal_latency_width(
    latency: Callable[[float], float],
    target: float,
    *,
    low: float = 0.5,
    high: float = 2.0,
    steps: int = 12,
    tolerance: float = 0.01,
) -> EqualWidth:
    """The width coefficient at which ``latency`` is ``target``, by bisection.

    Args:
        latency: of the network whose widths have this coefficient; it should grow with it.
        low, high: where the coefficient is looked for.
        steps: bisections at most.
        tolerance: relative difference from the target that ends it.

    Returns:
        The probe that came nearest; where ``latency`` has steps, as widths have, it may miss the target by more than the
        tolerance. The first probe is 1, where that is within the bounds.

    Raises:
        SettingsError: bounds, target, steps or tolerance that make no sense, or a latency that is no positive number.
    """
    if not 0 < low < high or not (target > 0 and math.isfinite(target)) or steps < 1 or not tolerance >= 0:
        raise SettingsError(
            f"0 < low < high, a target above 0, a step or more and a tolerance that is not negative are needed, "
            f"not {low:g}, {high:g}, {target:g}, {steps} and {tolerance:g}"
        )

    def probe(coefficient: float) -> EqualWidth:
        found = float(latency(coefficient))
        if not (found > 0 and math.isfinite(found)):
            raise SettingsError(f"the latency at width coefficient {coefficient:g} is {found}, no positive number")
        return EqualWidth(coefficient, found)

    def error(tried: EqualWidth) -> float:
        return abs(tried.latency / target - 1)

    middle = 1.0 if low < 1.0 < high else (low + high) / 2
    best = probe(middle)
    if error(best) <= tolerance:
        return best
    end = probe(high if best.latency < target else low)
    if (end.latency < target) == (best.latency < target):
        return EqualWidth(end.coefficient, end.latency, "high" if end.latency < target else "low")
    low, high = (middle, high) if best.latency < target else (low, middle)
    best = min(best, end, key=error)
    for _ in range(steps):
        if error(best) <= tolerance:
            break
        tried = probe((low + high) / 2)
        low, high = (tried.coefficient, high) if tried.latency < target else (low, tried.coefficient)
        best = min(best, tried, key=error)
    return best
