"""A worker process: evaluates what it is sent until its parent is gone. Started by :mod:`archwright.study.executors`.

What user code prints goes to the worker's log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection

import cloudpickle

from archwright.study.executors import Task
from archwright.subprocesses import end_with_parent


def main() -> None:
    """Serve the socket whose file descriptor is the first argument."""
    connection = Connection(int(sys.argv[1]))
    end_with_parent()
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


if __name__ == "__main__":
    main()
