"""Searches in a script that ``torchrun`` started in several processes.

Rank 0 searches, and shares each training among as many processes as torchrun started; these are its own, so that one which
dies costs one evaluation and not the search. The other ranks wait and get what rank 0 found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import cloudpickle

from archwright.errors import ArchwrightError, SettingsError, StudyError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

P = ParamSpec("P")
T = TypeVar("T")

_LED: ContextVar[int | None] = ContextVar("led", default=None)
"""How many processes torchrun started, within the work that rank 0 does for all."""

MARK = "TORCHELASTIC_RUN_ID"
"""Torchrun's own mark in the environment."""

ASK_EVERY = timedelta(seconds=30)
"""How long another rank waits at a time."""

FAREWELL = timedelta(seconds=60)
"""How long rank 0 waits for the others to fetch its answer."""


@dataclass(frozen=True)
class Launch:
    """This process's place among those that torchrun started."""

    rank: int
    size: int


def launched() -> Launch | None:
    """Where torchrun started several processes, and this is one of them: its place.

    Raises:
        SettingsError: they are on several machines.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if MARK not in os.environ or size == 1:
        return None
    if int(os.environ.get("LOCAL_WORLD_SIZE", size)) != size:
        raise SettingsError("a training is shared on one machine, and torchrun uses several; start it with --nnodes 1")
    return Launch(int(os.environ["RANK"]), size)


def is_first() -> bool:
    """Whether this process is to speak to the user."""
    launch = launched()
    return launch is None or launch.rank == 0


def wanted_processes(processes: int | None) -> int:
    """How many processes share a training: what was asked for, else as many as torchrun started, else one.

    Raises:
        SettingsError: torchrun started another number.
    """
    size = _LED.get()
    if processes is not None and size is not None and processes != size:
        raise SettingsError(f"torchrun started {size} processes; leave processes out, or say {size}, not {processes}")
    return processes if processes is not None else size or 1


def led(function: Callable[P, T]) -> Callable[P, T]:
    """Where torchrun started several processes, run ``function`` in rank 0 and give what it returns or raises to all."""

    @wraps(function)
    def shared(*args: P.args, **kwargs: P.kwargs) -> T:
        launch = launched()
        if launch is None:
            return function(*args, **kwargs)
        return _shared(launch, lambda: function(*args, **kwargs))

    return shared


def _shared(launch: Launch, work: Callable[[], T]) -> T:
    """What ``work`` in rank 0 returns, in all ranks. The n-th call in one rank belongs to the n-th in the others."""
    from torch.distributed.rendezvous import rendezvous

    store, *_ = next(iter(rendezvous("env://")))
    call = store.add(f"archwright/calls of rank {launch.rank}", 1)
    key = f"archwright/answer {call}"
    others = [f"{key} in rank {rank}" for rank in range(1, launch.size)]
    if launch.rank:
        value, error = _fetched(store, key)
        store.set(others[launch.rank - 1], "fetched")
        if error is not None:
            raise error
        found: T = value
        return found
    answer: tuple[T | None, Exception | None] = None, StudyError("the search in rank 0 did not end well")
    try:
        with _leading(launch.size):
            result = work()
        answer = result, None
        return result
    except ArchwrightError as error:
        answer = None, error
        raise
    finally:
        store.set(key, cloudpickle.dumps(answer))
        with suppress(RuntimeError):
            store.wait(others, FAREWELL)


def _fetched(store: Store, key: str) -> Any:
    """Rank 0's answer, however long it takes; torchrun ends this process when rank 0 dies."""
    from torch.distributed import DistStoreError

    while True:
        with suppress(DistStoreError):
            store.wait([key], ASK_EVERY)
            return cloudpickle.loads(store.get(key))


@contextmanager
def _leading(size: int) -> Iterator[None]:
    """Within, this process and those that it starts are as if torchrun had not started them, but for ``size``."""
    mark = os.environ.pop(MARK)
    token = _LED.set(size)
    try:
        yield
    finally:
        _LED.reset(token)
        os.environ[MARK] = mark
