"""Speed of the deep ensemble: all members as one network with stacked weights against a loop over six modules.

python perf/surrogate.py [--steps 200] [--batch 16]

Equal steps, batches, widths and optimiser; the loop is that of the published code (one Adam per member). Scoring a whole space
is compared with all candidates at once, by the same stacked weights and module by module. Ratios of one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from archwright.surrogate import DeepEnsemble
from archwright.surrogate.deep import BRANCH, MEMBERS, TRUNK


def block(a: int, b: int) -> nn.Module:
    return nn.Sequential(nn.Linear(a, b), nn.LayerNorm(b), nn.SiLU())


class Member(nn.Module):
    def __init__(self, inputs: int, heads: int) -> None:
        super().__init__()
        widths = (inputs, *TRUNK)
        self.trunk = nn.Sequential(*(block(a, b) for a, b in zip(widths, widths[1:])))
        self.branches = nn.ModuleList(
            nn.Sequential(block(TRUNK[-1], BRANCH), nn.Linear(BRANCH, 1)) for _ in range(heads)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.trunk(x)
        return torch.cat([branch(h) for branch in self.branches], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    n = options.steps * options.batch
    for heads in (1, 3):
        x, y = torch.rand(n, 6), torch.rand(n, heads)
        ensemble = DeepEnsemble(6, heads)
        members = [Member(6, heads) for _ in range(MEMBERS)]
        optimizers = [torch.optim.Adam(m.parameters(), lr=5e-3) for m in members]
        ensemble.fit(x[: options.batch], y[: options.batch], epochs=2, batch=options.batch)
        started = time.perf_counter()
        ensemble.fit(x, y, epochs=1, batch=options.batch)
        stacked = time.perf_counter() - started
        started = time.perf_counter()
        for member, optimizer in zip(members, optimizers):
            for rows in torch.randperm(n).split(options.batch):
                optimizer.zero_grad()
                sum(functional.huber_loss(p, t) for p, t in zip(member(x[rows]).T, y[rows].T)).backward()
                optimizer.step()
        looped = time.perf_counter() - started
        print(
            f"{heads} heads: stacked {1e3 * stacked / options.steps:.2f} ms a step, loop {looped / stacked:.2f} times that"
        )
    scoring()


@torch.no_grad()
def scoring() -> None:
    space = torch.rand(15_625, 6)
    ensemble, members = DeepEnsemble(6, 1), [Member(6, 1) for _ in range(MEMBERS)]
    ways = {
        "in parts": lambda: ensemble.predict(space),
        "stacked": lambda: ensemble._forward(space.expand(MEMBERS, *space.shape), [0]),
        "by modules": lambda: torch.stack([member(space) for member in members]),
    }
    seconds = {name: min(timed(way) for _ in range(3)) for name, way in ways.items()}
    own = seconds["in parts"]
    others = ", ".join(f"{name} {s / own:.2f} times that" for name, s in seconds.items() if name != "in parts")
    print(f"15,625 candidates scored in {1e3 * own:.0f} ms, all at once {others}")


def timed(way: Callable[[], object]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
