"""A worker process: evaluates what it is sent until its parent is gone. Started by :mod:`archwright.study.executors`.

It is a plain subprocess with a socket to its parent, so that a search works from a script without a
``__main__`` guard, from a notebook and from the command line alike. What user code prints goes to the worker's log.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection

import cloudpickle

from archwright.study.executors import Task


def main() -> None:
    """Serve the socket whose file descriptor is the first argument."""
    connection = Connection(int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    setup = cloudpickle.loads(connection.recv_bytes())
    sys.path[:] = setup["path"]
    try:
        evaluator = cloudpickle.loads(setup["evaluator"])
        getattr(evaluator, "warm_up", _nothing)()
    except BaseException as error:
        connection.send_bytes(cloudpickle.dumps(("unusable", f"{type(error).__name__}: {error}")))
        raise
    connection.send_bytes(cloudpickle.dumps(("ready", os.getpid())))
    while True:
        try:
            task: Task = cloudpickle.loads(connection.recv_bytes())
        except EOFError:
            return

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
            connection.send_bytes(cloudpickle.dumps(("epoch", (epoch, dict(metrics)))))
            return bool(cloudpickle.loads(connection.recv_bytes()))

        connection.send_bytes(cloudpickle.dumps(("done", task.evaluate(evaluator, on_epoch))))


def _nothing() -> None:
    pass


def _end_with_parent() -> None:
    """Standard input is a pipe that the parent never writes to: it ends when the parent does."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
