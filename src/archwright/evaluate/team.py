"""The processes that share a training: each takes its part of every batch, and gradients are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from archwright.errors import SettingsError

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others within a step."""


@dataclass(frozen=True)
class Team:
    """This process's place among those of a training; all its methods but :meth:`rows` are calls that all ranks make.

    Attributes:
        rank: from 0.
        size: how many processes.
    """

    rank: int
    size: int

    @classmethod
    def joined(cls) -> Team:
        """The team of the process group that this process is in (``torch.distributed.init_process_group``).

        Raises:
            SettingsError: it is in none.
        """
        if not distributed.is_available() or not distributed.is_initialized():
            raise SettingsError("this process is in no process group; call torch.distributed.init_process_group first")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, with weights of rank 0 and gradients averaged over the team."""
        return DistributedDataParallel(network, find_unused_parameters=True)

    def rows(self, n: int) -> slice | None:
        """This rank's part of ``n`` examples; ``None`` where they are too few to be shared, and every rank takes all.

        A part has two examples at least, since batch norm cannot train on one.
        """
        if n < 2 * self.size:
            return None
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def mean(self, value: Tensor) -> Tensor:
        """Mean over all ranks."""
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.size

    def gather(self, part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The parts of all ranks, one after the other."""
        parts: list[Any] = [None] * self.size
        distributed.all_gather_object(parts, part)
        return np.concatenate(parts)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give all ranks the real numbers that rank 0 has."""
        for tensor in tensors:
            if tensor.is_floating_point():
                told = tensor.contiguous()
                distributed.broadcast(told, 0)
                tensor.copy_(told)

    def agreed(self, answer: bool, device: torch.device) -> bool:
        """Rank 0's answer."""
        told = torch.tensor(int(answer), device=device)
        distributed.broadcast(told, 0)
        return bool(told)


@contextmanager
def meeting(rank: int, size: int, place: Path, device: torch.device) -> Iterator[Team]:
    """Within, this process is in a group with all that name the same new file.

    A rank that fails stays in the group, so that the others wait until whoever started them ends them all, and what they
    have to say of a lost connection does not hide the cause.
    """
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=distributed.FileStore(str(place), size),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        timeout=PATIENCE,
    )
    yield Team(rank, size)
    distributed.destroy_process_group()
