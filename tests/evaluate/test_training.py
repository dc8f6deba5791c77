import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from specimens import Faulty, quadrants, small_network
from torch import nn

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.evaluate import Training, evaluate_split, seeded, train
from archwright.evaluate.checkpoint import network_tensors
from archwright.evaluate.optimizers import Average, make_optimizer

SHORT = Training(epochs=3, batch_size=32, lr=0.01)


def fresh(seed: int = 0, **options) -> nn.Module:
    with seeded(seed):
        return small_network(**options)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network_tensors(network).items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_seconds(curve) -> list[dict[str, float]]:
    return [{name: value for name, value in point.items() if name != "seconds"} for point in curve]


def trained(data: Data, training: Training = SHORT, seed: int = 0, **options):
    network = fresh()
    outcome = train(network, data, training, seed=seed, **options)
    return network, outcome


EVERYTHING = {
    "sgd": {"optimizer": "sgd", "lr": 0.05, "weight_decay": 5e-4},
    "adam": {"optimizer": "adam"},
    "augmentation": {"crop": 1, "flip": True, "cutout": 2, "mixup": 0.2, "cutmix": 1.0},
    "extras": {"ema": 0.9, "keep": "best", "class_weights": True, "label_smoothing": 0.1, "schedule": "step"},
    "plain": {"gradient_clip": 0.0, "schedule": "constant", "eval_every": 2, "channels_last": True},
    "bf16": {"precision": "bf16"},
}


def test_training_learns_and_keeps_its_whole_curve(data):
    network, outcome = trained(data, replace(SHORT, epochs=5))
    assert outcome.ending == "complete"
    assert outcome.reason == ""
    assert outcome.metrics["accuracy"] > 0.9
    assert [point["epoch"] for point in outcome.curve] == [1, 2, 3, 4, 5]
    wanted = {"epoch", "train_loss", "lr", "seconds", "loss", "accuracy", "balanced_accuracy", "auc", "f1", "f_beta"}
    assert all(set(point) == wanted for point in outcome.curve)
    assert outcome.curve[-1]["train_loss"] < outcome.curve[0]["train_loss"]
    seconds = [point["seconds"] for point in outcome.curve]
    assert seconds == sorted(seconds)
    assert outcome.seconds == seconds[-1] == outcome.metrics["seconds"]
    again = evaluate_split(network, data, data.validation)
    assert again.metrics == {m: outcome.metrics[m] for m in again.metrics}


@pytest.mark.parametrize("settings", EVERYTHING.values(), ids=EVERYTHING)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(data, settings):
    training = replace(SHORT, **settings)
    torch.manual_seed(1)  # the global state must not matter
    a, first = trained(data, training)
    torch.manual_seed(2)
    b, second = trained(data, training)
    c, _ = trained(data, training, seed=5)
    assert same(weights(a), weights(b))
    assert without_seconds(first.curve) == without_seconds(second.curve)
    assert not same(weights(a), weights(c))


class _KilledError(Exception):
    pass


def killed_after(epoch: int):
    def on_epoch(done: int, _metrics) -> bool:
        if done == epoch:
            raise _KilledError
        return True

    return on_epoch


@pytest.mark.parametrize("settings", EVERYTHING.values(), ids=EVERYTHING)
def test_a_resumed_training_equals_the_uninterrupted_one(data, tmp_path, settings):
    training = replace(SHORT, epochs=4, **settings)
    whole, expected = trained(data, training)
    file = tmp_path / "folder" / "training.checkpoint"
    for epoch in (1, 3):  # killed twice
        with pytest.raises(_KilledError):
            trained(data, training, checkpoint=file, checkpoint_seconds=0, on_epoch=killed_after(epoch))
    calls = []
    network, outcome = trained(data, training, checkpoint=file, on_epoch=lambda epoch, _: calls.append(epoch) or True)
    assert calls == [4]
    assert same(weights(network), weights(whole))
    assert without_seconds(outcome.curve) == without_seconds(expected.curve)
    assert {**outcome.metrics, "seconds": 0} == {**expected.metrics, "seconds": 0}
    assert list(file.parent.iterdir()) == [file]


def test_a_finished_checkpoint_is_not_trained_again(data, tmp_path):
    file = tmp_path / "checkpoint"
    network, outcome = trained(data, checkpoint=file)
    again, told = trained(data, checkpoint=file)
    assert same(weights(network), weights(again))
    assert told == outcome


def test_checkpoints_are_spaced_in_time(data, tmp_path):
    file = tmp_path / "checkpoint"
    with pytest.raises(_KilledError):
        trained(data, checkpoint=file, checkpoint_seconds=1000, on_epoch=killed_after(2))
    assert not file.exists()


def test_a_checkpoint_of_another_training_or_a_broken_one_is_refused(data, tmp_path):
    file = tmp_path / "checkpoint"
    trained(data, checkpoint=file)
    for training, seed in ((replace(SHORT, epochs=9), 0), (SHORT, 1)):
        with pytest.raises(SettingsError, match="another training"):
            trained(data, training, seed=seed, checkpoint=file)
    with pytest.raises(SettingsError, match=r"another training.*network"):
        train(fresh(width=8), data, SHORT, seed=0, checkpoint=file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(SettingsError, match="cannot be read"):
        trained(data, checkpoint=file)


def test_a_failed_write_leaves_the_last_checkpoint_whole(data, tmp_path, monkeypatch):
    import archwright.evaluate.checkpoint as module

    file = tmp_path / "checkpoint"
    trained(data, checkpoint=file)
    before = file.read_bytes()

    def full_disk(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        module.write_checkpoint(file, {}, {})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_the_callers_randomness_is_left_alone(data):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = torch.rand(3), np.random.rand()  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    network = small_network()
    torch.manual_seed(3)
    train(network, data, replace(SHORT, epochs=1, mixup=0.2), seed=0)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.random.rand() == expected[1]  # noqa: NPY002


def test_on_epoch_can_stop(data):
    _, outcome = trained(data, on_epoch=lambda epoch, metrics: epoch < 2 or metrics["accuracy"] > 2)
    assert (outcome.ending, outcome.epochs) == ("stopped", 2)
    assert outcome.reason == "stopped early after epoch 2 of 3"
    assert outcome.metrics["accuracy"] == outcome.curve[-1]["accuracy"]


def test_a_stop_between_validations_is_validated(data):
    _, outcome = trained(data, replace(SHORT, eval_every=3), on_epoch=lambda epoch, _: epoch < 2)
    assert "accuracy" not in outcome.curve[0]
    assert outcome.metrics["accuracy"] == outcome.curve[1]["accuracy"]


def test_patience_ends_a_training_that_no_longer_improves(data):
    training = replace(SHORT, epochs=50, lr=1e-12, weight_decay=0.0, patience=3, monitor="accuracy")
    network = fresh()
    network[1].momentum = 0.0  # nothing moves
    outcome = train(network, data, training, seed=0)
    assert (outcome.ending, outcome.epochs) == ("patience", 4)
    assert outcome.reason == "no better accuracy in 3 validations"


def test_the_best_weights_are_kept_on_request(data):
    training = replace(SHORT, epochs=6, lr=0.3, optimizer="adam", schedule="constant", keep="best", monitor="accuracy")
    network, outcome = trained(data, training)
    best = max(point["accuracy"] for point in outcome.curve)
    assert outcome.metrics["accuracy"] == best
    assert evaluate_split(network, data, data.validation).metrics["accuracy"] == best


def test_the_average_of_the_weights_is_what_is_judged_and_kept(data):
    plain, _ = trained(data)
    network, outcome = trained(data, replace(SHORT, ema=0.9))
    assert not same(weights(plain), weights(network))
    assert evaluate_split(network, data, data.validation).metrics["loss"] == outcome.metrics["loss"]


def test_the_average_follows_its_definition():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = Average(network, 0.5)
    expected = 0.0
    for step, value in enumerate((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)):
        network.weight.data.fill_(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert float(average.tensors["weight"]) == pytest.approx(expected)
    average.swap()
    assert network.weight.item() == pytest.approx(expected)
    average.swap()
    assert network.weight.item() == 10.0


def test_norms_and_biases_do_not_decay():
    network = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    for optimizer in ("sgd", "adam", "adamw"):
        made = make_optimizer(network, Training(optimizer=optimizer, weight_decay=0.1))
        decay = {id(p): group["weight_decay"] for group in made.param_groups for p in group["params"]}
        assert decay[id(network[0].weight)] == 0.1
        assert decay[id(network[0].bias)] == decay[id(network[1].weight)] == decay[id(network[1].bias)] == 0.0


def test_everything_decays_where_the_settings_say_so():
    network = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    made = make_optimizer(network, Training(optimizer="sgd", weight_decay=0.1, decay="all"))
    assert [(len(group["params"]), group["weight_decay"]) for group in made.param_groups] == [(4, 0.1)]


def test_frozen_parameters_stay(data):
    network = fresh()
    network[0].weight.requires_grad_(False)
    before = network[0].weight.clone()
    train(network, data, replace(SHORT, epochs=1), seed=0)
    assert torch.equal(network[0].weight, before)


def test_one_step_of_sgd_is_the_textbook_one(data):
    """The loss of the whole training split, its gradient clipped to norm 0.1, one step."""
    training = Training(
        epochs=1, optimizer="sgd", lr=0.5, momentum=0.0, weight_decay=0.0, batch_size=192, schedule="constant",
        warmup_epochs=0, gradient_clip=0.1, label_smoothing=0.2, class_weights=True,
    )  # fmt: skip
    layers = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4))  # noqa: E731
    with seeded(0):
        network, twin = layers(), layers()
    twin.load_state_dict(network.state_dict())
    outcome = train(network, data, training, seed=0)
    x = (torch.from_numpy(data.train.inputs) / 255 - data.mean[0]) / data.std[0]
    weight = torch.from_numpy(data.class_weights()).float()
    loss = nn.functional.cross_entropy(twin(x), torch.from_numpy(data.train.targets), weight, label_smoothing=0.2)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
    assert norm > 0.1
    for ours, theirs in zip(network.parameters(), twin.parameters()):
        assert torch.allclose(ours, theirs - 0.5 * theirs.grad, atol=1e-6)
    assert outcome.curve[0]["train_loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_class_weights_help_the_rare_class():
    train_split = quadrants(200, 0, classes=2)
    keep = np.flatnonzero((train_split.targets == 0) | (np.arange(200) < 16))
    rare = Data("rare", train_split.take(keep), quadrants(80, 1, 2), quadrants(80, 2, 2), ("a", "b"))
    training = Training(epochs=2, batch_size=32, lr=0.002)
    recall = {}
    for weighted in (False, True):
        network = fresh(num_classes=2)
        train(network, rare, replace(training, class_weights=weighted), seed=0)
        scored = evaluate_split(network, rare, rare.validation)
        recall[weighted] = (scored.logits.argmax(1) == 1)[scored.targets == 1].mean()
    assert recall[True] > recall[False]


class WithAuxiliary(nn.Module):
    """Two heads; the second only while training."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.auxiliary = nn.Flatten(), nn.Linear(64, 4), nn.Linear(64, 4)

    def forward(self, x):
        x = self.body(x)
        return (self.head(x), self.auxiliary(x)) if self.training else self.head(x)


def test_an_auxiliary_head_is_trained_with_its_weight(data):
    for weight, moves in ((0.4, True), (0.0, False)):
        with seeded(0):
            network = WithAuxiliary()
        before = network.auxiliary.weight.clone()
        outcome = train(network, data, replace(SHORT, auxiliary_weight=weight), seed=0)
        assert torch.equal(before, network.auxiliary.weight) is not moves
        assert outcome.metrics["accuracy"] > 0.5


def test_drop_path_rises_over_the_epochs(data):
    from archwright.layers import DropPath

    network = nn.Sequential(small_network(), DropPath())
    rates = []
    train(
        network,
        data,
        replace(SHORT, epochs=4, drop_path=0.4),
        seed=0,
        on_epoch=lambda *_: rates.append(network[1].rate) or True,
    )
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(("rates", "first"), [("rising", 0.15), ("equal", 0.3)])
def test_drop_path_rises_with_depth_or_is_the_same_everywhere(data, rates, first):
    from archwright.layers import DropPath

    network = nn.Sequential(DropPath(), small_network(), DropPath())
    train(network, data, replace(SHORT, epochs=2, drop_path=0.6, drop_path_rates=rates), seed=0)
    assert (network[0].rate, network[2].rate) == (first, 0.3)


def test_a_loss_that_is_not_a_number_fails_in_its_first_epoch(data):
    network = Faulty(small_network(), "nan")
    outcome = train(network, data, SHORT, seed=0)
    assert (outcome.ending, outcome.epochs) == ("failed", 0)
    assert outcome.reason == "the training loss was nan in epoch 1"


def test_a_training_over_its_time_limit_fails(data):
    outcome = train(Faulty(small_network(), "slow"), data, replace(SHORT, epochs=100), seed=0, time_limit=0.4)
    assert outcome.ending == "failed"
    assert "over its time limit in epoch" in outcome.reason
    assert outcome.seconds < 2


def test_nothing_is_read_back_from_the_device_between_steps(data, monkeypatch):
    """A read would stall a GPU: only one per epoch, and one for the labels and one for the logits of a validation."""
    reads = []
    original = torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: reads.append(1) or original(self))
    monkeypatch.setattr(torch.Tensor, "item", lambda self: pytest.fail("item() in the training loop"))
    trained(data, replace(SHORT, batch_size=8, mixup=0.2, ema=0.9))
    assert len(reads) <= 2 * SHORT.epochs


def test_the_modes_of_a_scored_network_are_left_alone(data):
    network = fresh()
    network.train()
    network[1].eval()
    evaluate_split(network, data, data.test, batch_size=7)
    assert network[0].training
    assert not network[1].training


def test_augmentation_of_images_is_refused_for_tables():
    from archwright.data import Split

    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 2)
    table = Data("table", split, split, split, ("no", "yes"))
    with pytest.raises(SettingsError, match="table"):
        train(nn.Linear(5, 2), table, replace(SHORT, flip=True), seed=0)
    outcome = train(nn.Linear(5, 2), table, replace(SHORT, mixup=0.2), seed=0)
    assert math.isfinite(outcome.metrics["loss"])


def test_fp16_on_a_cpu_is_refused(data):
    with pytest.raises(SettingsError, match="fp16 needs"):
        trained(data, replace(SHORT, precision="fp16"))


def test_the_best_weights_survive_an_interruption(data, tmp_path):
    rng = np.random.default_rng(0)  # labels without meaning: what is learned makes the validation loss worse
    shuffled = replace(data.train, targets=rng.permutation(data.train.targets))
    data = replace(data, train=shuffled)
    training = replace(SHORT, epochs=6, lr=0.05, keep="best")
    whole, expected = trained(data, training)
    best = min(range(6), key=lambda i: expected.curve[i]["loss"])
    assert best < 4, "this test needs a training that gets worse"
    file = tmp_path / "checkpoint"
    with pytest.raises(_KilledError):
        trained(data, training, checkpoint=file, checkpoint_seconds=0, on_epoch=killed_after(5))
    network, outcome = trained(data, training, checkpoint=file)
    assert outcome.metrics["loss"] == expected.curve[best]["loss"]
    assert same(weights(network), weights(whole))


@pytest.mark.parametrize("augmentation", [{}, {"cutout": 3}])
def test_every_epoch_has_its_own_order_and_augmentation(data, augmentation):
    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.seen = nn.Linear(64, 4), []

        def forward(self, x):
            if self.training:
                self.seen.append(x.flatten(1))
            return self.linear(x.flatten(1))

    def batches(seed: int) -> torch.Tensor:
        network = Recorder()
        train(network, data, replace(SHORT, epochs=2, batch_size=192, **augmentation), seed=seed)
        return torch.stack(network.seen)

    def as_sets(x: torch.Tensor) -> torch.Tensor:
        return x.sort(dim=0).values

    first, second = batches(0), batches(1)
    assert torch.equal(first, batches(0))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)
    if augmentation:
        assert not torch.equal(as_sets((first[0] == 0).float().sum(0)), as_sets((first[1] == 0).float().sum(0)))
    else:
        assert torch.equal(as_sets(first[0]), as_sets(first[1]))
