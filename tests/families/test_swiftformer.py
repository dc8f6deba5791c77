"""The SwiftFormer x MobileOne space: published counts, what stages are made of, fused networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.errors import FamilyError
from archwright.families import get_family
from archwright.families.swiftformer import MOBILEONE_LIKE, SWIFTFORMER_XS
from archwright.layers import AdditiveAttention, MobileOneBlock, MobileOneConv, SqueezeExcite


def count(network):
    return sum(p.numel() for p in network.parameters())


def has(network, kind):
    return sum(isinstance(m, kind) for m in network.modules())


def test_the_space_has_the_published_size_and_the_named_networks():
    space = get_family("swiftformer").space
    assert space.size == 20_736
    space.validate(SWIFTFORMER_XS)
    space.validate(MOBILEONE_LIKE)


@pytest.mark.parametrize(("heads", "classes", "number"), [(2, 1000, 3_475_360), (1, 10, 3_035_570), (1, 4, 3_034_244)])
def test_swiftformer_xs_has_the_published_parameters(heads, classes, number):
    network = get_family("swiftformer", heads=heads).build(SWIFTFORMER_XS, (3, 224, 224), classes)
    assert count(network) == number


@pytest.mark.parametrize(("attention", "number"), [("none", 0), ("last-1", 1), ("last-2", 2), ("all", 6)])
@pytest.mark.parametrize(("convolution", "mobile", "se"), [("conv-enc", 0, 0), ("mo", 6, 0), ("mo-se", 6, 12)])
def test_a_stage_has_the_convolutions_and_the_attention_of_its_choice(attention, number, convolution, mobile, se):
    chosen = SWIFTFORMER_XS.replace(conv3=convolution, attention3=attention)
    with torch.device("meta"):
        network = get_family("swiftformer").build(chosen, (3, 64, 64), 3)
    assert has(network, AdditiveAttention) == 3 + number
    assert has(network, MobileOneBlock) == mobile
    assert has(network, SqueezeExcite) == se


@pytest.mark.parametrize("branches", [1, 4])
def test_fused_networks_give_the_same(branches):
    family = get_family("swiftformer", branches=branches)
    mixed = MOBILEONE_LIKE.replace(conv1="mo-se", attention2="all", conv4="conv-enc")
    network = family.build(mixed, (1, 28, 28), 3)
    network.train()(torch.randn(8, 1, 28, 28))
    x = torch.randn(3, 1, 28, 28)
    used = family.deploy(network)
    assert not has(used, MobileOneConv)
    assert count(used) < count(network)
    with torch.no_grad():
        assert torch.allclose(used(x), network.eval()(x), atol=1e-5)


def test_two_heads_are_one_auxiliary_and_their_mean_predicts():
    network = get_family("swiftformer", heads=2).build(SWIFTFORMER_XS, (3, 8, 8), 5)
    x = torch.randn(4, 3, 8, 8)
    logits, auxiliary = network.train()(x)
    assert logits.shape == auxiliary.shape == (4, 5)
    assert network.eval()(x).shape == (4, 5)


def test_small_images_get_small_networks_of_the_same_space():
    small = get_family("swiftformer").build(SWIFTFORMER_XS, (3, 32, 32), 10)
    forced = get_family("swiftformer", size="small").build(SWIFTFORMER_XS, (3, 224, 224), 10)
    assert count(small) == count(forced) < 200_000
    paper = get_family("swiftformer", size="paper").build(SWIFTFORMER_XS, (3, 32, 32), 10)
    assert count(paper) == 3_035_570


@pytest.mark.slow
def test_two_hundred_published_networks_learn_at_64_pixels():
    family = get_family("swiftformer", branches=4)
    rng = np.random.default_rng(0)
    for architecture in [SWIFTFORMER_XS, MOBILEONE_LIKE, *family.space.sample(rng, 200)]:
        network = family.build(architecture, (3, 64, 64), 4).train()
        y = network(torch.randn(2, 3, 64, 64))
        y.square().sum().backward()
        assert y.shape == (2, 4)
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branches": 2}, "branches must be 1 or 4, not 2"),
        ({"heads": 3}, "heads must be 1 or 2, not 3"),
        ({"size": "big"}, "unknown size 'big'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("swiftformer", **options)
