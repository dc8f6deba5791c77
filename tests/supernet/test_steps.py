"""Update steps: what they reach, the second order, and methods of one's own."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from archwright.errors import SettingsError
from archwright.supernet.joint import joint_search
from archwright.supernet.methods import METHODS, OneShot, find_method
from archwright.supernet.micro import MicroSettings, micro_duo, search_cells
from archwright.supernet.settings import JointSettings
from archwright.supernet.steps import Step, evaluation, search, unrolled_gradient

SMALL = MicroSettings(
    channels=4, search_cells=3, evaluation_cells=3, nodes=1, operations=("skip_connect", "sep_conv_3x3")
)
QUICK = JointSettings(epochs=2, pretrain_epochs=0, batch_size=16, arch_lr=0.05)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.01, 0.4), st.floats(0.2, 2), st.floats(-1, 1), st.floats(0.1, 1))
def test_finite_differences_are_the_analytic_gradient(a0, w0, rate, curvature, coupling, pull) -> None:
    """outer = (w - pull)^2 / 2 + a w, inner = curvature w^2 / 2 + coupling a w + a w^2 / 2, so w' is linear in a."""
    a = nn.Parameter(torch.tensor([a0], dtype=torch.float64))
    w = nn.Parameter(torch.tensor([w0], dtype=torch.float64))

    def outer() -> torch.Tensor:
        return ((w - pull) ** 2 / 2 + a * w).sum()

    def inner() -> torch.Tensor:
        return (curvature * w**2 / 2 + coupling * a * w + a * w**2 / 2).sum()

    _, (found,) = unrolled_gradient([a], [w], outer, inner, rate)
    ahead = w0 - rate * (curvature * w0 + coupling * a0 + a0 * w0)
    analytic = ahead + (ahead - pull + a0) * -rate * (coupling + w0)
    assert found is not None
    assert float(found) == pytest.approx(analytic, abs=1e-3)
    assert w.item() == w0
    _, (first,) = unrolled_gradient([a], [w], outer, inner, 0.0)
    assert float(first) == w0


def test_weights_are_put_back_when_a_loss_breaks() -> None:
    a, w = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))

    def outer() -> torch.Tensor:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        unrolled_gradient([a], [w], outer, lambda: (a * w).sum(), 0.5)
    assert w.item() == 1


def test_second_order_differs_from_first_in_alpha_alone_at_first(data) -> None:
    """One step: the weights move as in first order, for they are updated under the same alpha before it has told."""
    quick = replace(QUICK, epochs=1, batch_size=128)
    found = {}
    for name in ("darts1", "darts2"):
        steps = METHODS[name].settings["steps"]
        found[name] = search_cells(data, SMALL, replace(quick, steps=steps, arch_lr=0.05))
    first, second = (found[name].search.curve[0] for name in ("darts1", "darts2"))
    assert first["arch_loss"] != second["arch_loss"]
    assert first["teacher_loss"] == second["teacher_loss"]
    assert found["darts1"].alpha != found["darts2"].alpha


@pytest.mark.parametrize("method", ["darts1", "darts2"])
def test_an_evaluation_network_that_is_not_needed_is_left_alone(method, data) -> None:
    """The search is the same one, and the curve that of its own network."""
    settings = replace(QUICK, steps=METHODS[method].settings["steps"], warmup_epochs=1)
    found, untouched = {}, {}
    for curve in ("evaluation", "search"):
        duo, *_ = micro_duo(SMALL, 3, 3, 0)
        before = [p.clone() for p in duo.teacher.parameters()]
        found[curve] = joint_search(duo, data, replace(settings, curve=curve), seed=0)
        untouched[curve] = all(torch.equal(p, q) for p, q in zip(before, duo.teacher.parameters()))
        assert any(name.startswith("teacher") for name in found[curve].curve[0]) != untouched[curve]
    assert untouched == {"evaluation": False, "search": True}
    for a, b in zip(found["evaluation"].history, found["search"].history):
        assert a == b
    for a, b in zip(found["evaluation"].curve, found["search"].curve):
        assert {name: a[name] for name in b if name != "val_accuracy"} == {
            name: value for name, value in b.items() if name != "val_accuracy"
        }


def test_the_curve_of_the_search_network_is_its_accuracy(data) -> None:
    duo, *_ = micro_duo(SMALL, 3, 3, 0)
    point = joint_search(duo, data, replace(QUICK, curve="search"), seed=0).curve[-1]
    images, targets = data.validation.inputs, data.validation.targets
    x = (torch.from_numpy(images).float() * data.scale - torch.tensor(data.mean).view(1, -1, 1, 1)) / torch.tensor(
        data.std
    ).view(1, -1, 1, 1)
    with torch.no_grad():
        logits = duo.student.eval().head(duo.student.features(x, duo.weights())[0])
    assert point["val_accuracy"] == pytest.approx((logits.argmax(1).numpy() == targets).mean(), abs=1e-6)
    assert point["teacher_loss"] > 0


def test_evaluation_networks_that_are_read_are_trained_whatever_the_curve() -> None:
    for settings, left in (
        (QUICK, 3), (replace(QUICK, e_distill=True, e_split="val"), 2), (replace(QUICK, distill=0.0), 3),
        (replace(QUICK, steps=METHODS["darts1"].settings["steps"]), 2),
        (replace(QUICK, steps=METHODS["darts1"].settings["steps"], alpha_l1=1.0), 2),
        (replace(QUICK, steps=(Step("val", (lambda moment: moment.evaluation.logits.sum(),), ("a",)), *METHODS["darts1"].settings["steps"])), 4),
    ):  # fmt: skip
        without = replace(settings, curve="search")
        assert (len(without.joint_steps), without.evaluates) == (left, left != 2 or settings.e_distill)
        assert settings.evaluates
    with pytest.raises(SettingsError, match="curve must be evaluation or search, not 'none'"):
        replace(QUICK, curve="none")


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("method", ["icdarts", "darts2"])
def test_architecture_and_losses_are_on_the_device(device, method, data) -> None:
    if not {"cuda": torch.cuda, "mps": torch.backends.mps}[device].is_available():
        pytest.skip(f"no {device} here")
    settings = replace(QUICK, epochs=1, alpha_l1=1.0, steps=METHODS[method].settings.get("steps", ()))
    found = search_cells(data, SMALL, settings, device=device)
    assert found.search.complete


@pytest.fixture(scope="module")
def softmax_alpha(data):
    return search_cells(data, SMALL, QUICK).alpha


@pytest.mark.parametrize("name", ["softmax", "node-softmax", "sigmoid", "gumbel"])
def test_every_relaxation_searches_and_resumes(name, data, softmax_alpha, tmp_path) -> None:
    micro = replace(SMALL, relaxation=name)
    whole = search_cells(data, micro, QUICK)
    file = tmp_path / "search.safetensors"
    search_cells(data, micro, QUICK, checkpoint=file, on_epoch=lambda epoch, _: epoch < 1)
    rest = search_cells(data, micro, QUICK, checkpoint=file)
    assert rest.alpha == whole.alpha
    assert rest.search.history == whole.search.history
    assert len(whole.search.history) == 2
    assert (whole.alpha == softmax_alpha) == (name == "softmax")


def test_a_search_ends_when_its_architecture_is_stable(data) -> None:
    still = replace(QUICK, epochs=9, arch_lr=0.0, stable_epochs=2)
    found = search_cells(data, SMALL, still)
    assert (len(found.search.curve), found.search.complete) == (3, True)


def test_steps_that_make_no_sense_are_refused(data) -> None:
    with pytest.raises(SettingsError, match="reads train or val, not 'test'"):
        Step("test", (search,), ("a",))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="updates out of a, w_S, w_E"):
        Step("val", (search,), ("alpha",))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="unrolled step updates a alone"):
        Step("val", (search,), ("a", "w_E"), unrolled=True)
    only = (Step("val", (search,), ("a",), unrolled=True),)
    with pytest.raises(SettingsError, match="needs a step that updates w_S"):
        search_cells(data, SMALL, replace(QUICK, steps=only))
    deaf = (Step("val", (evaluation,), ("a",)),)
    with pytest.raises(SettingsError, match="a <- evaluation on val do not depend"):
        search_cells(data, SMALL, replace(QUICK, steps=deaf))
    with pytest.raises(SettingsError, match="gumbel draws new ones"):
        search_cells(
            data, replace(SMALL, relaxation="gumbel"), replace(QUICK, steps=METHODS["darts2"].settings["steps"])
        )
    with pytest.raises(SettingsError, match=r"relaxation.*hard"):
        replace(SMALL, relaxation="hard")
    with pytest.raises(SettingsError, match="darts2 declares its steps; e_split would change nothing"):
        OneShot("darts2", {"e_split": "val"}).settings()


def test_other_steps_do_not_go_on_from_a_checkpoint(data, tmp_path) -> None:
    file = tmp_path / "search.safetensors"
    search_cells(data, SMALL, QUICK, checkpoint=file, on_epoch=lambda *_: False)
    with pytest.raises(SettingsError, match="steps"):
        search_cells(data, SMALL, replace(QUICK, steps=METHODS["darts1"].settings["steps"]), checkpoint=file)


def test_a_method_that_is_not_there_is_named(tmp_path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from archwright.supernet.methods import Method\nmine = Method('one')\n")
    assert find_method(f"{file}:mine").summary == "one"
    with pytest.raises(SettingsError, match="declares no method 'yours'; it has mine"):
        find_method(f"{file}:yours")
    with pytest.raises(SettingsError, match="there is no file"):
        find_method(f"{tmp_path / 'absent.py'}:fairdarts")
    with pytest.raises(SettingsError, match=r"my_method\.py:name"):
        find_method("fairdarts")
