import math
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
import torch
from specimens import quadrants, small_network
from torch import nn

from archwright.data import Data
from archwright.errors import FamilyError, SettingsError
from archwright.evaluate import NetworkEvaluator, Training, seeded, train
from archwright.evaluation import Bound, Goal, Objective
from archwright.families import family_from, family_from_file
from archwright.space import Architecture, Choice, Space
from archwright.testing.evaluators import EvaluatorContract, repeatable

SHORT = Training(epochs=2, batch_size=32, lr=0.01)
ACCURACY = (Objective("accuracy", "maximize"),)
GOOD = Architecture({"kind": "good", "width": 4})


@pytest.fixture
def make(data, family):
    def make(goal: Goal = Goal(ACCURACY), training: Training = SHORT, **options) -> NetworkEvaluator:  # noqa: B008
        return NetworkEvaluator(family, data, training, goal, device="cpu", **options)

    return make


class TestContract(EvaluatorContract):
    @pytest.fixture
    def evaluator(self, make):
        return make()

    @pytest.fixture
    def architecture(self):
        return GOOD

    @pytest.fixture
    def objective(self):
        return "accuracy"

    @pytest.fixture
    def broken(self):
        return Architecture({"kind": "build", "width": 4})


class TestContractWithRepeats(TestContract):
    @pytest.fixture
    def evaluator(self, make):
        return make(repeats=2)


def test_an_evaluation_has_validation_metrics_and_the_cheap_costs(make):
    evaluation = make()(GOOD)
    assert set(evaluation.metrics) == {
        "params", "macs", "loss", "accuracy", "balanced_accuracy", "auc", "f1", "f_beta", "seconds",
    }  # fmt: skip
    assert evaluation.metrics["params"] == 4 * 10 + 8 + 65 * 4
    assert evaluation.metrics["macs"] == 9 * 4 * 64 + 64 * 4
    assert evaluation.metrics["accuracy"] == evaluation.curve[-1]["accuracy"]
    assert (evaluation.cost, len(evaluation.curve)) == (1.0, 2)


def test_an_evaluation_is_what_train_gives_for_the_same_seed(make, data):
    evaluator = make()
    network = evaluator.build(GOOD, seed=9)
    assert train(network, data, SHORT, seed=9).metrics["loss"] == evaluator(GOOD, seed=9).metrics["loss"]
    assert evaluator(GOOD, seed=10).metrics["loss"] != evaluator(GOOD, seed=9).metrics["loss"]


def test_costs_in_the_goal_are_measured_and_told_with_each_epoch(make):
    goal = Goal((*ACCURACY, Objective("latency_ms", "minimize")), (Bound("training_memory_mb", "at_most", 1e6),))
    told = []
    evaluation = make(goal, profile_repeats=3)(GOOD, on_epoch=lambda epoch, metrics: told.append(dict(metrics)) or True)
    assert {"latency_ms", "latency_spread_ms", "training_memory_mb"} <= set(evaluation.metrics)
    assert "throughput" not in evaluation.metrics
    assert [point["epoch"] for point in told] == [1, 2]
    assert all({"latency_ms", "params", "accuracy", "train_loss"} <= set(point) for point in told)


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (Bound("params", "at_most", 100), "params 308, wanted params <= 100"),
        (Bound("macs", "at_least", 1e9), "macs 2560, wanted macs >= 1e+09"),
        (Bound("latency_ms", "at_most", 1e-9), "wanted latency_ms <= 1e-09"),
    ],
)
def test_a_bound_that_needs_no_training_is_checked_before_it_and_costs_nothing(make, monkeypatch, bound, words):
    import archwright.evaluate.network as module

    monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("it was trained"))
    evaluation = make(Goal(ACCURACY, (bound, Bound("accuracy", "at_least", 0.1))))(GOOD)
    assert evaluation.status == "infeasible"
    assert evaluation.cost == 0
    assert words in evaluation.reason
    assert evaluation.metrics["params"] == 308
    assert "accuracy" not in evaluation.metrics


def test_all_broken_bounds_are_named(make):
    evaluation = make(Goal(ACCURACY, (Bound("params", "at_most", 1), Bound("flops", "at_most", 1))))(GOOD)
    assert evaluation.reason == "params 308, wanted params <= 1; flops 5120, wanted flops <= 1"


def test_a_bound_on_what_training_gives_is_checked_after_it(make):
    evaluation = make(Goal((Objective("params", "minimize"),), (Bound("accuracy", "at_least", 1.1),)))(GOOD)
    assert evaluation.status == "infeasible"
    assert evaluation.cost == 1.0
    assert "accuracy" in evaluation.metrics
    assert len(evaluation.curve) == 2
    assert evaluation.reason.endswith("wanted accuracy >= 1.1")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("build", "build raised ValueError: no such block (specimens.py, line "),
        ("exit", "build raised SystemExit: 1 (specimens.py, line "),
        ("object", "build must return a torch.nn.Module, not str"),
        ("size", "output for a batch of 2 is 2 x 5; it must be 2 x 4"),
        ("nan", "the training loss was nan in epoch 1"),
        ("oom", "out of memory in training (batch size 32 on cpu): CUDA out of memory"),
        ("raise", "training raised RuntimeError: the shapes do not fit (specimens.py, line "),
    ],
)
def test_a_fault_of_the_candidate_is_a_failed_evaluation_with_a_one_line_reason(make, kind, reason):
    evaluation = make()(Architecture({"kind": kind, "width": 4}), seed=1)
    assert evaluation.status == "failed"
    assert reason in evaluation.reason
    assert "\n" not in evaluation.reason
    assert "accuracy" not in evaluation.metrics


def test_the_time_limit_holds_for_all_repeats_together(make):
    evaluator = make(training=replace(SHORT, epochs=200), time_limit=0.5, repeats=3)
    evaluator.warm_up()
    evaluation = evaluator(Architecture({"kind": "slow", "width": 4}))
    assert evaluation.status == "failed"
    assert "over its time limit in epoch" in evaluation.reason
    assert evaluation.seconds < 3
    assert 0 < evaluation.cost < 1


def test_a_failure_after_some_epochs_has_their_cost(data):
    class Tires(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.steps = small_network(), 0

        def forward(self, x):
            self.steps += self.training
            if self.steps > 2 * 6:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
            return self.inner(x)

    family = family_from(Space(a=Choice(1, 2)), lambda a, s, c: Tires())
    evaluator = NetworkEvaluator(family, data, replace(SHORT, epochs=4), Goal(ACCURACY), device="cpu")
    evaluation = evaluator(Architecture({"a": 1}))
    assert (evaluation.status, evaluation.cost) == ("failed", 0.5)
    assert evaluation.reason.startswith("out of memory in training (batch size 32 on cpu)")


def test_what_the_callback_raises_is_not_blamed_on_the_candidate(make):
    def on_epoch(epoch, metrics):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make()(GOOD, on_epoch=on_epoch)


def test_an_objective_that_is_not_finite_is_a_failure(data):
    class Explodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small_network()

        def forward(self, x):
            return self.inner(x) if self.training else self.inner(x) * torch.inf

    family = family_from(Space(a=Choice(1, 2)), lambda a, s, c: Explodes())
    evaluation = NetworkEvaluator(family, data, SHORT, Goal((Objective("loss", "minimize"),)), device="cpu")(
        Architecture({"a": 1})
    )
    assert evaluation.status == "failed"
    assert evaluation.reason == "the loss is nan"
    assert evaluation.cost == 1.0


def test_the_line_in_the_users_file_is_named(data, tmp_path):
    file = tmp_path / "my_net.py"
    file.write_text(
        "from archwright import Choice, Space\n"
        "space = Space(a=Choice(1, 2))\n"
        "def build(architecture, input_shape, num_classes):\n"
        "    return helper(architecture)\n"
        "def helper(architecture):\n"
        "    return {}[architecture['a']]\n"
    )
    evaluator = NetworkEvaluator(family_from_file(file), data, SHORT, Goal(ACCURACY), device="cpu")
    assert evaluator(Architecture({"a": 1})).reason == "build raised KeyError: 1 (my_net.py, line 6)"


def test_fidelity_is_a_share_of_the_epochs(make):
    evaluator = make(training=replace(SHORT, epochs=8))
    evaluation = evaluator(GOOD, fidelity=0.25)
    assert (len(evaluation.curve), evaluation.cost, evaluation.fidelity) == (2, 0.25, 0.25)
    least = evaluator(GOOD, fidelity=0.01)
    assert (len(least.curve), least.cost) == (1, 0.125)
    assert evaluation.curve[-1]["lr"] < 0.1 * SHORT.lr  # the schedule comes to its end


def test_a_stop_is_told_in_fidelity_cost_and_reason(make):
    evaluation = make(training=replace(SHORT, epochs=8))(GOOD, on_epoch=lambda epoch, _: epoch < 2)
    assert (evaluation.status, evaluation.fidelity, evaluation.cost) == ("ok", 0.25, 0.25)
    assert evaluation.reason == "stopped early after epoch 2 of 8"


def test_a_training_that_ran_out_of_patience_is_a_full_evaluation_that_cost_less(make):
    training = replace(SHORT, epochs=30, lr=1e-12, weight_decay=0.0, patience=2, monitor="auc", optimizer="sgd")
    evaluation = make(training=training)(GOOD)
    assert evaluation.status == "ok"
    assert evaluation.fidelity == 1.0
    assert evaluation.cost == len(evaluation.curve) / 30 < 1


def test_repeats_are_averaged_with_their_spread(make):
    several = make(repeats=3)(GOOD, seed=2)
    once = make()(GOOD, seed=2)
    assert several.cost == 3.0
    assert several.metrics["loss_std"] > 0
    assert "params_std" not in several.metrics
    assert several.metrics["loss"] != once.metrics["loss"]
    assert several.metrics["loss"] == pytest.approx(several.curve[-1]["loss"])
    assert repeatable(make(repeats=3)(GOOD, seed=2)) == repeatable(several)


def test_costs_without_training_are_empty_where_build_breaks(make):
    evaluator = make()
    assert evaluator.cheap_metrics(GOOD) == {"params": 308, "macs": 2560}
    for kind in ("build", "exit", "object"):
        assert evaluator.cheap_metrics(Architecture({"kind": kind, "width": 4})) == {}


def test_full_training_gives_the_network_and_resumes_exactly(make, tmp_path, monkeypatch):
    goal = Goal(ACCURACY, (Bound("params", "at_most", 1),))
    evaluator = make(goal, time_limit=1e-6, repeats=2)
    longer = replace(SHORT, epochs=4)
    whole, network = evaluator.train_fully(GOOD, training=longer, seed=5)
    assert (whole.status, whole.cost, len(whole.curve)) == ("ok", 1.0, 4)
    assert whole.metrics["params"] == 308

    class _KilledError(BaseException):
        pass

    def killed(epoch, metrics):
        raise _KilledError

    file = tmp_path / "a.checkpoint"
    import archwright.evaluate.network as module

    original = module.train
    monkeypatch.setattr(module, "train", lambda *a, **k: original(*a, **k, checkpoint_seconds=0))
    with pytest.raises(_KilledError):
        evaluator.train_fully(GOOD, training=longer, seed=5, checkpoint=file, on_epoch=killed)
    epochs = []
    resumed, again = evaluator.train_fully(
        GOOD, training=longer, seed=5, checkpoint=file, on_epoch=lambda epoch, _: epochs.append(epoch) or True
    )
    assert epochs == [2, 3, 4]
    assert repeatable(resumed)[:3] == repeatable(whole)[:3]
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values()))


def test_a_full_training_that_breaks_gives_no_network(make):
    evaluation, network = make().train_fully(Architecture({"kind": "nan", "width": 4}), training=SHORT)
    assert evaluation.status == "failed"
    assert network is None


def test_test_metrics_lie_in_their_intervals(make, data):
    evaluator = make()
    _, network = evaluator.train_fully(GOOD, training=SHORT)
    found = evaluator.test(network)
    for metric in ("accuracy", "balanced_accuracy", "auc", "f1", "loss"):
        assert found[f"{metric}_low"] <= found[metric] <= found[f"{metric}_high"], metric
    assert found["accuracy_low"] < found["accuracy"]
    assert found == evaluator.test(network)


def test_the_check_before_a_search_finds_a_wrong_output_size(data):
    family = family_from(Space(a=Choice(1, 2)), lambda a, s, c: small_network(s, c + 3), "mine")
    with pytest.raises(FamilyError, match=r"family 'mine': build .* is 2 x 7; it must be 2 x 4"):
        NetworkEvaluator(family, data, SHORT, device="cpu").check()


def test_the_check_before_a_search_forgives_a_default_that_cannot_be_built(data):
    def some(architecture, shape, classes):
        if architecture["a"] == 0:
            raise ValueError("zero")
        return small_network(shape, classes)

    NetworkEvaluator(family_from(Space(a=Choice(*range(50))), some), data, SHORT, device="cpu").check()

    def none(architecture, shape, classes):
        raise ValueError("never works")

    with pytest.raises(FamilyError, match=r"build raised ValueError: never works \(test_network.py, line \d+\)"):
        NetworkEvaluator(family_from(Space(a=Choice(*range(50))), none), data, SHORT, device="cpu").check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": Goal((Objective("acuracy", "maximize"),))}, "did you mean accuracy"),
        ({"goal": Goal(ACCURACY, (Bound("latency", "at_most", 1),))}, "did you mean latency_ms"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"time_limit": 0}, "time limit must be above 0"),
        ({"device": "cuda:77"}, "not available here"),
        ({"training": Training(precision="fp16")}, "fp16 needs"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything(data, family, options, message):
    with pytest.raises(SettingsError, match=message):
        NetworkEvaluator(family, data, **{"device": "cpu", **options})


def test_auc_is_refused_where_the_validation_split_lacks_a_class(data, family):
    lacking = Data("lacking", data.train, quadrants(80, 1, 3), data.test, data.classes)
    with pytest.raises(SettingsError, match="no validation example has class 'd'"):
        NetworkEvaluator(family, lacking, SHORT, Goal((Objective("auc", "maximize"),)), device="cpu")
    evaluation = NetworkEvaluator(family, lacking, SHORT, Goal(ACCURACY), device="cpu")(GOOD)
    assert evaluation.status == "ok"
    assert "auc" not in evaluation.metrics
    assert math.isfinite(evaluation.metrics["f1"])


def test_what_is_kept_on_the_device_is_not_sent_to_workers(make):
    evaluator = make()
    before = len(cloudpickle.dumps(evaluator))
    evaluator(GOOD)
    assert evaluator.splits() is evaluator.splits()
    assert len(cloudpickle.dumps(evaluator)) == before


def test_building_draws_its_weights_from_the_seed_alone(make):
    evaluator = make()
    torch.manual_seed(0)
    first = evaluator.build(GOOD, seed=1)[0].weight
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(first, evaluator.build(GOOD, seed=1)[0].weight)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(first, evaluator.build(GOOD, seed=2)[0].weight)
    with seeded(0):
        assert np.isfinite(evaluator.build(GOOD)[0].weight.detach().numpy()).all()
