"""One training in two processes (gloo, CPU)."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from specimens import small_network
from torch import nn

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.evaluate import NetworkEvaluator, Training, train
from archwright.evaluate.ranks import RankError, Ranks, check_processes
from archwright.evaluate.team import Team
from archwright.families import family_from
from archwright.space import Architecture, Choice, Space

CPU = torch.device("cpu")
SHORT = Training(epochs=2, batch_size=32, lr=0.01)
LONG = Training(epochs=2000, batch_size=32)


def plain() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))


def with_norm() -> nn.Module:
    torch.manual_seed(3)
    return small_network()


class InRank(nn.Module):
    """Does ``fault`` in the first training step of one rank, never in evaluation or in the parent."""

    def __init__(self, fault: str, rank: int) -> None:
        super().__init__()
        self.inner, self.fault, self.rank = plain(), fault, rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and os.environ.get("RANK") == str(self.rank):
            if self.fault == "raise":
                raise ValueError("this part does not fit")
            if self.fault == "exit":
                os._exit(3)
            if self.fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        return self.inner(x)


@pytest.fixture(scope="module")
def ranks(data: Data):
    team = Ranks(data, 2, CPU)
    yield team
    team.close()
    assert not ranks_running()


def ranks_running() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "archwright.evaluate.rank" in p.cmdline()]


@pytest.mark.parametrize(
    "settings",
    [
        {"gradient_clip": 0.5},
        {"class_weights": True, "label_smoothing": 0.1, "ema": 0.9, "keep": "best", "batch_size": 63},
        {"optimizer": "sgd", "crop": 1, "flip": True, "mixup": 0.2, "class_weights": True},
        {"batch_size": 189},  # a last batch of three examples, too few to be shared
    ],
)
def test_two_processes_train_the_network_of_one(data: Data, ranks: Ranks, settings):
    training = replace(SHORT, **settings)
    one, two = plain(), plain()
    alone = train(one, data, training, seed=5)
    shared = ranks.train(two, training, seed=5)
    for a, b in zip(one.parameters(), two.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for name in ("train_loss", "lr", "loss", "accuracy", "auc"):
        assert [p[name] for p in shared.curve] == pytest.approx([p[name] for p in alone.curve], rel=1e-4), name
    assert shared.metrics["loss"] == pytest.approx(alone.metrics["loss"], rel=1e-4)
    assert (shared.ending, shared.reason, shared.epochs) == ("complete", "", 2)


def test_batch_norm_and_dropout_learn_and_the_same_seed_gives_the_same_network(data: Data, ranks: Ranks):
    training = replace(SHORT, epochs=5)
    one, two = with_norm(), with_norm()
    first = ranks.train(one, training, seed=1)
    ranks.train(two, training, seed=1)
    assert first.metrics["accuracy"] > 0.9
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values()))


def test_unused_weights_and_buffers_of_all_kinds_are_shared(data: Data, ranks: Ranks):
    network = plain()
    network.unused = nn.Linear(3, 3)
    network.register_buffer("mask", torch.tensor([True, False]))
    network.register_buffer("count", torch.tensor(7), persistent=False)
    network.forward = nn.Sequential(*network[:4]).forward
    before = network.unused.weight.clone()
    assert ranks.train(network, SHORT, seed=0).ending == "complete"
    assert torch.equal(network.unused.weight, before)


def test_stopping_patience_and_a_loss_that_is_nan_end_it_in_all_ranks(data: Data, ranks: Ranks):
    heard = []
    stopped = ranks.train(plain(), LONG, seed=1, on_epoch=lambda epoch, point: heard.append(point) or epoch < 3)
    assert (stopped.ending, stopped.epochs, len(heard)) == ("stopped", 3, 3)
    impatient = ranks.train(plain(), replace(LONG, lr=1e-9, patience=2, monitor="accuracy"), seed=1)
    assert impatient.ending == "patience"
    broken = ranks.train(plain(), replace(SHORT, lr=1e30, gradient_clip=0.0), seed=1)
    assert broken.ending == "failed"
    assert "training loss was" in broken.reason
    before = ranks_running()
    assert ranks.train(plain(), SHORT, seed=1).ending == "complete"
    assert ranks_running() == before


def test_a_checkpoint_is_gone_on_from(data: Data, ranks: Ranks, tmp_path):
    file = tmp_path / "checkpoint"
    whole, resumed = plain(), plain()
    ranks.train(whole, replace(SHORT, epochs=4), seed=2)
    part = {"checkpoint": file, "checkpoint_seconds": 0.0}
    ranks.train(plain(), replace(SHORT, epochs=4), seed=2, on_epoch=lambda epoch, _: epoch < 2, **part)
    ranks.train(resumed, replace(SHORT, epochs=4), seed=2, **part)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


@pytest.mark.parametrize(
    ("fault", "rank", "reason"),
    [
        ("raise", 1, r"^training raised ValueError: this part does not fit \(test_ranks.py, line \d+\) \(rank 1 "),
        pytest.param("kill", 0, r"^rank 0 of the training was killed \(signal 9", marks=pytest.mark.slow),
        pytest.param("exit", 1, r"^rank 1 of the training exited with code 3$", marks=pytest.mark.slow),
    ],
)
def test_trouble_in_one_rank_is_said_at_once(ranks: Ranks, fault, rank, reason):
    ranks.start()
    started = time.monotonic()
    with pytest.raises(RankError, match=reason):
        ranks.train(InRank(fault, rank), SHORT, seed=0)
    assert time.monotonic() - started < 5
    assert not ranks_running()


def test_a_killed_rank_is_a_failed_evaluation_and_the_next_one_works(data: Data):
    before = ranks_running()
    made = {"good": plain, "bad": lambda: InRank("kill", 1)}
    family = family_from(Space(kind=Choice(*made)), lambda a, *_: made[a["kind"]](), "faulty")
    evaluator = NetworkEvaluator(family, data, SHORT, device="cpu", processes=2)
    failed = evaluator(Architecture({"kind": "bad"}))
    assert failed.status == "failed"
    assert failed.reason.startswith("rank 1 of the training was killed (signal 9")
    assert evaluator(Architecture({"kind": "good"})).status == "ok"
    assert len(ranks_running()) == len(before) + 2
    del evaluator
    assert ranks_running() == before


def test_a_training_over_its_time_limit_is_killed(ranks: Ranks):
    ranks.start()
    started = time.monotonic()
    trained = ranks.train(plain(), LONG, seed=0, time_limit=0.5)
    assert time.monotonic() - started < 5
    assert trained.ending == "failed"
    assert f"over its time limit in epoch {trained.epochs + 1} of 2000" in trained.reason
    assert trained.epochs == len(trained.curve)
    assert not ranks_running()


@pytest.mark.slow
def test_what_on_epoch_raises_goes_through_and_ends_the_processes(ranks: Ranks):
    def interrupted(_epoch, _point):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ranks.train(plain(), LONG, seed=0, on_epoch=interrupted)
    assert not ranks_running()


def test_a_network_that_cannot_be_sent_is_refused(data: Data):
    network = plain()
    network.lock = threading.Lock()
    with pytest.raises(RankError, match="cannot be sent"):
        Ranks(data, 2, CPU).train(network, SHORT, seed=0)


@pytest.mark.parametrize(
    ("processes", "batch_size", "device", "message"),
    [
        (0, 32, "cpu", "at least 1, not 0"),
        (3, 5, "cpu", "too small for 3 processes"),
        (2, 32, "mps", "not on mps"),
        (99, 512, "cuda", "99 processes need as many GPUs"),
    ],
)
def test_processes_that_make_no_sense_are_refused(processes, batch_size, device, message):
    with pytest.raises(SettingsError, match=message):
        check_processes(processes, Training(batch_size=batch_size), torch.device(device))


def test_two_processes_need_a_device_each(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    check_processes(2, SHORT, torch.device("cuda"))
    with pytest.raises(SettingsError, match="say device cuda, not cuda:1"):
        check_processes(2, SHORT, torch.device("cuda:1"))


def test_outside_a_process_group_there_is_no_team():
    with pytest.raises(SettingsError, match="init_process_group"):
        Team.joined()


@given(n=st.integers(1, 300), size=st.integers(1, 9))
def test_parts_are_the_whole_and_none_is_a_single_example(n, size):
    parts = [Team(rank, size).rows(n) for rank in range(size)]
    if parts[0] is None:
        assert parts == [None] * size
        assert n < 2 * size
    else:
        assert [i for part in parts for i in range(n)[part]] == list(range(n))
        assert min(len(range(n)[part]) for part in parts) >= 2
