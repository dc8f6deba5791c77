"""The passes through a network that proxies share. Each works on a copy that it may change as it likes.

All take ``(network, batch, input_shape, names)`` and give, for each name, a score or the reason why there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from archwright.errors import ArchwrightError

Found = Mapping[str, float | str]
Batch = tuple[Tensor, Tensor | None]
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
"""Layers whose weights count; of ``nn.MultiheadAttention`` the input projections count too."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
SMALL = 1e-5
SYNFLOWS = ("synflow", "synflow_raw", "synflow_normalised", "logsynflow")

GATED: frozenset[Callable[..., Any]] = frozenset(
    {
        functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.selu, functional.celu,
        functional.gelu, functional.silu, functional.mish, functional.hardswish,
        functional.hardtanh, functional.prelu, functional.rrelu,
        torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, torch.selu, torch.celu, torch.prelu,
    }
)  # fmt: skip
"""Activations that pass positive inputs and hold back negative ones: where the sign of the input is a pattern."""


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


class Watch(TorchFunctionMode):
    """Notes what goes into and out of activations, and what the last global pooling reads."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.patterns: list[Tensor] = []
        self.activated: list[Tensor] = []
        self.pooled: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = args[0] if args else None
        watched = False
        if isinstance(inputs, Tensor) and func in GATED and inputs.ndim > 1 and len(inputs) == self.samples:
            watched = True
            self.patterns.append((inputs.detach() > 0).reshape(self.samples, -1))
        if isinstance(inputs, Tensor) and inputs.ndim > 2 and _pools(func, inputs, args, kwargs or {}):
            self.pooled = inputs
        output = func(*args, **(kwargs or {}))
        if watched:
            self.activated.append(output)
        return output


def _pools(func: Any, inputs: Tensor, args: Any, kwargs: Mapping[str, Any]) -> bool:
    if func in (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d):
        return True
    if func not in (torch.mean, torch.Tensor.mean):
        return False
    dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
    wanted = {d % inputs.ndim for d in ([dims] if isinstance(dims, int) else dims or [])}
    return wanted == set(range(2, inputs.ndim))


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
        found |= attempted(["swap"], lambda: {"swap": _swap(watch.patterns)})
    for name in sorted(wanted & {"nwot", "nwot_live"}):
        found |= attempted({name}, lambda n=name: {n: _nwot(watch, output if n == "nwot_live" else None)})  # type: ignore[misc]
    if these := wanted & {"jacov", "epe_nas"}:
        found |= attempted(these, lambda: _input_scores(x, output, labels, these))
    if these := wanted & {"ntk_cond"}:
        found |= attempted(these, lambda: {"ntk_cond": _ntk_condition(output, weights_of(network))})
    if these := wanted & {"grad_norm", "plain", "snip", "grasp", "fisher"}:
        found |= attempted(these, lambda: _loss_scores(network, output, labels, layers, these))
    return found


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


def _nwot(watch: Watch, output: Tensor | None) -> float | str:
    """log |det K|, K the number of activations on which two examples agree; with ``output``, of those that reach it."""
    patterns = watch.patterns
    if output is not None:
        able = [i for i, a in enumerate(watch.activated) if a.requires_grad]
        reach = torch.autograd.grad(
            output.sum(), [watch.activated[i] for i in able], retain_graph=True, allow_unused=True
        )
        patterns = [patterns[i] for i, g in zip(able, reach) if g is not None and bool(g.any())]
    if not patterns:
        return "no activation like ReLU was met"
    value = float(torch.linalg.slogdet(pattern_kernel(patterns, watch.samples).cpu())[1])
    return value if math.isfinite(value) else "two examples have the same activation pattern"


def pattern_kernel(patterns: Sequence[Tensor], samples: int) -> Tensor:
    """``samples x samples``: on how many activations two examples agree."""
    kernel = torch.zeros(samples, samples, dtype=torch.float64, device=patterns[0].device)
    for pattern in patterns:
        on = pattern.float()
        both, units = on @ on.T, on.sum(dim=1)
        kernel += (pattern.shape[1] - units[:, None] - units[None, :] + 2 * both).double()
    return kernel


def _swap(patterns: Sequence[Tensor]) -> float | str:
    """How many different patterns over the batch the activations have (Peng et al. 2024)."""
    if not patterns:
        return "no activation like ReLU was met"
    return float(len(torch.unique(torch.cat([_over_the_batch(p) for p in patterns]))))


def _over_the_batch(pattern: Tensor) -> Tensor:
    """``samples x units`` bits to a number per unit, equal for equal patterns; above 62 examples, by a hash of 64 bits."""
    words = torch.zeros(pattern.shape[1], dtype=torch.int64, device=pattern.device)
    for start in range(0, len(pattern), 62):
        part = pattern[start : start + 62].long()
        bits = (part << torch.arange(len(part), device=part.device)[:, None]).sum(dim=0)
        words = words * 6364136223846793005 + bits
    return words


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
