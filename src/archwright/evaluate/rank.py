"""A process that shares trainings with others until its parent is gone. Started by :mod:`archwright.evaluate.ranks`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
import torch

from archwright.data import Data
from archwright.evaluate.attempt import explain
from archwright.evaluate.checkpoint import network_tensors
from archwright.evaluate.settings import Training
from archwright.evaluate.team import meeting
from archwright.evaluate.training import train
from archwright.subprocesses import end_with_parent


def main() -> None:
    """Serve the socket whose file descriptor is the first argument."""
    connection = Connection(int(sys.argv[1]))
    end_with_parent()
    setup = cloudpickle.loads(connection.recv_bytes())
    sys.path[:] = setup["path"]
    rank, size, where = setup["place"]
    device = torch.device(where)
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        data = cloudpickle.loads(setup["data"])
    except BaseException as error:
        _tell(connection, "unusable", f"{type(error).__name__}: {error}")
        raise
    _tell(connection, "ready", None)
    while True:
        try:
            job = cloudpickle.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            _tell(connection, "done", _take_part(connection, data, rank, size, device, **job))
        except (Exception, SystemExit) as error:
            spent = f"batch size {job['training'].batch_size} on {device}"
            _tell(connection, "failed", explain("training", error, setup["source"], spent))


def _take_part(
    connection: Connection,
    data: Data,
    rank: int,
    size: int,
    device: torch.device,
    *,
    network: bytes,
    meeting_place: Path,
    training: Training,
    **more: Any,
) -> Any:
    """Train; what was found and the weights, from rank 0."""

    def on_epoch(epoch: int, point: Mapping[str, float]) -> bool:
        _tell(connection, "epoch", (epoch, dict(point)))
        return bool(cloudpickle.loads(connection.recv_bytes()))

    own = cloudpickle.loads(network)
    with meeting(rank, size, meeting_place, device) as team:
        heard = on_epoch if rank == 0 else None
        trained = train(own, data, training, device=device, on_epoch=heard, team=team, **more)
    if rank:
        return None
    return trained, {name: tensor.cpu().clone() for name, tensor in network_tensors(own).items()}


def _tell(connection: Connection, kind: str, value: Any) -> None:
    connection.send_bytes(cloudpickle.dumps((kind, value)))


if __name__ == "__main__":
    main()
