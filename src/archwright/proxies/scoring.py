"""Score one network by many proxies, sharing the passes through it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import SettingsError, unknown
from archwright.evaluate.devices import seeded
from archwright.proxies.catalogue import PROXIES, Pass
from archwright.proxies.features import feature_scores, region_scores
from archwright.proxies.gradients import gradient_scores
from archwright.proxies.passes import (
    halves_scores,
    noise_scores,
    reason_of,
    shape_scores,
    synflow_scores,
    weight_scores,
)
from archwright.proxies.stepped import step_scores


@dataclass(frozen=True)
class Scores:
    """What untrained networks were found to be worth.

    Attributes:
        values: score by proxy; NaN where it could not be computed.
        reasons: why, for those.
        seconds: by proxy; those of a whole pass for proxies that share it.
        seed: of everything random in the scoring.
        batch_size: of the examples; 0 where there were none.
        input_shape: without the batch.
    """

    values: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    batch_size: int = 0
    input_shape: tuple[int, ...] = ()


def score(
    network: nn.Module,
    batch: tuple[Tensor, Tensor | None] | None,
    names: Sequence[str],
    *,
    input_shape: tuple[int, ...] | None = None,
    seed: int = 0,
) -> Scores:
    """Score a network, whose initial weights are the caller's. The network is left exactly as it was: all work is on copies.

    Proxies that need the same pass share it: one forward pass gives ``nwot`` and ``swap``, and with two backward passes
    ``grad_norm``, ``plain``, ``snip``, ``fisher``, ``jacov`` and ``epe_nas``; one more gives ``grasp``; ``synflow`` and its
    variants share one in float64; one forward pass of noise gives ``meco`` and the components of AZ-NAS. The network is in
    training mode (batch norm sees the batch), dropout draws by the ``seed``. "Weights" are those of convolutions, linear
    layers and attention projections, without biases and norms.

    Args:
        network: maps ``batch x *input_shape`` to logits ``batch x classes``; a tuple or list counts as its first member.
        batch: inputs ``n x *input_shape`` and labels ``n`` (``None`` where no proxy needs them), on the network's device.
        names: of :data:`~archwright.proxies.PROXIES`.
        input_shape: for proxies without data; that of the batch by default.
        seed: of dropout and noise.

    Returns:
        A value per name. What cannot be computed is NaN, with a reason.

    Raises:
        SettingsError: an unknown proxy; data or labels missing that a proxy needs; inputs and labels that do not go together.
    """
    for name in names:
        if name not in PROXIES:
            raise SettingsError(unknown("proxy", name, PROXIES))
    shape = _checked(batch, names, input_shape)
    device = next((t.device for t in [*network.parameters(), *network.buffers()]), torch.device("cpu"))
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for shared in dict.fromkeys(PROXIES[name].shared for name in names):
        wanted = [n for n in dict.fromkeys(names) if PROXIES[n].shared == shared]
        started = time.perf_counter()
        try:
            with seeded(seed, device):
                own = copy.deepcopy(network).to(device).train()
                found: Mapping[str, float | str] = _PASSES[shared](own, batch, shape, wanted)
        except Exception as error:
            found = dict.fromkeys(wanted, reason_of(error))
        spent = time.perf_counter() - started
        for name in wanted:
            value = found[name]
            if isinstance(value, str) or not math.isfinite(value):
                reasons[name] = value if isinstance(value, str) else f"the score is {value}"
                value = math.nan
            values[name], seconds[name] = float(value), spent
    size = 0 if batch is None else len(batch[0])
    return Scores({n: values[n] for n in names}, reasons, seconds, seed, size, shape)


_PASSES: Mapping[Pass, Callable[[nn.Module, Any, tuple[int, ...], list[str]], Mapping[str, float | str]]] = {
    "weights": weight_scores,
    "shape": shape_scores,
    "gradients": gradient_scores,
    "halves": halves_scores,
    "synflow": synflow_scores,
    "noise": noise_scores,
    "features": feature_scores,
    "regions": region_scores,
    "step": step_scores,
}


def _checked(
    batch: tuple[Tensor, Tensor | None] | None, names: Sequence[str], input_shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    needing = {level: [n for n in names if PROXIES[n].needs == level] for level in ("data", "labels")}
    if batch is None:
        if needing["data"] or needing["labels"]:
            raise SettingsError(f"{(needing['data'] + needing['labels'])[0]} needs a batch of examples")
        if input_shape is None:
            raise SettingsError("without a batch of examples, input_shape must say what the network takes")
        return tuple(input_shape)
    inputs, labels = batch
    if labels is None and needing["labels"]:
        raise SettingsError(f"{needing['labels'][0]} needs labels")
    if labels is not None and (labels.ndim != 1 or len(labels) != len(inputs)):
        raise SettingsError(f"{len(inputs)} inputs need as many labels, in one dimension, not {tuple(labels.shape)}")
    return tuple(inputs.shape[1:])
