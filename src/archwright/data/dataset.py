"""Data as the rest of Archwright sees it: three splits of arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archwright.errors import DataError
from archwright.shapes import Bands

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and their labels.

    Attributes:
        inputs: images ``n x channels x height x width`` (uint8 or float32), or a table ``n x features`` (float32).
            Examples of several images are rows ``n x values``, see :class:`~archwright.shapes.Bands`.
        targets: class indices, ``n`` (int64).

    Raises:
        DataError: shapes that do not fit together, no example, or inputs that are not finite.
    """

    inputs: NDArray[Any]
    targets: Ints

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise DataError(f"there are {len(self.inputs)} inputs and {len(self.targets)} labels; each input needs one")
        if self.inputs.ndim not in (2, 4):
            raise DataError(
                f"inputs have shape {self.inputs.shape}; they must be images (n, channels, height, width) or a table "
                "(n, features)"
            )
        if self.inputs.dtype.kind == "f" and not np.isfinite(self.inputs).all():
            bad = int(np.flatnonzero(~np.isfinite(self.inputs.reshape(len(self.inputs), -1)).all(axis=1))[0])
            raise DataError(
                f"input {bad} has values that are not finite (NaN or infinity); clean or leave out such rows"
            )

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: Ints) -> Split:
        """The examples at ``index``."""
        return Split(self.inputs[index], self.targets[index])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, split.

    Attributes:
        name: short, for titles and folder names.
        train, validation, test: the splits.
        classes: names, by index.
        source: where it came from, as it was given.
        loading: options that :func:`~archwright.data.load_data` had, to load it again.
        notes: what a reader should know (splits that were made here, images converted, ...).
        bands: how the images of an example lie in its row, where it has several.

    Raises:
        DataError: an empty split, fewer than two classes, labels out of range, or inputs of different shapes.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    source: str = ""
    loading: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    bands: Bands | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DataError(f"{self.name}: there is only one class ({', '.join(self.classes)}); a classifier needs two")
        for name, split in self.splits.items():
            if len(split) == 0:
                raise DataError(f"{self.name}: the {name} split is empty")
            if split.inputs.shape[1:] != self.train.inputs.shape[1:]:
                raise DataError(
                    f"{self.name}: inputs of the {name} split have shape {split.inputs.shape[1:]}, those of the training "
                    f"split {self.train.inputs.shape[1:]}"
                )
            low, high = int(split.targets.min()), int(split.targets.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"{self.name}: labels of the {name} split go from {low} to {high}; there are {len(self.classes)} classes"
                )
        if len(np.unique(self.train.targets)) < 2:
            raise DataError(f"{self.name}: the training split has one class only")

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        return self.bands if self.bands is not None else tuple(self.train.inputs.shape[1:])

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def kind(self) -> Literal["image", "tabular"]:
        """``image`` or ``tabular``."""
        return "image" if self.bands is not None or self.train.inputs.ndim == 4 else "tabular"

    @property
    def scale(self) -> float:
        """What raw inputs are multiplied with before normalisation: 1/255 for bytes, else 1."""
        return 1 / 255 if self.train.inputs.dtype == np.uint8 else 1.0

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        x = self.train.inputs
        parts = [x] if self.bands is None else self.bands.unpack(x).values()
        each = [(0, 2, 3) if part.ndim == 4 else (0,) for part in parts]
        mean = np.concatenate([p.mean(axis=axes, dtype=np.float64) for p, axes in zip(parts, each)]) * self.scale
        std = np.concatenate([p.std(axis=axes, dtype=np.float64) for p, axes in zip(parts, each)]) * self.scale
        std = np.where(std > 1e-8 * np.abs(mean), std, 1.0)
        return tuple(mean.tolist()), tuple(std.tolist())

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of the training inputs, per channel or feature, after scaling."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of the training inputs, per channel or feature, after scaling; 1 where it is 0."""
        return self._moments[1]

    def class_weights(self) -> NDArray[np.float64]:
        """Inverse frequency of each class in the training split, with mean 1 over the classes; 0 for an absent one."""
        counts = np.bincount(self.train.targets, minlength=self.num_classes)
        weights = np.where(counts > 0, 1.0 / np.maximum(counts, 1), 0.0)
        scaled: NDArray[np.float64] = weights * self.num_classes / weights.sum()
        return scaled

    def subset(self, size: int, seed: int = 0) -> Data:
        """The same data with a stratified sample of ``size`` training examples."""
        from archwright.data.splitting import stratified_sample

        kept = stratified_sample(self.train.targets, size, seed)
        return replace(self, train=self.train.take(kept))

    def joined(self) -> Data:
        """The same data with the validation examples among those to train on too; normalised as before."""
        inputs, targets = (
            np.concatenate([getattr(split, name) for split in (self.train, self.validation)])
            for name in ("inputs", "targets")
        )
        made = replace(self, train=Split(inputs, targets))
        made.__dict__["_moments"] = self._moments
        return made

    @cached_property
    def fingerprint(self) -> str:
        """A short text that changes when any example or label does."""
        digest = hashlib.blake2b(digest_size=12)
        for split in self.splits.values():
            digest.update(str((split.inputs.dtype, split.inputs.shape)).encode())
            digest.update(np.ascontiguousarray(split.inputs).data)
            digest.update(np.ascontiguousarray(split.targets).data)
        digest.update("\n".join(self.classes).encode())
        if self.bands is not None:
            digest.update(str(self.bands.to_json()).encode())
        return digest.hexdigest()

    def description(self) -> dict[str, Any]:
        """Facts for reports and stored studies; JSON-able."""
        return {
            "name": self.name,
            "source": self.source,
            "loading": dict(self.loading),
            "kind": self.kind,
            "input_shape": list(self.input_shape),
            **({} if self.bands is None else {"bands": self.bands.to_json()}),
            "classes": list(self.classes),
            "sizes": {name: len(split) for name, split in self.splits.items()},
            "class_counts": {
                name: np.bincount(split.targets, minlength=self.num_classes).tolist()
                for name, split in self.splits.items()
            },
            "notes": list(self.notes),
        }
