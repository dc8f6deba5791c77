"""Inference latency over a whole split, before any training (Herron 2023, section 3.4.3)."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn

from archwright.data import Data
from archwright.data.device import DeviceSplit
from archwright.errors import SettingsError
from archwright.evaluate.cost import cpu_threads
from archwright.evaluate.devices import resolve_device, synchronize
from archwright.evaluate.twins import kept


def seconds_per_batch(
    network: nn.Module,
    data: Data,
    *,
    batch_size: int = 128,
    threads: int | None = None,
    device: str | torch.device = "cpu",
    warmup: int = 2,
) -> dict[str, float]:
    """Wall time of one prediction of a batch, averaged over the test split; evaluation mode, no gradients.

    The split is on the device and normalised before the clock starts. A last batch that is not whole is left out where
    there is a whole one. The network is left as it was, except that it stays on ``device``.

    Returns:
        ``seconds_per_batch``, ``std`` over the batches (n - 1; 0 for one), ``batches`` and ``batch_size``.

    Raises:
        SettingsError: a number below 1.
    """
    if min(batch_size, threads or 1) < 1 or warmup < 0:
        raise SettingsError(f"batch size and threads must be at least 1, not {batch_size} and {threads}")
    where = resolve_device(device)
    network.to(where)
    split = DeviceSplit(data.test, data, where)
    size = min(batch_size, len(split))
    batches = [inputs for inputs, _ in split.batches(size) if len(inputs) == size]
    with kept(network), torch.no_grad(), cpu_threads(threads):
        network.eval()
        for i in range(warmup):
            network(batches[i % len(batches)])
        times = [_timed(network, inputs, where) for inputs in batches]
    spread = float(np.std(times, ddof=1)) if len(times) > 1 else 0.0
    return {
        "seconds_per_batch": float(np.mean(times)),
        "std": spread,
        "batches": float(len(times)),
        "batch_size": float(size),
    }


def _timed(network: nn.Module, inputs: torch.Tensor, device: torch.device) -> float:
    synchronize(device)
    started = time.perf_counter()
    network(inputs)
    synchronize(device)
    return time.perf_counter() - started
