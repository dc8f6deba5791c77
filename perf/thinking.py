"""What searchers that fit a model spend on thinking: their models against the same ones of scikit-learn or by autograd, and whole runs.

python perf/thinking.py [--examples 90] [--candidates 300] [--repeats 5] [--evaluations 100]

Medians of processor time of fitting and predicting, in turn with the peer; then seconds of one run of each searcher on the
NAS-Bench-201 cells with a made-up objective.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel

from archwright.arena.ensemble_arena import OWN, SLOW
from archwright.evaluation import Evaluation
from archwright.families import get_family
from archwright.searchers import make_searcher
from archwright.space import Architecture
from archwright.surrogate import make_surrogate
from archwright.surrogate.perceptrons import BATCH, LR, stacked_layers
from archwright.testing.searchers import GOAL

SPACE = get_family("nasbench201").space
LENGTH, SCALE, NOISE = (0.1, 100.0), ConstantKernel(1.0, (1e-2, 1e2)), WhiteKernel(0.1, (1e-4, 1.0))
KERNELS = {
    "gp-matern": Matern(2.0, LENGTH, nu=2.5) + NOISE,
    "gp-hamming": SCALE * RBF(2.0, LENGTH) + NOISE,
    "gp-path": SCALE * RBF(2.0, LENGTH) + NOISE,
    "gp-wl": SCALE * DotProduct(0.0, "fixed") + NOISE,
}
Matrix = np.ndarray
Peer = Callable[[Matrix, Matrix, Matrix], Matrix]


def score(architecture: Architecture) -> float:
    """Convolutions of the cell, more on some edges, and a pair that is worth more together."""
    parts = [(k + 1) * ("conv" in str(value)) for k, value in enumerate(architecture.values())]
    return sum(parts) + 5.0 * (architecture["0-3"] == "skip_connect" and architecture["2-3"] == "nor_conv_3x3")


def process(name: str) -> Peer:
    def answer(rows: Matrix, targets: Matrix, others: Matrix) -> Matrix:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return GaussianProcessRegressor(KERNELS[name]).fit(rows, targets).predict(others, return_std=True)[0]

    return answer


def forest(rows: Matrix, targets: Matrix, others: Matrix) -> Matrix:
    trees = RandomForestRegressor(100, max_features=0.5, random_state=0).fit(rows, targets).estimators_
    return np.stack([tree.predict(others) for tree in trees]).mean(axis=0)


def perceptrons(rows: Matrix, targets: Matrix, others: Matrix) -> Matrix:
    """Five members, stacked, with their gradients by autograd."""
    generator = torch.Generator().manual_seed(0)
    layers = stacked_layers([rows.shape[1], *[20] * 10, 1], 5, generator)

    def forward(x: torch.Tensor) -> torch.Tensor:
        for weight, bias in layers[:-1]:
            x = torch.baddbmm(bias, x, weight).relu()
        return torch.baddbmm(layers[-1][1], x, layers[-1][0]).squeeze(-1)

    x, y = torch.from_numpy(rows).float(), torch.from_numpy(targets).float()
    optimizer = torch.optim.Adam([tensor for layer in layers for tensor in layer], lr=LR)
    for _ in range(150):
        order = torch.stack([torch.randperm(len(x), generator=generator) for _ in range(5)])
        for part in torch.split(order, BATCH, dim=1):
            loss = (forward(x[part]) - y[part]).abs().mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return forward(torch.from_numpy(others).float().expand(5, -1, -1)).mean(dim=0).numpy()


PEERS: Mapping[str, Peer] = {**{name: process(name) for name in KERNELS}, "forest": forest, "bananas": perceptrons}


def spent(job: Callable[[], object]) -> float:
    started = time.process_time()
    job()
    return time.process_time() - started


def compare(name: str, known: Sequence[Architecture], others: Sequence[Architecture], repeats: int) -> None:
    """Both see the same encodings, which are made before the clock starts."""
    model = make_surrogate(name, SPACE)
    targets = np.array([score(a) for a in known])
    targets = (targets - targets.mean()) / targets.std()
    model.fit(known, targets)
    rows, asked = model._describe(known, new=True), model._describe(others)
    found: list[Matrix] = []

    def ours() -> None:
        model._fit(rows, targets)
        found[:1] = [model._predict(asked)[0]]

    times = [(spent(ours), spent(lambda: found.append(PEERS[name](rows, targets, asked)))) for _ in range(repeats)]
    mine, theirs = map(statistics.median, zip(*times))
    apart = float(np.abs(found[0] - found[-1]).max())
    print(f"{name:<11} {1e3 * mine:8.1f} ms, peer {theirs / mine:5.2f} times that; means differ by {apart:.1g} at most")


def search(name: str, evaluations: int) -> None:
    searcher = make_searcher(name, SPACE, GOAL)
    for _ in range(evaluations):
        (architecture,) = searcher.ask(1)
        searcher.tell(architecture, Evaluation({"score": score(architecture)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=90)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    known, others = SPACE.sample(rng, options.examples), SPACE.sample(rng, options.candidates)
    for name in PEERS:
        compare(name, known, others, options.repeats)
    for name in (*SLOW, OWN):
        print(
            f"{name:<12} {spent(lambda n=name: search(n, options.evaluations)):6.1f} s for {options.evaluations} evaluations"
        )


if __name__ == "__main__":
    main()
