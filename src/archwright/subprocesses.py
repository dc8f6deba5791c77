"""Processes of our own: a plain subprocess with a socket to its parent, which ends when the parent does.

They need neither a ``__main__`` guard nor a module to import the caller from, so that a script, a notebook and the
command line can start them alike.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import IO

Output = int | IO[bytes]
"""Where a process prints to: a file descriptor, ``subprocess.DEVNULL``, or an open file."""


def start(
    module: str, *, threads: int, output: Output, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Run ``python -m module FILE_DESCRIPTOR``, the descriptor being that of the other end of the socket.

    The module has to call :func:`end_with_parent`. The process is in a session of its own: Ctrl-C does not reach it.

    Args:
        module: to run.
        threads: of the process.
        output: for all it prints.
        environment: what differs from this process's environment.
    """
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=os.environ | thread_settings(threads) | dict(environment or {}),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, Connection(ours.detach())


def end_with_parent() -> None:
    """Watch standard input, a pipe that the parent never writes to: it ends when the parent does."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process at once, and wait until it has."""
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def cause_of_death(process: subprocess.Popen[bytes], grace: float) -> str:
    """How a process ended, as the end of a sentence about it; it has ``grace`` seconds to do so."""
    try:
        code = process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        return "stopped answering"
    if code == -signal.SIGKILL:
        return "was killed (signal 9: out of memory, or killed by a person)"
    if code < 0:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"exited with code {code}"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_settings(threads: int) -> dict[str, str]:
    """Environment of a process: its number of threads, that threads sleep while they wait, and a log without delay.

    Spinning threads of a process that has not all its cores to itself wait for each other a whole time slice at every
    operation; small networks then train fifty times slower.
    """
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return counts | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"), "PYTHONUNBUFFERED": "1"}
