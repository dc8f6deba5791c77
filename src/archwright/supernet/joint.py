"""The joint search of ICDARTS over any architecture parameters (Herron 2023, algorithms 1 and 4).

A search network under relaxed parameters learns from an evaluation network that is discretised anew every epoch; with ``a`` for
the parameters of cells (alpha) or of the template (gamma):

    a    <-  L_val^S(w_S, a) + lambda L_val^{S,E} + delta P(a)                                         (3.9, 6.2)
    w_S  <-  L_train^S(w_S, a) + lambda L_train^{S,E}                                                  (3.10, 6.3)
    w_E  <-  L_train^E(w_E, discretised a)                                                             (3.11, 6.4)

Three switches lead from there to CDARTS (Yu et al. 2022) and the variants between (Herron 2023, table 3.6): the half that w_E
learns from, and whether the distillation reaches w_E and w_S. Where w_E learns from the validation half with distillation,
it and ``a`` come from one backward pass (equation 3.6).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

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
from archwright.supernet.losses import distillation

OnEpoch = Callable[[int, Mapping[str, float]], bool]
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class JointSettings:
    """Of one search; the defaults are the thesis's for CIFAR-10.

    Attributes:
        epochs: of the joint phase.
        pretrain_epochs: of the search network before it.
        warmup_epochs: of the evaluation network each time it is made.
        warmup_split: what it is warmed up on, ``train``, or ``val`` as algorithm 1 prints it.
        batch_size: examples per step of each half.
        lr, lr_min: of the weights, cosine over all epochs.
        momentum, weight_decay, clip: of the weights.
        arch_lr: of the architecture parameters (Adam, betas 0.5 and 0.999).
        arch_weight_decay: of the architecture parameters.
        distill: lambda.
        e_split: the half that the evaluation network learns from in the joint phase.
        e_distill, s_distill: whether the distillation reaches the evaluation and the search network.
        temperature: of the distillation.
        penalty: delta, weight of the expected latency.
        crop, flip: augmentation of both halves.

    Raises:
        SettingsError: a number out of range.
    """

    epochs: int = 30
    pretrain_epochs: int = 2
    warmup_epochs: int = 1
    warmup_split: Literal["train", "val"] = "train"
    batch_size: int = 64
    lr: float = 0.08
    lr_min: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    arch_lr: float = 3e-4
    arch_weight_decay: float = 0.0
    distill: float = 1.0
    e_split: Literal["train", "val"] = "train"
    e_distill: bool = False
    s_distill: bool = True
    temperature: float = 2.0
    penalty: float = 0.0
    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        rules = {"epochs": 1, "batch_size": 2, "pretrain_epochs": 0, "warmup_epochs": 0, "crop": 0}
        for name, least in rules.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SettingsError(f"{name} must be a whole number of at least {least}, not {value!r}")
        for name in (
            "lr",
            "lr_min",
            "momentum",
            "weight_decay",
            "clip",
            "arch_lr",
            "arch_weight_decay",
            "distill",
            "temperature",
            "penalty",
        ):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise SettingsError(f"{name} must be a number of at least 0, not {value!r}")
        if self.temperature == 0:
            raise SettingsError("the temperature of the distillation must be above 0")
        for name in ("e_distill", "s_distill", "flip"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name in ("warmup_split", "e_split"):
            if getattr(self, name) not in ("train", "val"):
                raise SettingsError(f"{name} must be train or val, not {getattr(self, name)!r}")

    @property
    def steps_together(self) -> bool:
        """Whether architecture and evaluation network come from one backward pass (equation 3.6)."""
        return self.e_split == "val" and self.e_distill

    def learning_rate(self, epoch: int) -> float:
        """Of the weights in epoch ``epoch``, pre-training included."""
        half = (self.lr - self.lr_min) / 2
        return self.lr_min + half * (1 + math.cos(math.pi * epoch / (self.pretrain_epochs + self.epochs)))


@dataclass(frozen=True)
class Duo:
    """The two networks of a search and what joins them.

    Both have ``features(x, mix) -> (last map, maps at the reductions)`` and a ``head``.

    Attributes:
        student: the search network.
        teacher: the evaluation network with the weights of all it may be asked to be; those that a choice leaves out get no
            gradient, decay or momentum.
        architecture: the parameters that are searched.
        weights: their relaxation, the student's ``mix``.
        discretise: their discretisation, the teacher's ``mix``.
        heads: frozen distillation heads that both share, one per reduction; none without that part of the distillation.
        penalty: the expected latency.
    """

    student: nn.Module
    teacher: nn.Module
    architecture: Mapping[str, nn.Parameter]
    weights: Callable[[], Any]
    discretise: Callable[[], Any]
    heads: nn.ModuleList
    penalty: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Found:
    """What a joint search ended with.

    Attributes:
        choice: the discretised architecture.
        curve: per joint epoch the mean losses, the entropy of the relaxation and the evaluation network's accuracy.
        seconds: wall time, over all sittings.
        complete: whether all epochs were done.
    """

    choice: Any
    curve: tuple[dict[str, float], ...]
    seconds: float
    complete: bool


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
        self.augmentation = Augmentation(settings.crop, settings.flip)
        for module in (duo.student, duo.teacher, duo.heads):
            module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for parameter in duo.heads.parameters():
            parameter.requires_grad_(False)
        self.w_s, self.w_e = list(duo.student.parameters()), list(duo.teacher.parameters())
        self.a = list(duo.architecture.values())
        sgd: dict[str, Any] = {"lr": settings.lr, "momentum": settings.momentum, "weight_decay": settings.weight_decay}
        self.opt_s, self.opt_e = torch.optim.SGD(self.w_s, **sgd), torch.optim.SGD(self.w_e, **sgd)
        self.opt_a = torch.optim.Adam(
            self.a, lr=settings.arch_lr, betas=(0.5, 0.999), weight_decay=settings.arch_weight_decay
        )
        self.curve: list[dict[str, float]] = []
        self.done, self.seconds = 0, 0.0

    def run(self, checkpoint: Path | None, on_epoch: OnEpoch | None) -> Found:
        self._restore(checkpoint)
        total = self.settings.pretrain_epochs + self.settings.epochs
        while self.done < total:
            started = time.monotonic()
            point = self._epoch(self.done)
            self.done += 1
            self.seconds += time.monotonic() - started
            if self.done > self.settings.pretrain_epochs:
                self.curve.append(point)
            if checkpoint is not None:
                self._save(checkpoint)
            if on_epoch is not None and not on_epoch(self.done, point):
                break
        return Found(self.duo.discretise(), tuple(self.curve), self.seconds, self.done == total)

    def _epoch(self, epoch: int) -> dict[str, float]:
        lr = self.settings.learning_rate(epoch)
        for group in (*self.opt_s.param_groups, *self.opt_e.param_groups):
            group["lr"] = lr
        self.duo.student.train()
        self.duo.teacher.train()
        with seeded(derived_seed(self.seed, epoch), self.device):
            if epoch < self.settings.pretrain_epochs:
                losses = {"student_loss": self._pretrain(epoch)}
            else:
                choice = self.duo.discretise()
                for again in range(self.settings.warmup_epochs):
                    self._warm_up(epoch, again, choice)
                losses = self._joint(epoch, choice)
        point = {"epoch": float(epoch + 1), "lr": lr, **{name: float(v) / self.steps for name, v in losses.items()}}
        wrong = [name for name, value in point.items() if not math.isfinite(value)]
        if wrong:
            raise SettingsError(
                f"the search broke in epoch {epoch + 1}: {wrong[0]} is {point[wrong[0]]}; lower its learning rates"
            )
        if epoch >= self.settings.pretrain_epochs:
            point["val_accuracy"] = self._accuracy(choice)
            point["entropy"] = self._entropy()
        return point

    def _pretrain(self, epoch: int) -> Tensor:
        total = torch.zeros((), device=self.device)
        weights = self._fixed_weights()
        for x, y in self._batches(self.train, epoch, 1):
            loss = functional.cross_entropy(self._logits(self.duo.student, x, weights)[0], y)
            self._step(self.opt_s, self.w_s, loss)
            total += loss.detach()
        return total

    def _warm_up(self, epoch: int, again: int, choice: Any) -> None:
        """Equations 3.5 and 6.1, on the half of the settings."""
        half = self.train if self.settings.warmup_split == "train" else self.val
        for x, y in self._batches(half, epoch, 10 + again):
            loss = functional.cross_entropy(self._logits(self.duo.teacher, x, choice)[0], y)
            self._step(self.opt_e, self.w_e, loss)

    def _joint(self, epoch: int, choice: Any) -> dict[str, Tensor]:
        names = ("arch_loss", "student_loss", "teacher_loss", "penalty")
        sums = {name: torch.zeros((), device=self.device) for name in names}
        for val, train in zip(self._batches(self.val, epoch, 2), self._batches(self.train, epoch, 1)):
            for name, value in zip(names, self._joint_step(val, train, choice)):
                sums[name] += value
        return sums

    def _joint_step(self, val: Batch, train: Batch, choice: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses of architecture, search network and evaluation network, and the penalty."""
        if self.settings.steps_together:
            loss_a, loss_e, penalty = self._step_together(*val, choice)
            loss_s = self._step_student(*train, self._taught(train[0], choice))
            return loss_a, loss_s, loss_e, penalty
        loss_a, penalty = self._step_architecture(*val, choice)
        x, y = train if self.settings.e_split == "train" else val
        logits, every = self._logits(self.duo.teacher, x, choice)
        taught = every.detach() if self.settings.e_split == "train" else self._taught(train[0], choice)
        loss_s = self._step_student(*train, taught)
        return loss_a, loss_s, self._step_teacher(x, y, logits, every), penalty

    def _step_architecture(self, x: Tensor, y: Tensor, choice: Any) -> tuple[Tensor, Tensor]:
        """Equations 3.9 and 6.2."""
        loss, penalty = self._architecture_loss(x, y, self._taught(x, choice))
        self._step(self.opt_a, self.a, loss, clip=False)
        return loss.detach(), penalty.detach()

    def _step_together(self, x: Tensor, y: Tensor, choice: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Equation 3.6: the distillation reaches both, the evaluation network through the targets."""
        logits, taught = self._logits(self.duo.teacher, x, choice)
        loss, penalty = self._architecture_loss(x, y, taught)
        loss_e = functional.cross_entropy(logits, y)
        gradients = torch.autograd.grad(loss + loss_e, [*self.a, *self.w_e], allow_unused=True)
        self._apply(self.opt_e, self.w_e, gradients[len(self.a) :])
        self._apply(self.opt_a, self.a, gradients[: len(self.a)], clip=False)
        return loss.detach(), loss_e.detach(), penalty.detach()

    def _step_student(self, x: Tensor, y: Tensor, taught: Tensor | None) -> Tensor:
        """Equations 3.10 and 6.3; cross-entropy alone without distillation."""
        loss = self._student_loss(x, y, self._fixed_weights(), taught if self.settings.s_distill else None)
        self._step(self.opt_s, self.w_s, loss)
        return loss.detach()

    def _step_teacher(self, x: Tensor, y: Tensor, logits: Tensor, every: Tensor) -> Tensor:
        """Equations 3.11 and 6.4, with the distillation where the settings say so."""
        loss = functional.cross_entropy(logits, y)
        if self.settings.e_distill and self.settings.distill:
            with torch.no_grad():
                student = self._logits(self.duo.student, x, self.duo.weights())[1]
            loss = loss + self.settings.distill * distillation(student, every, self.settings.temperature)
        self._step(self.opt_e, self.w_e, loss)
        return loss.detach()

    def _taught(self, x: Tensor, choice: Any) -> Tensor | None:
        """The evaluation network's softened targets, without gradient; its running statistics stay as they are."""
        if not self.settings.distill:
            return None
        with torch.no_grad(), _statistics_kept(self.duo.teacher):
            return self._logits(self.duo.teacher, x, choice)[1]

    def _architecture_loss(self, x: Tensor, y: Tensor, taught: Tensor | None) -> tuple[Tensor, Tensor]:
        loss = self._student_loss(x, y, self.duo.weights(), taught)
        if not self.settings.penalty or self.duo.penalty is None:
            return loss, torch.zeros((), device=self.device)
        penalty = self.duo.penalty()
        return loss + self.settings.penalty * penalty, penalty

    def _student_loss(self, x: Tensor, y: Tensor, weights: Any, taught: Tensor | None) -> Tensor:
        logits, own = self._logits(self.duo.student, x, weights)
        loss = functional.cross_entropy(logits, y)
        if self.settings.distill and taught is not None:
            loss = loss + self.settings.distill * distillation(own, taught, self.settings.temperature)
        return loss

    def _logits(self, network: nn.Module, x: Tensor, mix: Any) -> tuple[Tensor, Tensor]:
        """Logits, and all heads' logits in equal shares along the batch."""
        last, reduced = network.features(x, mix)  # type: ignore[operator]
        logits: Tensor = network.head(last)  # type: ignore[operator]
        every = [*(head(maps) for head, maps in zip(self.duo.heads, reduced)), logits]
        return logits, torch.cat(every) / len(every)

    def _fixed_weights(self) -> Any:
        with torch.no_grad():
            return self.duo.weights()

    def _step(
        self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], loss: Tensor, clip: bool = True
    ) -> None:
        """Step these parameters alone; those that the loss does not reach stay as they are."""
        self._apply(optimizer, parameters, torch.autograd.grad(loss, parameters, allow_unused=True), clip)

    def _apply(
        self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], gradients: Sequence[Tensor | None],
        clip: bool = True,
    ) -> None:  # fmt: skip
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        if clip and self.settings.clip:
            nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def _batches(self, half: DeviceSplit, epoch: int, use: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Whole batches in a new order."""
        order = torch.Generator().manual_seed(derived_seed(self.seed, epoch, use))
        noise = torch.Generator(self.device).manual_seed(derived_seed(self.seed, epoch, use, 1))
        index = torch.randperm(len(half), generator=order).to(self.device)
        for part in index[: self.steps * self.batch].reshape(self.steps, self.batch):
            x, y = half.prepared(part), half.targets[part]
            yield self.augmentation(x, y, self.data.num_classes, noise)

    @torch.no_grad()
    def _accuracy(self, choice: Any) -> float:
        self.duo.teacher.eval()
        right = torch.zeros((), device=self.device)
        for x, y in self.judge.batches(max(256, self.batch)):
            right += (self._logits(self.duo.teacher, x, choice)[0].argmax(1) == y).sum()
        return float(right) / len(self.judge)

    def _entropy(self) -> float:
        """Mean entropy, in nats, of the softmax of every row of the architecture parameters."""
        rows = [row for p in self.a for row in p.detach().reshape(-1, p.shape[-1])]
        return float(torch.stack([-(r.softmax(0) * r.log_softmax(0)).sum() for r in rows]).mean())

    def _tensors(self) -> dict[str, Tensor]:
        groups = {
            "student": network_tensors(self.duo.student), "teacher": network_tensors(self.duo.teacher),
            "heads": network_tensors(self.duo.heads), "a": {n: p.detach() for n, p in self.duo.architecture.items()},
            **{f"opt_{name}": optimizer_tensors(o) for name, o in self._optimizers().items()},
        }  # fmt: skip
        return {f"{group}/{name}": t for group, named in groups.items() for name, t in named.items()}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"s": self.opt_s, "e": self.opt_e, "a": self.opt_a}

    def _identity(self) -> dict[str, Any]:
        shapes = {name: list(t.shape) for name, t in self._tensors().items() if not name.startswith("opt_")}
        return {"settings": asdict(self.settings), "seed": self.seed, "data": self.data.fingerprint, "networks": shapes}

    def _save(self, path: Path) -> None:
        state = {"identity": self._identity(), "curve": self.curve, "done": self.done, "seconds": self.seconds}
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
        for name, module in (("student", self.duo.student), ("teacher", self.duo.teacher), ("heads", self.duo.heads)):
            copy_into(network_tensors(module), groups.get(name, {}))
        copy_into({n: p.detach() for n, p in self.duo.architecture.items()}, groups["a"])
        for name, optimizer in self._optimizers().items():
            load_optimizer(optimizer, groups.get(f"opt_{name}", {}))
        self.curve, self.done, self.seconds = state["curve"], state["done"], state["seconds"]


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    """Within, batch norms in training mode use the batch's statistics and leave their running ones."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
