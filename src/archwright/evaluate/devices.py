"""Devices by name, waiting for them, and randomness that leaves the global state as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from archwright.errors import SettingsError


def resolve_device(name: str | torch.device) -> torch.device:
    """The device of a name; ``auto`` is the first of cuda, mps and cpu that is there.

    Raises:
        SettingsError: torch knows no such device, or this machine has none.
    """
    if isinstance(name, torch.device):
        return name
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *(["mps"] if _has_mps() else [])]
        raise SettingsError(f"device {name!r} is not available here; use auto or one of {', '.join(there)}") from error
    return device


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within, torch, numpy and ``random`` draw from ``seed``; after it they go on as if nothing had been.

    Args:
        seed: any whole number.
        device: whose generator is kept too, beside the CPU's.
    """
    words = np.random.SeedSequence(abs(int(seed))).generate_state(2, np.uint64)
    ours, theirs = random.getstate(), np.random.get_state()  # noqa: NPY002
    accelerator = _accelerator(device)
    with torch.random.fork_rng(
        devices=[] if accelerator is None else [accelerator.index or 0],
        device_type="cuda" if accelerator is None else accelerator.type,
    ):
        torch.manual_seed(int(words[0]))
        random.seed(int(words[1]))
        np.random.seed(int(words[1]) % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(theirs)  # noqa: NPY002


def derived_seed(*path: int) -> int:
    """A seed below 2**63 for a place in the tree of seeds, such as ``(seed, repeat, epoch)``."""
    return int(np.random.SeedSequence([abs(int(p)) for p in path]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch, or Python, says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in text for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def _accelerator(device: torch.device | None) -> torch.device | None:
    if device is None or device.type == "cpu":
        return None
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.device("cuda", index)
    return device
