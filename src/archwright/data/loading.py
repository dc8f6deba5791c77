"""``load_data``: from whatever the user has to :class:`~archwright.data.dataset.Data`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archwright.data.arrays import Pair, make_data
from archwright.data.dataset import Data
from archwright.data.files import is_cifar, npz_words, read_cifar, read_csv, read_npz
from archwright.data.folder import read_folder
from archwright.data.python import call_loader, pairs_from
from archwright.errors import DataError, unknown

SOURCES: Mapping[str, str] = {
    "digits": "1,797 handwritten digits, 8 x 8 grey, 10 classes (embedded, from scikit-learn)",
    "FILE.npz": "MedMNIST layout (train_images, train_labels, val_..., test_...), or images and labels; images_NAME for several bands",
    "FOLDER": "one folder of images per class, perhaps below train, val and test",
    "cifar-10-batches-py": "CIFAR-10 or CIFAR-100 as distributed: folder or .tar.gz, Python or binary version",
    "FILE.csv": "a table of numbers with a header; the last column, or --target, is the label",
    "module:function": "your own loader; also file.py:function",
}


def load_data(
    source: Any,
    *,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    limit: int | None = None,
    resize: int | Sequence[int] | None = None,
    skip_corrupt: bool = False,
    target: str | None = None,
    merge: str = "average",
) -> Data:
    """Load and split data.

    Args:
        source: one of :data:`SOURCES`; or in Python a :class:`Data`, a pair of arrays, a dict or tuple of pairs by split,
            or torch data sets (arrays as ``n x height x width [x channels]``, ``n x channels x height x width`` or
            ``n x features``; a dict of arrays of images
            by band, of any sizes, is several images per example).
        seed: of splits that the source does not have, and of ``limit``.
        validation, test: shares of such splits.
        limit: use so many training examples, stratified.
        resize: pixels to bring the images of a folder to, or the bands of an example.
        skip_corrupt: leave out images of a folder that cannot be read.
        target: the label's column of a CSV file.
        merge: how bands that are larger are brought down, ``average`` or ``convolution`` (learned).

    Raises:
        DataError: the source is missing, empty, or not laid out as it must be.
    """
    loading = {
        "seed": seed,
        "validation": validation,
        "test": test,
        "limit": limit,
        "resize": resize if resize is None or isinstance(resize, int) else list(resize),
        "skip_corrupt": skip_corrupt,
        "target": target,
        "merge": merge,
    }
    if isinstance(source, Data):
        return source
    size = resize if resize is None or isinstance(resize, int) else (resize[0], resize[1])
    name, pairs, classes, notes = _read(source, size, skip_corrupt, target)
    if isinstance(pairs, Data):
        return replace(pairs, source=str(source), loading=loading)
    both = (size, size) if isinstance(size, int) else size
    data = make_data(
        name,
        pairs,
        seed=seed,
        validation=validation,
        test=test,
        limit=limit,
        classes=classes or None,
        notes=notes,
        size=both,
        merge=merge,
    )
    return replace(data, source=str(source) if isinstance(source, (str, Path)) else "python", loading=loading)


def _read(
    source: Any, resize: int | tuple[int, int] | None, skip_corrupt: bool, target: str | None
) -> tuple[str, dict[str, Pair] | Data, list[str], list[str]]:
    """Name, pairs by split (or finished data), class names, notes."""
    if not isinstance(source, (str, Path)):
        return "data", pairs_from(source, "data"), [], []
    text = str(source)
    if text == "digits":
        return "digits", _digits(), [], []
    if ":" in text and not Path(text).exists():
        name = text.rpartition(":")[2]
        value = call_loader(text)
        return name, value if isinstance(value, Data) else pairs_from(value, f"{text}()"), [], []
    path = Path(text)
    if not path.exists():
        named = unknown("data", text, ["digits"]) + "; or " if "/" not in text and "." not in text else ""
        raise DataError(f"{named}there is no file or folder {text}")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    if is_cifar(path):
        pairs, names = read_cifar(path)
        return path.name.split(".")[0], pairs, names, []
    if path.is_dir():
        pairs, names, notes = read_folder(path, resize, skip_corrupt)
        return path.resolve().name, pairs, names, notes
    if path.suffix == ".npz":
        pairs, names = read_npz(path), npz_words(path, "classes")
        numbered = np.asarray(pairs["train"][1]).dtype.kind in "iu"
        return path.stem, pairs, names if numbered else [], npz_words(path, "notes")
    if path.suffix == ".csv":
        return path.stem, read_csv(path, target), [], []
    raise DataError(f"{path} is of no kind that can be read; known are {', '.join(SOURCES)}")


def _digits() -> dict[str, Pair]:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = np.round(loaded.images * (255 / 16)).astype(np.uint8)
    return {"train": (images, loaded.target)}
