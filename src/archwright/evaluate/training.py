"""The training loop: examples that live on the device, and nothing read back from it between two validations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from archwright.data import Augmentation, Data, DeviceSplit, Split
from archwright.evaluate.devices import derived_seed, resolve_device, seeded
from archwright.evaluate.metrics import Floats, Ints, score
from archwright.evaluate.optimizers import make_optimizer
from archwright.evaluate.precision import Precision
from archwright.evaluate.settings import Training

OnEpoch = Callable[[int, Mapping[str, float]], bool]

STEPS_BETWEEN_CHECKS = 50
"""Steps after which the loss is read, to end a training that has diverged before its epoch is over."""


@dataclass(frozen=True)
class Scored:
    """What a network says of a split: metrics, and the ``logits`` (``n x classes``) and ``targets`` (``n``)."""

    metrics: dict[str, float]
    logits: Floats
    targets: Ints


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        curve: per epoch ``epoch``, ``train_loss``, ``lr``, ``seconds`` (since the start), and, where the epoch was
            validated, the metrics of :data:`~archwright.evaluate.metrics.PREDICTIVE`.
        metrics: validation metrics of the weights that the network has now, and ``seconds``.
        seconds: wall time, over all sittings.
        epochs: how many were done.
        stopped: why it ended before its last epoch; empty otherwise.
        failed: it broke (``stopped`` says how); the weights are worth nothing.
    """

    curve: tuple[dict[str, float], ...]
    metrics: dict[str, float]
    seconds: float
    epochs: int
    stopped: str = ""
    failed: bool = False


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

    Raises:
        SettingsError: a device or precision that is not there, or a checkpoint of another training.
    """
    where = resolve_device(device)
    if splits is None:
        splits = (DeviceSplit(data.train, data, where), DeviceSplit(data.validation, data, where))
    trainer = _Trainer(network.to(where), data, training, seed, where, splits)
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    return trainer.run(deadline, on_epoch, checkpoint, checkpoint_seconds)


def evaluate_split(
    network: nn.Module,
    data: Data,
    split: Split | DeviceSplit,
    *,
    device: str | torch.device = "cpu",
    batch_size: int = 256,
    precision: Precision | None = None,
) -> Scored:
    """Score a network, in evaluation mode, on a split; it is left in the mode it was in."""
    where = resolve_device(device)
    examples = split if isinstance(split, DeviceSplit) else DeviceSplit(split, data, where)
    precision = precision or Precision("fp32", where)
    modes = [(module, module.training) for module in network.modules()]
    network.to(where).eval()
    try:
        with torch.no_grad():
            parts = [precision.run(network, inputs) for inputs, _ in examples.batches(batch_size)]
    finally:
        for module, mode in modes:
            module.training = mode
    logits = torch.cat([_logits(part).float() for part in parts]).cpu().numpy()
    targets = examples.targets.cpu().numpy()
    return Scored(score(logits, targets), logits, targets)


class _Trainer:
    """One training: its state, and what happens in a step, an epoch, and from the first epoch to the last."""

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        training: Training,
        seed: int,
        device: torch.device,
        splits: tuple[DeviceSplit, DeviceSplit],
    ) -> None:
        self.network = network
        self.data = data
        self.training = training
        self.seed = seed
        self.device = device
        self.examples, self.validation = splits
        if training.channels_last:
            _to_channels_last(network)
        self.precision = Precision(training.precision, device)
        self.optimizer = make_optimizer(network, training)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = Average(network, training.ema) if training.ema else None
        self.augmentation = Augmentation(training.crop, training.flip, training.cutout, training.mixup, training.cutmix)
        self.weights = _class_weights(self.examples, data.num_classes) if training.class_weights else None
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
        stopped = ""
        for epoch in range(len(self.curve) + 1, self.training.epochs + 1):
            if self._out_of_patience():
                break
            try:
                point = self._epoch(epoch, deadline)
            except _BrokenTraining as broken:
                return Trained(tuple(self.curve), {}, time.monotonic() - started, epoch - 1, str(broken), failed=True)
            self.seconds = time.monotonic() - started
            self.curve.append({**point, "seconds": self.seconds})
            last = epoch == self.training.epochs or self._out_of_patience()
            if checkpoint is not None and (last or time.monotonic() - saved >= checkpoint_seconds):
                self._save(checkpoint)
                saved = time.monotonic()
            if on_epoch is not None and not on_epoch(epoch, self.curve[-1]) and not last:
                stopped = f"stopped early after epoch {epoch} of {self.training.epochs}"
                break
        if not stopped and len(self.curve) < self.training.epochs:
            stopped = f"no better {self.training.monitor} for {self.training.patience} validations"
        return self._concluded(stopped)

    def _epoch(self, epoch: int, deadline: float) -> dict[str, float]:
        """Train for one epoch and, where it is due, validate."""
        settings = self.training
        if settings.drop_path:
            set_drop_path(self.network, settings.drop_path * (epoch - 1) / settings.epochs)
        with seeded(derived_seed(self.seed, epoch), self.device):
            loss, lr = self._steps(epoch, deadline)
        point = {"epoch": float(epoch), "train_loss": loss, "lr": lr}
        if epoch % settings.eval_every == 0 or epoch == settings.epochs:
            point |= self._validate(epoch)
        return point

    def _steps(self, epoch: int, deadline: float) -> tuple[float, float]:
        """Mean loss and last learning rate. All randomness comes from the global generator, seeded for this epoch."""
        settings, steps = self.training, self.examples.steps(self.training.batch_size)
        generator = torch.Generator(self.device).manual_seed(derived_seed(self.seed, epoch, 1))
        total, seen, lr = torch.zeros((), device=self.device), 0, 0.0
        self.network.train()
        for i, (inputs, targets) in enumerate(self.examples.batches(settings.batch_size, generator)):
            lr = settings.learning_rate((epoch - 1) * steps + i, steps)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            total.add_(self._step(inputs, targets, generator), alpha=len(inputs))
            seen += len(inputs)
            if i % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1:
                _check_finite(total, epoch)
            if time.monotonic() > deadline:
                raise _BrokenTraining(f"over its time limit in epoch {epoch} of {settings.epochs}")
        _check_finite(total, epoch)
        return float(total) / seen, lr

    def _step(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """One step of the optimiser; returns the batch's loss, on the device."""
        ...
