"""Proxies of one network: known magnitudes, invariants, networks of many kinds, and nothing left changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.errors import SettingsError
from archwright.families import get_family
from archwright.families.nasbench201 import CELL, OPERATIONS
from archwright.proxies import PROXIES, score
from archwright.space import Architecture

NASLIB = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "0-3", "1-2", "1-3", "2-3")


def cell(*codes):
    """A NAS-Bench-201 cell from the operation numbers of NASLib."""
    values = {edge: NASLIB[code] for edge, code in zip(EDGES, codes)}
    assert set(NASLIB) == set(OPERATIONS)
    return Architecture({name: values[name] for name in get_family("nasbench201").space.names})


class Block(nn.Module):
    """A vision transformer's block, with functional activations."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.down(functional.gelu(self.up(self.second(x))))


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.blocks = nn.Sequential(Block(16), Block(16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def networks():
    torch.manual_seed(0)
    small = get_family("nasbench201", channels=4, cells=1)
    chain = get_family("macro", cells=[1, 2], width=4, head=16)
    mlp = get_family("mlp")
    return {
        "cell": small.build(cell(2, 0, 3, 2, 4, 3), (3, 8, 8), 5),
        "mbconv": chain.build(chain.space.sample(np.random.default_rng(1)), (3, 8, 8), 5),
        "vit": Vit(),
        "mlp": mlp.build(mlp.default, (3, 8, 8), 5),
    }


def batch(n=8, classes=5, size=8, seed=3):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 3, size, size, generator=generator)
    return images, torch.randint(0, classes, (n,), generator=generator)


def state(network):
    return (
        {k: v.clone() for k, v in network.state_dict().items()},
        [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()],
        [(p.requires_grad, p.grad) for p in network.parameters()],
    )


UNDEFINED = {("mlp", "meco")}
"""An MLP has no maps."""


@pytest.mark.parametrize("kind", ["cell", "mbconv", "vit", "mlp"])
@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_of_every_kind_of_network_is_a_number_or_says_why_and_changes_nothing(kind, name):
    network = networks()[kind].eval()
    before, random = state(network), torch.get_rng_state()
    found = score(network, batch(), [name])
    after = state(network)
    assert all(torch.equal(v, after[0][k]) for k, v in before[0].items())
    assert before[1:] == after[1:]
    assert torch.equal(random, torch.get_rng_state())
    value = found.values[name]
    assert math.isfinite(value) or found.reasons[name]
    assert math.isfinite(value) or (kind, name) in UNDEFINED, (kind, name, found.reasons)
    assert found.seconds[name] > 0


def test_sharing_passes_changes_no_score():
    network = networks()["cell"]
    together = score(network, batch(), list(PROXIES), seed=4)
    for name in PROXIES:
        alone = score(network, batch(), [name], seed=4).values[name]
        assert together.values[name] == pytest.approx(alone, rel=1e-5), name


def test_the_network_is_as_it_was_after_an_exception():
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            self.norm(self.layer(x))
            raise RuntimeError("lost")

    network = Broken()
    before = state(network)
    found = score(network, batch(), ["grad_norm", "nwot", "synflow", "zen", "params"])
    after = state(network)
    assert all(torch.equal(v, after[0][k]) for k, v in before[0].items())
    assert before[1:] == after[1:]
    assert found.values["params"] == 3 * 4 * 9 + 4 + 8
    for name in ("grad_norm", "nwot", "synflow", "zen"):
        assert math.isnan(found.values[name])
        assert found.reasons[name] == "RuntimeError: lost"


def test_the_kernel_of_nwot_has_the_known_diagonal_and_bound():
    """143,360 per convolution and 40,960 besides, at 32 x 32 (a sixteenth of it at 8 x 8)."""
    network = get_family("nasbench201").build(cell(2, 2, 0, 0, 3, 0), (3, 8, 8), 10)
    units = (143_360 * 3 + 40_960) / 16
    images, labels = batch(6, 10)
    value = score(network, (images, labels), ["nwot"]).values["nwot"]
    assert 6 * math.log(units / 2) < value < 6 * math.log(units)
    images[1] = images[0]
    twice = score(network, (images, labels), ["nwot"])
    assert math.isnan(twice.values["nwot"]) or twice.values["nwot"] < value - 10


def test_synflow_is_conserved_from_layer_to_layer():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5, bias=False))
    found = score(network, None, ["synflow", "synflow_raw", "logsynflow"], input_shape=(3, 8, 8))
    positive = [w.detach().double().abs() for w in network.parameters()]
    output = functional.linear(
        functional.conv2d(torch.ones(1, 3, 8, 8, dtype=torch.float64), positive[0]).flatten(1), positive[1]
    ).sum()
    assert found.values["synflow_raw"] == pytest.approx(2 * float(output), rel=1e-9)
    assert found.values["synflow"] == pytest.approx(math.log(2 * float(output)))
    assert 0 < found.values["logsynflow"] < found.values["synflow_raw"]
    other = score(network, batch(4), ["synflow"]).values["synflow"]
    assert other == found.values["synflow"]


class Stop(torch.autograd.Function):
    """Passes on, and has no gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no second derivative")


class Once(torch.autograd.Function):
    """Passes on; its gradient has none of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return Stop.apply(gradient)


def test_what_one_proxy_cannot_do_leaves_the_others_their_scores():
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(192, 20), nn.Linear(20, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(functional.relu(Once.apply(self.first(x.flatten(1)))))

    torch.manual_seed(0)
    names = ["snip", "fisher", "nwot", "jacov", "grasp"]
    found = score(Network(), batch(), names)
    assert math.isnan(found.values["grasp"])
    assert found.reasons["grasp"] == "RuntimeError: no second derivative"
    assert found.reasons.keys() == {"grasp"}
    assert all(math.isfinite(found.values[name]) for name in names[:-1])


def test_a_dead_network_has_synflow_zero_and_fails_where_it_must():
    network = get_family("nasbench201", channels=4, cells=1).build(cell(1, 1, 1, 1, 1, 1), (3, 8, 8), 5)
    found = score(network, batch(), list(PROXIES))
    assert found.values["synflow"] == found.values["logsynflow"] == 0
    for name in ("jacov", "epe_nas", "nwot", "zen"):
        assert math.isnan(found.values[name]), name
        assert found.reasons[name]


def test_convolutions_before_batch_norm_add_nothing_to_plain():
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)
    )
    found = score(network, batch(16), ["plain", "snip"]).values
    images, labels = batch(16)
    network.train()
    loss = functional.cross_entropy(network(images), labels)
    (gradient,) = torch.autograd.grad(loss, network[4].weight)
    last = float((gradient * network[4].weight).detach().sum())
    assert found["plain"] == pytest.approx(last, abs=1e-3 * abs(found["snip"]))
    assert abs(found["plain"]) <= found["snip"]


def test_gradient_scores_are_those_of_their_formulas():
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(192, 6, bias=False), nn.Tanh(), nn.Linear(6, 5, bias=False)
    ).double()
    images, labels = batch(4)
    found = score(network, (images.double(), labels), ["grad_norm", "grasp", "fisher", "l2_norm"]).values
    weights = [network[1].weight, network[3].weight]
    hidden = network[1](images.double().flatten(1))
    logits = network[3](torch.tanh(hidden))
    loss = functional.cross_entropy(logits, labels)
    gradients = torch.autograd.grad(loss, [*weights, hidden, logits], create_graph=True)
    assert found["grad_norm"] == pytest.approx(sum(float(g.detach().norm()) for g in gradients[:2]))
    fisher = [
        fan * float(((z * g) ** 2).detach().sum()) / 8 for z, g, fan in zip((hidden, logits), gradients[2:], (192, 6))
    ]
    assert found["fisher"] == pytest.approx(sum(fisher))
    product = sum((g.detach() * g).sum() for g in gradients[:2])
    second = torch.autograd.grad(product, weights)
    assert found["grasp"] == pytest.approx(-sum(float((w * h).detach().sum()) for w, h in zip(weights, second)))
    assert found["l2_norm"] == pytest.approx(sum(float(w.detach().norm()) for w in weights))


def test_jacov_of_uncorrelated_examples_is_minus_their_number():
    class Apart(nn.Module):
        """Every example reads pixels of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linalg.qr(torch.randn(64, 64))[0][:, :7])

        def forward(self, x: Tensor) -> Tensor:
            rows = self.weight - self.weight.mean(0)
            rows = torch.linalg.qr(rows)[0].T[: len(x)]
            return (x.flatten(1) * rows).sum(1, keepdim=True)

    torch.manual_seed(0)
    found = score(Apart(), (torch.randn(7, 1, 8, 8), None), ["jacov"])
    assert found.values["jacov"] == pytest.approx(-7, abs=1e-3)


def test_activations_that_reach_nothing_do_not_count_where_that_is_asked():
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.aside = nn.Linear(192, 50), nn.Linear(192, 30)
            self.head = nn.Linear(50, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            torch.relu(self.aside(x))
            return self.head(functional.relu(self.layer(x)))

    torch.manual_seed(0)
    network = Aside()
    found = score(network, batch(), ["nwot", "nwot_live"]).values
    network.aside = nn.Identity()
    assert found["nwot_live"] < found["nwot"]
    assert score(network, batch(), ["nwot_live"]).values["nwot_live"] == pytest.approx(found["nwot_live"])


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ({"labels": torch.full((8,), 5)}, "snip", "labels from 5 to 5 for 5 outputs"),
        ({"labels": torch.full((8,), -1)}, "zico", "labels from -1"),
        ({"images": torch.full((8, 3, 8, 8), math.nan)}, "nwot", "not finite"),
        ({"images": torch.randn(1, 3, 8, 8), "labels": torch.zeros(1, dtype=torch.long)}, "ntk_cond", "one example"),
        ({"images": torch.randn(2, 3, 8, 8), "labels": torch.zeros(2, dtype=torch.long)}, "zico", "four examples"),
    ],
)
def test_what_cannot_be_computed_says_why(change, name, reason):
    images, labels = batch()
    found = score(networks()["mlp"], (change.get("images", images), change.get("labels", labels)), [name])
    assert math.isnan(found.values[name])
    assert reason in found.reasons[name]


def test_a_network_without_weights_and_one_of_half_precision_are_no_crash():
    nothing = score(nn.Flatten(), batch(classes=192), [*PROXIES])
    assert nothing.values["params"] == 0
    assert all(math.isfinite(v) or nothing.reasons[n] for n, v in nothing.values.items())
    network = networks()["mlp"].half()
    half = score(network, (batch()[0].half(), batch()[1]), [*PROXIES])
    assert all(math.isfinite(v) or half.reasons[n] for n, v in half.values.items())
    assert math.isfinite(half.values["synflow"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"names": ["synflo"]}, "unknown proxy 'synflo'; did you mean synflow"),
        ({"batch": None, "names": ["snip"]}, "snip needs a batch"),
        ({"batch": None, "names": ["synflow"]}, "input_shape must say"),
        ({"batch": (torch.randn(4, 192), None), "names": ["snip"]}, "snip needs labels"),
        ({"batch": (torch.randn(4, 192), torch.zeros(3)), "names": ["snip"]}, "4 inputs need as many labels"),
    ],
)
def test_a_mistake_of_the_caller_is_raised(words, message):
    with pytest.raises(SettingsError, match=message):
        score(networks()["mlp"], **({"batch": batch()} | words))


PUBLISHED = {
    "synflow": ((35.6, 44.5, 85.3, 114.8), 0.3),
    "nwot": ((613.8, 754.7, 785.6, 829.0), 0.02),
    "l2_norm": ((27.68, 130.2, 180.5, 333.8), 0.02),
    "zen": ((52.6, 63.4, 119.5, 180.7), 0.06),
    "logsynflow": ((5.7e4, 2.1e5, 1.16e6, 3.72e6), 0.03),
}


@pytest.mark.parametrize(
    ("place", "codes"),
    [
        (0, (0, 0, 0, 0, 0, 0)),
        (1, (4, 0, 3, 1, 4, 3)),
        pytest.param(2, (2, 4, 0, 0, 3, 2), marks=pytest.mark.slow),
        pytest.param(3, (2, 2, 2, 2, 2, 2), marks=pytest.mark.slow),
    ],
)
def test_magnitudes_are_those_of_the_public_records(shared_data, place, codes):
    """NAS-Bench-Suite-Zero, single seeds, CIFAR-10, batch 64 (logsynflow: PyTorch's initialisation)."""
    file = np.load(shared_data / "cifar10-lossless-4k" / "batch-0.npz")
    images = torch.tensor(file["images"][:64]).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)))
    torch.manual_seed(0)
    network = get_family("nasbench201").build(cell(*codes), (3, 32, 32), 10)
    labels = torch.tensor(file["labels"][:64]).long()
    found = score(network, ((images - mean) / std, labels), [*PUBLISHED, "params", "jacov"]).values
    assert found["params"] == (73_306, 129_306, 587_386, 1_531_546)[place]
    for name, (values, tolerance) in PUBLISHED.items():
        absolute = name == "synflow"
        assert found[name] == pytest.approx(values[place], **{"abs" if absolute else "rel": tolerance}), name
    assert -100 < found["jacov"] < -64


def test_swap_counts_the_patterns_that_units_have_over_the_batch():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 7), nn.ReLU(), nn.Linear(7, 5))
    for size in (8, 70):
        images, labels = batch(size)
        with torch.no_grad():
            patterns = {tuple(column.tolist()) for column in (network[1](network[0](images)) > 0).T}
            assert score(network, (images, labels), ["swap"]).values["swap"] == len(patterns)
            network[1].weight[1] = network[1].weight[0]
            network[1].bias[1] = network[1].bias[0]
        assert score(network, (images, labels), ["swap"]).values["swap"] == len(patterns) - 1
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 7), nn.ReLU(), nn.Linear(7, 5))


def test_meco_is_the_smallest_eigenvalue_of_the_channels_correlations():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    seen = []
    network[0].register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    value = score(network, None, ["meco"], input_shape=(3, 8, 8)).values["meco"]
    assert 0 < value < 1
    with torch.no_grad():
        network[0].weight[1], network[0].bias[1] = 2 * network[0].weight[0], 0.0
    assert score(network, None, ["meco"], input_shape=(3, 8, 8)).values["meco"] == pytest.approx(0, abs=1e-9)


def test_az_nas_knows_the_expressive_and_the_trainable():
    """Independent features have the largest entropy, an orthogonal map the best trainability."""
    block = nn.Conv2d(8, 8, 1, bias=False)
    network = nn.Sequential(
        nn.Conv2d(8, 8, 1, bias=False), block, block, nn.Sequential(nn.Flatten(), nn.Linear(8 * 64, 5))
    )
    names = ["az_expressivity", "az_progressivity", "az_trainability"]
    with torch.no_grad():
        for layer in (network[0], block):
            layer.weight.copy_(torch.eye(8)[:, :, None, None])
    found = score(network, batch_of_noise(), names, seed=1).values
    assert found["az_expressivity"] == pytest.approx(3 * math.log(8), rel=0.01)
    assert found["az_progressivity"] == pytest.approx(0, abs=1e-6)
    best = found["az_trainability"]
    assert -0.1 < best <= 0
    with torch.no_grad():
        block.weight.mul_(0.1)
    worse = score(network, batch_of_noise(), names, seed=1).values
    assert worse["az_trainability"] < best - 5
    with torch.no_grad():
        block.weight[1:] = 0
    assert score(network, batch_of_noise(), names, seed=1).values["az_progressivity"] < -1


def batch_of_noise():
    return torch.randn(16, 8, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(16, dtype=torch.long)


def test_one_halfspace_more_is_one_region_more():
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 1), nn.ReLU(), nn.Linear(1, 2))
    assert score(network, None, ["nregions"], input_shape=(1, 3, 3)).values["nregions"] == 2
    wide = nn.Sequential(nn.Flatten(), nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 2))
    assert 2 < score(wide, None, ["nregions"], input_shape=(1, 3, 3)).values["nregions"] <= 64


def test_dario_scores_the_parameters_after_a_step():
    network = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.01, 1.0, 2.0], [0.0, 1.0, -1.0]]))
    found = score(network, None, ["l0", "l1", "l2", "param_variance", "l0_l1"], input_shape=(3,)).values
    moved = network.weight.detach().double() - 0.01  # every entry of the gradient of the sum of outputs is 1
    assert found["l0"] == float((moved != 0).sum())
    assert found["l1"] == pytest.approx(float(moved.abs().sum()))
    assert found["l2"] == pytest.approx(float(moved.norm()))
    assert found["param_variance"] == pytest.approx(float(moved.var()))
    assert found["l0_l1"] == pytest.approx(found["l0"] + 9.718490934371948 * found["l1"])


def test_synflow_is_zero_for_exactly_the_341_cells_without_a_live_path():
    family = get_family("nasbench201", channels=1, cells=1, stages=1)
    every = list(family.space.enumerate())
    dead = [a for a in every if not CELL.genotype(a).live_edges()]
    assert (len(every), len(dead)) == (15_625, 341)
    live = [every[i] for i in np.random.default_rng(0).integers(len(every), size=100)]
    for architecture in [*dead[::4], *(a for a in live if a not in dead)]:
        network = family.build(architecture, (1, 4, 4), 2)
        found = score(network, None, ["synflow", "logsynflow", "synflow_raw"], input_shape=(1, 4, 4)).values
        assert [v == 0 for v in found.values()] == [architecture in dead] * 3
        assert 0 <= found["logsynflow"] <= found["synflow_raw"]


@pytest.mark.parametrize("convolutions", [0, 2, 6])
def test_l2_norm_of_default_weights_is_known(convolutions):
    edges = [*["nor_conv_3x3"] * convolutions, *["skip_connect"] * (6 - convolutions)]
    family = get_family("nasbench201")
    torch.manual_seed(0)
    network = family.build(Architecture(dict(zip(family.space.names, edges))), (3, 32, 32), 10)
    value = score(network, None, ["l2_norm"], input_shape=(3, 32, 32)).values["l2_norm"]
    assert value == pytest.approx(50.97 * convolutions + 25.94 + math.sqrt(10 / 3), rel=0.01)
