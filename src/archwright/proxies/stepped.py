"""Proxies of DARIO: of the parameters after one step that makes the features smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archwright.proxies.passes import Found, ScoreError, logits_of, without_batch_norm

STEP = 1e-2
VARIANCE_FOR_L0 = 22_516_549.4
VARIANCE_FOR_L1 = 2_335_376.4125
L1_FOR_L0 = 9.718490934371948


def step_scores(network: nn.Module, _batch: Any, shape: tuple[int, ...], _names: Sequence[str]) -> Found:
    """``l0``, ``l1``, ``l2``, ``param_variance`` and their sums (Heuillet 2023, table 6.1), of ``theta - gamma dH/dtheta``.

    H is the sum of what the last linear layer reads (of the logits where there is none) for one input of ones, in eval mode,
    without batch norm, in float64; gamma is 0.01 (the thesis gives none). ``l0``, ``l1`` and ``l2`` are means over parameter
    tensors of the number of entries that are not 0, of the sum of absolute values, of the Euclidean norm; the variance is
    that of all parameters together, and the only one of which less is better. The sums have the thesis's weights, made for its
    backbones: ``l0_var = l0 - 22,516,549.4 var``, ``l1_var = l1 - 2,335,376.4125 var``, ``l0_l1 = l0 + 9.718 l1``.
    """
    without_batch_norm(network)
    network.double().eval()
    parameters = [p.requires_grad_(True) for p in network.parameters() if p.is_floating_point()]
    if not parameters:
        raise ScoreError("the network has no parameters")
    read: list[Tensor] = []
    hooks = [
        m.register_forward_pre_hook(lambda _, args: read.append(args[0]))
        for m in network.modules()
        if isinstance(m, nn.Linear)
    ]
    try:
        output = logits_of(network(torch.ones(1, *shape, dtype=torch.float64, device=parameters[0].device)))
    finally:
        for hook in hooks:
            hook.remove()
    features = read[-1] if read and read[-1].requires_grad else output
    moved = list(parameters)
    if features.requires_grad:
        gradients = torch.autograd.grad(features.sum(), parameters, allow_unused=True)
        moved = [p if g is None else p - STEP * g for p, g in zip(parameters, gradients)]
    with torch.no_grad():
        return _scores([p.detach() for p in moved])


def _scores(parameters: Sequence[Tensor]) -> dict[str, float | str]:
    l0 = float(torch.stack([(p != 0).sum() for p in parameters]).double().mean())
    l1 = float(torch.stack([p.abs().sum() for p in parameters]).mean())
    l2 = float(torch.stack([p.norm() for p in parameters]).mean())
    everything = torch.cat([p.flatten() for p in parameters])
    variance = float(everything.var()) if len(everything) > 1 else 0.0
    return {
        "l0": l0,
        "l1": l1,
        "l2": l2,
        "param_variance": variance,
        "l0_var": l0 - VARIANCE_FOR_L0 * variance,
        "l1_var": l1 - VARIANCE_FOR_L1 * variance,
        "l0_l1": l0 + L1_FOR_L0 * l1,
    }
