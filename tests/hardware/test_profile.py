"""Device profiles: operations found without running, predictions, and what is refused."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from archwright.errors import FamilyError, SettingsError
from archwright.families import family_from, get_family
from archwright.hardware import load_profile, measure_profile
from archwright.hardware.tracing import trace
from archwright.space import Choice, Space

SHAPE, CLASSES = (1, 8, 8), 3


def build(architecture, input_shape, num_classes):
    width = architecture["width"]
    middle = [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()] * architecture["depth"]
    return nn.Sequential(nn.Conv2d(1, width, 3), *middle, nn.Flatten(), nn.Linear(36 * width, num_classes))


@pytest.fixture(scope="module")
def family():
    return family_from(Space(width=Choice(2, 64), depth=Choice(1, 4)), build, "little")


@pytest.fixture(scope="module")
def profile(family):
    return measure_profile(family, SHAPE, CLASSES, threads=1, clock="cpu", fitted=3, held_out=1, repeats=20)


def network(family, **values):
    from archwright.space import Architecture

    return family.build(Architecture(values), SHAPE, CLASSES)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x):
        return torch.nn.functional.gelu(x @ self.weight).softmax(-1)


def test_sees_operations_that_are_no_modules():
    found = [o.signature for o in trace(Functional(), (4,), batch_size=2)]
    assert [f.split("(")[0] for f in found] == ["mm", "gelu", "_softmax"]
    assert found[0] == "mm(2x4, 4x4)"


def test_tracing_leaves_the_network_as_it_was(family):
    one = network(family, width=2, depth=1).train()
    before = {k: v.clone() for k, v in one.state_dict().items()}
    trace(one, SHAPE)
    assert one.training
    assert all(torch.equal(v, before[k]) for k, v in one.state_dict().items())


@pytest.mark.parametrize("name", ["nasbench201", "cnn"])
def test_traces_alike_with_and_without_weights(name):
    made = get_family(name)
    architecture = made.default or made.space.default
    with torch.device("meta"):
        empty = made.build(architecture, (3, 16, 16), 10)
    real = made.build(architecture, (3, 16, 16), 10)
    assert [o.signature for o in trace(empty, (3, 16, 16))] == [o.signature for o in trace(real, (3, 16, 16))]


def test_finds_every_operation_of_a_small_space(family, profile):
    for architecture in family.space.enumerate():
        assert profile.predict(family.build(architecture, SHAPE, CLASSES)) > 0
    assert len(profile.networks) == 4
    assert [w.held_out for w in profile.networks] == [False] * 3 + [True]


def test_larger_networks_are_predicted_to_be_slower(family, profile):
    sums = [
        profile.sum(trace(network(family, width=w, depth=d), SHAPE))[0] for w, d in ((2, 1), (2, 4), (64, 1), (64, 4))
    ]
    assert sums[0] < sums[1] < sums[3]
    assert sums[0] < sums[2] < sums[3]


def test_round_trip(profile, tmp_path):
    read = load_profile(profile.save(tmp_path / "p.json"))
    assert read == profile
    assert read.fingerprint == profile.fingerprint != replace(profile, name="other").fingerprint


def test_unknown_operation_is_named_with_the_remedy(family, profile):
    other = family.build({"width": 3, "depth": 1}, SHAPE, CLASSES)
    with pytest.raises(
        SettingsError, match=r"no time for the operation convolution\(1x1x8x8, 3x1x3x3.*--measure-lut FILE"
    ):
        profile.predict(other)


def test_profile_of_something_else_is_refused(family, profile):
    profile.check(family, SHAPE, CLASSES)
    for args, what in [
        ((replace(family, name="other"), SHAPE, CLASSES), "family: little, not other"),
        ((replace(family, options={"x": 1}), SHAPE, CLASSES), "options"),
        ((family, (1, 9, 9), CLASSES), "input shape"),
        ((family, SHAPE, 4), "number of classes: 3, not 4"),
    ]:
        with pytest.raises(SettingsError, match=f"measured for another {what}"):
            profile.check(*args)


def test_broken_files_are_refused(profile, tmp_path):
    file = profile.save(tmp_path / "p.json")
    content = json.loads(file.read_text())
    first = next(iter(content["operations"]))
    nothing = {first: content["operations"][first] | {"ms": float("nan")}}
    for changed, message in [
        (file.read_text()[:200], "not a whole device profile"),
        (json.dumps({**content, "format": "x"}), "is not a device profile"),
        (json.dumps({**content, "version": 2}), "another Archwright"),
        (
            json.dumps({k: v for k, v in content.items() if k != "scale" and k != "device"}),
            "not a whole device profile",
        ),
        (json.dumps({**content, "operations": {}}), "not a whole device profile"),
        (json.dumps({**content, "operations": nothing}), "a time is missing"),
    ]:
        file.write_text(changed)
        with pytest.raises(SettingsError, match=message):
            load_profile(file)


def test_refuses_what_cannot_be_measured(family):
    with pytest.raises(SettingsError, match="networks of the fit 3"):
        measure_profile(family, SHAPE, CLASSES, fitted=2)
    with pytest.raises(SettingsError, match="--threads 1"):
        measure_profile(family, SHAPE, CLASSES, clock="cpu", threads=2)
    with pytest.raises(SettingsError, match="unknown clock 'sun'"):
        measure_profile(family, SHAPE, CLASSES, clock="sun")
    broken = replace(family, build=lambda *_: 1 / 0)
    with pytest.raises(FamilyError, match="cannot be made: division by zero"):
        measure_profile(broken, SHAPE, CLASSES)


def test_too_few_networks_to_fit_are_refused():
    with pytest.raises(SettingsError, match="no whole network is made .*--architectures"):
        measure_profile(get_family("cnn"), (1, 8, 8), 2, architectures=1, fitted=3, held_out=0, repeats=1, threads=1)


def test_operation_on_an_expanded_tensor_is_timed():
    class Expanding(nn.Module):
        def forward(self, x):
            return x[:, :1].expand(-1, 3) + x

    operations = trace(Expanding(), (3,), batch_size=2)
    assert [o.signature for o in operations] == ["add.Tensor(2x3, 2x3)"]
    assert len(operations[0].seconds(torch.device("cpu"), 1, 5, 1.0, time.perf_counter)) == 5
