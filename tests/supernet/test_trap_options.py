"""Options on which descriptions of CDARTS and ICDARTS are silent or differ: the default, and what each changes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from archwright.errors import SettingsError
from archwright.supernet import steps
from archwright.supernet.discretisation import discretisation
from archwright.supernet.joint import _Search, joint_search
from archwright.supernet.methods import METHODS, OneShot
from archwright.supernet.micro import MicroSettings, micro_duo, search_cells
from archwright.supernet.readout import Readout
from archwright.supernet.settings import JointSettings
from archwright.supernet.steps import Moment, Outputs, Sources

SMALL = MicroSettings(
    channels=4, search_cells=3, evaluation_cells=3, nodes=1, operations=("max_pool_3x3", "skip_connect", "sep_conv_3x3")
)
QUICK = JointSettings(epochs=1, pretrain_epochs=0, batch_size=16)


def begun(data, micro=SMALL, route="icdarts", **changes) -> _Search:
    settings = replace(QUICK, **{**METHODS[route].settings, "epochs": 1, "pretrain_epochs": 0, **changes})
    return _Search(micro_duo(micro, 3, 3, 0)[0], data, settings, 0, torch.device("cpu"))


def values(*parameters: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for module in parameters for p in module.parameters()])


def moment(settings: JointSettings, student: torch.Tensor, teacher: torch.Tensor, progress: float = 0.0) -> Moment:
    outputs = [Outputs(logits, logits) for logits in (student, teacher)]
    sources = Sources(lambda: outputs[0], lambda: outputs[1], dict, None, lambda: torch.tensor(3.0))
    return Moment(torch.zeros(len(student), dtype=torch.long), {}, settings, progress, sources)


@pytest.mark.parametrize(
    ("changes", "value"),
    [({}, 0.443776), ({"kl_reduction": "mean"}, 0.221888), ({"distill_loss": "smooth_l1"}, 0.75),
     ({"distill_loss": "smooth_l1", "distill": 2.0}, 1.5)],
)  # fmt: skip
def test_the_distillation_loss(changes, value) -> None:
    found = steps.distillation(moment(replace(QUICK, **changes), torch.zeros(1, 2), torch.tensor([[2.0, 0.0]])))
    assert float(found) == pytest.approx(value, abs=1e-6)


def test_heads_side_by_side_or_summed() -> None:
    heads = nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 3)])
    maps, logits = [torch.randn(5, 2), torch.randn(5, 2)], torch.randn(5, 3)
    parts = [heads[0](maps[0]), heads[1](maps[1]), logits]
    side = Readout(heads, QUICK, 0)(logits, maps, teacher=True)
    torch.testing.assert_close(side.every, torch.cat(parts) / 3)
    assert side.logits is logits
    summed = Readout(heads, replace(QUICK, distill_on="sum"), 0)(logits, maps, teacher=True)
    torch.testing.assert_close(summed.every, sum(parts) / 3)
    assert summed.logits is logits
    merged = Readout(heads, replace(QUICK, ce_on="merged"), 0)(logits, maps, teacher=False)
    torch.testing.assert_close(merged.logits, sum(parts) / 3)
    torch.testing.assert_close(merged.every, torch.cat(parts) / 3)


def test_heads_are_frozen_and_shared_unless_asked_otherwise(data) -> None:
    search = begun(data)
    before = values(search.updates.readout.heads)
    assert len(search.updates.readout.own) == 0
    search.run(None, None)
    assert torch.equal(values(search.updates.readout.heads), before)
    separate = begun(data, share_heads=False)
    assert not torch.equal(values(separate.updates.readout.heads), values(separate.updates.readout.own))
    before = values(separate.updates.readout)
    separate.run(None, None)
    assert torch.equal(values(separate.updates.readout), before)


@pytest.mark.parametrize(("route", "group"), [("icdarts", "w_S"), ("route_b1", "w_E")])
def test_shared_heads_learn_with_the_network_that_the_distillation_reaches(route, group, data) -> None:
    search = begun(data, route=route, fix_head=False)
    heads = set(search.updates.readout.heads.parameters())
    assert heads <= set(search.updates.groups[group])
    assert not heads & set(search.updates.groups["w_S" if group == "w_E" else "w_E"])
    before = values(search.updates.readout.heads)
    search.run(None, None)
    assert not torch.equal(values(search.updates.readout.heads), before)


def test_merged_cross_entropy_trains_heads_of_each_network(data) -> None:
    search = begun(data, ce_on="merged", distill=0.0, s_distill=False)
    assert set(search.updates.readout.own.parameters()) <= set(search.updates.groups["w_E"])
    before = values(search.updates.readout.heads), values(search.updates.readout.own)
    search.run(None, None)
    assert not torch.equal(values(search.updates.readout.heads), before[0])
    assert not torch.equal(values(search.updates.readout.own), before[1])


def test_shares_of_the_heads_are_learned_with_the_search_network(data) -> None:
    for learn, moves in ((False, False), (True, True)):
        search = begun(data, learn_mix=learn)
        search.run(None, None)
        assert bool((search.updates.readout.share != 0).any()) == moves
    assert any(p is search.updates.readout.share for p in search.updates.groups["w_S"])


def test_a_shared_stem_learns_with_the_evaluation_network_alone(data) -> None:
    assert begun(data).duo.student.stem is not begun(data).duo.teacher.stem
    search = begun(data, share_stem=True)
    assert search.duo.student.stem is search.duo.teacher.stem
    assert not set(search.duo.teacher.stem.parameters()) & set(search.updates.groups["w_S"])
    before = values(search.duo.teacher.stem)
    alone = replace(search.settings, pretrain_epochs=1)
    pretrained = _Search(search.duo, data, alone, 0, torch.device("cpu"))
    pretrained.run(None, lambda *_: False)
    assert torch.equal(values(search.duo.teacher.stem), before)
    search.run(None, None)
    assert not torch.equal(values(search.duo.teacher.stem), before)


def test_weights_of_the_evaluation_network_are_kept_or_drawn_anew(data) -> None:
    for kept, same in (("pool", True), ("scratch", False)):
        search = begun(data, eval_weights=kept, lr=0.0, lr_min=0.0)
        before = values(search.duo.teacher)
        search.run(None, None)
        assert torch.equal(values(search.duo.teacher), before) == same


def test_batch_norms_of_the_teacher(data) -> None:
    means, taught = {}, {}
    for norm in ("batch", "moving", "running"):
        search = begun(data, teacher_norm=norm)
        batches = {"val": next(search._batches(search.val, 0, 2))}
        search.duo.teacher.train()
        taught[norm] = search.updates.evaluation(
            search.updates.declared[0], batches, search.duo.discretise(), {}, None
        ).every
        means[norm] = search.duo.teacher.stem[1].running_mean
        assert search.duo.teacher.training
    assert not means["batch"].any()
    assert means["moving"].any()
    assert not means["running"].any()
    assert torch.equal(taught["batch"], taught["moving"])
    assert not torch.allclose(taught["batch"], taught["running"])


def test_the_teacher_in_evaluation_mode_has_a_pass_of_its_own_on_the_training_half(data) -> None:
    search = begun(data, teacher_norm="running")
    calls: list[bool] = []
    search.duo.teacher.head.register_forward_hook(lambda module, *_: calls.append(module.training))
    search._joint(0, search.duo.discretise())
    assert calls == [False, False, True] * search.steps


def test_the_penalty_on_pooling_and_identity(data) -> None:
    settings = replace(QUICK, epochs=10, pretrain_epochs=10, alpha_l1=5.0)
    x = torch.zeros(1, 2)
    found = [float(steps.shrinkage(moment(settings, x, x, done / 20))) for done in (10, 11, 12, 15)]
    assert found == pytest.approx([15.0, 7.5, 0.0, 0.0])
    assert all(steps.shrinkage not in step.losses for step in QUICK.joint_steps)
    for route in ("icdarts", "cdarts", "darts1"):
        a = [s for s in replace(settings, **METHODS[route].settings, alpha_l1=1.0).joint_steps if "a" in s.updates]
        assert all(steps.shrinkage in step.losses for step in a)


def test_the_penalty_reaches_alpha_of_pooling_and_identity_alone(data) -> None:
    duo, alpha, *_ = micro_duo(SMALL, 3, 3, 0)
    duo.plain().backward()
    for own in alpha.values():
        assert torch.equal(own.grad, own.sign() * torch.tensor([1.0, 1.0, 0.0]))
    sums = [
        search_cells(data, SMALL, replace(QUICK, alpha_l1=strength, arch_lr=1e-4)).alpha for strength in (0.0, 50.0)
    ]
    small, large = (sum(abs(v) for rows in found.values() for row in rows for v in row[:2]) for found in reversed(sums))
    assert small < large


def test_edges_are_ranked_by_probability_or_by_alpha() -> None:
    alpha = torch.tensor([[2.0, 1.9], [1.0, -5.0], [2.0, 1.9], [1.0, -5.0], [-5.0, 0.5]])
    kept = {
        score: [i for _, i in discretisation("darts", edge_score=score)(alpha, 2, ("relu", "tanh"), True)[1]]
        for score in ("softmax", "alpha")
    }
    assert kept == {"softmax": [1, 2], "alpha": [0, 1]}
    with pytest.raises(SettingsError, match="unknown edge score"):
        MicroSettings(edge_score="beta")


def test_batch_norms_of_the_evaluation_network_scale_where_asked() -> None:
    for affine in (False, True):
        duo = micro_duo(replace(SMALL, evaluation_affine=affine), 3, 3, 0)[0]
        scales = [
            [m.affine for m in network.cells.modules() if isinstance(m, nn.BatchNorm2d)]
            for network in (duo.student, duo.teacher)
        ]
        assert not any(scales[0])
        assert set(scales[1]) == {affine}


def test_vertical_flips(data) -> None:
    assert begun(data, vertical_flip=True).augmentation.vertical_flip
    assert OneShot("sglfc_icdarts").settings()[2].vertical_flip


def test_a_search_with_everything_unusual_is_resumed_exactly(data, tmp_path) -> None:
    settings = replace(
        QUICK, epochs=2, learn_mix=True, fix_head=False, share_heads=False, share_stem=True, eval_weights="scratch",
        teacher_norm="running", alpha_l1=5.0,
    )  # fmt: skip
    ends = []
    for stops in (False, True):
        file = tmp_path / f"{stops}.safetensors"
        if stops:
            joint_search(
                micro_duo(SMALL, 3, 3, 0)[0], data, settings, seed=0, checkpoint=file, on_epoch=lambda *_: False
            )
        duo = micro_duo(SMALL, 3, 3, 0)[0]
        joint_search(duo, data, settings, seed=0, checkpoint=file)
        ends.append(torch.cat([values(duo.student, duo.teacher), *(p.flatten() for p in duo.architecture.values())]))
    assert torch.equal(*ends)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_reduction": "sum"}, "kl_reduction must be batchmean or mean"),
        ({"ce_on": "heads"}, "ce_on must be main or merged"),
        ({"share_stem": 1}, "share_stem must be true or false"),
        ({"alpha_l1": -1.0}, "alpha_l1 must be a number"),
        ({"alpha_l1_share": 0.0}, "alpha_l1_share must be above 0"),
        ({"evaluation_affine": "yes"}, "evaluation_affine must be true or false"),
    ],
)
def test_wrong_values_are_refused(options, message) -> None:
    with pytest.raises(SettingsError, match=message):
        OneShot("icdarts", options).settings()
