"""A :class:`DeviceProfile`: what the operations of a family's networks take on a device, to predict latency without running.

The predicted latency of a network is ``constant + overhead * n + scale * sum``: ``n`` operations that take ``sum`` when each
runs alone. The three are fitted on a few whole networks, which are measured too: side by side operations find their inputs
in the cache, or wait for one another. Others are measured to tell how good it is. A profile is one JSON file.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import SettingsError
from archwright.families import Family
from archwright.hardware.accuracy import accuracy
from archwright.hardware.predictors import read_json

if TYPE_CHECKING:
    from torch import nn

    from archwright.hardware.tracing import Operation

FORMAT, VERSION = "archwright-device-profile", 1
STORED = "device_profile.json"
"""In a study's folder: what predicted its latencies."""
CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.thread_time}


@dataclass(frozen=True)
class Timing:
    """Of one operation alone: the median and the interquartile range in ms, and of how many runs."""

    ms: float
    spread_ms: float
    runs: int


@dataclass(frozen=True)
class Whole:
    """A whole network that was measured: ``held_out`` ones had no part in the fit."""

    architecture: Mapping[str, Any]
    measured_ms: float
    spread_ms: float
    sum_ms: float
    operations: int
    held_out: bool


@dataclass(frozen=True)
class DeviceProfile:
    """Times of operations on a device.

    Attributes:
        name: of the device, in words.
        device: as torch calls it.
        family: name and options of the family it is about.
        input_shape, num_classes, batch_size, threads: what was measured.
        clock: what was counted, a name of :data:`CLOCKS`.
        versions: of the software.
        operations: time by signature (:mod:`archwright.hardware.tracing`).
        constant, overhead, scale: of a whole network; ms, ms per operation, and a factor.
        networks: those that were measured as a whole.
    """

    name: str
    device: str
    family: Mapping[str, Any]
    input_shape: tuple[int, ...]
    num_classes: int
    batch_size: int
    threads: int
    clock: str
    versions: Mapping[str, str]
    operations: Mapping[str, Timing]
    constant: float = 0.0
    overhead: float = 0.0
    scale: float = 1.0
    networks: tuple[Whole, ...] = ()

    def predict(self, network: nn.Module) -> float:
        """Latency of a network in ms; it does not run.

        Raises:
            SettingsError: an operation that was not measured, with its signature and what to do.
        """
        from archwright.hardware.tracing import trace

        return self.whole(*self.sum(trace(network, self.input_shape, self.batch_size)))

    def sum(self, operations: Sequence[Operation]) -> tuple[float, int]:
        """Their times in ms added up, and how many they are.

        Raises:
            SettingsError: see :meth:`predict`.
        """
        total = 0.0
        for operation in operations:
            timing = self.operations.get(operation.signature)
            if timing is None:
                raise SettingsError(
                    f"the profile of {self.name} has no time for the operation {operation.signature}; measure it with: archwright "
                    f"profile {self.family['name']} --measure-lut FILE --architecture JSON (of this network)"
                )
            total += timing.ms
        return total, len(operations)

    def whole(self, sum_ms: float, operations: int) -> float:
        """Predicted ms of a network whose ``operations`` take ``sum_ms`` alone."""
        return self.constant + self.overhead * operations + self.scale * sum_ms

    def check(self, family: Family, input_shape: tuple[int, ...], num_classes: int) -> None:
        """Refuse what was not measured.

        Raises:
            SettingsError: another family, options, input shape or number of classes.
        """
        measured = (self.family["name"], dict(self.family["options"]), tuple(self.input_shape), self.num_classes)
        wanted = (family.name, json.loads(json.dumps(dict(family.options))), tuple(input_shape), num_classes)
        for what, had, has in zip(("family", "options", "input shape", "number of classes"), measured, wanted):
            if had != has:
                raise SettingsError(
                    f"the profile of {self.name} was measured for another {what}: {had}, not {has}; measure one for this with: "
                    f"archwright profile {family.name} --measure-lut FILE"
                )

    def accuracy(self) -> dict[str, float]:
        """How well the held-out networks are predicted; empty without such."""
        held = [w for w in self.networks if w.held_out]
        if len(held) < 2:
            return {}
        predicted = np.array([self.whole(w.sum_ms, w.operations) for w in held])
        return accuracy(predicted, np.array([w.measured_ms for w in held]))

    @property
    def fingerprint(self) -> str:
        """Of everything in it."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The content of the file."""
        plain: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}))
        return plain

    def save(self, path: str | Path) -> Path:
        """Write the file.

        Raises:
            SettingsError: it cannot be written.
        """
        try:
            Path(path).write_text(json.dumps(self.to_json(), indent=1) + "\n")
        except OSError as error:
            raise SettingsError(f"the profile {path} cannot be written: {error.strerror or error}") from error
        return Path(path)


def load_profile(path: str | Path) -> DeviceProfile:
    """Read a profile.

    Raises:
        SettingsError: it is missing, truncated, not a profile, or of a newer version.
    """
    remedy = "measure one with: archwright profile FAMILY --measure-lut FILE"
    content = read_json(path, FORMAT, VERSION, "device profile", remedy)
    try:
        facts = {k: v for k, v in content.items() if k not in ("format", "version")}
        facts["operations"] = {signature: Timing(**t) for signature, t in content["operations"].items()}
        facts["networks"] = tuple(Whole(**w) for w in content["networks"])
        facts["family"] = {"name": str(content["family"]["name"]), "options": dict(content["family"]["options"])}
        facts["input_shape"] = tuple(int(n) for n in content["input_shape"])
        made = DeviceProfile(**facts)
        numbers = [t.ms for t in made.operations.values()] + [made.constant, made.overhead, made.scale]
        whole = bool(made.operations) and bool(np.isfinite(np.array(numbers, dtype=np.float64)).all())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(f"{path} is not a whole device profile ({error!r}); {remedy}") from error
    if not whole or min(numbers) < 0:
        raise SettingsError(f"{path} is not a whole device profile (a time is missing or no number); {remedy}")
    return made
