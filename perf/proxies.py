"""Speed of proxies against straightforward implementations of their formulas, and what sharing passes saves.

python perf/proxies.py [--rounds 3] [--batch 64] [--ntk]

One NAS-Bench-201 network (C=16, N=5, 32 x 32 pixels, all 3 x 3 convolutions), one thread unless OMP_NUM_THREADS says more.
A reference works on a copy of the network, as the library does, and makes passes of its own. ``ntk_cond`` needs a backward
pass per example, which nothing shares; it takes most of the time and is left out unless asked for.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.families import get_family
from archwright.proxies import PROXIES, score

Reference = Callable[[nn.Module, Tensor, Tensor], float]
TOLERANCE = 1e-3


def layers(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def loss_gradients(network: nn.Module, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    functional.cross_entropy(network(x), y).backward()
    return [(m.weight.detach(), m.weight.grad) for m in layers(network)]


def grad_norm(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum(float(g.norm()) for _, g in loss_gradients(network, x, y))


def snip(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum(float((w * g).abs().sum()) for w, g in loss_gradients(network, x, y))


def plain(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return sum(float((w * g).sum()) for w, g in loss_gradients(network, x, y))


def fisher(network: nn.Module, x: Tensor, y: Tensor) -> float:
    outputs = []
    for m in layers(network):
        m.register_forward_hook(lambda m, _, out: outputs.append((m, out)))
    loss = functional.cross_entropy(network(x), y)
    total = 0.0
    for (m, out), gradient in zip(outputs, torch.autograd.grad(loss, [out for _, out in outputs])):
        product = (out.detach() * gradient).flatten(2).sum(2) if out.ndim > 2 else out.detach() * gradient
        total += float((product**2).mean(0).sum()) / 2 * m.weight[0].numel()
    return total


def grasp(network: nn.Module, x: Tensor, y: Tensor) -> float:
    weights = [m.weight for m in layers(network)]
    first = torch.autograd.grad(functional.cross_entropy(network(x), y), weights)
    second = torch.autograd.grad(functional.cross_entropy(network(x), y), weights, create_graph=True)
    sum((a * b).sum() for a, b in zip(first, second)).backward()
    return sum(float(-(w.detach() * w.grad).sum()) for w in weights)


def jacobian_correlation(network: nn.Module, x: Tensor) -> np.ndarray:
    x = x.clone().requires_grad_(True)
    network(x).backward(torch.ones(len(x), 10))
    return np.corrcoef(x.grad.reshape(len(x), -1).double().numpy())


def jacov(network: nn.Module, x: Tensor, _y: Tensor) -> float:
    values = np.linalg.eigvalsh(jacobian_correlation(network, x)) + 1e-5
    return float(-np.sum(np.log(values) + 1 / values))


def epe_nas(network: nn.Module, x: Tensor, y: Tensor) -> float:
    logs = np.log(np.abs(jacobian_correlation(network, x)) + 1e-5)
    return float(sum(abs(logs[np.ix_(y.numpy() == c, y.numpy() == c)].sum()) for c in np.unique(y.numpy())))


def patterns(network: nn.Module, x: Tensor) -> np.ndarray:
    found = []
    for m in network.modules():
        if isinstance(m, nn.ReLU):
            m.register_forward_hook(lambda _m, inputs, _o: found.append((inputs[0] > 0).flatten(1).numpy()))
    network(x)
    return np.concatenate(found, axis=1)


def nwot(network: nn.Module, x: Tensor, _y: Tensor) -> float:
    on = patterns(network, x).astype(np.float32)
    return float(np.linalg.slogdet((on @ on.T + (1 - on) @ (1 - on).T).astype(np.float64))[1])


def swap(network: nn.Module, x: Tensor, _y: Tensor) -> float:
    return float(len(np.unique(np.packbits(patterns(network, x).T, axis=1), axis=0)))


def zico(network: nn.Module, x: Tensor, y: Tensor) -> float:
    each = []
    for half in np.array_split(np.arange(len(x)), 2):
        network.zero_grad()
        functional.cross_entropy(network(x[half]), y[half]).backward()
        each.append([m.weight.grad.abs().double().clone() for m in layers(network)])
    total = 0.0
    for a, b in zip(*each):
        deviation, mean = torch.stack([a, b]).std(0, correction=0), torch.stack([a, b]).mean(0)
        total += math.log(float((mean[deviation > 0] / deviation[deviation > 0]).sum()))
    return total


def ntk_cond(network: nn.Module, x: Tensor, _y: Tensor) -> float:
    output = network(x)
    rows = []
    for i in range(len(x)):
        network.zero_grad()
        output[i].sum().backward(retain_graph=True)
        rows.append(torch.cat([m.weight.grad.flatten() for m in layers(network)]))
    values = torch.linalg.eigvalsh((torch.stack(rows) @ torch.stack(rows).T).double())
    return float(values[-1] / values[0])


def linear_flow(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    for m in network.modules():
        for name, child in m.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(m, name, nn.Identity())
    network.double()
    for p in network.parameters():
        p.data.abs_()
    network(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum().backward()
    return [(m.weight.detach(), m.weight.grad) for m in layers(network)]


def synflow(network: nn.Module, _x: Tensor, _y: Tensor) -> float:
    return math.log(sum(float((w * g).abs().sum()) for w, g in linear_flow(network)))


def logsynflow(network: nn.Module, _x: Tensor, _y: Tensor) -> float:
    return sum(float((w * torch.log(g + 1)).abs().sum()) for w, g in linear_flow(network))


REFERENCES: dict[str, Reference] = {
    "nwot": nwot, "swap": swap, "grad_norm": grad_norm, "plain": plain, "snip": snip, "fisher": fisher, "grasp": grasp,
    "jacov": jacov, "epe_nas": epe_nas, "zico": zico, "synflow": synflow, "logsynflow": logsynflow, "ntk_cond": ntk_cond,
}  # fmt: skip


def timed(work: Callable[[], float], rounds: int) -> tuple[float, float]:
    """What it gives, and the best time of several."""
    best, value = math.inf, math.nan
    for _ in range(rounds):
        started = time.perf_counter()
        value = work()
        best = min(best, time.perf_counter() - started)
    return value, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--ntk", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    family = get_family("nasbench201")
    network = family.build(family.default, (3, 32, 32), 10)
    x, y = torch.randn(options.batch, 3, 32, 32), torch.randint(0, 10, (options.batch,))
    names = [n for n in REFERENCES if options.ntk or n != "ntk_cond"]
    alone, plain_total = {}, 0.0
    print(f"{'proxy':<12} {'scores/s':>9} {'reference/s':>12} {'times':>6}  difference")
    for name in names:
        value, alone[name] = timed(lambda n=name: score(network, (x, y), [n]).values[n], options.rounds)
        expected, spent = timed(lambda n=name: REFERENCES[n](copy.deepcopy(network).train(), x, y), options.rounds)
        plain_total += spent
        difference = abs(value - expected) / max(abs(expected), 1e-12)
        note = "" if difference < TOLERANCE else "  ABOVE THE TOLERANCE"
        print(f"{name:<12} {1 / alone[name]:9.2f} {1 / spent:12.2f} {spent / alone[name]:6.2f}  {difference:.1e}{note}")
    _, shared = timed(lambda: float(len(score(network, (x, y), names).values)), options.rounds)
    print(f"all of them: references {plain_total / shared:.2f} times the shared passes")
    data = [n for n in names if PROXIES[n].needs != "nothing"]
    _, together = timed(lambda: float(len(score(network, (x, y), data).values)), options.rounds)
    print(f"those that need data: shared passes take {together / sum(alone[n] for n in data):.2f} of one by one")


if __name__ == "__main__":
    main()
