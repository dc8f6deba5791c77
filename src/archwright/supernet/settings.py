"""Settings of a search inside one network."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from archwright.errors import SettingsError
from archwright.supernet.steps import Step, also, icdarts, reads_evaluation, shrinkage, without_evaluation

SWITCHES = ("e_split", "e_distill", "s_distill")
"""Settings that describe the steps of ICDARTS and its relatives."""
CHOICES = {
    "warmup_split": ("train", "val"), "e_split": ("train", "val"), "distill_loss": ("kl", "smooth_l1"),
    "kl_reduction": ("batchmean", "mean"), "distill_on": ("concat", "sum"), "ce_on": ("main", "merged"),
    "eval_weights": ("pool", "scratch"), "teacher_norm": ("batch", "moving", "running"), "curve": ("evaluation", "search"),
}  # fmt: skip


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
        crop, flip, vertical_flip: augmentation of both halves.
        distill_loss: softened ``kl`` (equation 3.7), or ``smooth_l1`` of the logits as in public code of CDARTS.
        kl_reduction: mean over rows (``batchmean``), or over rows and classes (``mean``).
        distill_on: all heads' logits side by side along the batch (``concat``), or their weighted ``sum``.
        ce_on: cross-entropies of the ``main`` logits, or of all heads' ``merged`` ones; heads are then separate and learn.
        learn_mix: whether the shares of the heads are learned, with the search network.
        fix_head, share_heads: whether the distillation heads keep their first weights, and belong to both networks.
        share_stem: the networks have one stem, which learns with the evaluation network alone.
        eval_weights: the evaluation network's weights are kept for every operation (``pool``), or drawn anew with every
            choice (``scratch``).
        teacher_norm: batch norms of the evaluation network where it teaches: statistics of the ``batch``, the same
            ``moving`` the running ones, or the ``running`` ones.
        alpha_l1: penalty on the absolute parameters of pooling and identity, falling linearly to 0; 5 in public code of CDARTS.
        alpha_l1_share: share of the joint epochs after which it is 0.
        stable_epochs: end the search when the discretised architecture has stayed the same for so many epochs; 0 for never.
        curve: the network whose validation accuracy is noted after every epoch. With ``search`` an evaluation network that
            nothing else reads, as in DARTS, is neither warmed up nor trained.
        steps: of the joint phase; without, those that ``e_split``, ``e_distill`` and ``s_distill`` describe.

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
    vertical_flip: bool = False
    distill_loss: Literal["kl", "smooth_l1"] = "kl"
    kl_reduction: Literal["batchmean", "mean"] = "batchmean"
    distill_on: Literal["concat", "sum"] = "concat"
    ce_on: Literal["main", "merged"] = "main"
    learn_mix: bool = False
    fix_head: bool = True
    share_heads: bool = True
    share_stem: bool = False
    eval_weights: Literal["pool", "scratch"] = "pool"
    teacher_norm: Literal["batch", "moving", "running"] = "batch"
    alpha_l1: float = 0.0
    alpha_l1_share: float = 0.2
    stable_epochs: int = 0
    curve: Literal["evaluation", "search"] = "evaluation"
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        rules = {"epochs": 1, "batch_size": 2, "pretrain_epochs": 0, "warmup_epochs": 0, "crop": 0, "stable_epochs": 0}
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
            "alpha_l1",
        ):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise SettingsError(f"{name} must be a number of at least 0, not {value!r}")
        if self.temperature == 0:
            raise SettingsError("the temperature of the distillation must be above 0")
        for field in fields(self):
            if isinstance(field.default, bool) and not isinstance(getattr(self, field.name), bool):
                raise SettingsError(f"{field.name} must be true or false, not {getattr(self, field.name)!r}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise SettingsError(f"{name} must be {' or '.join(known)}, not {getattr(self, name)!r}")
        share = self.alpha_l1_share
        if not (isinstance(share, (int, float)) and 0 < share <= 1):
            raise SettingsError(f"alpha_l1_share must be above 0 and at most 1, not {share!r}")

    @property
    def joint_steps(self) -> tuple[Step, ...]:
        """Of the joint phase."""
        steps = self.steps or icdarts(self.e_split, self.e_distill, self.s_distill)
        if self.curve == "search":
            steps = without_evaluation(steps)
        return also(steps, "a", shrinkage) if self.alpha_l1 else steps

    @property
    def evaluates(self) -> bool:
        """Whether the curve or a step of the joint phase reads the evaluation network."""
        return self.curve == "evaluation" or any(map(reads_evaluation, self.joint_steps))

    def to_json(self) -> dict[str, Any]:
        """Plain data that tells two settings apart."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "steps": [str(step) for step in self.joint_steps]}

    def learning_rate(self, epoch: int) -> float:
        """Of the weights in epoch ``epoch``, pre-training included."""
        half = (self.lr - self.lr_min) / 2
        return self.lr_min + half * (1 + math.cos(math.pi * epoch / (self.pretrain_epochs + self.epochs)))
