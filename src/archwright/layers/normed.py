"""Weighted sums of normalised pointwise convolutions, without their outputs ever being stored.

Batch norm without scale and shift behind a pointwise convolution ``P`` is linear in the convolution's input ``d`` once the
statistics of its output are known, and those follow from the mean ``m`` and the covariance ``S`` of the input's channels:

    w BN(P d) = w diag(P S P^T + eps)^(-1/2) P (d - m)

so a sum of many of them is a matrix product per term into one output, and only the inputs are kept for the backward pass. The mean and
the covariance carry gradients as batch norm's statistics do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Normed(NamedTuple):
    """A pointwise convolution of maps and the norm behind it."""

    maps: Tensor
    """``batch x c_in x h x w``, less ``centre``."""
    centre: Tensor
    """A number per channel that the norm takes away anyway: about the mean, so that little of the variance cancels."""
    conv: nn.Conv2d
    norm: nn.BatchNorm2d


def foldable(norm: nn.Module) -> bool:
    """Whether the norm uses its batch's statistics and nothing else."""
    return isinstance(norm, nn.BatchNorm2d) and norm.training and not norm.affine and norm.momentum is not None


def weighted_sum(
    normed: Sequence[Normed], scales: Sequence[Tensor], plain: Sequence[Tensor], plain_scales: Sequence[Tensor]
) -> Tensor:  # fmt: skip
    """``sum_k scales_k norm_k(conv_k(maps_k + centre_k)) + sum_p plain_scales_p plain_p``, with running statistics moved.

    Args:
        normed: convolutions without bias and :func:`foldable` norms of one ``eps``, all of the same shapes.
        scales: a number for each.
        plain: further terms of the output's shape.
        plain_scales: a number for each.

    Raises:
        ValueError: a norm would see one value per channel, as from torch's batch norm.
    """
    everything = torch.stack([*scales, *plain_scales])
    if not normed:
        return cast(Tensor, _WeightedSum.apply(0.0, 0, everything, None, *plain)[0])  # type: ignore[no-untyped-call]
    maps, centres, convolutions, norms = zip(*normed)
    rows = maps[0].numel() // maps[0].shape[1]
    if rows == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {maps[0].shape}")
    matrices = torch.stack([conv.weight for conv in convolutions]).flatten(2)
    out, mean, variance = _WeightedSum.apply(  # type: ignore[no-untyped-call]
        norms[0].eps, len(maps), everything, matrices, *maps, *plain
    )
    mean = mean + (matrices.detach() @ torch.stack(centres).unsqueeze(2)).squeeze(2)
    _move_statistics(norms, mean, variance * (rows / (rows - 1)))
    return cast(Tensor, out)


def _move_statistics(norms: Sequence[nn.BatchNorm2d], mean: Tensor, variance: Tensor) -> None:
    for norm, m, v in zip(norms, mean, variance):
        if norm.track_running_stats:
            running_mean, running_var, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
            assert running_mean is not None and running_var is not None and count is not None  # noqa: PT018
            running_mean.lerp_(m, cast(float, norm.momentum))
            running_var.lerp_(v, cast(float, norm.momentum))
            count.add_(1)


def channel_means(x: Tensor) -> Tensor:
    """Of ``batch x c x h x w``, without gradient."""
    flat = _flat(x.detach())
    return flat.sum(0) / len(flat)


def _flat(x: Tensor) -> Tensor:
    """``batch x c x h x w`` as ``(batch h w) x c``; no copy where ``x`` is channels last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _maps(flat: Tensor, like: Tensor) -> Tensor:
    n, _, h, w = like.shape
    return flat.view(n, h, w, -1).permute(0, 3, 1, 2)


class _WeightedSum(torch.autograd.Function):
    """Of ``count`` normalised convolutions (scales and matrices ``k``, ``k x c_out x c_in``) and plain terms after them."""

    @staticmethod
    def forward(
        ctx: Any, eps: float, count: int, scales: Tensor, matrices: Tensor | None, *terms: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        small: list[Tensor] = []
        ctx.count = count
        mean = variance = scales.new_empty(0)
        if matrices is None:
            out = torch.zeros_like(terms[0], memory_format=torch.channels_last)
        else:
            first = terms[0]
            small, mean, variance = _folded(eps, scales[:count], matrices, [_flat(d) for d in terms[:count]])
            shape = (first.shape[0], matrices.shape[1], *first.shape[2:])
            out = torch.empty(shape, dtype=first.dtype, device=first.device, memory_format=torch.channels_last)
            _products(_flat(out), terms[:count], small[0], -(small[0] @ small[1].unsqueeze(2)).sum((0, 2)))
        for scale, term in zip(scales[count:], terms[count:]):
            out.addcmul_(term, scale)
        ctx.save_for_backward(scales, *small, *terms)
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        count = ctx.count
        scales, *rest = ctx.saved_tensors
        small, terms = (rest[:5], rest[5:]) if count else ([], rest)
        g = g.contiguous(memory_format=torch.channels_last)
        of_matrices: Tensor | None = None
        of_scales: list[Tensor] = []
        of_maps: list[Tensor] = []
        if count:
            of_matrices, found, of_maps = _folded_back(_flat(g), scales[:count], small, terms[:count])
            of_scales.append(found)
        plain = terms[count:]
        if plain and ctx.needs_input_grad[2]:
            of_scales.append(torch.stack([torch.dot(_flat(g).flatten(), _flat(t).flatten()) for t in plain]))
        elif plain:
            of_scales.append(torch.zeros_like(scales[count:]))
        of_plain = [g * s if n else None for s, n in zip(scales[count:], ctx.needs_input_grad[4 + count :])]
        return None, None, torch.cat(of_scales), of_matrices, *of_maps, *of_plain


def _products(out: Tensor, maps: Sequence[Tensor], weights: Tensor, bias: Tensor) -> None:
    """Fill ``out``, rows x c_out, with the sum of ``maps_k weights_k^T``, plus ``bias``."""
    torch.addmm(bias, _flat(maps[0]), weights[0].t(), out=out)
    for d, weight in zip(maps[1:], weights[1:]):
        out.addmm_(_flat(d), weight.t())


def _folded(
    eps: float, scales: Tensor, matrices: Tensor, maps: Sequence[Tensor]
) -> tuple[list[Tensor], Tensor, Tensor]:  # fmt: skip
    """Weights with norm and scale in them, what the backward pass needs, and mean and variance of the convolutions' outputs."""
    rows = len(maps[0])
    mean = torch.stack([d.sum(0) for d in maps]) / rows
    covariance = torch.stack([d.t() @ d for d in maps]) / rows - mean.unsqueeze(2) * mean.unsqueeze(1)
    spread = matrices @ covariance
    variance = (spread * matrices).sum(2).clamp_min(0)
    inverse = (variance + eps).rsqrt()
    weights = (scales.unsqueeze(1) * inverse).unsqueeze(2) * matrices
    return [weights, mean, spread, inverse, matrices], (matrices @ mean.unsqueeze(2)).squeeze(2), variance


def _folded_back(
    g: Tensor, scales: Tensor, small: Sequence[Tensor], maps: Sequence[Tensor]
) -> tuple[Tensor, Tensor, list[Tensor]]:  # fmt: skip
    """Gradients of matrices, scales and maps."""
    weights, mean, spread, inverse, matrices = small
    total = g.sum(0)
    products = torch.stack([g.t() @ _flat(d) for d in maps]) - total.unsqueeze(1) * mean.unsqueeze(1)
    along = (products * matrices).sum(2)
    of_variance = (-0.5 * scales.unsqueeze(1) * along * inverse**3).unsqueeze(2)
    of_matrices = (scales.unsqueeze(1) * inverse).unsqueeze(2) * products + 2 * of_variance * spread
    through = (2 / len(g)) * ((of_variance * matrices).transpose(1, 2) @ matrices)
    constant = -(total @ weights) / len(g) - (mean.unsqueeze(1) @ through).squeeze(1)
    of_maps = [
        _maps(torch.addmm(b, g, w).addmm_(_flat(d), t), d) for b, w, t, d in zip(constant, weights, through, maps)
    ]  # fmt: skip
    return of_matrices, (along * inverse).sum(1), of_maps
