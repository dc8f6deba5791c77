"""What a run of search inside one network may be asked beside the fields of its search's settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal

from archwright.data import Data
from archwright.errors import SettingsError, unknown
from archwright.evaluate.settings import Training

CHOICES = {
    "retrain_on": ("all", "train"),
    "memory": ("check", "ignore"),
    "macro_lr_of": ("gamma", "weights"),
    "type_reduction": ("cell", "pool"),
}
SIZES = ((3.0e6, 3e-4, 0.2), (3.5e6, 3e-4, 0.3), (float("inf"), 5e-4, 0.3))
"""Below so many parameters the public code of CDARTS retrains with this weight decay and drop path."""


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; the defaults are those of Herron 2023 where it has them.

    Attributes:
        lr_batch: the batch size that the search's ``lr`` is for: it is scaled linearly to the search's own; 0 takes it as
            it is.
        centre_safe: no crop and no cutout, in the search and in retraining, for labels that depend on an image's centre.
        keep_tower: the auxiliary tower stays in retraining where the template has no heads.
        retrain_on: ``all`` examples that are not for the test, or ``train`` without the validation split.
        type_reduction: what halves the image where types of cells are searched: a ``cell`` with stride, or ``pool``.
        macro_lr, macro_lr_of: a learning rate of the second search of hierarchical methods, and of what it is.
        by_size: weight decay and drop path of retraining follow the number of parameters (:data:`SIZES`).
        memory: whether a search that needs more memory than there is, is refused (``check``) or goes on.

    Raises:
        SettingsError: a value out of range.
    """

    lr_batch: int = 0
    centre_safe: bool = False
    keep_tower: bool = False
    retrain_on: Literal["all", "train"] = "all"
    by_size: bool = False
    memory: Literal["check", "ignore"] = "check"
    macro_lr: float = 3e-3
    macro_lr_of: Literal["gamma", "weights"] = "gamma"
    type_reduction: Literal["cell", "pool"] = "cell"

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, bool) and not isinstance(value, bool):
                raise SettingsError(f"{option.name} must be true or false, not {value!r}")
        if not isinstance(self.lr_batch, int) or isinstance(self.lr_batch, bool) or self.lr_batch < 0:
            raise SettingsError(f"lr_batch must be a whole number of at least 0, not {self.lr_batch!r}")
        if not isinstance(self.macro_lr, (int, float)) or not self.macro_lr > 0:
            raise SettingsError(f"macro_lr must be a number above 0, not {self.macro_lr!r}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise SettingsError(unknown(name, str(getattr(self, name)), known))

    def examples(self, data: Data, training: Training) -> Data:
        """The data to retrain with.

        Raises:
            SettingsError: the training chooses by validation examples that it would also train on.
        """
        if self.retrain_on == "train":
            return data
        if training.keep == "best" or training.patience:
            raise SettingsError(
                "keep=best and patience choose by the validation split, and retraining on all examples trains with it; "
                "take --option retrain_on=train"
            )
        return data.joined()

    def sized(self, training: Training, params: int, given: Collection[str]) -> Training:
        """The training of a network of so many parameters; what was ``given`` by hand stays."""
        if not self.by_size:
            return training
        decay, drop = next((decay, drop) for most, decay, drop in SIZES if params < most)
        own = {k: v for k, v in (("weight_decay", decay), ("drop_path", drop)) if k not in given}
        return Training.from_json({**training.to_json(), **own})
