"""The strong gravitational lens finding challenge 2.0 (Metcalf et al. 2019 describe the first one): four bands of two sizes."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.data.dataset import Ints
from archwright.data.fits import read_fits
from archwright.data.preparing import Floats, Prepared, min_max, texts, write_arrays
from archwright.data.splitting import stratified_sample, stratified_split
from archwright.errors import DataError, SettingsError

BANDS = {"vis": "EUC_VIS", "j": "EUC_J", "h": "EUC_H", "y": "EUC_Y"}
"""Folders of the bands, in the order in which their images become channels."""

CLASSES = ("non-lens", "lens")
COLUMNS = ("ID", "n_source_im", "mag_eff", "n_pix_source")
CATALOGUE = "image_catalog2.0train.csv"

Progress = Callable[[str, int, int], None]


def is_lens(images: float, magnification: float, pixels: float) -> bool:
    """The challenge's rule: an image of the source, magnified by more than 1.6, that covers more than 20 pixels.

    Args:
        images, magnification, pixels: ``n_source_im``, ``mag_eff`` and ``n_pix_source`` of the catalogue. A number that is
            not there (NaN) makes no lens.
    """
    return images > 0 and magnification > 1.6 and pixels > 20


def read_catalogue(path: Path) -> dict[int, int]:
    """Labels, 1 for a lens, by identification number.

    Raises:
        DataError: no such file, columns missing, or a cell that is no number.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.reader(line for line in file if not line.startswith("#") and line.strip()))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the catalogue {path} cannot be read: {error}") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(f"the catalogue {path} has no column {missing[0]}; it needs {', '.join(COLUMNS)}")
    at = [header.index(name) for name in COLUMNS]
    labels = {}
    for number, row in enumerate(rows[1:], start=1):
        try:
            which, *facts = (float(row[i]) if row[i].strip() else float("nan") for i in at)
            labels[int(which)] = int(is_lens(*facts))
        except (ValueError, IndexError) as error:
            raise DataError(f"the catalogue {path}, row {number}: {error}") from error
    return labels


def prepare_lenses(
    source: Path,
    out: Path,
    *,
    catalogue: Path | None = None,
    test: float = 0.2,
    seed: int = 0,
    limit: int | None = None,
    scope: str = "band",
    on_done: Progress = lambda *_: None,
) -> Prepared:
    """Write the challenge's training set as one ``.npz`` of four bands, normalised, split and labelled.

    Args:
        source: the unpacked data; the folders of :data:`BANDS` are anywhere in it.
        out: the file to write.
        catalogue: by default :data:`CATALOGUE`, anywhere in ``source`` or beside it.
        test: share of test examples; the split is stratified.
        seed: of the split and of ``limit``.
        limit: use so many candidates, classes in proportion.
        scope: of minimum and maximum, see :func:`~archwright.data.preparing.min_max`.
        on_done: is told of progress: band, images read, of how many.

    Raises:
        DataError: folders, images or catalogue that are missing or damaged, images of several sizes in a band.
        SettingsError: an unknown scope, or numbers that make no sense.
    """
    if not 0 < test < 1 or (limit is not None and limit < 2):
        raise SettingsError(
            f"the share of test examples must be between 0 and 1 and the limit at least 2, not {test:g}, {limit}"
        )
    labels = read_catalogue(catalogue or _catalogue(source))
    files = {band: _files(source, folder) for band, folder in BANDS.items()}
    known = sorted(set(labels).intersection(*files.values()))
    if not known:
        raise DataError(
            f"no candidate of the catalogue has an image in all of {', '.join(BANDS.values())} below {source}"
        )
    targets = np.array([labels[i] for i in known], dtype=np.int64)
    ids = np.array(known)
    made = Prepared(out, notes=["labels by the rule n_source_im > 0, mag_eff > 1.6, n_pix_source > 20"])
    if len(labels) > len(known):
        made.notes.append(f"{len(labels) - len(known)} candidates of the catalogue left out: an image is missing")
    if limit is not None:
        kept = stratified_sample(targets, limit, seed)
        ids, targets = ids[kept], targets[kept]
        made.notes.append(f"limited to {len(ids)} candidates, drawn with seed {seed}")
    rest, part = stratified_split(targets, test, seed, "test")
    made.notes.append(f"test split: {test:g} of the candidates, drawn with seed {seed}")
    made.notes.append(f"every band brought to [0, 1], range by {scope}")
    for split, index in (("train", rest), ("test", part)):
        made.counted(split, targets[index], len(CLASSES))
    write_arrays(out, _arrays(files, ids, targets, (rest, part), scope, made.notes, on_done))
    return made


def _arrays(
    files: dict[str, dict[int, Path]],
    ids: Ints,
    targets: Ints,
    splits: tuple[Ints, Ints],
    scope: str,
    notes: Sequence[str],
    on_done: Progress,
) -> Iterator[tuple[str, NDArray[Any]]]:
    ranges = []
    for band, paths in files.items():
        report = partial(on_done, band)
        train, test = (
            _stacked([paths[int(i)] for i in ids[index]], report, before, len(ids))
            for index, before in zip(splits, (0, len(splits[0])))
        )
        if train.shape[1:] != test.shape[1:]:
            raise DataError(f"the band {band} has images of {train.shape[1:]} and {test.shape[1:]} pixels")
        ranges.append(min_max(train, test, scope))
        yield f"train_images_{band}", train
        yield f"test_images_{band}", test
    for split, index in zip(("train", "test"), splits):
        yield f"{split}_labels", targets[index]
        yield f"{split}_ids", ids[index]
    yield "classes", texts(CLASSES)
    yield "ranges", np.array(ranges)
    yield "notes", texts(notes)


def _stacked(paths: Sequence[Path], report: Callable[[int, int], None], before: int, total: int) -> Floats:
    """Images of one size; refuses values that are not finite."""
    first = read_fits(paths[0])
    images = np.empty((len(paths), *first.shape), dtype=np.float32)
    for i, path in enumerate(paths):
        image = read_fits(path)
        if image.shape != first.shape:
            raise DataError(f"{path} has {image.shape} pixels, {paths[0]} has {first.shape}")
        if not np.isfinite(image).all():
            raise DataError(f"{path} has values that are not finite; delete the file to leave the candidate out")
        images[i] = image
        report(before + i + 1, total)
    return images


def _catalogue(source: Path) -> Path:
    found = sorted(source.rglob(CATALOGUE)) or sorted(source.resolve().parent.glob(CATALOGUE))
    if not found:
        raise DataError(f"there is no {CATALOGUE} in {source} or beside it; name the catalogue with --catalog")
    return found[0]


def _files(source: Path, folder: str) -> dict[int, Path]:
    """Images of a band by identification number, the number at the end of their names."""
    if not source.is_dir():
        raise DataError(f"there is no folder {source}")
    found = {}
    for home in sorted(p for p in source.rglob(folder) if p.is_dir()):
        for path in home.iterdir():
            match = re.search(r"-(\d+)\.fits(\.gz)?$", path.name)
            if match is not None:
                found[int(match[1])] = path
    if not found:
        raise DataError(f"{source} has no folder {folder} with images such as image{folder}-100000.fits")
    return found
