"""Weight inheritance: what keeps the function, what is copied, what is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from archwright.data import load_data
from archwright.evaluate import NetworkEvaluator, Training
from archwright.evaluate.checkpoint import network_tensors
from archwright.evaluate.inheritance import inherit, make_identity, read_weights
from archwright.families import get_family
from archwright.families.base import Morph
from archwright.space import Architecture
from archwright.study.executors import Lineage, Parent

SHAPES = {"mlp": (1, 6, 6), "cnn": (1, 8, 8)}


def trained(family, architecture, seed=0):
    """A network with weights and batch statistics that are not the initial ones."""
    torch.manual_seed(seed)
    network = family.build(architecture, SHAPES[family.name], 5)
    with torch.no_grad():
        for name, tensor in network_tensors(network).items():
            if tensor.is_floating_point():
                noise = torch.rand_like(tensor) if "running_var" in name else 0.1 * torch.randn_like(tensor)
                tensor.add_(noise)
    return network.eval()


def descend(name, parent, **changes):
    family = get_family(name)
    old, new = Architecture(parent), Architecture({**parent, **changes})
    assert family.space.problems(old) == family.space.problems(new) == []
    network = trained(family, old)
    torch.manual_seed(9)
    child = family.build(new, SHAPES[name], 5).eval()
    inherited = inherit(child, network_tensors(network), family.morph(new, old, SHAPES[name]), seed=1)
    images = torch.randn(7, *SHAPES[name])
    with torch.no_grad():
        return network(images), child(images), inherited, child


MLP = {"depth": 2, "width1": 16, "width2": 32, "activation": "relu", "norm": False, "dropout": 0.0}
CNN = {"stages": 2, "depth": 1, "width": 8, "block": "residual", "kernel": 3, "se": False, "activation": "relu"}
MBCONV = {**CNN, "block": "mbconv", "expansion": 2}


@pytest.mark.parametrize(
    ("name", "parent", "changes"),
    [
        ("mlp", MLP, {"width1": 64}),
        ("mlp", MLP, {"width2": 256}),
        ("mlp", {**MLP, "activation": "gelu", "norm": True}, {"width1": 32}),
        ("mlp", MLP, {"dropout": 0.1}),
        ("mlp", MLP, {"depth": 3, "width3": 32}),
        ("cnn", CNN, {"width": 16}),
        ("cnn", {**CNN, "activation": "silu", "se": True}, {"width": 32}),
        ("cnn", {**CNN, "block": "conv"} | {"se": None}, {"width": 64}),
        ("cnn", MBCONV, {"width": 16}),
        ("cnn", MBCONV, {"expansion": 4}),
        ("cnn", CNN, {"kernel": 5}),
        ("cnn", MBCONV, {"kernel": 5}),
        ("cnn", CNN, {"depth": 2}),
        ("cnn", {**MBCONV, "activation": "silu", "se": True}, {"depth": 3}),
        ("cnn", {**CNN, "block": "conv"} | {"se": None}, {"depth": 2}),
    ],
)
def test_widening_deepening_and_larger_kernels_keep_the_function(name, parent, changes):
    parent = {k: v for k, v in parent.items() if v is not None}
    before, after, _, _ = descend(name, parent, **changes)
    assert before.std() > 0.01
    assert torch.allclose(before, after, atol=1e-5 * float(before.abs().max()) + 1e-5)


def test_copies_of_a_unit_can_part():
    *_, child = descend("mlp", MLP, width1=32)
    reading = child[3].weight
    assert not torch.allclose(reading[:, :16], reading[:, 16:], rtol=1e-3)


@pytest.mark.parametrize("changes", [{"width2": 16}, {"depth": 1}, {"activation": "silu"}, {"norm": True}])
def test_what_cannot_be_kept_is_copied_as_far_as_it_fits(changes):
    parent = {**MLP}
    if changes.get("depth") == 1:
        family = get_family("mlp")
        old, new = Architecture(parent), Architecture({k: v for k, v in parent.items() if k != "width2"} | changes)
        child = family.build(new, SHAPES["mlp"], 5)
        inherited = inherit(child, network_tensors(trained(family, old)), family.morph(new, old, SHAPES["mlp"]))
    else:
        _, _, inherited, child = descend("mlp", parent, **changes)
    assert 0.4 < inherited.share <= 1
    assert all(torch.isfinite(p).all() for p in child.parameters())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["mlp", "cnn", "nasbench201"]))
def test_any_pair_of_neighbours_works(seed, name):
    family = get_family(name, **({"channels": 4, "cells": 1, "stages": 2} if name == "nasbench201" else {}))
    rng = np.random.default_rng(seed)
    old = family.space.sample(rng)
    near = family.space.neighbours(old, rng)
    new = near[int(rng.integers(len(near)))]
    shape = SHAPES.get(name, (1, 8, 8))
    child = family.build(new, shape, 5)
    state = network_tensors(family.build(old, shape, 5))
    done = inherit(child, state, family.morph(new, old, shape) if family.morph else None)
    assert done.taken + done.fresh == sum(p.numel() for p in child.parameters())
    assert torch.isfinite(child.eval()(torch.randn(2, *shape))).all()


def test_nothing_of_the_name_stays_as_it_was():
    child, other = nn.Linear(3, 2), nn.Linear(3, 2)
    before = child.weight.clone()
    assert inherit(child, {f"x.{n}": t for n, t in network_tensors(other).items()}).share == 0
    assert torch.equal(child.weight, before)


def test_without_a_morph_nothing_is_repeated():
    child, parent = nn.Linear(4, 2), nn.Linear(2, 2)
    fresh = child.weight.clone()
    done = inherit(child, network_tensors(parent))
    assert torch.equal(child.weight[:, :2], parent.weight)
    assert torch.equal(child.weight[:, 2:], fresh[:, 2:])
    assert (done.taken, done.fresh) == (6, 4)


def test_names_of_modules_are_mapped():
    child = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    parent = nn.Sequential(nn.Linear(2, 2))
    assert inherit(child, network_tensors(parent), Morph({"1": "0"})).share == 1
    assert torch.equal(child[1].weight, parent[0].weight)


def test_weights_that_cannot_be_used_are_none(tmp_path):
    assert read_weights(tmp_path / "missing") is None
    (tmp_path / "broken").write_bytes(b"12345678901234567890")
    assert read_weights(tmp_path / "broken") is None
    save_file({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "nan")
    assert read_weights(tmp_path / "nan") is None
    save_file({"w": torch.ones(2), "n": torch.tensor(3)}, tmp_path / "good")
    assert set(read_weights(tmp_path / "good")) == {"w", "n"}


def test_a_block_without_a_known_identity_is_refused():
    with pytest.raises(ValueError, match="no identity is known for Dropout"):
        make_identity(nn.Dropout())


@pytest.fixture
def evaluator(tmp_path):
    data = load_data("digits", limit=200)
    training = Training(epochs=4)
    return NetworkEvaluator(get_family("mlp"), data, training, weights=tmp_path / "weights", inherit_epochs=1)


def test_a_trial_leaves_its_weights_and_another_one_starts_from_them(evaluator):
    architecture = Architecture({**MLP, "width1": 64})
    first = evaluator(architecture, seed=1, lineage=Lineage(0))
    assert "inherited" not in first.metrics
    child = Lineage(1, Parent(0, architecture))
    second = evaluator(Architecture({**architecture, "width2": 64}), seed=2, lineage=child)
    assert second.metrics["inherited"] == 1
    assert (second.cost, second.fidelity, len(second.curve)) == (0.25, 1.0, 1)
    alone = evaluator(Architecture({**architecture, "width2": 64}), seed=2, fidelity=0.25)
    assert second.metrics["loss"] < alone.metrics["loss"]
    assert {f.name for f in evaluator.weights.iterdir()} == {"0.safetensors", "1.safetensors"}


def test_a_parent_without_usable_weights_is_none(evaluator):
    architecture = Architecture(MLP)
    evaluator.weights.mkdir()
    (evaluator.weights / "0.safetensors").write_bytes(b"broken")
    for number in (0, 7):
        done = evaluator(architecture, seed=1, lineage=Lineage(1, Parent(number, architecture)))
        assert done.status == "ok"
        assert "inherited" not in done.metrics
        assert done.cost == 1.0
