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
    before = random.getstate(), np.random.get_state(), torch.get_rng_state(), _device_state(device)  # noqa: NPY002
    torch.manual_seed(int(words[0]))
    random.seed(int(words[1]))
    np.random.seed(int(words[1]) % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        _set_device_state(device, before[3])


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


def _device_state(device: torch.device | None) -> torch.Tensor | None:
    """State of an accelerator's generator."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    if device is not None and device.type == "mps":
        return torch.mps.get_rng_state()
    return None


def _set_device_state(device: torch.device | None, state: torch.Tensor | None) -> None:
    if device is not None and state is not None:
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.mps.set_rng_state(state)
