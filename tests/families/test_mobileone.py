"""The MobileOne space: published counts, both readings of depth 0, fused networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.errors import FamilyError
from archwright.evaluate import profile_network
from archwright.families import get_family
from archwright.families.mobileone import S0, fused_parameters, stages, valid_codes, window
from archwright.layers import MobileOneConv
from archwright.testing.families import FamilyContract


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def family():
    return get_family("mobileone")


class TestAbsentStages(FamilyContract):
    shapes = ((1, 8, 8), (2, 13, 9))

    @pytest.fixture
    def family(self):
        return get_family("mobileone", zero_depth="absent")


def test_the_space_has_the_published_size(family):
    assert family.space.size == 55_870
    codes = valid_codes()
    assert len(np.unique(codes, axis=0)) == 55_870
    se, branches = codes[:, 8], codes[:, 9]
    assert (branches == 0).sum() == 27_935
    assert ((se == 0) & (branches == 0)).sum() == 15_608
    assert ((se == 1) & (branches == 0)).sum() == 12_327


def test_the_window_is_half_open_and_has_one_architecture_on_each_end(family):
    low, high = window()
    assert (low, high) == (863_754, 1_263_754)
    some = family.space.from_codes(valid_codes()[::40])
    assert all(low <= fused_parameters(stages(a)) < high for a in some)


def test_what_is_solved_is_what_the_constraints_say(family):
    rng = np.random.default_rng(0)
    assert all(a in family.space for a in family.space.sample(rng, 50))
    around = family.space.neighbours(S0)
    assert around
    listed = {row.tobytes() for row in valid_codes()}
    assert all(row.tobytes() in listed for row in family.space.codes(around))
    low_and_wide = [S0.replace(depth3=depth, width4=width) for depth in (5, 8, 10) for width in (0.25, 1.0, 2.0, 4.0)]
    for a, row in zip(low_and_wide, family.space.codes(low_and_wide)):
        assert (a in family.space) == (row.tobytes() in listed)


def test_refusals_say_which_rule_is_broken(family):
    assert "add up to between 19 and 22" in family.space.problems(S0.replace(depth1=10))[0]
    assert "below that of the stage before" in family.space.problems(S0.replace(width3=0.5))[0]
    assert "863,754 parameters or more" in family.space.problems(S0.replace(width4=4.0))[0]


def test_s0_has_the_published_parameters(family):
    network = family.build(S0, (3, 224, 224), 10)
    assert count(network) == 4_278_522
    assert count(family.deploy(network)) == 1_063_754 == fused_parameters(stages(S0))
    four = get_family("mobileone", stem_branches=4).build(S0, (3, 224, 224), 10)
    assert count(four) == 4_282_698


@pytest.mark.parametrize("zero_depth", ["block", "absent"])
def test_parameters_are_counted_without_building(zero_depth):
    family = get_family("mobileone", zero_depth=zero_depth)
    for a in family.space.sample(np.random.default_rng(1), 4):
        with torch.device("meta"):
            network = family.deploy(family.build(a, (3, 64, 64), 10))
        assert count(network) == fused_parameters(stages(a, zero_depth == "absent"))


def test_a_stage_of_depth_0_has_one_block_with_se_or_is_absent():
    for reading, blocks in (("block", 1), ("absent", 0)):
        family = get_family("mobileone", zero_depth=reading)
        codes = family.space.valid()
        row = codes[(codes[:, 1] == 0) & (codes[:, 8] == 0)][0]
        architecture = family.space.from_codes(row[None])[0]
        assert ("width2" in architecture) == bool(blocks)
        network = family.build(architecture, (3, 32, 32), 10)
        convs = [m for m in network.modules() if isinstance(m, MobileOneConv)]
        with_se = [m for m in convs if any(True for _ in m.se.parameters())]
        there = [s for s in stages(architecture, reading == "absent") if s is not None]
        assert len(convs) == 1 + 2 * sum(s.blocks for s in there)
        assert len(with_se) == 2 * blocks


def test_absent_stages_leave_no_two_writings_of_a_network():
    codes = get_family("mobileone", zero_depth="absent").space.valid()
    assert len(np.unique(codes, axis=0)) == len(codes)
    assert ((codes[:, :4] == 0) == (codes[:, 4:8] == -1)).all()


def small_sample(n):
    family = get_family("mobileone")
    codes = valid_codes()
    rng = np.random.default_rng(2)
    with_zero = codes[(codes[:, :4] == 0).any(axis=1)]
    rows = np.concatenate([rng.choice(codes, n), rng.choice(with_zero, n)])
    return family, family.space.from_codes(rows)


def check_learns_and_fuses(family, architecture, shape):
    network = family.build(architecture, shape, 5).train()
    x = torch.randn(2, *shape)
    for _ in range(2):
        network(x).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    network.eval()
    with torch.no_grad():
        expected = network(x)
        assert expected.shape == (2, 5)
        scale = max(1.0, float(expected.abs().max()))
        assert torch.allclose(family.deploy(network)(x), expected, atol=1e-5 * scale)


def test_networks_learn_and_fuse():
    family, architectures = small_sample(2)
    for architecture in architectures:
        check_learns_and_fuses(family, architecture, (1, 28, 28))


@pytest.mark.slow
def test_two_hundred_published_networks_learn_and_fuse():
    family, architectures = small_sample(100)
    for architecture in architectures:
        check_learns_and_fuses(family, architecture, (3, 64, 64))


def test_costs_are_those_of_the_fused_network(family):
    network = family.build(S0, (1, 28, 28), 10)
    used = family.deploy(network)
    found = profile_network(network, (1, 28, 28), metrics=["params", "trainable_params", "macs"], deployed=used)
    assert found["params"] == count(used) < count(network) == found["trainable_params"]
    assert found["macs"] < profile_network(network, (1, 28, 28), metrics=["macs"])["macs"] / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "tiny"}, "unknown size 'tiny'"),
        ({"zero_depth": "gone"}, "unknown zero_depth 'gone'"),
        ({"stem_branches": 0}, "stem_branches must be a whole number"),
        ({"depth": 3}, "unknown option 'depth'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("mobileone", **options)


@pytest.mark.parametrize(
    ("size", "shape", "message"),
    [
        ("paper", (3, 28, 28), "size=small"),
        ("auto", (3, 3, 9), "at least 4 x 4"),
        ("small", (64,), "mlp takes any shape"),
    ],
)
def test_images_that_are_too_small_are_refused(size, shape, message):
    with pytest.raises(FamilyError, match=message):
        get_family("mobileone", size=size).check_shape(shape)
