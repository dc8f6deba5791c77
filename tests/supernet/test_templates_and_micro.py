"""Template ablations, edge-wise operation lists and the joint search on a few small images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from archwright.data import load_data
from archwright.errors import FamilyError, SettingsError
from archwright.evaluate.settings import Training
from archwright.evaluate.training import train
from archwright.layers.operations import OPERATION_SETS
from archwright.layers.templates import TEMPLATES, Copies, stem, template
from archwright.supernet.joint import _Search, joint_search
from archwright.supernet.losses import distillation as divergence
from archwright.supernet.micro import MicroSettings, final_network, micro_duo, search_cells
from archwright.supernet.readout import Readout
from archwright.supernet.settings import JointSettings

SMALL = MicroSettings(channels=4, search_cells=3, evaluation_cells=4, nodes=2)
QUICK = JointSettings(epochs=1, pretrain_epochs=1, batch_size=16, arch_lr=3e-2)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    images = rng.integers(0, 80, (96, 3, 8, 8)) + 80 * (
        labels[:, None, None, None] == np.arange(3)[None, :, None, None]
    )
    return load_data({"train": (images.astype(np.uint8), labels)}, validation=0.2, test=0.2)


def test_operations_that_are_left_by_the_ablations() -> None:
    names = ("abl_pooling", "abl_identity", "abl_dilated", "abl_separable")
    assert [len(TEMPLATES[n].candidates(OPERATION_SETS["darts"])) for n in names] == [5, 6, 5, 5]
    assert len(TEMPLATES) == 13


def test_stems() -> None:
    x = torch.randn(2, 3, 8, 8)
    concat = stem("concat", 3, 16)(x)
    assert concat.shape[1] == 48
    assert all(torch.equal(concat[:, c], x[:, c % 3]) for c in range(48))
    assert stem("identity", 3, 16)(x).shape[1] == 3
    assert stem("conv1x1", 3, 16)(x).shape == (2, 48, 8, 8)
    assert Copies(6)(torch.randn(1, 4, 2, 2)).shape[1] == 6


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_is_searched_and_retrained(name, data) -> None:
    around = template(name)
    micro = replace(SMALL, template=around, nodes=1)
    found = search_cells(data, micro, replace(QUICK, pretrain_epochs=0))
    assert set(found.cells) == ({"normal"} if around.reduction != "cell" else {"normal", "reduce"})
    used = {n for nodes in found.cells.values() for pairs in nodes for n, _ in pairs}
    assert not used & set(around.without)
    network = final_network(found.cells, 3, 3, channels=4, depth=3, around=around)
    assert (network.tower is not None) == around.tower
    assert train(network, data, Training(epochs=1), seed=0).ending == "complete"
    assert network.eval()(torch.randn(2, 3, 9, 9)).shape == (2, 3)


def test_without_heads_the_distillation_sees_the_main_logits_alone() -> None:
    for name, heads in (("base", 2), ("abl_aux", 0)):
        assert len(micro_duo(replace(SMALL, template=template(name)), 3, 3, 0)[0].heads) == heads


def test_without_heads_the_distillation_loss_is_that_of_the_main_logits() -> None:
    readout = Readout(torch.nn.ModuleList(), QUICK, 0)
    student, teacher = torch.randn(6, 3), torch.randn(6, 3)
    found = divergence(readout(student, [], False).every, readout(teacher, [], True).every)
    assert found == divergence(student, teacher)


def test_lists_of_single_edges_bind_search_and_choice(data) -> None:
    lists = {k: [("relu", "min_conv_3x3"), ("tanh",), ("mbconv_3x3",), ("relu", "tanh"), ("skip_connect",)]
             for k in ("normal", "reduce")}  # fmt: skip
    found = search_cells(data, replace(SMALL, lists=lists, cell="xdarts"), QUICK)
    for kind, nodes in found.cells.items():
        assert [len(pairs) for pairs in nodes] == [2, 3]
        for start, pairs in zip((0, 2), nodes):
            assert all(name in lists[kind][start + i] for name, i in pairs)
        assert [len(row) for row in found.alpha[kind]] == [len(names) for names in lists[kind]]
    assert found.expected_latency is None
    with pytest.raises(SettingsError, match="5 edges"):
        MicroSettings(lists={"normal": [], "reduce": []}, nodes=2)


def test_the_evaluation_network_learns_from_its_own_loss_alone(data) -> None:
    weights = []
    for distill, student in ((0.0, 0.0), (10.0, 0.0), (1.0, 1.0)):
        duo, *_ = micro_duo(SMALL, 3, 3, 0)
        with torch.no_grad():
            for p in duo.student.parameters():
                p.add_(student * torch.ones_like(p))
        joint_search(duo, data, replace(QUICK, distill=distill, arch_lr=0.0), seed=0)
        weights.append([p.clone() for p in duo.teacher.parameters()])
    for other in weights[1:]:
        assert all(torch.equal(a, b) for a, b in zip(weights[0], other))


def test_labels_of_the_other_half_reach_nothing_but_the_architecture(data) -> None:
    runs = []
    for shift in (0, 1):
        duo, *_ = micro_duo(SMALL, 3, 3, 0)
        search = _Search(duo, data, replace(QUICK, arch_lr=0.0), 0, torch.device("cpu"))
        search.val.targets = (search.val.targets + shift) % 3
        search.run(None, None)
        runs.append([*duo.student.parameters(), *duo.teacher.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*runs))


def test_a_search_that_is_resumed_equals_one_without_interruption(data, tmp_path) -> None:
    settings = replace(QUICK, epochs=2)
    whole = search_cells(data, SMALL, settings)
    file = tmp_path / "search.safetensors"
    part = search_cells(data, SMALL, settings, checkpoint=file, on_epoch=lambda epoch, _: epoch < 2)
    assert not part.search.complete
    resumed = search_cells(data, SMALL, settings, checkpoint=file)
    assert resumed.alpha == whole.alpha
    assert resumed.cells == whole.cells
    drop = [{k: v for k, v in point.items() if k != "seconds"} for point in resumed.search.curve]
    assert drop == [{k: v for k, v in point.items() if k != "seconds"} for point in whole.search.curve]
    with pytest.raises(SettingsError, match="another training"):
        search_cells(data, SMALL, replace(settings, lr=0.01), checkpoint=file)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_penalty_lowers_the_expected_latency(seed, data) -> None:
    micro = replace(SMALL, cell="xdarts")
    runs = [search_cells(data, micro, replace(QUICK, penalty=delta), seed=seed) for delta in (0.0, 10.0)]
    assert runs[1].expected_latency < runs[0].expected_latency


def test_a_penalty_needs_the_latency_of_every_operation(data) -> None:
    with pytest.raises(SettingsError, match="no entry for relu"):
        search_cells(data, replace(SMALL, operations=("relu", "tanh")), replace(QUICK, penalty=0.1))


def test_learning_rates_of_the_search() -> None:
    rates = [JointSettings().learning_rate(e) for e in (0, 16, 31)]
    assert rates == pytest.approx([0.08, 0.0405, 0.001190], abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"cell": "pdarts"}, "unknown cell rule"), ({"search_cells": 2}, "three cells"), ({"operations": ("conv",)}, "unknown"),
     ({"types": -1}, "negative")],
)  # fmt: skip
def test_bad_micro_settings_are_refused(wrong, message) -> None:
    with pytest.raises(SettingsError, match=message):
        MicroSettings(**wrong)


def test_bad_joint_settings_and_templates_are_refused() -> None:
    for wrong in ({"epochs": 0}, {"lr": -1.0}, {"temperature": 0.0}, {"warmup_split": "test"}, {"batch_size": 1}):
        with pytest.raises(SettingsError):
            JointSettings(**wrong)
    with pytest.raises(FamilyError, match="did you mean abl_aux"):
        template("abl_auxx")
    with pytest.raises(FamilyError, match="no operation is left"):
        TEMPLATES["abl_identity"].candidates(("skip_connect",))


def test_tables_and_losses_that_blow_up_are_refused(data) -> None:
    rng = np.random.default_rng(0)
    table = load_data({"train": (rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3)})
    with pytest.raises(SettingsError, match="is a table"):
        search_cells(table, SMALL, QUICK)
    with pytest.raises(SettingsError, match="lower its learning rates"):
        search_cells(data, SMALL, replace(QUICK, lr=1e30, clip=0.0, epochs=3))
