"""Taking a method's update steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archwright.errors import SettingsError
from archwright.supernet.duo import Duo
from archwright.supernet.readout import Readout, renew
from archwright.supernet.settings import JointSettings
from archwright.supernet.steps import (
    PRETRAINING,
    Group,
    Loss,
    MakeOptimizer,
    Moment,
    Outputs,
    Sources,
    Step,
    evaluation,
    unrolled_gradient,
    warm_up,
)

LOGGED: Mapping[Group, str] = {"a": "arch", "w_S": "student", "w_E": "teacher"}
"""What the curve calls the losses of each group."""


class Batch(NamedTuple):
    """Images and their classes."""

    x: Tensor
    y: Tensor


Batches = Mapping[str, Batch]
"""One batch of each half."""


class Updates:
    """The steps of a method on two networks: which losses reach which parameters through which optimizer.

    Args:
        duo: networks and architecture; moved to the device.
        settings: of the search.
        seed: of what the readout adds.
        device: where.

    Raises:
        SettingsError: an unrolled step without one that it could look ahead to.
    """

    def __init__(self, duo: Duo, settings: JointSettings, seed: int, device: torch.device) -> None:
        self.duo, self.settings, self.progress = duo, settings, 0.0
        self.readout = Readout(duo.heads, settings, seed)
        for module in (duo.student, duo.teacher, self.readout):
            module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for parameter in duo.architecture.values():
            parameter.data = parameter.data.to(device)
        own = list(duo.student.parameters())
        if settings.share_stem:
            shared = set(duo.student.stem.parameters())  # type: ignore[union-attr]
            own = [p for p in own if p not in shared]
            duo.student.stem = duo.teacher.stem
        self.groups: dict[Group, list[nn.Parameter]] = {
            "a": list(duo.architecture.values()), "w_S": [*own, *self.readout.learning("w_S")],
            "w_E": [*duo.teacher.parameters(), *self.readout.learning("w_E")],
        }  # fmt: skip
        self.warm_up = warm_up(settings.warmup_split)
        self.declared = settings.joint_steps
        self.ahead = next((step for step in self.declared if step.updates == ("w_S",)), None)
        if self.ahead is None and any(step.unrolled for step in self.declared):
            raise SettingsError("an unrolled step needs a step that updates w_S alone")
        self.optimizers: dict[tuple[Group, MakeOptimizer], torch.optim.Optimizer] = {}
        for step in (PRETRAINING, self.warm_up, *self.declared):
            for group in step.updates:
                made = step.maker(group)
                if (group, made) not in self.optimizers:
                    self.optimizers[group, made] = made(self.groups[group], settings)

    def begin_epoch(self, rate: float, progress: float) -> None:
        """Set the learning rate of the weights of both networks, and the share of the epochs that is over."""
        self.progress = progress
        for (group, _), optimizer in self.optimizers.items():
            for part in optimizer.param_groups if group != "a" else []:
                part["lr"] = rate

    def named_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """By group and kind."""
        return {f"{group}_{maker.__name__}": optimizer for (group, maker), optimizer in self.optimizers.items()}

    def begin_again(self) -> None:
        """The evaluation network from new weights."""
        renew(self.duo.teacher)
        for (group, _), optimizer in self.optimizers.items():
            if group == "w_E":
                optimizer.state.clear()

    def take(self, steps: Sequence[Step], batches: Batches, choice: Any, sums: dict[str, Tensor]) -> None:
        """All steps once, adding their losses to ``sums``.

        A forward pass of the evaluation network in training serves all steps before its weights change.
        """
        passes: dict[str, Outputs] = {}
        for number, step in enumerate(steps):
            trains = _next_of(steps[number:], "w_E")
            evaluate = partial(self.evaluation, step, batches, choice, passes, trains)
            if step.unrolled:
                self._unrolled(step, batches, evaluate, sums)
            else:
                terms = self.terms(step, step.updates, batches, evaluate)
                self._update(step, torch.stack(list(terms.values())).sum())
                _add(sums, step, terms)
            if "w_E" in step.updates:
                passes.clear()

    def terms(
        self, step: Step, reached: Sequence[Group], batches: Batches, evaluate: Callable[[], Outputs]
    ) -> dict[Loss, Tensor]:
        """The losses of a step, with gradients for the groups ``reached``."""
        x, y = batches[step.split]
        relaxed = self.duo.weights if "a" in reached else self._fixed_weights

        def run() -> Outputs:
            still = [] if "w_S" in reached else self.groups["w_S"]
            with torch.set_grad_enabled("a" in reached or "w_S" in reached), frozen(still):
                return self.outputs(self.duo.student, x, moment.weights)

        sources = Sources(run, evaluate, relaxed, self.duo.penalty, self.duo.plain)
        moment = Moment(y, self.duo.architecture, self.settings, self.progress, sources)
        return {loss: loss(moment) for loss in step.losses}

    def evaluation(
        self, step: Step, batches: Batches, choice: Any, passes: dict[str, Outputs], trains: Step | None
    ) -> Outputs:
        """Of the evaluation network; its running statistics move where it is trained, and nowhere else."""
        x, norm = batches[step.split].x, self.settings.teacher_norm
        if trains is not None and trains.split == step.split and (norm != "running" or "w_E" in step.updates):
            if step.split not in passes:
                passes[step.split] = self.outputs(self.duo.teacher, x, choice)
            found = passes[step.split]
            return found if "w_E" in step.updates else Outputs(*(part.detach() for part in found))
        with torch.no_grad(), _TEACHING[norm](self.duo.teacher):
            return self.outputs(self.duo.teacher, x, choice)

    def _unrolled(self, step: Step, batches: Batches, evaluate: Callable[[], Outputs], sums: dict[str, Tensor]) -> None:
        """Second order: look one update of w_S ahead."""
        ahead = self.ahead
        assert ahead is not None
        optimizer = self.optimizers["w_S", ahead.maker("w_S")]
        group = optimizer.param_groups[0]

        def velocity(gradient: Tensor, p: nn.Parameter) -> Tensor:
            buffer = optimizer.state[p].get("momentum_buffer")
            moved: Tensor = gradient + group.get("weight_decay", 0.0) * p
            return moved if buffer is None else moved.add(buffer, alpha=group.get("momentum", 0.0))

        def outer() -> Tensor:
            terms = self.terms(step, ("a", "w_S"), batches, evaluate)
            _add(sums, step, terms)
            return torch.stack(list(terms.values())).sum()

        def inner() -> Tensor:
            return torch.stack(list(self.terms(ahead, ("a", "w_S"), batches, evaluate).values())).sum()

        with _statistics_kept(self.duo.student):
            _, gradients = unrolled_gradient(self.groups["a"], self.groups["w_S"], outer, inner, group["lr"], velocity)
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
        parameters, optimizer = self.groups[group], self.optimizers[group, step.maker(group)]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        if group != "a" and self.settings.clip:
            nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def outputs(self, network: nn.Module, x: Tensor, mix: Any) -> Outputs:
        last, reduced = network.features(x, mix)  # type: ignore[operator]
        logits: Tensor = network.head(last)  # type: ignore[operator]
        found: Outputs = self.readout(logits, reduced, network is self.duo.teacher)
        return found

    def _fixed_weights(self) -> Any:
        with torch.no_grad():
            return self.duo.weights()


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
