"""Memory of a search inside one network: what its steps will need, what is there, what was used."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from torch import Tensor, nn

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.evaluate.devices import resolve_device, seeded
from archwright.evaluate.memory import Lifetimes, values_kept
from archwright.evaluate.settings import Training
from archwright.evaluate.twins import bytes_of, kept, state
from archwright.supernet.duo import Duo
from archwright.supernet.settings import JointSettings

MB = 2**20
FEW = 2
"""Examples of the step whose memory is scaled to a batch."""
Memory = Literal["check", "ignore"]
"""What happens to a search that needs more memory than there is: it is refused, or goes on."""
MARGIN = 1.3
"""Of memory that a process takes to the bytes of its tensors, for kernels and fragments: about the middle of what was measured."""
CGROUP = Path("/sys/fs/cgroup")
LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Files of a container's limit and use of memory, of both versions of Linux's control groups."""


def search_memory(duo: Duo, settings: JointSettings, data: Data) -> int:
    """Bytes that a search needs at most, by estimate: networks, optimizers, examples, and a step.

    The step is the search network's, forwards and backwards to weights and architecture, while what the evaluation network needs
    to be trained is kept; it is run on two examples and scaled to a batch.

    Args:
        duo: the networks; left as they were.
        settings: of the search.
        data: images.
    """
    batch = min(settings.batch_size, len(data.train) // 2)
    student, networks = bytes_of(duo.student.parameters()), (duo.student, duo.teacher, duo.heads)
    held = sum(bytes_of(state(network).values()) for network in networks)
    learning = [duo.student, duo.teacher] if settings.evaluates else [duo.student]
    held += bytes_of([p for network in learning for p in network.parameters()]) + student
    if any(step.unrolled for step in settings.joint_steps):
        held += 3 * student
    trains = any("w_E" in step.updates for step in settings.joint_steps)
    evaluates = settings.evaluates
    alive = _alive(networks, lambda: _step(duo, torch.rand(FEW, *data.input_shape), evaluates, trains))
    return _scaled(held, alive - student, batch, data)


def training_memory(network: nn.Module, training: Training, data: Data) -> int:
    """Bytes that a training needs at most, by estimate, like :func:`search_memory`.

    Args:
        network: left as it was, on the CPU.
        training: its batch counts.
        data: to train with.
    """
    own = bytes_of(network.parameters())

    def step() -> None:
        outputs = network.train()(torch.rand(FEW, *data.input_shape))
        every = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = torch.cat(every).square().sum()
        torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)

    held = bytes_of(state(network).values()) + 2 * own
    return _scaled(held, _alive((network,), step) - own, min(training.batch_size, len(data.train)), data)


def _alive(networks: Sequence[nn.Module], step: Callable[[], None]) -> int:
    """Bytes of tensors that are made and alive at most in a step."""
    with ExitStack() as as_they_were:
        as_they_were.enter_context(seeded(0))
        for network in networks:
            as_they_were.enter_context(kept(network))
            as_they_were.enter_context(values_kept(network))
        with Lifetimes() as lifetimes:
            step()
    return int(lifetimes.peak)


def _scaled(held: int, alive: int, batch: int, data: Data) -> int:
    examples = sum(split.inputs.nbytes for split in (data.train, data.validation))
    return int(MARGIN * (held + examples + max(0, alive) * batch / FEW))


def _step(duo: Duo, x: Tensor, evaluates: bool, trains_evaluation: bool) -> None:
    with torch.set_grad_enabled(trains_evaluation):
        taught = [_outputs(duo.teacher.train(), duo.heads, x, duo.discretise())] if evaluates else []
    loss = _outputs(duo.student.train(), duo.heads, x, duo.weights()).square().sum() + sum(
        t.detach().sum() for t in taught
    )
    torch.autograd.grad(loss, [*duo.architecture.values(), *duo.student.parameters()], allow_unused=True)


def _outputs(network: nn.Module, heads: Any, x: Tensor, mix: Any) -> Tensor:
    """Logits of all heads."""
    last, reduced = network.features(x, mix)  # type: ignore[operator]
    return torch.cat([*(head(maps) for head, maps in zip(heads, reduced)), network.head(last)])  # type: ignore[operator]


def free_memory(device: torch.device) -> int:
    """Bytes that a device has left; of a CPU, those of the machine and, within a container, those of its limit.

    What torch keeps of an accelerator for tensors to come, as after an earlier run of the same process, counts as left.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return min(int(psutil.virtual_memory().available), *_left_by_groups())


def _left_by_groups() -> list[int]:
    found = [sys.maxsize]
    for limit, use in LIMITS:
        try:
            found.append(int((CGROUP / limit).read_text()) - int((CGROUP / use).read_text()))
        except (OSError, ValueError):  # no such file, or no limit
            continue
    return found


def mind_memory(
    needed: int, what: str, lower: str, *, device: str | torch.device, say: Callable[[str], object],
    processes: int = 1, memory: Memory = "check",
) -> None:  # fmt: skip
    """Say what is needed and what is there.

    Args:
        needed: bytes, by estimate.
        what: needs them.
        lower: what would need less.
        device: where.
        say: called with a line.
        processes: that need so much at once.
        memory: ``ignore`` to go on where it is not enough.

    Raises:
        SettingsError: it is not enough.
    """
    where = resolve_device(device)
    needed, free = processes * needed, free_memory(where)
    at_once = f" in {processes} processes" if processes > 1 else ""
    line = f"{what} needs about {needed / MB:,.0f} MB{at_once}; {where} has {free / MB:,.0f} MB free"
    if needed > free and memory != "ignore":
        raise SettingsError(f"{line}: lower {lower}, or go on regardless with --option memory=ignore")
    say(line)


def mind_weights(
    make: Callable[[], Sequence[nn.Module]], what: str, lower: str, *, device: str | torch.device, memory: Memory = "check"
) -> None:  # fmt: skip
    """Refuse networks of which not even the weights, their gradients and momentum have room, without making them.

    Args:
        make: networks, made here without memory.
        what: needs them.
        lower: what would need less.
        device: where.
        memory: ``ignore`` to go on where it is not enough.

    Raises:
        SettingsError: it is not enough.
    """
    with torch.device("meta"), seeded(0):
        needed = 3 * sum(bytes_of(network.parameters()) for network in make())
    mind_memory(needed, what, lower, device=device, say=lambda _: None, memory=memory)


class Peak:
    """The most memory that a search used, over all its sittings.

    On a CPU this is the resident memory of the process, what it held before the search included; since the search began on
    Linux, since the process began elsewhere. On CUDA it is what torch allocated.

    Args:
        device: where the search runs.
        file: keeps it between sittings.
    """

    def __init__(self, device: str | torch.device, file: Path | None = None) -> None:
        self.device, self.file = resolve_device(device), file
        self.mb: float | None = None
        if file is not None and file.is_file():
            self.mb = float(json.loads(file.read_text())["peak_memory_mb"])
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _forget_peak()

    def note(self) -> None:
        """Look now; to be called while, or right after, the search runs."""
        now = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else resident_peak()
        self.mb = max(self.mb or 0.0, now / MB)
        if self.file is not None:
            self.file.write_text(json.dumps({"peak_memory_mb": self.mb}))


def resident_peak() -> int:
    """Bytes that this process had in memory at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def _forget_peak() -> None:
    """Let the peak of this process begin anew, where Linux lets it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return
