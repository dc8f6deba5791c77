"""SnapFormer and SwiftFormer by name, to the digit."""

from __future__ import annotations

import pytest
import torch

from archwright.errors import FamilyError
from archwright.families import get_family
from archwright.families.snapformer import MODELS
from archwright.space import Architecture

PARAMETERS = {
    "snapformer-xxs": 2_843_080,
    "snapformer-xs": 4_480_334,
    "snapformer-s": 7_864_094,
    "swiftformer-xs": 3_475_360,
    "swiftformer-xs-snap": 3_408_540,
    "swiftformer-s": 6_092_128,
    "swiftformer-s-snap": 6_006_824,
}


def built(model, shape=(3, 224, 224), classes=1000, **options):
    with torch.device("meta"):
        return get_family("snapformer", **options).build(Architecture({"model": model}), shape, classes)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("model", MODELS)
def test_networks_have_the_published_parameters(model):
    assert count(built(model, heads=2)) == PARAMETERS[model]


@pytest.mark.parametrize(("model", "number"), [("xxs", 2.65), ("xs", 4.25), ("s", 7.61)])
def test_a_single_head_is_smaller(model, number):
    assert count(built(f"snapformer-{model}")) / 1e6 == pytest.approx(number, abs=0.005)


def test_readings_b_and_options_change_no_parameter_and_c_adds_one_vector_per_attention():
    base = count(built("snapformer-s"))
    assert count(built("snapformer-s", reading="B", op1="gelu", op2="softmax", reused="m2", combined="m3")) == base
    assert count(built("snapformer-s", reading="C")) == base + 2 * (64 + 182 + 256)


def test_swiftformer_by_name_is_the_default_of_the_mixed_space():
    mixed = get_family("swiftformer", size="paper")
    with torch.device("meta"):
        assert count(mixed.build(mixed.default, (3, 224, 224), 10)) == count(built("swiftformer-xs", classes=10))


def test_small_networks_have_a_fourth_of_the_channels():
    network = built("snapformer-s", shape=(1, 28, 28), classes=3)
    assert network[-1].classifier.in_features == 64
    assert count(network) < count(built("snapformer-s", classes=3)) / 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"op1": "identity"}, "unknown op1 'identity'"),
        ({"op2": "relu"}, "unknown op2 'relu'"),
        ({"reused": "m3"}, "unknown reused 'm3'"),
        ({"combined": "m4"}, "unknown combined 'm4'"),
        ({"reading": 1}, "unknown reading '1'"),
        ({"normalise": "yes"}, "true or false"),
        ({"heads": 0}, "heads must be 1 or 2"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(FamilyError, match=message):
        get_family("snapformer", **options)
