"""The passes through a network that proxies share, and what they are made of. Each works on a copy that it may change.

All take ``(network, batch, input_shape, names)`` and give, for each name, a score or the reason why there is none. Those with
a room of their own: :mod:`~archwright.proxies.gradients`, :mod:`~archwright.proxies.features`, :mod:`~archwright.proxies.stepped`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.errors import ArchwrightError
from archwright.proxies.patterns import Watch

Found = Mapping[str, float | str]
Batch = tuple[Tensor, Tensor | None]
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
"""Layers whose weights count; of ``nn.MultiheadAttention`` the input projections count too."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
SYNFLOWS = ("synflow", "synflow_raw", "synflow_normalised", "logsynflow")


class ScoreError(ArchwrightError):
    """A score that cannot be computed; the message is the reason."""


def weights_of(network: nn.Module) -> list[Tensor]:
    """The weights that count, each once."""
    found: dict[int, Tensor] = {}
    for module in network.modules():
        if isinstance(module, WEIGHTED):
            found[id(module.weight)] = module.weight
        elif isinstance(module, nn.MultiheadAttention):
            for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
                weight = getattr(module, name, None)
                if weight is not None:
                    found[id(weight)] = weight
    return list(found.values())


def logits_of(output: Any) -> Tensor:
    """The first member of a tuple or list (auxiliary outputs), as ``batch x values``.

    Raises:
        ScoreError: it is no tensor.
    """
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(first, Tensor):
        raise ScoreError(f"the network puts out {type(first).__name__}, not a tensor")
    return first.reshape(len(first), -1)


def weight_scores(network: nn.Module, _batch: Any, _shape: tuple[int, ...], names: Sequence[str]) -> Found:
    """``params`` and ``l2_norm``: no pass at all."""
    params = float(sum(p.numel() for p in network.parameters() if p.requires_grad))
    found: dict[str, float | str] = {"params": params}
    if "l2_norm" in names:
        norms = [w.detach().double().norm() for w in weights_of(network)]
        found["l2_norm"] = float(torch.stack(norms).sum()) if norms else "the network has no weights that count"
    return found


def shape_scores(network: nn.Module, _batch: Any, shape: tuple[int, ...], _names: Sequence[str]) -> Found:
    """``flops``, by torch's counter."""
    from archwright.evaluate import profile_network

    return {"flops": profile_network(network, shape, metrics=["flops"])["flops"]}


def attempted(names: Collection[str], compute: Callable[[], Found]) -> Found:
    """What ``compute`` gives; where it breaks, the reason for each of ``names``, so that others of the pass keep theirs."""
    try:
        return compute()
    except Exception as error:
        return dict.fromkeys(names, reason_of(error))


def reason_of(error: Exception) -> str:
    """Why there is no score, in a line."""
    if isinstance(error, ScoreError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def halves_scores(network: nn.Module, batch: Batch, _shape: tuple[int, ...], _names: Sequence[str]) -> Found:
    """``zico``: per layer the log of the sum over its weights of mean / deviation of |gradient|, of two half batches."""
    inputs, labels = batch
    assert labels is not None
    if len(inputs) < 4:
        return {"zico": "two halves of a batch need at least four examples"}
    weights = weights_of(network)
    if not weights:
        return {"zico": "the network has no weights that count"}
    each = []
    for half in torch.arange(len(inputs), device=inputs.device).chunk(2):
        output = logits_of(network(inputs[half]))
        if labels.min() < 0 or labels.max() >= output.shape[1]:
            return {"zico": f"labels from {int(labels.min())} to {int(labels.max())} for {output.shape[1]} outputs"}
        loss = functional.cross_entropy(output, labels[half])
        each.append(torch.autograd.grad(loss, weights, allow_unused=True))
    layers: list[float] = []
    for first, second in zip(*each):
        if first is None or second is None:
            continue
        both = torch.stack([first, second]).abs().double()
        deviation, mean = both.std(dim=0, correction=0), both.mean(dim=0)
        steady = deviation > 0
        ratio = float((mean[steady] / deviation[steady]).sum())
        layers += [math.log(ratio)] if ratio > 0 else []
    return {"zico": sum(layers) if layers else "no gradient differs between the halves"}


def synflow_scores(network: nn.Module, _batch: Any, shape: tuple[int, ...], _names: Sequence[str]) -> Found:
    """``synflow``, its raw sum, that sum per parameter, and ``logsynflow``: without batch norm, |weights|, an input of ones, in float64."""
    without_batch_norm(network)
    network.double()
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.abs_()
    weights = weights_of(network)
    if not weights:
        return dict.fromkeys(SYNFLOWS, "the network has no weights that count")
    for weight in weights:
        weight.requires_grad_(True)
    ones = torch.ones(1, *shape, dtype=torch.float64, device=weights[0].device)
    output = logits_of(network(ones)).sum()
    if not output.requires_grad:
        return dict.fromkeys(SYNFLOWS, 0.0)
    gradients = torch.autograd.grad(output, weights, allow_unused=True)
    pairs = [(w.detach(), g) for w, g in zip(weights, gradients) if g is not None]
    raw = float(sum((w * g).abs().sum() for w, g in pairs))
    if not math.isfinite(raw):
        return dict.fromkeys(SYNFLOWS, "the gradients overflow")
    log = float(sum((w * torch.log1p(g.clamp(min=0))).abs().sum() for w, g in pairs))
    count = sum(p.numel() for p in network.parameters())
    return {
        "synflow": math.log(raw) if raw > 0 else 0.0,
        "synflow_raw": raw,
        "synflow_normalised": raw / count,
        "logsynflow": log,
    }


def without_batch_norm(network: nn.Module) -> None:
    """Let identities take the place of batch norms."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, NORMS):
                setattr(module, name, nn.Identity())


@torch.no_grad()
def noise_scores(network: nn.Module, batch: Batch | None, shape: tuple[int, ...], _names: Sequence[str]) -> Found:
    """``zen``: normal weights; features of noise and of the same noise a hundredth changed."""
    for module in network.modules():
        if isinstance(module, WEIGHTED):
            module.weight.normal_()
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, (*NORMS, nn.GroupNorm, nn.LayerNorm)):
            if isinstance(module, NORMS):
                module.reset_running_stats()
            if module.weight is not None:
                module.weight.fill_(1.0)
            if module.bias is not None:
                module.bias.zero_()
    size = 64 if batch is None else len(batch[0])
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    x = torch.randn(size, *shape, device=device)
    features = [_features(network, v) for v in (x, x + 0.01 * torch.randn_like(x))]
    change = float((features[0] - features[1]).abs().double().reshape(size, -1).sum(dim=1).mean())
    if change == 0:
        return {"zen": "noise does not change the features"}
    total = math.log(change)
    for module in network.modules():
        if isinstance(module, NORMS) and module.running_var is not None:
            total += 0.5 * math.log(float(module.running_var.double().mean()))
    return {"zen": total}


def _features(network: nn.Module, x: Tensor) -> Tensor:
    """What the last global pooling reads, else what the last linear layer reads."""
    read: list[Tensor] = []
    hooks = [
        m.register_forward_pre_hook(lambda _, args: read.append(args[0]))
        for m in network.modules()
        if isinstance(m, nn.Linear)
    ]
    try:
        with Watch(len(x)) as watch:
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    pooled: Tensor | None = watch.pooled
    if pooled is not None:
        return pooled
    if not read:
        raise ScoreError("neither a global pooling nor a linear layer was met, whose input would be the features")
    return read[-1]
