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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

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
from archwright.supernet.readout import Readout, renew
from archwright.supernet.settings import JointSettings
from archwright.supernet.steps import (
    PRETRAINING,
    Group,
    Loss,
    Moment,
    Optimiser,
    Outputs,
    Sources,
    Step,
    evaluation,
    unrolled_gradient,
    warm_up,
)

OnEpoch = Callable[[int, Mapping[str, float]], bool]
LOGGED: Mapping[Group, str] = {"a": "arch", "w_S": "student", "w_E": "teacher"}
"""What the curve calls the losses of each group."""


class _Batch(NamedTuple):
    x: Tensor
    y: Tensor


Batches = Mapping[str, _Batch]
"""One batch of each half."""


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
        heads: distillation heads, one per reduction; none without that part of the distillation.
        penalty: the expected latency.
        plain: sum of the absolute parameters of operations without weights.
    """

    student: nn.Module
    teacher: nn.Module
    architecture: Mapping[str, nn.Parameter]
    weights: Callable[[], Any]
    discretise: Callable[[], Any]
    heads: nn.ModuleList
    penalty: Callable[[], Tensor] | None = None
    plain: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Found:
    """What a joint search ended with.

    Attributes:
        choice: the discretised architecture.
        curve: per joint epoch the mean losses, the entropy of the relaxation and the evaluation network's accuracy.
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
        self.readout = Readout(duo.heads, settings, seed)
        for module in (duo.student, duo.teacher, self.readout):
            module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        own = list(duo.student.parameters())
        if settings.share_stem:
            shared = set(duo.student.stem.parameters())  # type: ignore[union-attr]
            own = [p for p in own if p not in shared]
            duo.student.stem = duo.teacher.stem
        self.w_s = [*own, *self.readout.learning("w_S")]
        self.w_e = [*duo.teacher.parameters(), *self.readout.learning("w_E")]
        self.a = list(duo.architecture.values())
        self.groups: dict[Group, list[nn.Parameter]] = {"a": self.a, "w_S": self.w_s, "w_E": self.w_e}
        self.warm_up = warm_up(settings.warmup_split)
        self.declared = settings.joint_steps
        self.ahead = next((step for step in self.declared if step.updates == ("w_S",)), None)
        if self.ahead is None and any(step.unrolled for step in self.declared):
            raise SettingsError("an unrolled step needs a step that updates w_S alone")
        self.optimisers: dict[tuple[Group, Optimiser], torch.optim.Optimizer] = {}
        for step in (PRETRAINING, self.warm_up, *self.declared):
            for group in step.updates:
                made = step.maker(group)
                if (group, made) not in self.optimisers:
                    self.optimisers[group, made] = made(self.groups[group], settings)
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
        for (group, _), optimiser in self.optimisers.items():
            for part in optimiser.param_groups if group != "a" else []:
                part["lr"] = lr
        self.duo.student.train()
        self.duo.teacher.train()
        with seeded(derived_seed(self.seed, epoch), self.device):
            if epoch < self.settings.pretrain_epochs:
                losses = self._alone(PRETRAINING, self.train, epoch, 1, None)
            else:
                choice = self.duo.discretise()
                if self.settings.eval_weights == "scratch":
                    self._begin_again()
                for again in range(self.settings.warmup_epochs):
                    half = self.train if self.warm_up.split == "train" else self.val
                    self._alone(self.warm_up, half, epoch, 10 + again, choice)
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

    def _begin_again(self) -> None:
        """The evaluation network from new weights."""
        renew(self.duo.teacher)
        for (group, _), optimiser in self.optimisers.items():
            if group == "w_E":
                optimiser.state.clear()

    def _alone(self, step: Step, half: DeviceSplit, epoch: int, use: int, choice: Any) -> dict[str, Tensor]:
        """An epoch of one step."""
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        for batch in self._batches(half, epoch, use):
            self._take((step,), {step.split: batch}, choice, sums)
        return sums

    def _joint(self, epoch: int, choice: Any) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        for val, train in zip(self._batches(self.val, epoch, 2), self._batches(self.train, epoch, 1)):
            self._take(self.declared, {"val": val, "train": train}, choice, sums)
        return sums

    def _take(self, steps: Sequence[Step], batches: Batches, choice: Any, sums: dict[str, Tensor]) -> None:
        """All steps once, adding their losses to ``sums``.

        A forward pass of the evaluation network in training serves all steps before its weights change.
        """
        passes: dict[str, Outputs] = {}
        for number, step in enumerate(steps):
            trains = _next_of(steps[number:], "w_E")
            evaluate = partial(self._evaluation, step, batches, choice, passes, trains)
            if step.unrolled:
                self._unrolled(step, batches, evaluate, sums)
            else:
                terms = self._terms(step, step.updates, batches, evaluate)
                self._update(step, torch.stack(list(terms.values())).sum())
                _add(sums, step, terms)
            if "w_E" in step.updates:
                passes.clear()

    def _terms(
        self, step: Step, reached: Sequence[Group], batches: Batches, evaluate: Callable[[], Outputs]
    ) -> dict[Loss, Tensor]:
        """The losses of a step, with gradients for the groups ``reached``."""
        x, y = batches[step.split]
        relaxed = self.duo.weights if "a" in reached else self._fixed_weights

        def run() -> Outputs:
            still = [] if "w_S" in reached else self.w_s
            with torch.set_grad_enabled("a" in reached or "w_S" in reached), frozen(still):
                return self._outputs(self.duo.student, x, moment.weights)

        sources = Sources(run, evaluate, relaxed, self.duo.penalty, self.duo.plain)
        progress = self.done / (self.settings.pretrain_epochs + self.settings.epochs)
        moment = Moment(y, self.duo.architecture, self.settings, progress, sources)
        return {loss: loss(moment) for loss in step.losses}

    def _evaluation(
        self, step: Step, batches: Batches, choice: Any, passes: dict[str, Outputs], trains: Step | None
    ) -> Outputs:
        """Of the evaluation network; its running statistics move where it is trained, and nowhere else."""
        x, norm = batches[step.split].x, self.settings.teacher_norm
        if trains is not None and trains.split == step.split and (norm != "running" or "w_E" in step.updates):
            if step.split not in passes:
                passes[step.split] = self._outputs(self.duo.teacher, x, choice)
            found = passes[step.split]
            return found if "w_E" in step.updates else Outputs(*(part.detach() for part in found))
        with torch.no_grad(), _TEACHING[norm](self.duo.teacher):
            return self._outputs(self.duo.teacher, x, choice)

    def _unrolled(self, step: Step, batches: Batches, evaluate: Callable[[], Outputs], sums: dict[str, Tensor]) -> None:
        """Second order: look one update of w_S ahead."""
        ahead = self.ahead
        assert ahead is not None
        optimiser = self.optimisers["w_S", ahead.maker("w_S")]
        group = optimiser.param_groups[0]

        def velocity(gradient: Tensor, p: nn.Parameter) -> Tensor:
            buffer = optimiser.state[p].get("momentum_buffer")
            moved: Tensor = gradient + group.get("weight_decay", 0.0) * p
            return moved if buffer is None else moved.add(buffer, alpha=group.get("momentum", 0.0))

        def outer() -> Tensor:
            terms = self._terms(step, ("a", "w_S"), batches, evaluate)
            _add(sums, step, terms)
            return torch.stack(list(terms.values())).sum()

        def inner() -> Tensor:
            return torch.stack(list(self._terms(ahead, ("a", "w_S"), batches, evaluate).values())).sum()

        with _statistics_kept(self.duo.student):
            _, gradients = unrolled_gradient(self.a, self.w_s, outer, inner, group["lr"], velocity)
        self._apply(step, "a", gradients)

    def _update(self, step: Step, loss: Tensor) -> None:
        """Those that the loss does not reach stay as they are."""
        if not loss.requires_grad:
            raise SettingsError(f"the losses of the step {step} do not depend on what it updates")
        parameters = [p for group in step.updates for p in self.groups[group]]
        gradients = iter(torch.autograd.grad(loss, parameters, allow_unused=True))
        for group in step.updates:
            self._apply(step, group, [next(gradients) for _ in self.groups[group]])

    def _apply(self, step: Step, group: Group, gradients: Sequence[Tensor | None]) -> None:
        parameters, optimiser = self.groups[group], self.optimisers[group, step.maker(group)]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        if group != "a" and self.settings.clip:
            nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def _outputs(self, network: nn.Module, x: Tensor, mix: Any) -> Outputs:
        last, reduced = network.features(x, mix)  # type: ignore[operator]
        logits: Tensor = network.head(last)  # type: ignore[operator]
        found: Outputs = self.readout(logits, reduced, network is self.duo.teacher)
        return found

    def _fixed_weights(self) -> Any:
        with torch.no_grad():
            return self.duo.weights()

    def _batches(self, half: DeviceSplit, epoch: int, use: int) -> Iterator[_Batch]:
        """Whole batches in a new order."""
        order = torch.Generator().manual_seed(derived_seed(self.seed, epoch, use))
        noise = torch.Generator(self.device).manual_seed(derived_seed(self.seed, epoch, use, 1))
        index = torch.randperm(len(half), generator=order).to(self.device)
        for part in index[: self.steps * self.batch].reshape(self.steps, self.batch):
            x, y = half.prepared(part), half.targets[part]
            yield _Batch(*self.augmentation(x, y, self.data.num_classes, noise))

    @torch.no_grad()
    def _accuracy(self, choice: Any) -> float:
        self.duo.teacher.eval()
        right = torch.zeros((), device=self.device)
        for x, y in self.judge.batches(max(256, self.batch)):
            right += (self._outputs(self.duo.teacher, x, choice).logits.argmax(1) == y).sum()
        return float(right) / len(self.judge)

    def _entropy(self) -> float:
        """Mean entropy, in nats, of the softmax of every row of the architecture parameters."""
        rows = [row for p in self.a for row in p.detach().reshape(-1, p.shape[-1])]
        return float(torch.stack([-(r.softmax(0) * r.log_softmax(0)).sum() for r in rows]).mean())

    def _tensors(self) -> dict[str, Tensor]:
        groups = {
            "student": network_tensors(self.duo.student), "teacher": network_tensors(self.duo.teacher),
            "heads": network_tensors(self.readout), "a": {n: p.detach() for n, p in self.duo.architecture.items()},
            **{f"opt_{name}": optimizer_tensors(o) for name, o in self._named_optimisers().items()},
        }  # fmt: skip
        return {f"{group}/{name}": t for group, named in groups.items() for name, t in named.items()}

    def _named_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {f"{group}_{maker.__name__}": optimiser for (group, maker), optimiser in self.optimisers.items()}

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
        for name, module in (("student", self.duo.student), ("teacher", self.duo.teacher), ("heads", self.readout)):
            copy_into(network_tensors(module), groups.get(name, {}))
        copy_into({n: p.detach() for n, p in self.duo.architecture.items()}, groups["a"])
        for name, optimiser in self._named_optimisers().items():
            load_optimizer(optimiser, groups.get(f"opt_{name}", {}))
        self.curve, self.history, self.done = state["curve"], state["history"], state["done"]
        self.seconds, self.same, self.last = state["seconds"], state["same"], state["last"]


def _next_of(steps: Sequence[Step], group: Group) -> Step | None:
    """The first of the steps that updates the group."""
    return next((step for step in steps if group in step.updates), None)


def _add(sums: dict[str, Tensor], step: Step, terms: Mapping[Loss, Tensor]) -> None:
    """Add a step's losses: each of them, and their sum as the loss of what it updates.

    Where a step updates the evaluation network beside others, its own cross-entropy counts as its loss and not as theirs.
    """
    shared = len(step.updates) > 1
    for group in step.updates:
        name = LOGGED[group]
        for loss, value in terms.items():
            if shared and (loss is evaluation) != (group == "w_E"):
                continue
            if len(step.losses) > 1:
                sums[f"{name}_{loss.__name__}"] += value.detach()
            sums[f"{name}_loss"] += value.detach()


@contextmanager
def frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """What is computed within has no gradient by these parameters."""
    free = [p for p in parameters if p.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in free:
            parameter.requires_grad_(True)


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


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Within, evaluation mode."""
    network.eval()
    try:
        yield
    finally:
        network.train()


_TEACHING: Mapping[str, Callable[[nn.Module], AbstractContextManager[None]]] = {
    "batch": _statistics_kept, "moving": lambda _: nullcontext(), "running": _evaluating,
}  # fmt: skip
"""What the batch norms of a network that teaches do, by name."""
