"""How networks are trained: :class:`Training`. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from archwright.errors import SettingsError, unknown
from archwright.shapes import Bands

if TYPE_CHECKING:
    from archwright.data import Augmentation

CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("adamw", "sgd", "adam"),
    "schedule": ("cosine", "cosine-epochs", "constant", "step"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
    "keep": ("last", "best"),
    "monitor": ("loss", "accuracy", "balanced_accuracy", "auc", "f1", "f_beta"),
    "decay": ("weights", "all"),
    "drop_path_rates": ("rising", "equal"),
}


@dataclass(frozen=True)
class Training:
    """Settings of one training; every value is a JSON scalar.

    The defaults suit a few thousand small images and 5 to 30 epochs. They were chosen by comparing optimisers, rates
    and batch sizes on handwritten digits (5 and 20 epochs) and 1,500 images of PneumoniaMNIST (5 epochs) over
    NAS-Bench-201 cells, residual and mobile blocks, convolutions without normalisation, perceptrons and small
    transformers. AdamW trained nearly all of them; SGD at 0.03 and 0.1 left convolutions without normalisation at
    chance and transformers far behind. With so few steps, batches of 32 beat those of 64 and 128 at equal rates. For
    larger data or a GPU take a larger batch.

    Attributes:
        epochs: passes over the training examples.
        optimizer: ``adamw``, ``sgd`` or ``adam`` (which adds the weight decay to the gradient).
        lr: peak learning rate.
        momentum, nesterov: of ``sgd``.
        weight_decay: see ``decay``.
        decay: what decays: ``weights``, which leaves biases and normalisation alone (parameters with fewer than two
            dimensions), or ``all``, as published trainings of cells do.
        batch_size: examples per step.
        schedule: ``cosine`` to zero, in every step, or once an epoch with ``cosine-epochs``; ``constant``; ``step``, a
            tenth after 50 % and again after 75 % of the epochs.
        warmup_epochs: linear rise of the learning rate at the start, in epochs; at most a third of the training.
        label_smoothing: share of the target spread over all classes.
        gradient_clip: largest norm of the whole gradient; 0 for no clipping.
        drop_path: rate of stochastic depth in blocks that have it; rises linearly over the epochs.
        drop_path_rates: within an epoch ``rising`` linearly with depth, up to that rate in the last block, or ``equal``
            in all blocks.
        auxiliary_weight: of the loss of an auxiliary head, for networks that return ``(logits, auxiliary)``.
        ema: decay of an exponential moving average of the weights, which is then what is judged and kept; 0 for
            none. The decay is smaller in the first steps (``(1 + t) / (10 + t)``).
        precision: ``auto`` is bf16 or fp16 on CUDA, fp32 elsewhere.
        channels_last: memory format of image batches and convolution weights.
        class_weights: weigh classes in the loss by inverse frequency.
        crop: padding of random crops, pixels.
        flip: random horizontal flips.
        vertical_flip: random vertical flips.
        cutout: side of a square that is blanked, pixels.
        mixup, cutmix: parameter of the Beta distribution; 0 for none.
        centre_safe: no crop, cutout or cutmix, whatever they are set to: for labels that depend on an image's centre.
        patience: stop after so many validations without improvement of ``monitor``; 0 never stops.
        monitor: metric for ``patience`` and ``keep``.
        keep: weights at the end: the ``last`` ones, or those of the ``best`` validation.
        eval_every: epochs between validations; the last epoch always has one.

    Raises:
        SettingsError: a value out of range.
    """

    epochs: int = 10
    optimizer: str = "adamw"
    lr: float = 0.004
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.05
    decay: str = "weights"
    batch_size: int = 32
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.0
    gradient_clip: float = 5.0
    drop_path: float = 0.0
    drop_path_rates: str = "rising"
    auxiliary_weight: float = 0.4
    ema: float = 0.0
    precision: str = "auto"
    channels_last: bool = False
    class_weights: bool = False
    crop: int = 0
    flip: bool = False
    vertical_flip: bool = False
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    centre_safe: bool = False
    patience: int = 0
    monitor: str = "loss"
    keep: str = "last"
    eval_every: int = 1

    def __post_init__(self) -> None:
        for setting in fields(self):
            self._check_kind(setting.name, type(setting.default))
        for name, options in CHOICES.items():
            if getattr(self, name) not in options:
                raise SettingsError("training: " + unknown(name, getattr(self, name), options))
        for name in ("epochs", "batch_size", "eval_every"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("lr", self.lr > 0, "above 0")
        for name in ("momentum", "label_smoothing", "drop_path", "ema"):
            self._check(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        for name in (
            "weight_decay",
            "warmup_epochs",
            "gradient_clip",
            "auxiliary_weight",
            "crop",
            "cutout",
            "mixup",
            "cutmix",
            "patience",
        ):
            self._check(name, getattr(self, name) >= 0, "at least 0")

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Training:
        """From names and values; those left out have their defaults.

        Raises:
            SettingsError: a name that is no setting (with near matches), or a value out of range.
        """
        known = [setting.name for setting in fields(cls)]
        for name in settings:
            if name not in known:
                raise SettingsError(unknown("training setting", name, known))
        return cls(**settings)

    def to_json(self) -> dict[str, Any]:
        """Plain data; the inverse of :meth:`from_json`."""
        return asdict(self)

    def learning_rate(self, step: int, steps_per_epoch: int) -> float:
        """Of step ``step`` (from 0) of a training of ``epochs * steps_per_epoch`` steps."""
        total = self.epochs * steps_per_epoch
        warmup = min(self.warmup_epochs * steps_per_epoch, total / 3)
        if step + 1 < warmup:
            return self.lr * (step + 1) / warmup
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "step":
            done = step / total
            return self.lr * (0.01 if done >= 0.75 else 0.1 if done >= 0.5 else 1.0)
        if self.schedule == "cosine-epochs":
            first = warmup / steps_per_epoch
            done = max(0.0, (step // steps_per_epoch - first) / (self.epochs - first))
        else:
            done = (step + 1 - warmup) / max(1.0, total - warmup + 1)
        return self.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def augmentation(self, input_shape: tuple[int, ...]) -> Augmentation | None:
        """What is done to training batches of inputs of this shape, if anything.

        Raises:
            SettingsError: it is not for such data.
        """
        from archwright.data import Augmentation

        bands = input_shape if isinstance(input_shape, Bands) else None
        moved = not self.centre_safe
        made = Augmentation(
            crop=self.crop * moved,
            flip=self.flip,
            cutout=self.cutout * moved,
            mixup=self.mixup,
            cutmix=self.cutmix * moved,
            vertical_flip=self.vertical_flip,
            bands=bands,
        )
        made.check("image" if bands is not None or len(input_shape) == 3 else "tabular")
        return None if made.is_none else made

    def _check(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise SettingsError(f"training setting {name!r} must be {rule}, not {getattr(self, name)!r}")

    def _check_kind(self, name: str, kind: type) -> None:
        """A whole number where one is due, any finite number for a real, and so on; ``6.0`` becomes ``6``."""
        value = getattr(self, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is int and number and float(value).is_integer():
            object.__setattr__(self, name, int(value))
        elif kind is float and number and math.isfinite(value):
            object.__setattr__(self, name, float(value))
        elif kind in (int, float) or not isinstance(value, kind):
            words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
            raise SettingsError(f"training setting {name!r} must be {words[kind]}, not {value!r}")
