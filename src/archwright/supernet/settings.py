"""Settings of a search inside one network."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from archwright.errors import SettingsError
from archwright.supernet.steps import Step, icdarts

SWITCHES = ("e_split", "e_distill", "s_distill")
"""Settings that describe the steps of ICDARTS and its relatives."""


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
        stable_epochs: end the search when the discretised architecture has stayed the same for so many epochs; 0 for never.
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
    stable_epochs: int = 0
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
    def joint_steps(self) -> tuple[Step, ...]:
        """Of the joint phase."""
        return self.steps or icdarts(self.e_split, self.e_distill, self.s_distill)

    def to_json(self) -> dict[str, Any]:
        """Plain data that tells two settings apart."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "steps": [str(step) for step in self.joint_steps]}

    def learning_rate(self, epoch: int) -> float:
        """Of the weights in epoch ``epoch``, pre-training included."""
        half = (self.lr - self.lr_min) / 2
        return self.lr_min + half * (1 + math.cos(math.pi * epoch / (self.pretrain_epochs + self.epochs)))
