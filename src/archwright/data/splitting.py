"""Stratified splits and samples."""

from __future__ import annotations

import numpy as np

from archwright.data.dataset import Ints
from archwright.errors import DataError


def stratified_split(targets: Ints, share: float, seed: int, what: str) -> tuple[Ints, Ints]:
    """Indices of the rest and of a part with ``share`` of the examples, every class in both.

    Raises:
        DataError: a class has too few examples to be in both.
    """
    counts = np.bincount(targets)
    rare = [int(c) for c in np.flatnonzero(counts) if counts[c] < 2]
    if rare:
        raise DataError(
            f"class {rare[0]} has {counts[rare[0]]} example left, too few to make a {what} split; add examples"
        )
    size = max(round(share * len(targets)), int((counts > 0).sum()))
    if len(targets) - size < int((counts > 0).sum()):
        raise DataError(f"{len(targets)} examples are too few to make a {what} split of {share:g}")
    from sklearn.model_selection import train_test_split

    rest, part = train_test_split(np.arange(len(targets)), test_size=size, stratify=targets, random_state=seed)
    return np.sort(rest), np.sort(part)


def stratified_sample(targets: Ints, size: int, seed: int) -> Ints:
    """Indices of a sample of ``size`` examples with the classes in proportion, each at least once.

    Raises:
        DataError: fewer than the number of classes.
    """
    classes = len(np.unique(targets))
    if size < classes:
        raise DataError(f"a sample of {size} examples cannot have all {classes} classes; take at least {classes}")
    if size >= len(targets):
        return np.arange(len(targets))
    if len(targets) - size < classes:
        return np.sort(np.random.default_rng(seed).permutation(len(targets))[:size])
    _, part = stratified_split(targets, size / len(targets), seed, "sample")
    return part[:size]
