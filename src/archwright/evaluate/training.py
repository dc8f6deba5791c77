"""The training loop: examples that live on the device, and nothing read back from it between two validations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archwright.data import Data, DeviceSplit
from archwright.evaluate.checkpoint import (
    copy_into,
    load_optimizer,
    network_tensors,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from archwright.evaluate.devices import derived_seed, resolve_device, seeded
from archwright.evaluate.metrics import METRICS, PREDICTIVE
from archwright.evaluate.scoring import evaluate_split
from archwright.evaluate.settings import Training
from archwright.evaluate.stepping import Stepper
from archwright.evaluate.team import Team
from archwright.layers import set_drop_path

Ending = Literal["complete", "patience", "stopped", "failed"]
OnEpoch = Callable[[int, Mapping[str, float]], bool]

STEPS_BETWEEN_CHECKS = 50
"""Steps after which the loss is read, to end a training that has diverged before its epoch is over."""

SCORED_AT_ONCE = 50_000
"""Input values in a validation batch of tiny examples: there a batch costs little more than its calls."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        curve: per epoch ``epoch``, ``train_loss``, ``lr``, ``seconds`` (since the start), and, where the epoch was
            validated, the metrics of :data:`~archwright.evaluate.metrics.PREDICTIVE`.
        metrics: validation metrics of the weights that the network has now, and ``seconds``.
        seconds: wall time, over all sittings.
        epochs: how many were done.
        ending: ``complete``; ``patience`` (by the training's own setting); ``stopped`` (``on_epoch`` said so);
            ``failed`` (the weights are worth nothing).
        reason: of an ending that is not ``complete``.
    """

    curve: tuple[dict[str, float], ...]
    metrics: dict[str, float]
    seconds: float
    epochs: int
    ending: Ending = "complete"
    reason: str = ""


def train(
    network: nn.Module,
    data: Data,
    training: Training,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    on_epoch: OnEpoch | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    time_limit: float | None = None,
    splits: tuple[DeviceSplit, DeviceSplit] | None = None,
    also: Mapping[str, DeviceSplit] | None = None,
    team: Team | None = None,
) -> Trained:
    """Train a network, in place. The same seed and initial weights give the same network, bit by bit on a CPU.

    Args:
        network: maps ``batch x *input_shape`` to logits, or while training to ``(logits, auxiliary logits)``.
        data: examples to train on and to validate with.
        training: how.
        seed: of the order of examples, augmentation and dropout; the weights are the caller's.
        device: where; the network is moved there.
        on_epoch: called as ``on_epoch(epoch, point of the curve)`` after each epoch (from 1); ``False`` stops.
        checkpoint: a file to go on from if it is there, and to write: after the last epoch, and after one that ends
            at least ``checkpoint_seconds`` after the last writing. A training that goes on from it is the same, bit
            by bit on a CPU, as one without interruption.
        time_limit: seconds for this sitting; beyond them the training has failed.
        splits: training and validation examples on the device, where the caller has them already.
        also: further splits by name, measured with every validation; their metrics are in the curve as ``NAME_accuracy``
            and so on, and decide nothing.
        team: of processes that all call this with the same arguments and share every batch, one per device. Their order of
            examples and augmentation are those of one process, so that without batch norm and dropout the network is,
            up to rounding, the same. Batch norm sees its process's part of a batch, and is judged by the statistics of
            rank 0. Rank 0 answers for ``on_epoch``, the time limit (after each epoch) and the checkpoint.

    Raises:
        SettingsError: a device or precision that is not there, or a checkpoint of another training.
    """
    where = resolve_device(device)
    if splits is None:
        splits = device_splits(data, training, where)
    trainer = _Trainer(network.to(where), data, training, seed, where, splits, also or {}, team)
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    return trainer.run(deadline, on_epoch, checkpoint, checkpoint_seconds)


def device_splits(data: Data, training: Training, device: torch.device) -> tuple[DeviceSplit, DeviceSplit]:
    """Training and validation examples on a device, for :func:`train`."""
    last = training.channels_last
    train, validation = (DeviceSplit(s, data, device, channels_last=last) for s in (data.train, data.validation))
    return train, validation


class _Trainer:
    """One training: its state, and what happens in an epoch, and from the first epoch to the last."""

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        training: Training,
        seed: int,
        device: torch.device,
        splits: tuple[DeviceSplit, DeviceSplit],
        also: Mapping[str, DeviceSplit],
        team: Team | None,
    ) -> None:
        self.network = network
        self.data = data
        self.training = training
        self.seed = seed
        self.device = device
        self.examples, self.validation = splits
        self.also = also
        self.team = team
        if training.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stepper = Stepper(network, data, training, device, team)
        self.optimizer = self.stepper.optimizer
        self.precision = self.stepper.precision
        self.average = self.stepper.average
        self.augmentation = training.augmentation(data.input_shape)
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self.seconds = 0.0

    def run(
        self, deadline: float, on_epoch: OnEpoch | None, checkpoint: Path | None, checkpoint_seconds: float
    ) -> Trained:
        """All epochs that are still to be done."""
        self._restore(checkpoint)
        started = time.monotonic() - self.seconds
        saved = time.monotonic()
        asked_to_stop = False
        for epoch in range(len(self.curve) + 1, self.training.epochs + 1):
            if asked_to_stop or self._out_of_patience():
                break
            try:
                point = self._epoch(epoch, deadline)
            except _BrokenTrainingError as broken:
                spent = time.monotonic() - started
                return Trained(tuple(self.curve), {}, spent, epoch - 1, "failed", str(broken))
            self.seconds = time.monotonic() - started
            self.curve.append({**point, "seconds": self.seconds})
            last = epoch == self.training.epochs or self._out_of_patience()
            saves = checkpoint is not None and (self.team is None or self.team.rank == 0)
            if checkpoint is not None and saves and (last or time.monotonic() - saved >= checkpoint_seconds):
                self._save(checkpoint)
                saved = time.monotonic()
            asked_to_stop = on_epoch is not None and not on_epoch(epoch, self.curve[-1])
            if self.team is not None:
                asked_to_stop = self.team.agreed(asked_to_stop, self.device)
        return self._concluded()

    def _epoch(self, epoch: int, deadline: float) -> dict[str, float]:
        """Train for one epoch and, where it is due, validate."""
        settings = self.training
        if settings.drop_path:
            rate = settings.drop_path * (epoch - 1) / settings.epochs
            set_drop_path(self.network, rate, rising=settings.drop_path_rates == "rising")
        own = (3, self.team.rank) if self.team is not None and self.team.rank else ()
        with seeded(derived_seed(self.seed, epoch, *own), self.device):
            loss, lr = self._steps(epoch, deadline)
        point = {"epoch": float(epoch), "train_loss": loss, "lr": lr}
        if epoch % settings.eval_every == 0 or epoch == settings.epochs:
            point |= self._validate(epoch)
        return point

    def _steps(self, epoch: int, deadline: float) -> tuple[float, float]:
        """Mean loss and last learning rate of an epoch."""
        settings, steps = self.training, self.examples.steps(self.training.batch_size)
        order = torch.Generator().manual_seed(derived_seed(self.seed, epoch, 1))
        noise = torch.Generator(self.device).manual_seed(derived_seed(self.seed, epoch, 2))
        total, seen, lr = torch.zeros((), device=self.device), 0, 0.0
        self.network.train()
        for i, (inputs, targets) in enumerate(self.examples.batches(settings.batch_size, order)):
            lr = settings.learning_rate((epoch - 1) * steps + i, steps)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            if self.augmentation is not None:
                inputs, targets = self.augmentation(inputs, targets, self.data.num_classes, noise)
            total.add_(self.stepper.step(inputs, targets), alpha=len(inputs))
            seen += len(inputs)
            if i % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1:
                _check_finite(self._over_team(total), epoch)
            if self.team is None and time.monotonic() > deadline:
                raise _BrokenTrainingError(f"over its time limit in epoch {epoch} of {settings.epochs}")
        if self.team is not None and self.team.agreed(time.monotonic() > deadline, self.device):
            raise _BrokenTrainingError(f"over its time limit in epoch {epoch} of {settings.epochs}")
        total = self._over_team(total)
        _check_finite(total, epoch)
        return float(total) / seen, lr

    def _over_team(self, loss: Tensor) -> Tensor:
        return loss if self.team is None else self.team.mean(loss)

    def _validate(self, epoch: int) -> dict[str, float]:
        """Validation metrics; keeps a copy of the judged weights where they are the best so far."""
        settings = self.training
        with self._judged():
            if self.team is not None:
                self.team.share(self.network.buffers())
            metrics = self._score(self.validation)
            for name, split in self.also.items():
                metrics |= {f"{name}_{metric}": value for metric, value in self._score(split).items()}
            if self._is_best(metrics[settings.monitor]):
                self.best_epoch = epoch
                if settings.keep == "best":
                    self.best = {name: t.detach().clone() for name, t in network_tensors(self.network).items()}
        return metrics

    def _score(self, split: DeviceSplit) -> dict[str, float]:
        scored = evaluate_split(
            self.network,
            self.data,
            split,
            device=self.device,
            batch_size=max(2 * self.training.batch_size, SCORED_AT_ONCE // math.prod(self.data.input_shape)),
            precision=self.precision,
            team=self.team,
        )
        return dict(scored.metrics)

    def _is_best(self, value: float) -> bool:
        if not self.best_epoch:
            return not math.isnan(value)
        gain = value - self.curve[self.best_epoch - 1][self.training.monitor]
        return gain > 0 if METRICS[self.training.monitor].direction == "maximize" else gain < 0

    def _out_of_patience(self) -> bool:
        since = sum("loss" in point for point in self.curve[self.best_epoch :])
        return 0 < self.training.patience <= since

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Within, the network has the weights that are judged: the average, where there is one."""
        if self.average is None:
            yield
            return
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def _concluded(self) -> Trained:
        """Give the network the weights that count, and say what they are worth."""
        chosen = len(self.curve)
        if self.best:
            copy_into(network_tensors(self.network), self.best)
            chosen = self.best_epoch
        elif "loss" not in self.curve[-1]:
            self.curve[-1] |= self._validate(chosen)
        if self.average is not None and not self.best:
            self.average.swap()
        metrics = {name: self.curve[chosen - 1][name] for name in PREDICTIVE} | {"seconds": self.seconds}
        return Trained(tuple(self.curve), metrics, self.seconds, len(self.curve), *self._ending())

    def _ending(self) -> tuple[Ending, str]:
        settings, done = self.training, len(self.curve)
        if done == settings.epochs:
            return "complete", ""
        if self._out_of_patience():
            return "patience", f"no better {settings.monitor} in {settings.patience} validations"
        return "stopped", f"stopped early after epoch {done} of {settings.epochs}"

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree on."""
        return {
            "training": self.training.to_json(),
            "seed": self.seed,
            "data": self.data.fingerprint,
            "network": {name: list(tensor.shape) for name, tensor in network_tensors(self.network).items()},
        }

    def _groups(self) -> dict[str, dict[str, Tensor]]:
        return {
            "network": network_tensors(self.network),
            "optimizer": optimizer_tensors(self.optimizer),
            "average": self.average.tensors if self.average is not None else {},
            "best": self.best,
        }

    def _save(self, path: Path) -> None:
        scaler = self.precision.scaler
        state = {
            "identity": self._identity(),
            "curve": self.curve,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "average_steps": self.average.steps if self.average is not None else 0,
            "scaler": scaler.state_dict() if scaler is not None else {},
        }
        tensors = {f"{group}/{name}": t for group, named in self._groups().items() for name, t in named.items()}
        write_checkpoint(path, tensors, state)

    def _restore(self, path: Path | None) -> None:
        """Go on from a checkpoint, if it is there."""
        found = None if path is None else read_checkpoint(path, self._identity())
        if found is None:
            return
        tensors, state = found
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}, "average": {}, "best": {}}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        copy_into(network_tensors(self.network), groups["network"])
        load_optimizer(self.optimizer, groups["optimizer"])
        if self.average is not None:
            copy_into(self.average.tensors, groups["average"])
            self.average.steps = state["average_steps"]
        if self.precision.scaler is not None:
            self.precision.scaler.load_state_dict(state["scaler"])
        self.best = {name: tensor.to(self.device) for name, tensor in groups["best"].items()}
        self.curve, self.best_epoch, self.seconds = state["curve"], state["best_epoch"], state["seconds"]


class _BrokenTrainingError(Exception):
    """A training that ends without a network; the message says why."""


def _check_finite(total: Tensor, epoch: int) -> None:
    value = float(total)
    if not math.isfinite(value):
        raise _BrokenTrainingError(f"the training loss was {value} in epoch {epoch}")
