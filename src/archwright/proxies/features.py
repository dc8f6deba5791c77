"""Proxies of the features that noise leaves in a network: MeCo, the components of AZ-NAS, linear regions.

All take ``(network, batch, input_shape, names)`` and give, for each name, a score or the reason why there is none; see
:mod:`~archwright.proxies.passes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from archwright.proxies.passes import WEIGHTED, Batch, Found, ScoreError, attempted, logits_of
from archwright.proxies.patterns import Watch, pattern_kernel

REGION_INPUTS = 1000
REGION_SIDE = 3
DEFAULT_BATCH = 64


def feature_scores(network: nn.Module, batch: Batch | None, shape: tuple[int, ...], names: Sequence[str]) -> Found:
    """``meco`` and the components of AZ-NAS, of one forward pass of standard normal noise.

    ``meco`` (Jiang et al. 2023): sum over layers with weights of the smallest eigenvalue of the Pearson correlations between
    the channels of the first example's feature map; layers whose map has fewer than two channels or positions are left out.

    AZ-NAS (Lee and Ham 2024) looks at the outputs of blocks: the members of the longest :class:`torch.nn.Sequential` or
    :class:`torch.nn.ModuleList`, the last one left out where it gives the logits; the authors name blocks by hand.
    ``az_expressivity``: sum over blocks of the entropy of the spectrum of the features' covariance. ``az_progressivity``: the
    smallest increase of that entropy from block to block. ``az_trainability``: mean over blocks of ``2 - s - 1 / s``, where
    ``s`` is the largest singular value of the block's Jacobian, estimated with signs for gradients.
    """
    wanted = set(names)
    size = DEFAULT_BATCH if batch is None else max(2, len(batch[0]))
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    blocks = _blocks(network)
    maps: list[Tensor] = []
    outputs: list[Tensor] = []
    with ExitStack() as hooks:
        for module in network.modules():
            if isinstance(module, WEIGHTED):
                hooks.callback(module.register_forward_hook(lambda _m, _i, out: maps.append(out)).remove)
        for block in dict.fromkeys(blocks):
            hooks.callback(block.register_forward_hook(lambda _m, _i, out: outputs.append(out)).remove)
        logits = logits_of(network(torch.randn(size, *shape, device=device, requires_grad=True)))
    if not torch.isfinite(logits).all():
        return dict.fromkeys(names, "the outputs are not finite")
    found: dict[str, float | str] = {}
    if "meco" in wanted:
        found |= attempted(["meco"], lambda: {"meco": _meco(maps)})
    features = [f for f in outputs if isinstance(f, Tensor) and f.ndim > 1 and f.numel() != logits.numel()]
    if these := wanted & {"az_expressivity", "az_progressivity"}:
        found |= attempted(these, lambda: _entropies(features))
    if "az_trainability" in wanted:
        found |= attempted(["az_trainability"], lambda: {"az_trainability": _trainability(features)})
    return found


def _blocks(network: nn.Module) -> list[nn.Module]:
    """The members of the longest container, the first of those that are equally long."""
    containers = [m for m in network.modules() if isinstance(m, (nn.Sequential, nn.ModuleList)) and len(m) > 1]
    return list(max(containers, key=len)) if containers else [m for m in network.modules() if isinstance(m, WEIGHTED)]


def _rows(features: Tensor) -> Tensor:
    """``positions x channels``: channels are the second dimension of maps, the last one of tokens."""
    moved = features.movedim(1, -1) if features.ndim >= 4 else features
    return moved.reshape(-1, moved.shape[-1])


@torch.no_grad()
def _meco(maps: Sequence[Tensor]) -> float | str:
    total, counted = 0.0, 0
    for out in maps:
        first = out[0].detach().double()
        rows = first.reshape(len(first), -1) if out.ndim >= 4 else first.T if out.ndim == 3 else first[:0, None]
        if min(rows.shape) < 2:
            continue
        centred = rows - rows.mean(dim=1, keepdim=True)
        length = centred.norm(dim=1, keepdim=True)
        centred = torch.where(length > 0, centred / length.clamp(min=1e-300), 0.0)
        total += float(torch.linalg.eigvalsh((centred @ centred.T).cpu())[0])
        counted += 1
    return total if counted else "no layer puts out a map of two channels and positions"


@torch.no_grad()
def _entropies(features: Sequence[Tensor]) -> dict[str, float | str]:
    if len(features) < 2:
        return dict.fromkeys(("az_expressivity", "az_progressivity"), "fewer than two blocks were met")
    each = []
    for tensor in features:
        rows = _rows(tensor.detach()).double()
        centred = rows - rows.mean(dim=0)
        values = torch.linalg.eigvalsh((centred.T @ centred / len(rows)).cpu()).clamp(min=0)
        if float(values.sum()) <= 0:
            raise ScoreError("a block puts out the same everywhere")
        shares = values / values.sum()
        each.append(float(torch.special.entr(shares).sum()))
    return {
        "az_expressivity": sum(each),
        "az_progressivity": min(b - a for a, b in zip(each, each[1:])),
    }


def _trainability(features: Sequence[Tensor]) -> float | str:
    each = []
    for before, after in zip(features, features[1:]):
        if not (before.requires_grad and after.requires_grad):
            continue
        sign = torch.randint(0, 2, after.shape, device=after.device).to(after.dtype) * 2 - 1
        gradient: Tensor | None = torch.autograd.grad(after, before, sign, retain_graph=True, allow_unused=True)[0]
        if gradient is None:
            continue
        rows = _rows(_to_positions(gradient, after))
        targets = _rows(sign)
        if len(rows) != len(targets):
            continue
        jacobian = (rows.double().T @ targets.double() / len(rows)).cpu()
        largest = float(torch.linalg.matrix_norm(jacobian, 2))
        if largest > 0:
            each.append(2 - largest - 1 / largest)
    return sum(each) / len(each) if each else "no block follows on another one with as many positions"


def _to_positions(gradient: Tensor, after: Tensor) -> Tensor:
    """The gradient of a larger map at the positions of a smaller one: its pixels become channels."""
    if gradient.ndim != 4 or after.ndim != 4 or gradient.shape[2:] == after.shape[2:]:
        return gradient
    stride = gradient.shape[2] // after.shape[2]
    fits = stride > 1 and all(g == stride * a for g, a in zip(gradient.shape[2:], after.shape[2:]))
    return nn.functional.pixel_unshuffle(gradient, stride) if fits else gradient


@torch.no_grad()
def region_scores(network: nn.Module, _batch: Any, shape: tuple[int, ...], _names: Sequence[str]) -> Found:
    """``nregions`` (Chen et al. 2021, TE-NAS; Xiong et al. 2020): different activation patterns among noise inputs.

    There are 1,000 inputs of 3 x 3 pixels, so that they do not all differ; of the network's own size where it does not take
    others, and then the count tells little.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    small = (*shape[:1], *(min(side, REGION_SIDE) for side in shape[1:]))
    for size, count in ((small, REGION_INPUTS), (shape, DEFAULT_BATCH)):
        try:
            with Watch(count) as watch:
                network(torch.randn(count, *size, device=device))
        except (RuntimeError, ValueError, TypeError, AssertionError):
            if size == shape:
                raise
            continue
        if watch.patterns:
            return {"nregions": _different(watch.patterns, count)}
        return {"nregions": "no activation like ReLU was met"}
    raise ScoreError("the network takes no noise")


def _different(patterns: Sequence[Tensor], count: int) -> float:
    agreements = pattern_kernel(patterns, count)
    same = agreements >= sum(p.shape[1] for p in patterns) - 0.5
    first = torch.triu(same).float().argmax(dim=0)
    return float((first == torch.arange(count, device=first.device)).sum())
