"""Crops of electron microscopy stacks with masks, balanced by what is in their middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from archwright.data.dataset import Ints
from archwright.data.preparing import Floats, Prepared, min_max, texts, write_arrays
from archwright.errors import DataError, SettingsError

SIZE, CENTRE, MOST_OUTSIDE = 32, 4, 7
"""Pixels a side of a crop and of its middle, and how many structure pixels there are still too few for a positive."""

CLASSES = ("background", "structure")
STACKS = {"train": "training", "test": "testing"}

Progress = Callable[[str, int, int], None]


def middle_counts(mask: NDArray[Any]) -> Ints:
    """Structure pixels in the middle of every window.

    Args:
        mask: ``height x width``; what is not 0 is structure.

    Returns:
        ``(height - 31) x (width - 31)``, by the window's upper left corner.
    """
    edge = (SIZE - CENTRE) // 2
    blocks = sliding_window_view((mask > 0).astype(np.uint8), (CENTRE, CENTRE)).sum((2, 3), dtype=np.int64)
    inside: Ints = blocks[edge : edge + mask.shape[0] - SIZE + 1, edge : edge + mask.shape[1] - SIZE + 1]
    return inside


def balanced_crops(
    image: NDArray[Any], mask: NDArray[Any], count: int, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Random windows of a slice, a positive and a negative one in turn, positive first.

    Positive are windows with more than 7 structure pixels among the 16 in their middle, negative those with none; others
    are neither. Every window of the wanted class is equally likely, as if windows were drawn until one fits.

    Args:
        image, mask: ``height x width``.
        count: how many windows.
        rng: draws them.

    Returns:
        Crops ``count x 32 x 32`` and labels; nothing where the slice lacks one of the classes.
    """
    found = middle_counts(mask)
    corners = [np.argwhere(found == 0), np.argwhere(found > MOST_OUTSIDE)]
    if not all(map(len, corners)):
        return np.empty((0, SIZE, SIZE), np.float32), np.empty(0, np.int64)
    labels = (np.arange(count) + 1) % 2
    windows = sliding_window_view(image, (SIZE, SIZE))
    chosen = np.empty((count, 2), dtype=np.int64)
    for label in (1, 0):
        wanted = labels == label
        chosen[wanted] = corners[label][rng.integers(len(corners[label]), size=int(wanted.sum()))]
    return windows[chosen[:, 0], chosen[:, 1]].astype(np.float32), labels


def prepare_microscopy(
    source: Path,
    out: Path,
    *,
    train_crops: int = 300,
    test_crops: int = 60,
    seed: int = 0,
    scope: str = "band",
    on_done: Progress = lambda *_: None,
) -> Prepared:
    """Write balanced crops of the annotated stacks as one ``.npz``.

    Args:
        source: a folder with ``training.tif`` and ``testing.tif``, and their masks ``training_groundtruth*.tif`` and
            ``testing_groundtruth*.tif``; several masks of a stack are joined.
        out: the file to write.
        train_crops, test_crops: for each slice.
        seed: of the crops; a slice's do not depend on how many slices there are.
        scope: of minimum and maximum, see :func:`~archwright.data.preparing.min_max`.
        on_done: is told of progress: stack, slices done, of how many.

    Raises:
        DataError: a stack or mask that is missing, damaged or of another size, or without usable slices.
        SettingsError: an unknown scope, or fewer than 2 crops.
    """
    if min(train_crops, test_crops) < 2:
        raise SettingsError(f"a slice needs at least 2 crops, one for each class, not {train_crops} and {test_crops}")
    made = Prepared(out)
    crops, labels = {}, {}
    for part, (split, count) in enumerate((("train", train_crops), ("test", test_crops))):
        images, masks, names = _stack(source, STACKS[split])
        made.notes.append(f"{split} split: structures of {', '.join(names)}")
        each = []
        for k, (image, mask) in enumerate(zip(images, masks)):
            each.append(balanced_crops(image, mask, count, np.random.default_rng([seed, part, k])))
            on_done(split, k + 1, len(images))
        empty = sum(not len(y) for _, y in each)
        if empty:
            made.notes.append(f"{split} split: {empty} of {len(each)} slices left out, which lack one of the classes")
        crops[split], labels[split] = (np.concatenate(arrays) for arrays in zip(*each))
        if not len(labels[split]):
            raise DataError(f"no slice of {STACKS[split]} has both classes; are its masks those of the images?")
        made.counted(split, labels[split], len(CLASSES))
    made.notes.append(f"{SIZE} x {SIZE} crops drawn with seed {seed}, brought to [0, 1], range by {scope}")
    ranges = [min_max(crops["train"], crops["test"], scope)]
    write_arrays(out, _arrays(crops, labels, ranges, made.notes))
    return made


def _arrays(
    crops: dict[str, Floats], labels: dict[str, Ints], ranges: list[tuple[float, float]], notes: list[str]
) -> Iterator[tuple[str, NDArray[Any]]]:
    for split in crops:
        yield f"{split}_images", crops[split]
        yield f"{split}_labels", labels[split]
    yield "classes", texts(CLASSES)
    yield "ranges", np.array(ranges)
    yield "notes", texts(notes)


def _stack(source: Path, name: str) -> tuple[list[NDArray[Any]], list[NDArray[Any]], list[str]]:
    """Slices, their masks, and the names of the mask files."""
    if not source.is_dir():
        raise DataError(f"there is no folder {source}")
    images = _one(source, f"{name}.tif*", f"the stack {name}.tif")
    files = sorted(source.glob(f"{name}_groundtruth*.tif*"))
    if not files:
        raise DataError(f"{source} has no masks {name}_groundtruth.tif")
    masks = [_pages(file) for file in files]
    for file, pages in zip(files, masks):
        if [p.shape for p in pages] != [p.shape for p in images]:
            raise DataError(f"{file} has other slices than {name}.tif: {_words(pages)}, not {_words(images)}")
    if min(images[0].shape) < SIZE:
        raise DataError(f"the slices of {name}.tif have {images[0].shape} pixels, fewer than a crop of {SIZE} x {SIZE}")
    return images, [np.any([p > 0 for p in pages], axis=0) for pages in zip(*masks)], [file.name for file in files]


def _words(pages: list[NDArray[Any]]) -> str:
    return f"{len(pages)} of {' x '.join(map(str, pages[0].shape))}"


def _one(source: Path, pattern: str, what: str) -> list[NDArray[Any]]:
    found = sorted(source.glob(pattern))
    if not found:
        raise DataError(f"{source} has not {what}")
    return _pages(found[0])


def _pages(path: Path) -> list[NDArray[Any]]:
    """The grey images of a TIFF file."""
    try:
        with Image.open(path) as opened:
            return [np.asarray(page.convert("L")) for page in ImageSequence.Iterator(opened)]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a stack of images: {error}") from error
