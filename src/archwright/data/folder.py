"""Data in a folder with one folder of images per class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from archwright.data.arrays import Pair
from archwright.errors import DataError

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid"),
    "test": ("test", "testing"),
}


def read_folder(
    path: Path, resize: int | tuple[int, int] | None, skip_corrupt: bool
) -> tuple[dict[str, Pair], list[str], list[str]]:
    """Pairs by split, class names, and notes, from ``class/image.png`` or ``train/class/image.png``.

    Raises:
        DataError: no images, images of several sizes, an unreadable one, or an empty class.
    """
    splits = _splits(path)
    classes = sorted({folder.name for root in splits.values() for folder in _folders(root)})
    if not classes:
        raise DataError(f"{path} has no folders of images; expected is one folder per class, such as {path}/cat/1.png")
    notes: list[str] = []
    images: dict[str, list[Image.Image]] = {}
    labels: dict[str, list[int]] = {}
    names: dict[str, list[Path]] = {}
    for split, root in splits.items():
        files = [(f, i) for i, name in enumerate(classes) for f in _images(root / name)]
        for i, name in enumerate(classes):
            if split == "train" and not any(label == i for _, label in files):
                raise DataError(f"the class folder {root / name} has no images; fill it or delete it")
        read = [(file, _read(file, skip_corrupt, notes), label) for file, label in files]
        kept = [(file, image, label) for file, image, label in read if image is not None]
        names[split] = [file for file, _, _ in kept]
        images[split] = [image for _, image, _ in kept]
        labels[split] = [label for _, _, label in kept]
    everything = [image for group in images.values() for image in group]
    mode = "RGB" if any(image.mode == "RGB" for image in everything) else "L"
    if mode == "RGB" and any(image.mode == "L" for image in everything):
        notes.append("grey and colour images are mixed: all were read as colour")
    _check_sizes(names, images, resize)
    size = None if resize is None else (resize, resize) if isinstance(resize, int) else (resize[1], resize[0])
    pairs: dict[str, Pair] = {}
    for split, group in images.items():
        if group:
            arrays = [_array(image, mode, size) for image in group]
            pairs[split] = (np.stack(arrays), np.array(labels[split]))
    if "train" not in pairs:
        raise DataError(f"{path} has no readable training images")
    return pairs, classes, notes


def _splits(path: Path) -> dict[str, Path]:
    """Folders named after splits, where the training one is there; else the whole is one split."""
    found = {}
    for split, names in SPLIT_NAMES.items():
        for name in names:
            if (path / name).is_dir() and _folders(path / name):
                found[split] = path / name
    return found if "train" in found else {"train": path}


def _folders(root: Path) -> list[Path]:
    return [d for d in sorted(root.iterdir()) if d.is_dir() and not d.name.startswith(".")]


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [f for f in sorted(folder.iterdir()) if f.suffix.lower() in ENDINGS]


def _read(file: Path, skip_corrupt: bool, notes: list[str]) -> Image.Image | None:
    try:
        with Image.open(file) as image:
            read: Image.Image = image.convert("L" if image.mode in ("1", "L", "LA", "I", "I;16", "F") else "RGB")
            return read
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if skip_corrupt:
            notes.append(f"left out {file}, which cannot be read")
            return None
        raise DataError(
            f"{file} cannot be read as an image ({error}); repair it, delete it, or pass --skip-corrupt"
        ) from error


def _check_sizes(
    names: dict[str, list[Path]], images: dict[str, list[Image.Image]], resize: int | tuple[int, int] | None
) -> None:
    if resize is not None:
        if min(resize if isinstance(resize, tuple) else (resize,)) < 1:
            raise DataError(f"images cannot be resized to {resize} pixels")
        return
    sizes = Counter(image.size for group in images.values() for image in group)
    if len(sizes) > 1:
        usual = sizes.most_common(1)[0][0]
        odd = next((f, i) for s, group in images.items() for f, i in zip(names[s], group) if i.size != usual)
        raise DataError(
            f"images have {len(sizes)} sizes: {odd[0]} is {odd[1].width} x {odd[1].height}, most are {usual[0]} x {usual[1]}; "
            f"pass --resize {min(usual)} to bring all to one size"
        )


def _array(image: Image.Image, mode: str, size: tuple[int, int] | None) -> NDArray[Any]:
    image = image.convert(mode)
    if size is not None and image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    array = np.asarray(image, dtype=np.uint8)
    return array[None] if mode == "L" else array.transpose(2, 0, 1)
