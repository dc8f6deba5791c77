"""The trainer of searches inside one network: phases, update steps, checkpoints (Herron 2023, algorithms 1 and 4).

A search network under relaxed parameters may learn from an evaluation network that is discretised anew every epoch. The search
network is trained alone first; then every epoch warms up the evaluation network and repeats the method's
:class:`~archwright.supernet.steps.Step` list for every pair of batches. With ``a`` for the parameters of cells (alpha) or of the
template (gamma), ICDARTS's steps are

    a    <-  L_val^S(w_S, a) + lambda L_val^{S,E} + delta P(a)                                         (3.9, 6.2)
    w_S  <-  L_train^S(w_S, a) + lambda L_train^{S,E}                                                  (3.10, 6.3)
    w_E  <-  L_train^E(w_E, discretised a)                                                             (3.11, 6.4)

Gradients are computed for what a step updates and for nothing else.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.data import Augmentation, Data, DeviceSplit
from archwright.data.splitting import stratified_split
from archwright.errors import SettingsError
from archwright.evaluate.checkpoint import (
    copy_into,
    load_optimizer,
    network_tensors,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from archwright.evaluate.devices import derived_seed, resolve_device, seeded
from archwright.supernet.duo import Duo
from archwright.supernet.settings import JointSettings
from archwright.supernet.steps import PRETRAINING, Step
from archwright.supernet.updates import Batch, Updates

OnEpoch = Callable[[int, Mapping[str, float]], bool]


@dataclass(frozen=True)
class Found:
    """What a joint search ended with.

    Attributes:
        choice: the discretised architecture.
        curve: per joint epoch the mean losses, the entropy of the relaxation, and the accuracy of the evaluation network, or of
            the search network where the settings say so.
        seconds: wall time, over all sittings.
        complete: whether all epochs were done, or the architecture was stable.
        history: the architecture parameters after every joint epoch.
    """

    choice: Any
    curve: tuple[dict[str, float], ...]
    seconds: float
    complete: bool
    history: tuple[dict[str, Any], ...] = ()


def joint_search(
    duo: Duo, data: Data, settings: JointSettings, *, seed: int, device: str | torch.device = "cpu",
    checkpoint: Path | None = None, on_epoch: OnEpoch | None = None,
) -> Found:  # fmt: skip
    """Search; the training examples are halved for weights and architecture, the validation split is for the curve alone.

    Args:
        duo: networks and parameters; changed in place.
        data: images.
        settings: how.
        seed: of the halves, the order of examples and augmentation.
        device: where.
        checkpoint: written after every epoch; a search that goes on from it equals one without interruption.
        on_epoch: called after every epoch, pre-training included, from 1; ``False`` stops.

    Raises:
        SettingsError: a loss that is not finite, or a checkpoint of another search.
    """
    return _Search(duo, data, settings, seed, resolve_device(device)).run(checkpoint, on_epoch)


class _Search:
    def __init__(self, duo: Duo, data: Data, settings: JointSettings, seed: int, device: torch.device) -> None:
        self.duo, self.data, self.settings, self.seed, self.device = duo, data, settings, seed, device
        first, second = stratified_split(data.train.targets, 0.5, derived_seed(seed, 40) % 2**32, "search")
        halves = (data.train.take(first), data.train.take(second))
        self.train, self.val = (DeviceSplit(half, data, device, channels_last=True) for half in halves)
        self.judge = DeviceSplit(data.validation, data, device, channels_last=True)
        self.batch = min(settings.batch_size, len(self.train), len(self.val))
        self.steps = min(len(self.train), len(self.val)) // self.batch
        self.augmentation = Augmentation(
            settings.crop, settings.flip, vertical_flip=settings.vertical_flip, bands=data.bands
        )
        self.updates = Updates(duo, settings, seed, device)
        self.curve: list[dict[str, float]] = []
        self.history: list[dict[str, Any]] = []
        self.done, self.seconds, self.same, self.last = 0, 0.0, 0, ""

    def run(self, checkpoint: Path | None, on_epoch: OnEpoch | None) -> Found:
        self._restore(checkpoint)
        total = self.settings.pretrain_epochs + self.settings.epochs
        while self.done < total and not self.stable:
            started = time.monotonic()
            point = self._epoch(self.done)
            self.done += 1
            self.seconds += time.monotonic() - started
            if self.done > self.settings.pretrain_epochs:
                self._remember(point)
            if checkpoint is not None:
                self._save(checkpoint)
            if on_epoch is not None and not on_epoch(self.done, point):
                break
        complete = self.done == total or self.stable
        return Found(self.duo.discretise(), tuple(self.curve), self.seconds, complete, tuple(self.history))

    @property
    def progress(self) -> float:
        """Share of the epochs that is over."""
        return self.done / (self.settings.pretrain_epochs + self.settings.epochs)

    @property
    def stable(self) -> bool:
        """Whether the discretised architecture has stayed the same for long enough."""
        return 0 < self.settings.stable_epochs <= self.same

    def _remember(self, point: dict[str, float]) -> None:
        self.curve.append(point)
        self.history.append({name: p.detach().tolist() for name, p in self.duo.architecture.items()})
        choice = repr(self.duo.discretise())
        self.same, self.last = (self.same + 1 if choice == self.last else 0), choice

    def _epoch(self, epoch: int) -> dict[str, float]:
        lr = self.settings.learning_rate(epoch)
        self.updates.begin_epoch(lr, self.progress)
        self.duo.student.train()
        self.duo.teacher.train()
        with seeded(derived_seed(self.seed, epoch), self.device):
            if epoch < self.settings.pretrain_epochs:
                losses = self._alone(PRETRAINING, self.train, epoch, 1, None)
            else:
                choice = self.duo.discretise()
                if self.settings.eval_weights == "scratch":
                    self.updates.begin_again()
                for again in range(self.settings.warmup_epochs if self.settings.evaluates else 0):
                    half = self.train if self.updates.warm_up.split == "train" else self.val
                    self._alone(self.updates.warm_up, half, epoch, 10 + again, choice)
                losses = self._joint(epoch, choice)
        point = {"epoch": float(epoch + 1), "lr": lr, **{name: float(v) / self.steps for name, v in losses.items()}}
        wrong = [name for name, value in point.items() if not math.isfinite(value)]
        if wrong:
            raise SettingsError(
                f"the search broke in epoch {epoch + 1}: {wrong[0]} is {point[wrong[0]]}; lower its learning rates"
            )
        if epoch >= self.settings.pretrain_epochs:
            with seeded(derived_seed(self.seed, epoch, 3), self.device):
                point["val_accuracy"] = self._accuracy(choice)
            point["entropy"] = self._entropy()
        return point

    def _alone(self, step: Step, half: DeviceSplit, epoch: int, use: int, choice: Any) -> dict[str, Tensor]:
        """An epoch of one step."""
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        for batch in self._batches(half, epoch, use):
            self.updates.take((step,), {step.split: batch}, choice, sums)
        return sums

    def _joint(self, epoch: int, choice: Any) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        for val, train in zip(self._batches(self.val, epoch, 2), self._batches(self.train, epoch, 1)):
            self.updates.take(self.updates.declared, {"val": val, "train": train}, choice, sums)
        return sums

    def _batches(self, half: DeviceSplit, epoch: int, use: int) -> Iterator[Batch]:
        """Whole batches in a new order."""
        order = torch.Generator().manual_seed(derived_seed(self.seed, epoch, use))
        noise = torch.Generator(self.device).manual_seed(derived_seed(self.seed, epoch, use, 1))
        index = torch.randperm(len(half), generator=order).to(self.device)
        for part in index[: self.steps * self.batch].reshape(self.steps, self.batch):
            x, y = half.prepared(part), half.targets[part]
            yield Batch(*self.augmentation(x, y, self.data.num_classes, noise))

    @torch.no_grad()
    def _accuracy(self, choice: Any) -> float:
        duo, searching = self.duo, self.settings.curve == "search"
        network, mix = (duo.student, duo.weights()) if searching else (duo.teacher, choice)
        network.eval()
        right = torch.zeros((), device=self.device)
        for x, y in self.judge.batches(max(256, self.batch)):
            right += (self.updates.outputs(network, x, mix).logits.argmax(1) == y).sum()
        return float(right) / len(self.judge)

    def _entropy(self) -> float:
        """Mean entropy, in nats, of the softmax of every row of the architecture parameters."""
        rows = [row for p in self.duo.architecture.values() for row in p.detach().reshape(-1, p.shape[-1])]
        return float(torch.stack([-(r.softmax(0) * r.log_softmax(0)).sum() for r in rows]).mean())

    def _tensors(self) -> dict[str, Tensor]:
        groups = {
            "student": network_tensors(self.duo.student), "teacher": network_tensors(self.duo.teacher),
            "heads": network_tensors(self.updates.readout), "a": {n: p.detach() for n, p in self.duo.architecture.items()},
            **{f"opt_{name}": optimizer_tensors(o) for name, o in self.updates.named_optimizers().items()},
        }  # fmt: skip
        return {f"{group}/{name}": t for group, named in groups.items() for name, t in named.items()}

    def _identity(self) -> dict[str, Any]:
        shapes = {name: list(t.shape) for name, t in self._tensors().items() if not name.startswith("opt_")}
        return {
            "settings": self.settings.to_json(),
            "seed": self.seed,
            "data": self.data.fingerprint,
            "networks": shapes,
        }

    def _save(self, path: Path) -> None:
        names = ("curve", "history", "done", "seconds", "same", "last")
        state = {"identity": self._identity(), **{name: getattr(self, name) for name in names}}
        write_checkpoint(path, self._tensors(), state)

    def _restore(self, path: Path | None) -> None:
        found = None if path is None else read_checkpoint(path, self._identity())
        if found is None:
            return
        tensors, state = found
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = tensor
        for name, module in (
            ("student", self.duo.student),
            ("teacher", self.duo.teacher),
            ("heads", self.updates.readout),
        ):
            copy_into(network_tensors(module), groups.get(name, {}))
        copy_into({n: p.detach() for n, p in self.duo.architecture.items()}, groups["a"])
        for name, optimizer in self.updates.named_optimizers().items():
            load_optimizer(optimizer, groups.get(f"opt_{name}", {}))
        self.curve, self.history, self.done = state["curve"], state["history"], state["done"]
        self.seconds, self.same, self.last = state["seconds"], state["same"], state["last"]
