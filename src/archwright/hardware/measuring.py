"""A device profile measured: the operations of a family's networks, each alone, and a few whole networks."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls

from archwright.errors import FamilyError, SettingsError, unknown
from archwright.families import Family, for_shape
from archwright.hardware.profile import CLOCKS, DeviceProfile, Timing, Whole
from archwright.space import Architecture

if TYPE_CHECKING:
    from torch import nn

    from archwright.hardware.tracing import Operation

ROUNDS = 5
"""Measurements are spread over so many passes over everything: what slows a device for a while slows all alike."""
PATIENCE = 200
"""Architectures in a row without a new operation after which no more are looked at."""


def measure_profile(
    family: Family,
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    name: str | None = None,
    device: str = "cpu",
    batch_size: int = 1,
    threads: int | None = None,
    clock: str = "wall",
    architectures: int = 1000,
    also: Sequence[Architecture] = (),
    fitted: int = 10,
    held_out: int = 20,
    repeats: int = 50,
    seed: int = 0,
    on_done: Callable[[str, int, int], None] = lambda *_: None,
) -> DeviceProfile:
    """Measure the operations of a family's networks on a device, and a few whole networks.

    Args:
        family, input_shape, num_classes: whose networks.
        name: of the device, for people; torch's name by default.
        device, batch_size, threads: where and how they run.
        clock: ``wall``, or ``cpu`` for the processor's time of one thread, which other programs do not disturb.
        architectures: at most so many are looked at for their operations.
        also: architectures whose operations must be among them.
        fitted, held_out: whole networks measured for the fit, and to judge it.
        repeats: runs of an operation or network at most; the median counts.
        seed: of the architectures drawn.
        on_done: is told of progress: what, done, of how many.

    Raises:
        SettingsError: numbers that make no sense, or so few architectures that no whole network can be judged.
        FamilyError: the family cannot take the shape.
    """
    import torch

    from archwright.evaluate.cost import cpu_threads
    from archwright.evaluate.devices import resolve_device

    if (
        min(batch_size, architectures, repeats) < 1
        or fitted < 3
        or held_out < 0
        or (threads is not None and threads < 1)
    ):
        raise SettingsError(
            f"batch size, architectures, runs and threads must be at least 1, networks of the fit 3, not {batch_size}, "
            f"{architectures}, {repeats}, {threads} and {fitted}"
        )
    if clock not in CLOCKS:
        raise SettingsError(unknown("clock", clock, CLOCKS))
    family = for_shape(family, input_shape)
    if family.check_shape is not None:
        family.check_shape(input_shape)
    where = resolve_device(device)
    if clock == "cpu" and (threads != 1 or where.type != "cpu"):
        raise SettingsError("the processor's time is that of one thread: use --threads 1 and --device cpu")
    rng = np.random.default_rng(seed)
    build = _Builder(family, input_shape, num_classes, batch_size)
    with cpu_threads(threads):
        found = _operations(build, family, architectures, also, rng, on_done)
        times = _times(found, where, repeats, CLOCKS[clock], on_done)
        profile = DeviceProfile(
            name=name or (torch.cuda.get_device_name(where) if where.type == "cuda" else str(where)),
            device=str(where),
            family={"name": family.name, "options": json.loads(json.dumps(dict(family.options)))},
            input_shape=tuple(input_shape),
            num_classes=num_classes,
            batch_size=batch_size,
            threads=torch.get_num_threads(),
            clock=clock,
            versions=_versions(),
            operations=times,
        )
        chosen = list(islice(family.space.different(rng), fitted + held_out))
        return _calibrated(profile, build, chosen, fitted, where, repeats, on_done)


@dataclass(frozen=True)
class _Builder:
    """Networks of a family, and their operations."""

    family: Family
    input_shape: tuple[int, ...]
    num_classes: int
    batch_size: int

    def network(self, architecture: Architecture) -> nn.Module:
        return self.family.deploy(self.family.build(architecture, self.input_shape, self.num_classes))

    def trace(self, architecture: Architecture) -> list[Operation]:
        """Without making weights, where the family's ``build`` can do that."""
        import torch

        from archwright.hardware.tracing import trace

        try:
            with torch.device("meta"):
                network = self.network(architecture)
            return trace(network, self.input_shape, self.batch_size)
        except Exception:
            return trace(self.network(architecture), self.input_shape, self.batch_size)


def _operations(
    build: _Builder,
    family: Family,
    limit: int,
    also: Sequence[Architecture],
    rng: np.random.Generator,
    on_done: Callable[[str, int, int], None],
) -> dict[str, Operation]:
    """Every different operation of the networks looked at, by signature."""
    found: dict[str, Operation] = {}
    first = list(dict.fromkeys([*also, family.default or family.space.default]))
    idle = 0
    for i, architecture in enumerate(chain(first, islice(family.space.different(rng, first), limit))):
        before = len(found)
        try:
            for operation in build.trace(architecture):
                found.setdefault(operation.signature, operation)
        except Exception as error:
            if architecture in first:
                raise FamilyError(
                    f"family {family.name!r}: the network of {architecture} cannot be made: {error}"
                ) from error
        idle = idle + 1 if len(found) == before else 0
        on_done("architectures", i + 1, limit + len(first))
        if idle >= PATIENCE:
            break
    return found


def _times(
    found: Mapping[str, Operation],
    device: Any,
    repeats: int,
    clock: Callable[[], float],
    on_done: Callable[[str, int, int], None],
) -> dict[str, Timing]:
    from archwright.hardware.tracing import median_and_spread

    seconds: dict[str, list[float]] = {signature: [] for signature in sorted(found)}
    for done in range(ROUNDS):
        for i, (signature, times) in enumerate(seconds.items()):
            try:
                times += found[signature].seconds(device, 5, -(-repeats // ROUNDS), limit=0.1, clock=clock)
            except Exception as error:
                raise FamilyError(f"the operation {signature} cannot be timed alone: {error}") from error
            on_done("operations", done * len(found) + i + 1, ROUNDS * len(found))
    return {signature: Timing(*median_and_spread(times), len(times)) for signature, times in seconds.items()}


def _calibrated(
    profile: DeviceProfile,
    build: _Builder,
    architectures: Sequence[Architecture],
    fitted: int,
    device: Any,
    repeats: int,
    on_done: Callable[[str, int, int], None],
) -> DeviceProfile:
    """With whole networks measured; least squares of the relative error, nothing negative."""
    from archwright.evaluate.cost import latencies
    from archwright.hardware.tracing import median_and_spread

    known: list[tuple[Architecture, float, int]] = []
    for architecture in architectures:
        try:
            known.append((architecture, *profile.sum(build.trace(architecture))))
        except SettingsError:
            continue
    seconds: list[list[float]] = [[] for _ in known]
    for done in range(ROUNDS):
        for i, (architecture, _, _) in enumerate(known):
            network = build.network(architecture).to(device).eval()
            seconds[i] += latencies(
                network, profile.input_shape, profile.batch_size, 5, -(-repeats // ROUNDS), clock=CLOCKS[profile.clock]
            ).tolist()
            on_done("networks", done * len(known) + i + 1, ROUNDS * len(known))
    networks = [
        Whole(architecture.to_json(), *median_and_spread(times), total, number, i >= fitted)
        for i, ((architecture, total, number), times) in enumerate(zip(known, seconds))
    ]
    used = [w for w in networks if not w.held_out]
    if not used:
        raise SettingsError(
            f"no whole network is made of the {len(profile.operations)} operations that were found, so that the "
            "profile cannot be fitted; look at more architectures (--architectures)"
        )
    features = np.array([[1.0, w.operations, w.sum_ms] for w in used])
    measured = np.array([w.measured_ms for w in used])
    constant, overhead, scale = nnls(features / measured[:, None], np.ones(len(used)))[0].tolist()
    return replace(profile, constant=constant, overhead=overhead, scale=scale, networks=tuple(networks))


def _versions() -> dict[str, str]:
    import torch

    import archwright

    return {"python": platform.python_version(), "torch": str(torch.__version__), "archwright": archwright.__version__}
