"""The MOAT space: its size, its named members, what cells compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.errors import FamilyError
from archwright.evaluate import profile_network
from archwright.families import get_family
from archwright.families.moat import CELLS, FOUND, MOBILENET_V2, STAGES, TINY_MOAT_0, VIT
from archwright.layers import HybridCell, MobileOneConv, OnPixels, SelfAttention, SqueezeExcite
from archwright.space import Architecture


def count(network):
    return sum(p.numel() for p in network.parameters())


def uniform(cell):
    return Architecture(dict.fromkeys(STAGES, cell))


def test_the_space_has_the_published_size_and_the_named_networks():
    space = get_family("moat").space
    assert space.size == 6_561
    for architecture in (TINY_MOAT_0, FOUND, MOBILENET_V2, VIT):
        space.validate(architecture)


@pytest.mark.parametrize(("classes", "millions"), [(1000, 3.33), (10, 3.08)])
def test_tiny_moat_0_is_as_large_as_the_official_one(classes, millions):
    network = get_family("moat").build(TINY_MOAT_0, (3, 224, 224), classes)
    assert round(count(network) / 1e6, 2) == millions


def test_wider_channels_are_an_option():
    wide = get_family("moat", channels="moat-0")
    with torch.device("meta"):
        network = wide.build(TINY_MOAT_0, (3, 224, 224), 10)
    assert network[-1].classifier.in_features == 768
    assert 24e6 < count(network) < 30e6


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_and_has_the_parts_that_its_name_says(cell):
    network = get_family("moat", size="small").build(uniform(cell), (1, 9, 13), 3).train()
    y = network(torch.randn(2, 1, 9, 13))
    y.square().sum().backward()
    assert y.shape == (2, 3)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    kinds = [type(m) for m in network.modules()]
    assert (SelfAttention in kinds) == ("attention" in cell)
    assert (SqueezeExcite in kinds) == ("_se" in cell)
    assert MobileOneConv not in kinds


def test_cells_are_what_they_say_of_shortcuts():
    x = torch.randn(2, 8, 6, 6)
    one, after = HybridCell(8, 8, 1, "mbconv", "mlp").eval(), HybridCell(8, 8, 1, "mbconv", "mlp", True).eval()
    after.load_state_dict(one.state_dict())
    middle = x + one.first(x)
    assert torch.allclose(one(x), middle + one.second(middle), atol=1e-6)
    assert torch.allclose(after(x), middle + one.second(x), atol=1e-6)


@pytest.mark.parametrize(("first", "parallel"), [("mbconv", False), ("attention", False), ("mbconv_se", True)])
@pytest.mark.parametrize("c_out", [8, 12])
def test_cells_halve_odd_sizes_upwards(first, parallel, c_out):
    cell = HybridCell(8, c_out, 2, first, "attention" if first != "attention" else "mlp", parallel, head=4)
    assert cell(torch.randn(2, 8, 7, 5)).shape == (2, c_out, 4, 3)


def test_macs_count_the_products_of_attention():
    layer = OnPixels(SelfAttention(16, 2))
    network = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.LazyLinear(2))
    network(torch.zeros(1, 16, 4, 4))
    found = profile_network(network, (16, 4, 4), metrics=["macs"])["macs"]
    tokens, head = 16, 16 * 16 * 2
    assert found == 4 * tokens * 16**2 + 2 * tokens**2 * 16 + head


@pytest.mark.parametrize(
    ("pixels", "tokens"), [(28, (196, 196, 49, 16, 16)), (64, (1024, 256, 64, 16, 4)), (8, (64, 64, 16, 16, 16))]
)
def test_images_are_halved_as_far_as_pixels_reach(pixels, tokens):
    network = get_family("moat").build(VIT, (3, pixels, pixels), 3).eval()
    x, seen = torch.randn(1, 3, pixels, pixels), []
    for layer in network[:6]:
        x = layer(x)
        seen.append(x.shape[2] * x.shape[3])
    assert tuple(seen[1:]) == tokens


@pytest.mark.slow
def test_every_published_network_learns_at_64_pixels():
    family = get_family("moat")
    rng = np.random.default_rng(0)
    for architecture in [*map(uniform, CELLS), *family.space.sample(rng, 200)]:
        network = family.build(architecture, (3, 64, 64), 4).train()
        y = network(torch.randn(2, 3, 64, 64))
        y.square().sum().backward()
        assert y.shape == (2, 4)
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"), [({"size": 3}, "unknown size '3'"), ({"channels": "moat-9"}, "unknown channels 'moat-9'")]
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("moat", **options)
