"""What makes an ``.npz`` file of raw images: their range brought to [0, 1], arrays written one by one."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import DataError, SettingsError, unknown

SCOPES = ("band", "image")
"""Over what minimum and maximum are taken: all training images of a band, or each image by itself."""

Floats = NDArray[np.float32]


@dataclass
class Prepared:
    """What was made of a source.

    Attributes:
        path: the file.
        sizes: examples by split.
        class_counts: examples by split, then by class.
        notes: what a reader should know; also in the file, and in reports of studies that use it.
    """

    path: Path
    sizes: dict[str, int] = field(default_factory=dict)
    class_counts: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def counted(self, split: str, labels: NDArray[np.int64], classes: int) -> None:
        """Remember the labels of a split."""
        self.sizes[split] = len(labels)
        self.class_counts[split] = np.bincount(labels, minlength=classes).tolist()


def min_max(train: Floats, test: Floats, scope: str) -> tuple[float, float]:
    """Bring the images of one band to [0, 1], in place; what is constant becomes 0.

    Args:
        train, test: ``n x height x width``. With the scope ``band`` the range is that of ``train``, and values of ``test``
            beyond it are clipped.
        scope: one of :data:`SCOPES`.

    Returns:
        The range of ``train`` before.

    Raises:
        SettingsError: an unknown scope.
    """
    if scope not in SCOPES:
        raise SettingsError(unknown("scope of the range", scope, SCOPES))
    low, high = float(train.min()), float(train.max())
    for images in (train, test):
        if scope == "image":
            _rescale(images, images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True))
        else:
            _rescale(images, np.float32(low), np.float32(high))
    return low, high


def _rescale(images: Floats, low: Any, high: Any) -> None:
    width = np.where(high > low, high - low, np.float32(1)).astype(np.float32)
    images -= low
    images /= width
    np.clip(images, 0, np.where(high > low, np.float32(1), np.float32(0)), out=images)


def texts(words: Sequence[str]) -> NDArray[np.str_]:
    """Words as an array that needs no pickle."""
    return np.array(list(words), dtype=np.str_)


def write_arrays(path: Path, arrays: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """An ``.npz`` file of arrays that are made one after another, put in its place when it is whole.

    Raises:
        DataError: another ending, or a place that cannot be written.
    """
    if path.suffix != ".npz":
        raise DataError(f"the file to write must end in .npz, and {path} does not")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    except OSError as error:
        raise DataError(f"cannot write in {path.parent}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
            for array_name, array in arrays:
                with archive.open(f"{array_name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
        Path(name).replace(path)
        path.chmod(0o644)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; free space and run the command again") from error
    finally:
        Path(name).unlink(missing_ok=True)
