"""The space of self-attention designs, what its modules compute, and widths of equal latency."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from archwright.errors import FamilyError, SettingsError
from archwright.families import get_family
from archwright.families.attention import SNAPFORMER, SWIFTFORMER, code, design_space, encoding, width_coefficients
from archwright.families.widths import equal_latency_width, scaled
from archwright.layers import AdditiveAttention, DesignedAttention

D = 6
READINGS = ("A", "B", "C")


@pytest.fixture(scope="module")
def designs():
    return list(design_space().enumerate())


def check_design(design, reading, normalise=True):
    layer = DesignedAttention(D, design, reading, normalise)
    for n in (4, 9):
        x = torch.randn(2, n, D, requires_grad=True)
        y = layer(x)
        assert y.shape == x.shape
        y.square().sum().backward()
        assert torch.isfinite(x.grad).all()
        assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_there_are_10560_unique_encodings_with_the_named_mechanisms(designs):
    rows = {encoding(a) for a in designs}
    assert len(designs) == len(rows) == design_space().size == 10_560
    assert len({code(a) for a in designs}) == 10_560
    assert {encoding(SWIFTFORMER), encoding(SNAPFORMER)} <= rows
    for a, row in zip(designs, map(encoding, designs)):
        unused = {"b2_mat12": a["b2_dim"] != "nxd"} | dict.fromkeys(
            ("b2_op", "b2_mat3", "b2_mat4"), a["b2_dim"] == "nxd"
        )
        assert [value == 0 for value in row] == [unused.get(name, False) for name in design_space().names]


def test_a_sample_of_designs_maps_tokens_to_tokens_in_every_reading(designs):
    for i, design in enumerate(designs[:: len(designs) // 60]):
        check_design(design, READINGS[i % 3], normalise=i % 2 == 0)


@pytest.mark.slow
def test_every_design_maps_tokens_to_tokens(designs):
    for design in designs:
        check_design(design, "A")


def macs(layer, n):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, n, D))
    return counter.get_total_flops()


def test_cost_is_linear_in_the_tokens(designs):
    for design in designs[::480]:
        layer = DesignedAttention(D, design)
        assert macs(layer, 32) == 2 * macs(layer, 16) > 0


def test_swiftformers_design_is_efficient_additive_attention():
    public, ours = AdditiveAttention(D), DesignedAttention(D, SWIFTFORMER)
    names = {
        "query": "projections.m1",
        "key": "projections.m3",
        "weight": "b1_weight",
        "mix": "proj_1",
        "out": "proj_2",
    }
    ours.load_state_dict(
        {k.replace(k.split(".")[0], names[k.split(".")[0]]): v for k, v in public.state_dict().items()}
    )
    x = torch.randn(3, 7, D)
    assert torch.allclose(ours(x), public(x), atol=1e-6)


def unit(x, dim):
    return x / x.norm(dim=dim, keepdim=True)


def test_snapformers_mechanism_is_its_formula():
    layer, x = DesignedAttention(D, SNAPFORMER), torch.randn(1, 5, D)
    m1, m2, m3 = (unit(layer.projections[f"m{k}"](x)[0], 1) for k in (1, 2, 3))
    b1 = unit(m1 @ layer.b1_weight, 0) @ m2
    b2 = m1 @ unit(m3.sum(0), 0)
    assert torch.allclose(layer(x)[0], torch.outer(b2, b1) + m1, atol=1e-6)
    assert sum(p.numel() for p in layer.parameters()) == 3 * (D * D + D) + D


@pytest.mark.parametrize(("reading", "learned"), [("A", False), ("B", False), ("C", True)])
def test_readings_of_an_n_dimensional_branch(reading, learned):
    design = SNAPFORMER.replace(b2_op="silu", b2_mat3="m1", b2_mat4="m2", comb_mat="m2")
    layer, x = DesignedAttention(D, design, reading), torch.randn(1, 5, D)
    assert (layer.b2_weight is not None) == learned
    m1, m2 = (unit(layer.projections[f"m{k}"](x)[0], 1) for k in (1, 2))
    silu, scale = torch.nn.functional.silu, D**-0.5
    if reading == "A":
        b2 = m2 @ silu(m1.sum(0) * scale)
    else:
        b2 = silu((m1 @ layer.b2_weight if learned else m1.sum(1)) * scale) * m2.sum(1)
    b1 = unit(m1 @ layer.b1_weight, 0) @ m2
    assert torch.allclose(layer(x)[0], torch.outer(b2, b1) + m2, atol=1e-6)


@pytest.mark.parametrize("dim", ["n", "d"])
def test_two_vectors_of_one_kind_are_spread_before_the_projections(dim):
    design = SNAPFORMER.replace(b1_dim=dim, b2_dim=dim, comb_type="lin-id")
    layer, x = DesignedAttention(D, design), torch.randn(2, 5, D)
    m = {name: unit(linear(x), 2) for name, linear in layer.projections.items()}
    product = layer._branch("b1", m["m1"], m["m2"]) * layer._branch("b2", m["m3"], m["m1"])
    spread = product.expand(2, 5, D)
    assert torch.allclose(layer(x), layer.proj_1(spread) + m["m1"], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"b2_mat12": "m2"}, "b1_mat2 must be m2"), ({"comb_mat": "m4"}, "a projection that one of the branches uses")],
)
def test_projections_that_are_not_there_are_refused(change, message):
    assert message in design_space().problems(SWIFTFORMER.replace(**change))[0]


def test_widths_are_rounded_to_even_numbers():
    assert scaled((48, 56, 112, 220), 1.1) == (52, 62, 124, 242)
    assert scaled((48, 56, 112, 220), 1.0) == (48, 56, 112, 220)
    assert scaled((8,), 0.01) == (2,)


def operations(network):
    """A latency that is the same every time: operations for one image, counted without computing."""
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, 64, 64, device="meta"))
    return counter.get_total_flops()


def test_the_reference_keeps_its_width_and_a_cheaper_design_gets_a_larger_one():
    cheaper = SWIFTFORMER.replace(comb_type="id-id")
    how = {"input_shape": (3, 64, 64), "num_classes": 10, "size": "paper"}
    with torch.device("meta"):
        found = width_coefficients([SWIFTFORMER, cheaper], operations, **how)
    assert found[code(SWIFTFORMER)].coefficient == 1.0
    equal = found[code(cheaper)]
    assert equal.coefficient > 1.0
    assert not equal.clamped
    assert equal.latency == pytest.approx(found[code(SWIFTFORMER)].latency, rel=0.02)  # widths are even numbers


@given(st.floats(0.55, 1.9), st.floats(0.5, 3.0))
def test_bisection_finds_the_width_of_a_monotone_latency(wanted, power):
    found = equal_latency_width(lambda c: c**power, wanted**power)
    assert found.latency == pytest.approx(wanted**power, rel=0.01)
    assert found.coefficient == pytest.approx(wanted, rel=0.03)
    assert not found.clamped


@pytest.mark.parametrize(("target", "bound", "end"), [(10.0, "high", 2.0), (0.1, "low", 0.5)])
def test_targets_out_of_reach_are_clamped_and_flagged(target, bound, end):
    found = equal_latency_width(lambda c: c, target)
    assert (found.coefficient, found.clamped) == (end, bound)


@pytest.mark.parametrize(
    "how", [{"low": 0.0}, {"low": 3.0}, {"target": -1.0}, {"target": float("nan")}, {"steps": 0}, {"tolerance": -1.0}]
)
def test_bisections_that_make_no_sense_are_refused(how):
    with pytest.raises(SettingsError, match="are needed"):
        equal_latency_width(lambda c: c, **{"target": 1.0, **how})
    with pytest.raises(SettingsError, match="no positive number"):
        equal_latency_width(lambda c: float("nan"), 1.0)


def test_coefficients_widen_single_designs(tmp_path):
    file = tmp_path / "widths.json"
    file.write_text(json.dumps({code(SNAPFORMER): 1.1}))
    family = get_family("attention", coefficients=str(file), size="paper")
    for design, last in ((SNAPFORMER, 242), (SWIFTFORMER, 220)):
        with torch.device("meta"):
            network = family.build(design, (3, 224, 224), 10)
        assert network[-1].classifier.in_features == last
    assert get_family("attention", **family.options).options == family.options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reading": "D"}, "unknown reading 'D'"),
        ({"width": 0}, "width must be a number from 0.1 to 10"),
        ({"coefficients": "nowhere.json"}, "nowhere.json cannot be read"),
        ({"coefficients": {"12": 1.0}}, "'12' is not the code of a design"),
        ({"coefficients": {"2311300041": "x"}}, "must be a number"),
        ({"coefficients": 3}, "must map codes"),
        ({"normalise": 1}, "must be true or false"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("attention", **options)


def test_random_designs_train_in_their_place():
    family = get_family("attention")
    for design in family.space.sample(np.random.default_rng(3), 3):
        network = family.build(design, (1, 28, 28), 3).train()
        network(torch.randn(4, 1, 28, 28)).square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())
