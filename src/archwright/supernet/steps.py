"""Update steps: what a differentiable method is declared with.

A method repeats its steps for every pair of batches, one of the training half and one of the validation half. A step says which
losses it sums, on which half, and which parameters one backward pass updates: the architecture ``a``, the weights ``w_S`` of the
search network and ``w_E`` of the evaluation network. A loss is a function of a :class:`Moment`; what is not updated by a step is
constant in its losses, so that the same :func:`distillation` teaches the search network in one step and the evaluation network in
another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.errors import SettingsError
from archwright.supernet.losses import distillation as divergence

if TYPE_CHECKING:
    from archwright.supernet.settings import JointSettings

Group = Literal["a", "w_S", "w_E"]
"""Parameters that are updated together."""
GROUPS: tuple[Group, ...] = ("a", "w_S", "w_E")


class Outputs(NamedTuple):
    """Of a network: ``logits``, ``batch x classes``, and those of all heads in equal shares, ``heads * batch x classes``."""

    logits: Tensor
    every: Tensor


@dataclass(frozen=True)
class Sources:
    """Where a moment's parts come from; each is asked for at most once a step."""

    search: Callable[[], Outputs]
    evaluation: Callable[[], Outputs]
    weights: Callable[[], Any]
    penalty: Callable[[], Tensor] | None
    plain: Callable[[], Tensor] | None = None


class Moment:
    """What a loss can read of one batch; networks run when they are first asked for.

    Attributes:
        targets: class numbers, ``batch``.
        a: the architecture parameters by name.
        settings: of the search.
        progress: share of all epochs that is over, for losses whose weight changes.
    """

    def __init__(
        self, targets: Tensor, a: Mapping[str, Tensor], settings: JointSettings, progress: float, sources: Sources
    ) -> None:
        self.targets, self.a, self.settings, self.progress = targets, a, settings, progress
        self._sources = sources

    @cached_property
    def search(self) -> Outputs:
        """Of the search network under the relaxed architecture."""
        return self._sources.search()

    @cached_property
    def evaluation(self) -> Outputs:
        """Of the evaluation network, discretised at the beginning of the epoch."""
        return self._sources.evaluation()

    @cached_property
    def weights(self) -> Any:
        """The relaxed architecture: per cell type ``edges x operations``."""
        return self._sources.weights()

    def latency(self) -> Tensor:
        """Expected latency under the relaxed architecture.

        Raises:
            SettingsError: nothing tells the latency of this search's operations.
        """
        if self._sources.penalty is None:
            raise SettingsError("this search knows no latency of its operations")
        return self._sources.penalty()

    def plain(self) -> Tensor:
        """Sum of the absolute architecture parameters of pooling and identity.

        Raises:
            SettingsError: the search is not over operations.
        """
        if self._sources.plain is None:
            raise SettingsError("this search is not over operations, and alpha_l1 is for them")
        return self._sources.plain()


Loss = Callable[[Moment], Tensor]


def search(moment: Moment) -> Tensor:
    """Cross-entropy of the search network."""
    return functional.cross_entropy(moment.search.logits, moment.targets)


def evaluation(moment: Moment) -> Tensor:
    """Cross-entropy of the evaluation network."""
    return functional.cross_entropy(moment.evaluation.logits, moment.targets)


def distillation(moment: Moment) -> Tensor:
    """lambda times the softened divergence of the search from the evaluation network (Herron 2023, equation 3.7)."""
    if not moment.settings.distill:
        return moment.targets.new_zeros((), dtype=torch.float32)
    settings, student, teacher = moment.settings, moment.search.every, moment.evaluation.every
    if settings.distill_loss == "smooth_l1":
        return settings.distill * functional.smooth_l1_loss(student, teacher)
    return settings.distill * divergence(student, teacher, settings.temperature, settings.kl_reduction)


def latency(moment: Moment) -> Tensor:
    """delta times the expected latency (Herron 2023, section 4.3)."""
    if not moment.settings.penalty:
        return moment.targets.new_zeros((), dtype=torch.float32)
    return moment.settings.penalty * moment.latency()


def shrinkage(moment: Moment) -> Tensor:
    """L1 norm of alpha of operations without weights, its weight falling linearly to 0 (public code of Yu et al. 2022)."""
    settings = moment.settings
    done = moment.progress * (settings.pretrain_epochs + settings.epochs) - settings.pretrain_epochs
    left = max(0.0, 1 - done / (settings.alpha_l1_share * settings.epochs))
    return settings.alpha_l1 * left * moment.plain()


MakeOptimizer = Callable[[list[nn.Parameter], "JointSettings"], torch.optim.Optimizer]


def sgd(parameters: list[nn.Parameter], settings: JointSettings) -> torch.optim.Optimizer:
    """With momentum; its rate follows the cosine of the settings."""
    return torch.optim.SGD(
        parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )  # fmt: skip


def adam(parameters: list[nn.Parameter], settings: JointSettings) -> torch.optim.Optimizer:
    """At a constant rate, as DARTS updates the architecture."""
    return torch.optim.Adam(
        parameters, lr=settings.arch_lr, betas=(0.5, 0.999), weight_decay=settings.arch_weight_decay
    )  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One update.

    Attributes:
        split: the half whose batch it reads.
        losses: summed.
        updates: parameters that one backward pass reaches.
        unrolled: second order: the gradient of ``a`` at the weights that the method's next step of ``w_S`` alone would lead to.
        optimizer: makes the optimizer; steps with the same one share its state. ``sgd`` for weights and ``adam`` for ``a`` without.

    Raises:
        SettingsError: a step without losses or updates, or an unrolled one that updates something beside ``a``.
    """

    split: Literal["train", "val"]
    losses: tuple[Loss, ...]
    updates: tuple[Group, ...]
    unrolled: bool = False
    optimizer: MakeOptimizer | None = None

    def __post_init__(self) -> None:
        if self.split not in ("train", "val"):
            raise SettingsError(f"a step reads train or val, not {self.split!r}")
        if not self.losses or not self.updates or any(group not in GROUPS for group in self.updates):
            raise SettingsError(f"a step needs losses, and updates out of {', '.join(GROUPS)}")
        if self.unrolled and self.updates != ("a",):
            raise SettingsError("an unrolled step updates a alone")

    def maker(self, group: Group) -> MakeOptimizer:
        """Of the group's optimizer."""
        return self.optimizer or (adam if group == "a" else sgd)

    def __str__(self) -> str:
        losses = " + ".join(loss.__name__ for loss in self.losses)
        order = " unrolled" if self.unrolled else ""
        return f"{', '.join(self.updates)} <- {losses} on {self.split}{order}"


PRETRAINING = Step("train", (search,), ("w_S",))
"""Of the search network, before everything else."""


def warm_up(split: Literal["train", "val"]) -> Step:
    """Of the evaluation network when it has been made anew (Herron 2023, equations 3.5 and 6.1)."""
    return Step(split, (evaluation,), ("w_E",))


def icdarts(e_split: Literal["train", "val"], e_distill: bool, s_distill: bool) -> tuple[Step, ...]:
    """ICDARTS (equations 3.9 to 3.11), CDARTS (3.5, 3.6) and the variants between, by three switches (table 3.6)."""
    together = e_split == "val" and e_distill
    a = (search, distillation, latency)
    w_s = Step("train", (search, distillation) if s_distill else (search,), ("w_S",))
    if together:
        return Step("val", (*a, evaluation), ("a", "w_E")), w_s
    w_e = Step(e_split, (evaluation, distillation) if e_distill else (evaluation,), ("w_E",))
    return Step("val", a, ("a",)), w_s, w_e


def also(steps: Sequence[Step], group: Group, loss: Loss) -> tuple[Step, ...]:
    """The same steps, those that update the group with one loss more."""
    return tuple(replace(s, losses=(*s.losses, loss)) if group in s.updates else s for s in steps)


SILENT: tuple[Loss, ...] = (search, latency, shrinkage)
"""Losses that do not read the evaluation network."""


def reads_evaluation(step: Step) -> bool:
    """Whether a loss of the step may read the evaluation network; one that is not of this module is taken to."""
    return any(loss not in SILENT for loss in step.losses)


def without_evaluation(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The same steps but for those of the evaluation network alone, unless others read it."""
    others = tuple(step for step in steps if step.updates != ("w_E",))
    return tuple(steps) if any(map(reads_evaluation, others)) else others


def darts(unrolled: bool) -> tuple[Step, ...]:
    """DARTS (Liu et al. 2019), first or second order; the evaluation network learns beside it, for the curve alone."""
    return (
        Step("val", (search, latency), ("a",), unrolled),
        Step("train", (search,), ("w_S",)),
        Step("train", (evaluation,), ("w_E",)),
    )


def unrolled_gradient(
    a: Sequence[nn.Parameter], w: Sequence[nn.Parameter], outer: Callable[[], Tensor], inner: Callable[[], Tensor],
    rate: float, velocity: Callable[[Tensor, nn.Parameter], Tensor] | None = None,
) -> tuple[Tensor, list[Tensor | None]]:  # fmt: skip
    """Gradient of ``outer`` at weights one step of ``inner`` ahead, by finite differences (Liu et al. 2019, equations 7 and 8).

    With ``w' = w - rate v``, ``g = grad_w' outer(w', a)`` and ``w+- = w +- eps g``, ``eps = 0.01 / |g|``:
    ``grad_a outer(w', a) - rate (grad_a inner(w+, a) - grad_a inner(w-, a)) / (2 eps)``.

    Args:
        a: parameters to differentiate by.
        w: weights; changed within and put back.
        outer, inner: losses, computed anew at every call.
        rate: of the inner step; 0 gives the first order.
        velocity: ``(gradient, parameter) -> v`` of the inner step; the gradient itself without.

    Returns:
        ``outer`` at ``w'`` and the gradients, ``None`` where it does not depend on a parameter.
    """
    kept = [p.detach().clone() for p in w]
    try:
        if rate:
            ahead = torch.autograd.grad(inner(), w, allow_unused=True)
            with torch.no_grad():
                for p, gradient in zip(w, ahead):
                    if gradient is not None:
                        p.sub_(rate * (gradient if velocity is None else velocity(gradient, p)))
        loss = outer()
        found = torch.autograd.grad(loss, [*a, *w], allow_unused=True)
        first: list[Tensor | None] = list(found[: len(a)])
        g = found[len(a) :]
        if not rate:
            return loss.detach(), first
        norm = torch.stack([part.norm() for part in g if part is not None] or [loss.new_zeros(())]).norm()
        eps = 0.01 / norm.clamp_min(1e-12)
        sides = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                for p, old, part in zip(w, kept, g):
                    p.copy_(old if part is None else old + sign * eps * part)
            sides.append(torch.autograd.grad(inner(), a, allow_unused=True))
        return loss.detach(), [_combined(f, rate, eps, plus, minus) for f, plus, minus in zip(first, *sides)]
    finally:
        with torch.no_grad():
            for p, old in zip(w, kept):
                p.copy_(old)


def _combined(
    first: Tensor | None, rate: float, eps: Tensor, plus: Tensor | None, minus: Tensor | None
) -> Tensor | None:
    if plus is None or minus is None:
        return first
    second = rate * (plus - minus) / (2 * eps)
    return -second if first is None else first - second
