"""What an implementation of ICDARTS must satisfy on a CPU, where no other test has it (Herron 2023)."""

import json
import math
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from archwright.data import Data, Split
from archwright.evaluate import training as training_loop
from archwright.evaluate.settings import Training
from archwright.families import get_family
from archwright.genotypes import operation_counts, parse_cells
from archwright.layers.cells import DistillationHead
from archwright.supernet import steps
from archwright.supernet.joint import _Search
from archwright.supernet.losses import LATENCY
from archwright.supernet.methods import METHODS, RETRAINING, OneShot
from archwright.supernet.micro import (
    MicroSettings,
    final_network,
    micro_duo,
    mixed_network,
    random_cells,
    search_cells,
)
from archwright.supernet.settings import JointSettings

SMALL = MicroSettings(
    channels=4, search_cells=3, evaluation_cells=3, nodes=1, operations=("skip_connect", "sep_conv_3x3")
)
QUICK = JointSettings(epochs=1, pretrain_epochs=0, batch_size=16)
ROUTES = ("cdarts", "route_a1", "route_a2", "route_b1", "route_b2", "icdarts")


def begun(data, route="icdarts", **changes) -> _Search:
    settings = replace(QUICK, **{**METHODS[route].settings, "epochs": 1, "pretrain_epochs": 0, **changes})
    return _Search(micro_duo(SMALL, 3, 3, 0)[0], data, settings, 0, torch.device("cpu"))


def flat(parameters) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in parameters])


def test_the_evaluation_network_is_trained_as_any_network(data) -> None:
    """Its weights are those of a plain loop of cross-entropy over the same batches."""
    search, plain = begun(data, arch_lr=0.0), begun(data, arch_lr=0.0)
    search.run(None, None)
    network, choice = plain.duo.teacher.train(), plain.duo.discretise()
    optimizer = torch.optim.SGD(network.parameters(), 0.08, 0.9, weight_decay=3e-4)
    for use in (10, 1):
        for x, y in plain._batches(plain.train, 0, use):
            optimizer.zero_grad()
            functional.cross_entropy(network.head(network.features(x, choice)[0]), y).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
    torch.testing.assert_close(flat(network.parameters()), flat(search.duo.teacher.parameters()), atol=1e-6, rtol=0)


ROUTING = {
    "cdarts": ("val", {"evaluation", "distillation"}, {"search"}),
    "route_a1": ("val", {"evaluation", "distillation"}, {"search", "distillation"}),
    "route_a2": ("val", {"evaluation"}, {"search", "distillation"}),
    "route_b1": ("train", {"evaluation", "distillation"}, {"search"}),
    "route_b2": ("train", {"evaluation"}, {"search"}),
    "icdarts": ("train", {"evaluation"}, {"search", "distillation"}),
}
"""The half that w_E learns from, and the losses that reach w_E and w_S (table 3.6)."""


@pytest.mark.parametrize("route", ROUTES)
def test_gradients_reach_what_the_table_says(route, data) -> None:
    search = begun(data, route)
    batches = {name: next(search._batches(half, 0, 1)) for name, half in (("val", search.val), ("train", search.train))}
    found = set()
    for number, step in enumerate(search.updates.declared):
        trains = next((s for s in search.updates.declared[number:] if "w_E" in s.updates), None)
        evaluate = partial(search.updates.evaluation, step, batches, search.duo.discretise(), {}, trains)
        for loss, value in search.updates.terms(step, step.updates, batches, evaluate).items():
            for group in step.updates if value.requires_grad else ():
                gradients = torch.autograd.grad(
                    value, search.updates.groups[group], retain_graph=True, allow_unused=True
                )
                if any(g is not None and bool(g.any()) for g in gradients):
                    found.add((group, loss.__name__, step.split))
    half, to_e, to_s = ROUTING[route]
    expected = {("a", "search", "val"), ("a", "distillation", "val")}
    expected |= {("w_E", loss, half) for loss in to_e} | {("w_S", loss, "train") for loss in to_s}
    assert found == expected


def test_one_joint_step_of_cdarts(data) -> None:
    """w_S stays; alpha does not feel the evaluation network's cross-entropy; w_E feels lambda."""

    def after(*losses: steps.Loss, distill: float = 1.0) -> dict[str, torch.Tensor]:
        search = begun(data, "cdarts", steps=(steps.Step("val", losses, ("a", "w_E")),), arch_lr=0.01, distill=distill)
        batch = {"val": next(search._batches(search.val, 0, 2))}
        search.updates.take(search.updates.declared, batch, search.duo.discretise(), Counter())
        return {group: flat(parameters) for group, parameters in search.updates.groups.items()}

    every = (steps.search, steps.distillation, steps.evaluation)
    together, deaf, louder = after(*every), after(*every[:2]), after(*every, distill=5.0)
    assert torch.equal(together["w_S"], flat(begun(data).updates.groups["w_S"]))
    assert not torch.equal(together["a"], flat(begun(data).updates.groups["a"]))
    torch.testing.assert_close(together["a"], deaf["a"], atol=1e-6, rtol=0)
    assert not torch.equal(together["w_E"], louder["w_E"])


@pytest.fixture(scope="module")
def penalised(data):
    micro = replace(
        SMALL, nodes=2, cell="xdarts", operations=("max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "skip_connect")
    )
    settings = replace(QUICK, arch_lr=0.3, batch_size=32)

    def run(seed: int, delta: float):
        return search_cells(data, micro, replace(settings, penalty=delta), seed=seed)

    return {delta: [run(seed, delta) for seed in range(3)] for delta in (0.0, 10.0)}


def test_a_penalty_makes_the_discrete_network_no_slower(penalised) -> None:
    """Expected latency falls with every seed, and the mean summed weight of the operations that are kept does not rise."""
    for plain, fast in zip(penalised[0.0], penalised[10.0]):
        assert fast.expected_latency < plain.expected_latency
    sums = {
        delta: np.mean([
            sum(n * LATENCY[op] for op, n in operation_counts(parse_cells(found.cells), 20).items()) for found in runs
        ])
        for delta, runs in penalised.items()
    }  # fmt: skip
    assert sums[10.0] <= sums[0.0]


def test_without_penalty_a_table_changes_nothing(data, penalised) -> None:
    micro = replace(
        SMALL,
        nodes=2,
        cell="xdarts",
        operations=("max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "skip_connect"),
        latency=dict.fromkeys(LATENCY, 1.0),
    )
    found = search_cells(data, micro, replace(QUICK, arch_lr=0.3, batch_size=32), seed=0)
    assert found.alpha == penalised[0.0][0].alpha
    assert found.search.history == penalised[0.0][0].search.history


@pytest.mark.parametrize(("cells", "parameters"), [(8, 1_930_618), (20, 4_548_730)])
def test_sizes_of_search_network_and_weight_pool(cells, parameters) -> None:
    with torch.device("meta"):
        network = mixed_network(MicroSettings(), 3, 10, cells)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(("channels", "parameters"), [(128, 417_290), (256, 433_674)])
def test_sizes_of_distillation_heads(channels, parameters) -> None:
    assert sum(p.numel() for p in DistillationHead(channels, 10).parameters()) == parameters


@pytest.mark.parametrize(("cells", "c_in", "parameters"), [(14, 4, 3_300_986), (20, 1, 4_695_158)])
def test_sizes_of_the_networks_of_the_case_studies(cells, c_in, parameters) -> None:
    nodes = [[("sep_conv_3x3", 0), ("sep_conv_3x3", 1)]] * 4
    with torch.device("meta"):
        network = final_network({"normal": nodes, "reduce": nodes}, c_in, 2, depth=cells, tower=False)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_schedules_of_a_whole_search(monkeypatch) -> None:
    """25,000 + 25,000 images: 780 steps of pre-training, 30 x 390 of warm-up, 11,700 joint ones; E made 30 times."""
    rng = np.random.default_rng(0)
    train = Split(rng.integers(0, 255, (50_000, 1, 4, 4), dtype=np.uint8), np.arange(50_000) % 10)
    few = train.take(np.arange(20))
    data = Data("cifar-like", train, few, few, tuple(map(str, range(10))))
    search = _Search(
        micro_duo(replace(SMALL, nodes=1, channels=2), 1, 10, 0)[0], data, JointSettings(), 0, torch.device("cpu")
    )
    taken, made, rates = Counter(), [], []
    discretise = search.duo.discretise

    def take(declared, _batches, choice, _sums) -> None:
        phase = str(declared[0]) if len(declared) == 1 else "joint"
        taken[phase] += 1
        lr = {group: o.param_groups[0]["lr"] for (group, _), o in search.updates.optimizers.items()}
        if not rates or rates[-1] != (search.done, phase, lr):
            rates.append((search.done, phase, lr))

    monkeypatch.setattr(search.updates, "take", take)
    monkeypatch.setattr(search, "_batches", lambda *_: iter([None] * search.steps))
    monkeypatch.setattr(search, "_accuracy", lambda choice: float(made.append(choice) or 0))
    search.run(None, None)
    assert discretise() == made[0]
    assert len(made) == 30
    assert search.steps == 390
    assert taken == {str(steps.PRETRAINING): 780, str(search.updates.warm_up): 30 * 390, "joint": 11_700}
    assert {lr["a"] for *_, lr in rates} == {3e-4}
    by_epoch = {(done, phase): lr["w_E"] for done, phase, lr in rates}
    for epoch in range(2, 32):
        rate = 0.001 + 0.0395 * (1 + math.cos(math.pi * epoch / 32))
        assert by_epoch[epoch, str(search.updates.warm_up)] == by_epoch[epoch, "joint"] == pytest.approx(rate)


def test_drop_path_of_retraining_rises_from_nothing(data, monkeypatch) -> None:
    """By 0.3 / epochs an epoch: of 600, 0 in the first, 0.15 in the 301st, 0.2995 in the last; the same in all cells."""
    rates = []
    monkeypatch.setattr(training_loop, "set_drop_path", lambda _, rate, rising: rates.append((rate, rising)))
    settings = Training.from_json({**RETRAINING, "epochs": 6, "crop": 0, "cutout": 0, "auxiliary_weight": 0.0})
    training_loop.train(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3)), data, settings, seed=0)
    assert rates == [(pytest.approx(0.3 * epoch / 6), False) for epoch in range(6)]


def test_ten_thousand_random_operations_are_uniform() -> None:
    micro = OneShot("random_v1").settings()[1]
    drawn = Counter(
        op for s in range(625) for nodes in random_cells(micro, s).values() for pairs in nodes for op, _ in pairs
    )
    assert drawn.total() == 10_000
    assert all(abs(drawn[name] / 10_000 - 1 / 7) < 0.01 for name in micro.operations)
    assert set(drawn) == set(micro.operations)


@pytest.mark.parametrize("method", ["random_v1", "random_v3"])
@pytest.mark.parametrize("rule", ["darts", "idarts", "xdarts"])
def test_genotypes_from_json_are_the_same_network(method, rule) -> None:
    cells = random_cells(replace(OneShot(method).settings()[1], cell=rule, nodes=3), 1)
    again = parse_cells(json.loads(json.dumps(cells))).kinds
    first, second = (final_network(own, 1, 2, channels=2, depth=3).eval() for own in (cells, again))
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 1, 9, 9)
    assert torch.equal(first(x), second(x))


def test_sizes_of_the_spaces_of_templates() -> None:
    cells = [[["skip_connect", 0], ["skip_connect", 1]]]
    skips = get_family("hierarchical", version="skips", cells=20)
    types = get_family("hierarchical", version="types", cells=20, genotype={f"type{t}": cells for t in range(4)})
    assert skips.space.size == math.factorial(19) == 121_645_100_408_832_000
    assert types.space.size == 4**20 == 1_099_511_627_776
