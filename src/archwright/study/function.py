"""Evaluations by a function of the user's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright.evaluation import Evaluation
from archwright.space import Architecture


@dataclass
class FunctionEvaluator:
    """Evaluates with a function of the user's: ``function(architecture)`` gives a number or metrics by name.

    Where ``full`` is given it is called as ``function(architecture, fidelity=amount)``, ``full`` for a full evaluation.
    """

    function: Callable[..., float | Mapping[str, float]]
    metric: str
    full: float | None = None

    def __call__(
        self, architecture: Architecture, *, fidelity: float = 1.0, seed: int = 0, on_epoch: Any = None
    ) -> Evaluation:
        """Call the function; what it raises makes the evaluation a failed one."""
        started = time.perf_counter()
        try:
            more = {} if self.full is None else {"fidelity": fidelity * self.full}
            value = self.function(architecture, **more)
            metrics = dict(value) if isinstance(value, Mapping) else {self.metric: value}
            metrics = {str(name): _as_number(str(name), number) for name, number in metrics.items()}
        except _NoNumberError as error:
            spent = time.perf_counter() - started
            return Evaluation(status="failed", reason=str(error), fidelity=fidelity, cost=fidelity, seconds=spent)
        except Exception as error:
            reason = f"the evaluation raised {type(error).__name__}: {error}".split("\n")[0]
            spent = time.perf_counter() - started
            return Evaluation(status="failed", reason=reason, fidelity=fidelity, cost=fidelity, seconds=spent)
        return Evaluation(metrics, fidelity=fidelity, cost=fidelity, seconds=time.perf_counter() - started)


class _NoNumberError(Exception):
    """A function gave something else than a number."""


def _as_number(name: str, value: Any) -> float:
    """Also of a 0-dimensional array or tensor; text is none, even if it reads like one."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        shown = repr(value).replace("\n", " ")
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise _NoNumberError(
            f"the evaluation gave {shown} as {name}; it must give a number, or a mapping of names to numbers"
        ) from None
