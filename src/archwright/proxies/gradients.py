"""The pass on which most proxies live: forward on the batch, and backward from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from archwright.proxies.passes import WEIGHTED, Batch, Found, attempted, logits_of, weights_of
from archwright.proxies.patterns import Watch, nwot, swap

SMALL = 1e-5


@contextmanager
def _outputs(network: nn.Module) -> Iterator[list[tuple[nn.Module, Tensor]]]:
    """Layers with weights and what they put out, in the order of the forward pass."""
    found: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        m.register_forward_hook(lambda module, _, out: found.append((module, out)))
        for m in network.modules()
        if isinstance(m, WEIGHTED)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def gradient_scores(network: nn.Module, batch: Batch, _shape: tuple[int, ...], names: Sequence[str]) -> Found:
    """Everything that one forward pass on the batch, and backward passes from it, can tell."""
    inputs, labels = batch
    wanted = set(names)
    to_inputs = inputs.is_floating_point() and bool(wanted & {"jacov", "epe_nas"})
    x = inputs.detach().clone().requires_grad_(to_inputs)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    backward = torch.set_grad_enabled(bool(wanted - {"nwot", "swap"}))
    with (
        backward,
        sdpa_kernel(SDPBackend.MATH),
        _outputs(network) as layers,
        Watch(len(x)) as watch,
    ):  # others have no Hessian
        output = logits_of(network(x))
    found: dict[str, float | str] = {}
    if not torch.isfinite(output).all():
        return dict.fromkeys(names, "the outputs are not finite")
    if "swap" in wanted:
        found |= attempted(["swap"], lambda: {"swap": swap(watch.patterns)})
    for name in sorted(wanted & {"nwot", "nwot_live"}):
        found |= attempted({name}, lambda n=name: {n: nwot(watch, output if n == "nwot_live" else None)})  # type: ignore[misc]
    if these := wanted & {"jacov", "epe_nas"}:
        found |= attempted(these, lambda: _input_scores(x, output, labels, these))
    if these := wanted & {"ntk_cond"}:
        found |= attempted(these, lambda: {"ntk_cond": _ntk_condition(output, weights_of(network))})
    if these := wanted & {"grad_norm", "plain", "snip", "grasp", "fisher"}:
        found |= attempted(these, lambda: _loss_scores(network, output, labels, layers, these))
    return found


def _loss_scores(
    network: nn.Module,
    output: Tensor,
    labels: Tensor | None,
    layers: list[tuple[nn.Module, Tensor]],
    wanted: set[str],
) -> dict[str, float | str]:
    weights = weights_of(network)
    if not weights:
        return dict.fromkeys(wanted, "the network has no weights that count")
    assert labels is not None
    if labels.min() < 0 or labels.max() >= output.shape[1]:
        return dict.fromkeys(
            wanted, f"labels from {int(labels.min())} to {int(labels.max())} for {output.shape[1]} outputs"
        )
    loss = functional.cross_entropy(output, labels)
    tensors = [out for _, out in layers] if "fisher" in wanted else []
    found = torch.autograd.grad(
        loss, [*weights, *tensors], create_graph="grasp" in wanted, retain_graph=True, allow_unused=True
    )
    gradients = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found)]
    plain = [w.detach().double() * g.detach().double() for w, g in zip(weights, gradients)]
    scores: dict[str, float | str] = {
        "grad_norm": float(sum(g.detach().double().norm() for g in gradients)),
        "plain": float(sum(p.sum() for p in plain)),
        "snip": float(sum(p.abs().sum() for p in plain)),
    }
    if "fisher" in wanted:
        scores |= attempted(["fisher"], lambda: {"fisher": _fisher(layers, found[len(weights) :])})
    if "grasp" in wanted:
        scores |= attempted(["grasp"], lambda: {"grasp": _grasp(weights, gradients)})
    return scores


def _fisher(layers: list[tuple[nn.Module, Tensor]], gradients: Sequence[Tensor | None]) -> float:
    """Per channel the mean over the batch of half the squared sum of activation times gradient, for each of its weights."""
    total = 0.0
    for (layer, out), gradient in zip(layers, gradients):
        if gradient is None:
            continue
        product = (out.detach() * gradient.detach()).double()
        channel = -1 if isinstance(layer, nn.Linear) else 1
        product = product.movedim(channel, 1)
        summed = product.reshape(*product.shape[:2], -1).sum(dim=2)
        fan_in = math.prod(layer.get_parameter("weight").shape[1:])
        total += fan_in * float((summed**2).sum()) / (2 * len(out))
    return total


def _grasp(weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> float | str:
    product = torch.stack([(g.detach() * g).sum() for g in gradients]).sum()
    if not product.requires_grad:
        return "the gradients do not depend on the weights"
    second = torch.autograd.grad(product, list(weights), retain_graph=True, allow_unused=True)
    return float(sum(-(w.detach().double() * h.double()).sum() for w, h in zip(weights, second) if h is not None))


def _input_scores(x: Tensor, output: Tensor, labels: Tensor | None, wanted: set[str]) -> dict[str, float | str]:
    names = wanted & {"jacov", "epe_nas"}
    if not x.requires_grad or not output.requires_grad:
        return dict.fromkeys(names, "the inputs have no gradients")
    (jacobian,) = torch.autograd.grad(output.sum(), x, retain_graph=True, allow_unused=True)
    rows = torch.zeros_like(x).reshape(len(x), -1) if jacobian is None else jacobian.reshape(len(x), -1)
    rows = rows.double().cpu()
    rows = rows - rows.mean(dim=1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    if bool((length == 0).any()):
        return dict.fromkeys(names, "an example's input gradients are all equal")
    correlation = (rows / length) @ (rows / length).T
    found: dict[str, float | str] = {}
    if "jacov" in wanted:
        values = torch.linalg.eigvalsh(correlation)
        found["jacov"] = float(-(torch.log(values + SMALL) + 1 / (values + SMALL)).sum())
    if "epe_nas" in wanted:
        assert labels is not None
        found["epe_nas"] = _epe(correlation, labels.cpu(), output.shape[1])
    return found


def _epe(correlation: Tensor, labels: Tensor, classes: int) -> float | str:
    logs = torch.log(correlation.abs() + SMALL)
    each = []
    for label in torch.unique(labels):
        mine = torch.nonzero(labels == label)[:, 0]
        if classes > 100 and len(mine) < 2:
            continue
        total = logs[mine][:, mine].sum()
        each.append(total / len(mine) if classes > 100 else total)
    if not each:
        return "every class of the batch has one example"
    values = torch.stack(each)
    if classes <= 100:
        return float(values.abs().sum())
    return float((values[:, None] - values[None, :]).abs().sum() / len(values))


def _ntk_condition(output: Tensor, weights: Sequence[Tensor]) -> float | str:
    """Largest over smallest eigenvalue of the kernel of the gradients of each example's summed outputs."""
    if len(output) < 2:
        return "the kernel of one example has no condition"
    if not weights or not output.requires_grad:
        return "the network has no weights that count"
    each = torch.autograd.grad(
        output.sum(dim=1), list(weights), torch.eye(len(output), device=output.device, dtype=output.dtype),
        retain_graph=True, allow_unused=True, is_grads_batched=True,
    )  # fmt: skip
    kernel = torch.zeros(len(output), len(output), dtype=torch.float64)
    for gradient in each:
        if gradient is not None:
            rows = gradient.reshape(len(output), -1)
            kernel += (rows @ rows.T).double().cpu()
    values = torch.linalg.eigvalsh(kernel)
    if float(values[-1]) <= 0 or float(values[0]) <= 1e-12 * float(values[-1]):
        return "the kernel is singular"
    return float(values[-1] / values[0])
