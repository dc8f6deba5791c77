"""CDARTS, ICDARTS and the variants between: what reaches which weights (Herron 2023, table 3.6)."""

from dataclasses import replace

import pytest
import torch

from archwright.errors import SettingsError
from archwright.hardware.shares import LatencyWeights
from archwright.report.runs import Runs, curves, read_result, summarise
from archwright.supernet.joint import _Search
from archwright.supernet.methods import METHODS, OneShot
from archwright.supernet.micro import MicroSettings, micro_duo
from archwright.supernet.running import run_oneshot
from archwright.supernet.settings import JointSettings

SMALL = MicroSettings(
    channels=4, search_cells=3, evaluation_cells=3, nodes=1, operations=("skip_connect", "sep_conv_3x3")
)
QUICK = JointSettings(epochs=1, pretrain_epochs=0, batch_size=16, arch_lr=0.0)
ROUTES = ("cdarts", "route_a1", "route_a2", "route_b1", "route_b2", "icdarts")


def weights(data, route: str, shift: int = 0, student: float = 0.0, **changes: float) -> dict[str, torch.Tensor]:
    """Weights and parameters after an epoch; ``shift`` moves the labels of the validation half, ``student`` S's first weights."""
    duo, *_ = micro_duo(SMALL, 3, 3, 0)
    with torch.no_grad():
        for parameter in duo.student.parameters():
            parameter.add_(student)
    settings = replace(QUICK, **METHODS[route].settings)
    search = _Search(duo, data, replace(settings, **{"epochs": 1, **changes}), 0, torch.device("cpu"))
    search.val.targets = (search.val.targets + shift) % 3
    search.run(None, None)
    groups = {"w_s": search.updates.groups["w_S"], "w_e": search.updates.groups["w_E"], "a": search.updates.groups["a"]}
    return {name: torch.cat([p.detach().flatten() for p in group]) for name, group in groups.items()}


@pytest.mark.parametrize("route", ROUTES)
def test_routes(route, data) -> None:
    """With alpha fixed, so that nothing travels through it: who feels the distillation, who the validation half's labels."""
    base, louder, other = weights(data, route), weights(data, route, distill=10.0), weights(data, route, shift=1)
    feels = {name for name in ("w_s", "w_e") if not torch.equal(base[name], louder[name])}
    learns_from_val = {name for name in ("w_s", "w_e") if not torch.equal(base[name], other[name])}
    e_distill, s_distill, e_val = {
        "cdarts": (True, False, True), "route_a1": (True, True, True), "route_a2": (False, True, True),
        "route_b1": (True, False, False), "route_b2": (False, False, False), "icdarts": (False, True, False),
    }[route]  # fmt: skip
    assert ("w_e" in feels, "w_e" in learns_from_val) == (e_distill, e_val)
    # w_S feels lambda through its own loss, and the teacher's weights through that.
    assert ("w_s" in feels) == s_distill
    assert ("w_s" in learns_from_val) == (s_distill and e_val)


@pytest.mark.parametrize("route", ROUTES)
def test_the_search_network_reaches_the_evaluation_network_where_distillation_does(route, data) -> None:
    """With alpha fixed and lambda above 0: w_E is the same from any first w_S, or it is not."""
    same = torch.equal(weights(data, route)["w_e"], weights(data, route, student=0.1)["w_e"])
    assert same == (route in ("icdarts", "route_a2", "route_b2"))
    alone = [weights(data, route, student=s, distill=0.0)["w_e"] for s in (0.0, 0.1)]
    assert torch.equal(*alone)


def test_labels_of_the_validation_half_change_alpha_and_what_follows_from_it(data) -> None:
    """In ICDARTS within an epoch, whose evaluation network is chosen at its beginning: not w_E. In CDARTS w_E too."""
    for route, changed in (("icdarts", {"a", "w_s"}), ("cdarts", {"a", "w_s", "w_e"})):
        plain, other = (weights(data, route, shift=s, arch_lr=0.1) for s in (0, 1))
        assert {name for name in plain if not torch.equal(plain[name], other[name])} == changed


@pytest.mark.parametrize("route", [*ROUTES, "darts1"])
def test_architectures_learn_on_every_route(route, data) -> None:
    started = weights(data, route)["a"]
    assert not torch.equal(weights(data, route, arch_lr=0.1)["a"], started)


@pytest.mark.parametrize("route", ["route_b2", "cdarts"])
def test_distillation_reaches_alpha(route, data) -> None:
    quiet, louder = (weights(data, route, arch_lr=0.1, distill=d)["a"] for d in (1.0, 10.0))
    assert not torch.equal(quiet, louder)


def test_darts_is_deaf_to_the_evaluation_network(data) -> None:
    """Warmed up or not, it leaves no trace in alpha and w_S."""
    plain, warm = (weights(data, "darts1", arch_lr=0.1, warmup_epochs=n) for n in (0, 1))
    assert torch.equal(plain["a"], warm["a"])
    assert torch.equal(plain["w_s"], warm["w_s"])
    assert not torch.equal(plain["w_e"], warm["w_e"])
    assert "distillation" not in " ".join(map(str, METHODS["darts1"].settings["steps"]))


def test_halves_that_do_not_exist_are_refused() -> None:
    with pytest.raises(SettingsError, match="e_split must be train or val, not 'test'"):
        replace(QUICK, e_split="test")


def test_measured_latency_weights_are_an_option(tmp_path) -> None:
    LatencyWeights("here", {"skip_connect": 0.25, "sep_conv_3x3": 0.75}).save(tmp_path / "w.json")
    options = {"latency": str(tmp_path / "w.json"), "operations": "skip_connect,sep_conv_3x3", "penalty": 0.1}
    _, micro, _ = OneShot("cell_xdarts", options).settings()
    assert micro.latency is not None
    assert micro.latency["sep_conv_3x3"] == 0.75
    with pytest.raises(SettingsError, match="absent"):
        OneShot("icdarts", {"latency": str(tmp_path / "absent.json")}).settings()


def test_switches_are_true_or_false() -> None:
    with pytest.raises(SettingsError, match="e_distill must be true or false, not 1"):
        replace(QUICK, e_distill=1)


def test_results_are_what_the_report_of_several_runs_reads(data, tmp_path) -> None:
    options = {"nodes": 1, "channels": 4, "search_cells": 3, "evaluation_cells": 3, "epochs": 2, "pretrain_epochs": 0}
    asked = OneShot("cdarts", options, {"channels": 4, "cells": 3}, {"epochs": 1, "crop": 0, "cutout": 0})
    run_oneshot(asked, data, tmp_path / "run")
    group = Runs("cdarts", (read_result(tmp_path / "run"),))
    name, found = curves([group])
    assert (name, found["cdarts"].shape) == ("search.curve.val_accuracy", (1, 2))
    shown = set(summarise([group])[0]["metrics"])
    assert {"retrain.test_accuracy", "retrain.seconds_per_batch", "search.val_accuracy", "expected_latency"} <= shown
    assert len(shown) <= 8
