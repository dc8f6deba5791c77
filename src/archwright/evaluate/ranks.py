"""One training in several processes of this machine, started and watched from one that does not train itself.

The watching process never waits for the others within a step, so that it hears at once of a rank that raised or died.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from torch import Tensor, nn

from archwright import subprocesses
from archwright.data import Data
from archwright.errors import ArchwrightError, ArchwrightWarning, SettingsError
from archwright.evaluate.checkpoint import copy_into, network_tensors
from archwright.evaluate.settings import Training
from archwright.evaluate.training import OnEpoch, Trained

STANDARD_ERROR = 2
"""Where processes print to: user code may print, and the standard output is for results."""

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
"""Network interface over which processes of one machine talk; a host's own name may lead elsewhere."""

START = 300.0
"""Seconds that processes have to import torch and take the data."""
GRACE = 5.0
"""Seconds that a process which no longer answers has to end, so that it can be said how."""
AFTERMATH = 0.5
"""Seconds in which the death of a rank is looked for after another one raised: what that one says is of a lost connection."""


def check_processes(processes: int, training: Training, device: torch.device) -> None:
    """Whether a training can be shared by so many processes on a device.

    Raises:
        SettingsError: fewer than one, more than GPUs or than half the batch size, one GPU of several, or another kind of
            device than CPU and CUDA.
    """
    if processes < 1:
        raise SettingsError(f"processes must be at least 1, not {processes}")
    if processes == 1:
        return
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"several processes share a training on cpu or cuda, not on {device.type}; use processes=1")
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        raise SettingsError(
            f"{processes} processes need as many GPUs, and there are {torch.cuda.device_count()}; use fewer processes"
        )
    if ":" in str(device):
        raise SettingsError(f"{processes} processes use {processes} devices; say device {device.type}, not {device}")
    if 2 * processes > training.batch_size:
        raise SettingsError(
            f"a batch of {training.batch_size} is too small for {processes} processes: each needs two examples at least"
        )


def warn_of_crowding(workers: int, processes: int, device: torch.device) -> None:
    """Warn (:class:`~archwright.errors.ArchwrightWarning`) where the processes of all workers have to share cores or GPUs."""
    cuda = device.type == "cuda"
    there, what = (torch.cuda.device_count(), "GPUs") if cuda else (subprocesses.cores(), "cores")
    if processes > 1 and workers * processes > there:
        each = f"{workers} workers of {processes}" if workers > 1 else f"{processes}"
        warnings.warn(
            f"{each} processes share {there} {what} and slow each other down; fewer workers or processes are faster",
            ArchwrightWarning,
            stacklevel=3,
        )


class RankError(ArchwrightError):
    """A process of a shared training raised, died or did not start; the message says which and why."""


@dataclass
class _Rank:
    number: int
    process: subprocess.Popen[bytes]
    connection: Connection

    def send(self, message: Any) -> None:
        try:
            self.connection.send_bytes(cloudpickle.dumps(message))
        except OSError:
            raise RankError(self.how_it_ended()) from None

    def receive(self) -> tuple[str, Any]:
        try:
            kind, value = cloudpickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            raise RankError(self.how_it_ended()) from None
        return kind, value

    def how_it_ended(self) -> str:
        return f"rank {self.number} of the training {subprocesses.cause_of_death(self.process, GRACE)}"


class Ranks:
    """Processes that share trainings; started with the first one, and again after something went wrong in one of them.

    Args:
        data: sent to each process once.
        size: how many processes. On ``cuda`` each has a GPU of its own.
        device: ``cpu`` or ``cuda``.
        threads: of all processes together; by default those of torch here.
        source: the user's file, where networks come from one; for the reasons of failures.
    """

    def __init__(
        self, data: Data, size: int, device: torch.device, *, threads: int | None = None, source: str | None = None
    ) -> None:
        self.size = size
        self._data = data
        self._device = device
        self._source = source
        self._threads = max(1, (threads or torch.get_num_threads()) // size)
        self._ranks: list[_Rank] = []
        weakref.finalize(self, _end, self._ranks)

    def start(self) -> None:
        """Start the processes, if they do not run.

        Raises:
            RankError: one could not start.
        """
        if self._ranks and all(rank.process.poll() is None for rank in self._ranks):
            return
        self.close()
        try:
            for number in range(self.size):
                self._ranks.append(_Rank(number, *self._started(number)))
            for rank in self._ranks:
                rank.send(
                    {
                        "path": sys.path,
                        "place": self._place(rank.number),
                        "source": self._source,
                        "data": cloudpickle.dumps(self._data),
                    }
                )
            deadline = time.monotonic() + START
            for rank in self._ranks:
                if not rank.connection.poll(max(0.0, deadline - time.monotonic())):
                    raise RankError(f"rank {rank.number} of the training did not start within {START:g} s")
                kind, value = rank.receive()
                if kind != "ready":
                    raise RankError(f"rank {rank.number} of the training could not start: {value}")
        except BaseException:
            self.close()
            raise

    def _started(self, number: int) -> tuple[subprocess.Popen[bytes], Connection]:
        environment = {
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": str(self.size),
            "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", LOOPBACK),
            "TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR"),
        }
        return subprocesses.start(
            "archwright.evaluate.rank", threads=self._threads, output=STANDARD_ERROR, environment=environment
        )

    def _place(self, number: int) -> tuple[int, int, str]:
        return number, self.size, f"cuda:{number}" if self._device.type == "cuda" else self._device.type

    def close(self) -> None:
        """End the processes at once; the next training starts new ones."""
        _end(self._ranks)

    def train(
        self,
        network: nn.Module,
        training: Training,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoint: Path | None = None,
        checkpoint_seconds: float = 20.0,
        time_limit: float | None = None,
    ) -> Trained:
        """Train a network, in place; see :func:`~archwright.evaluate.train`. Over its
        ``time_limit``, which leaves out the start of processes, a training is killed.

        Raises:
            RankError: a process raised, died or could not start, or the network cannot be sent to it.
            SettingsError: the network cannot be trained by so many processes.
        """
        check_processes(self.size, training, self._device)
        job = {
            "network": _packed(network.to("cpu")),
            "training": training,
            "seed": seed,
            "checkpoint": checkpoint,
            "checkpoint_seconds": checkpoint_seconds,
        }
        self.start()
        watch = _Watch(self._ranks, training, on_epoch, time_limit)
        try:
            with tempfile.TemporaryDirectory(prefix="archwright-") as folder:
                for rank in self._ranks:
                    rank.send({**job, "meeting_place": Path(folder) / "meeting"})
                trained, tensors = watch.run()
        except BaseException:
            self.close()
            raise
        if watch.timed_out:
            self.close()
        else:
            copy_into(network_tensors(network), tensors)
        network.to(self._device)
        return trained


class _Watch:
    """One training as seen by who waits for it."""

    def __init__(self, ranks: list[_Rank], training: Training, on_epoch: OnEpoch | None, limit: float | None) -> None:
        self._working = {rank.connection: rank for rank in ranks}
        self._training = training
        self._on_epoch = on_epoch
        self._started = time.monotonic()
        self._deadline = None if limit is None else self._started + limit
        self._curve: list[dict[str, float]] = []
        self.timed_out = False

    def run(self) -> tuple[Trained, dict[str, Tensor]]:
        """What rank 0 found, and its network's tensors; of a training over its time limit, none.

        Raises:
            RankError: a rank raised or died.
        """
        found: tuple[Trained, dict[str, Tensor]] | None = None
        while self._working:
            heard = wait(list(self._working), self._left())
            if not heard:
                return self._over_time(), {}
            for connection in heard:
                rank = self._working[connection]  # type: ignore[index]
                kind, value = rank.receive()
                if kind == "failed":
                    raise RankError(self._cause(rank, value))
                if kind == "epoch":
                    rank.send(self._goes_on(*value))
                    continue
                del self._working[rank.connection]
                found = value if rank.number == 0 else found
        assert found is not None
        return found

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _goes_on(self, epoch: int, point: Mapping[str, float]) -> bool:
        self._curve.append(dict(point))
        return self._on_epoch is None or self._on_epoch(epoch, point)

    def _over_time(self) -> Trained:
        self.timed_out = True
        epochs = len(self._curve)
        reason = f"over its time limit in epoch {epochs + 1} of {self._training.epochs}"
        return Trained(tuple(self._curve), {}, time.monotonic() - self._started, epochs, "failed", reason)

    def _cause(self, rank: _Rank, said: str) -> str:
        """Why the training failed: another rank's death, if there was one, else what this rank says."""
        for connection in wait([c for c in self._working if c is not rank.connection], AFTERMATH):
            try:
                self._working[connection].receive()  # type: ignore[index]
            except RankError as death:
                return str(death)
        return f"{said} (rank {rank.number} of the training)"


def _packed(network: nn.Module) -> bytes:
    try:
        packed: bytes = cloudpickle.dumps(network)
    except Exception as error:
        raise RankError(
            f"the network cannot be sent to the processes of its training ({type(error).__name__}: {error})"
        ) from error
    return packed


def _end(ranks: list[_Rank]) -> None:
    for rank in ranks:
        rank.connection.close()
        subprocesses.kill(rank.process)
    ranks.clear()
