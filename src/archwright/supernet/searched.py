"""What every search inside one network hands on to retraining and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright.supernet.memory import Peak
from archwright.supernet.retraining import Design

OnEpoch = Callable[[int, Mapping[str, float]], bool]


@dataclass(frozen=True)
class Searched:
    """What the searches have in common.

    Attributes:
        genotype: the cells, JSON-able.
        designs: networks to be retrained, by the name that they have in the result.
        seconds: of the search, over all its sittings, phases and games.
        epochs: joint ones, likewise.
        peak: memory in MB, see :class:`~archwright.supernet.memory.Peak`; none where nothing was searched.
        val_accuracy: of its evaluation network in the end.
        expected_latency: of the search network.
        more: what else the result says of the search.
        history: the architecture parameters after every epoch.
    """

    genotype: dict[str, Any]
    designs: Mapping[str, Design]
    seconds: float
    epochs: int
    peak: float | None
    val_accuracy: float | None
    expected_latency: float | None
    more: dict[str, Any]
    history: tuple[dict[str, Any], ...] = ()


def told(say: Callable[[str], object], what: str, peak: Peak) -> OnEpoch:
    """A word, and a look at the memory, on every epoch."""

    def on_epoch(epoch: int, point: Mapping[str, float]) -> bool:
        peak.note()
        accuracy = f", validation accuracy {point['val_accuracy']:.3f}" if "val_accuracy" in point else ""
        say(f"{what}: epoch {epoch}, loss {point['student_loss']:.3f}{accuracy}")
        return True

    return on_epoch
