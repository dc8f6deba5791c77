"""From arrays of any usual layout to splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.data.dataset import Data, Ints, Split
from archwright.data.splitting import stratified_sample, stratified_split
from archwright.errors import DataError
from archwright.shapes import Bands

Pair = tuple[Any, Any]
"""Inputs (an array, or arrays by band) and labels."""
NAMES = ("train", "validation", "test")


def make_data(
    name: str,
    parts: Mapping[str, Pair],
    *,
    seed: int,
    validation: float,
    test: float,
    limit: int | None,
    classes: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    size: Sequence[int] | None = None,
    merge: str = "average",
) -> Data:
    """A data set from one to three pairs of inputs and labels; missing splits are cut from the training split.

    Inputs by band, of several sizes, become rows of values, see :class:`~archwright.shapes.Bands` (``size``, ``merge``).

    Raises:
        DataError: see :class:`~archwright.data.dataset.Split` and :class:`~archwright.data.dataset.Data`.
    """
    for share, what in ((validation, "validation"), (test, "test")):
        if not 0 < share < 1:
            raise DataError(f"the share of the {what} split must be between 0 and 1, not {share:g}")
    inputs, bands = _inputs(parts, name, size, merge)
    targets, found = as_targets({part: pair[1] for part, pair in parts.items()}, name, classes)
    splits = {part: Split(inputs[part], targets[part]) for part in parts}
    said = list(notes)
    train = splits["train"]
    if "test" not in splits:
        rest, cut = stratified_split(train.targets, test, seed, "test")
        train, splits["test"] = train.take(rest), train.take(cut)
        said.append(f"test split: {test:g} of the examples, drawn with seed {seed}")
    if "validation" not in splits:
        share = validation / (1 - test) if "test" not in parts else validation
        rest, cut = stratified_split(train.targets, min(share, 0.9), seed, "validation")
        train, splits["validation"] = train.take(rest), train.take(cut)
        said.append(f"validation split: {validation:g} of the training examples, drawn with seed {seed}")
    if limit is not None:
        if limit < 1:
            raise DataError(f"the limit of training examples must be positive, not {limit}")
        train = train.take(stratified_sample(train.targets, limit, seed))
        said.append(f"limited to {len(train)} training examples")
    return Data(name, train, splits["validation"], splits["test"], found, notes=tuple(said), bands=bands)


def _inputs(
    parts: Mapping[str, Pair], name: str, size: Sequence[int] | None, merge: str
) -> tuple[dict[str, NDArray[Any]], Bands | None]:
    """Inputs by split, and how they lie in rows where there are several bands."""
    banded = [part for part, pair in parts.items() if isinstance(pair[0], Mapping)]
    if not banded:
        return {part: as_inputs(pair[0], f"{name}, {part}") for part, pair in parts.items()}, None
    if len(banded) < len(parts):
        raise DataError(f"{name}: only the split {banded[0]} has several bands; all splits must have the same")
    images = {
        part: {str(band): _band(array, f"{name}, {part}, {band}") for band, array in pair[0].items()}
        for part, pair in parts.items()
    }
    bands = Bands({band: array.shape[1:] for band, array in images["train"].items()}, size, merge)
    rows = {}
    for part, arrays in images.items():
        more = sorted(set(arrays) - set(bands.images))
        if more:
            raise DataError(
                f"{name}: the {part} split has the band {more[0]!r}, which the training split does not have"
            )
        try:
            rows[part] = bands.pack(arrays)
        except DataError as error:
            raise DataError(f"{name}, {part}: {error}") from error
    return rows, bands


def _band(array: Any, where: str) -> NDArray[Any]:
    images = as_inputs(array, where)
    if images.ndim != 4:
        raise DataError(f"{where}: a band must be images (n, height, width[, channels]), not of shape {images.shape}")
    return images


def as_inputs(array: Any, where: str) -> NDArray[Any]:
    """Images as ``n x channels x height x width`` (bytes stay bytes), tables as ``n x features`` float32.

    Takes images without a channel axis, and with it last (1, 3 or 4 channels).

    Raises:
        DataError: another dtype or number of dimensions.
    """
    x = np.asarray(array)
    if x.dtype.kind not in "buif":
        raise DataError(
            f"{where}: inputs are of type {x.dtype}, not numbers; store them as an array of bytes or floats"
        )
    if x.ndim not in (2, 3, 4):
        raise DataError(
            f"{where}: inputs have shape {x.shape}; they must be (n, height, width[, channels]) or (n, features)"
        )
    if len(x) == 0:
        raise DataError(f"{where}: there are no examples")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[-1] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        x = x.transpose(0, 3, 1, 2)
    if x.dtype != np.uint8 or x.ndim == 2:
        x = x.astype(np.float32)
    return np.ascontiguousarray(x)


def as_targets(
    labels: Mapping[str, Any], name: str, classes: Sequence[str] | None
) -> tuple[dict[str, Ints], tuple[str, ...]]:
    """Class indices and class names. Labels may be whole numbers or texts, ``n`` or ``n x 1``.

    Raises:
        DataError: labels of another form, or one that the training split does not have.
    """
    flat = {part: _flat(values, f"{name}, {part}") for part, values in labels.items()}
    known = np.unique(flat["train"])
    if classes is not None and known.dtype.kind in "iu":
        known = np.arange(len(classes))
    for part, values in flat.items():
        strange = np.setdiff1d(values, known)
        if len(strange):
            raise DataError(
                f"{name}: the {part} split has the label {strange[0]!s}, which the training split does not have"
            )
    names = tuple(classes) if classes is not None else tuple(str(k) for k in known)
    return {part: np.searchsorted(known, values).astype(np.int64) for part, values in flat.items()}, names


def _flat(values: Any, where: str) -> NDArray[Any]:
    y = np.asarray(values)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{where}: labels have shape {y.shape}; they must be one class per input (not one-hot, not several)"
        )
    if y.dtype.kind == "f":
        if not np.isfinite(y).all() or (y != np.round(y)).any():
            raise DataError(f"{where}: labels must be whole numbers or texts, and some are {y[y != np.round(y)][:1]}")
        y = y.astype(np.int64)
    if y.dtype.kind == "b":
        y = y.astype(np.int64)
    if y.dtype.kind == "O" and all(isinstance(v, str) for v in y):
        y = y.astype(str)
    if y.dtype.kind not in "iuUS":
        raise DataError(f"{where}: labels are of type {y.dtype}; they must be whole numbers or texts")
    if y.dtype.kind in "iu" and len(y) and y.min() < 0:
        raise DataError(f"{where}: there is a negative label, {y.min()}; labels must be 0 or more")
    return y
