"""Scoring a network on a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archwright.data import Data, DeviceSplit, Split
from archwright.evaluate.devices import resolve_device
from archwright.evaluate.metrics import Floats, Ints, score
from archwright.evaluate.precision import Precision
from archwright.evaluate.team import Team


@dataclass(frozen=True)
class Scored:
    """What a network says of a split: metrics, and the ``logits`` (``n x classes``) and ``targets`` (``n``)."""

    metrics: dict[str, float]
    logits: Floats
    targets: Ints


def evaluate_split(
    network: nn.Module,
    data: Data,
    split: Split | DeviceSplit,
    *,
    device: str | torch.device = "cpu",
    batch_size: int = 256,
    precision: Precision | None = None,
    team: Team | None = None,
) -> Scored:
    """Score a network, in evaluation mode, on a split; it is left in the mode it was in.

    With a ``team`` all its ranks call this with equal networks; each predicts its part, and all get the whole.
    """
    where = resolve_device(device)
    whole = split if isinstance(split, DeviceSplit) else DeviceSplit(split, data, where)
    rows = None if team is None else team.rows(len(whole))
    examples = whole if rows is None else whole.part(rows)
    precision = precision or Precision("fp32", where)
    modes = [(module, module.training) for module in network.modules()]
    network.to(where).eval()
    try:
        with torch.no_grad():
            parts = [precision.run(network, inputs) for inputs, _ in examples.batches(batch_size)]
    finally:
        for module, mode in modes:
            module.training = mode
    logits = torch.cat([_logits(part).float() for part in parts]).cpu().numpy()
    if team is not None and rows is not None:
        logits = team.gather(logits)
    targets = whole.targets.cpu().numpy()
    return Scored(score(logits, targets), logits, targets)


def _logits(output: Any) -> Tensor:
    logits: Tensor = output[0] if isinstance(output, (tuple, list)) else output
    return logits
