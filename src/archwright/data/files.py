"""Data in files: ``.npz``, CSV, CIFAR as distributed."""

from __future__ import annotations

import csv
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.data.arrays import Pair
from archwright.errors import DataError

LAYOUT = (
    "train_images, train_labels, and val_ and test_ likewise; or images and labels; instead of images, images_NAME for each of "
    "several bands"
)

PREFIXES = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}


def read_npz(path: Path) -> dict[str, Pair]:
    """Pairs by split from an ``.npz`` in the MedMNIST layout, or with one array of images and one of labels.

    Raises:
        DataError: not such a file.
    """
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not a readable .npz file (numpy.savez writes such files)")
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = set(archive.files)
            return _pairs(archive, names, path)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise DataError(
                f"{path} holds pickled Python objects, which are not read because they can run code; store plain arrays "
                "of numbers, all images of one size"
            ) from error
        raise DataError(f"{path} is not a readable .npz file: {error}") from error


def npz_words(path: Path, name: str) -> list[str]:
    """The texts of the array ``name`` of an ``.npz`` file (``classes`` by index, ``notes``); none where it has no such texts."""
    with np.load(path, allow_pickle=False) as archive:
        try:
            words = archive[name] if name in archive.files else np.empty(0)
        except ValueError:  # pickled objects
            return []
    return [str(word) for word in words] if words.ndim == 1 and words.dtype.kind == "U" else []


def _pairs(archive: Any, names: set[str], path: Path) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for split, prefixes in PREFIXES.items():
        for prefix in prefixes:
            for inputs, labels in (("images", "labels"), ("x", "y"), ("data", "labels")):
                if {f"{prefix}_{inputs}", f"{prefix}_{labels}"} <= names:
                    found[split] = (archive[f"{prefix}_{inputs}"], archive[f"{prefix}_{labels}"])
    if "train" in found:
        return found
    found |= _banded(archive, names)
    if "train" in found:
        return found
    for inputs, labels in (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels"), ("data", "target")):
        if {inputs, labels} <= names:
            return {"train": (archive[inputs], archive[labels])}
    raise DataError(f"{path} has the arrays {', '.join(sorted(names)) or '(none)'}; expected are {LAYOUT}")


def _banded(archive: Any, names: set[str]) -> dict[str, Pair]:
    """Pairs of arrays by band: ``train_images_NAME`` and so on, or ``images_NAME`` without splits; in the file's order."""
    found: dict[str, Pair] = {}
    for split, prefixes in {**PREFIXES, "": ("",)}.items():
        for prefix in prefixes:
            start, labels = (f"{prefix}_images_", f"{prefix}_labels") if prefix else ("images_", "labels")
            bands = {name[len(start) :]: archive[name] for name in archive.files if name.startswith(start)}
            if bands and labels in names:
                found.setdefault(split or "train", (bands, archive[labels]))
    return found


def read_csv(path: Path, target: str | None) -> dict[str, Pair]:
    """One pair from a CSV file with a header: numbers, and a column of labels (the last one unless named).

    Raises:
        DataError: no header, a cell that is not a number, or no such column.
    """
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise DataError(f"{path} has no rows below its header")
    header, body = rows[0], rows[1:]
    column = target if target is not None else header[-1]
    if column not in header:
        raise DataError(f"{path} has no column {column!r}; it has {', '.join(header)}")
    at = header.index(column)
    features = np.empty((len(body), len(header) - 1), dtype=np.float32)
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}, line {number}: {len(row)} cells, the header has {len(header)}")
        try:
            features[number - 2] = [float(cell) for i, cell in enumerate(row) if i != at]
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: {error}; all columns but the label ({column}) must be numbers"
            ) from error
    labels = [row[at] for row in body]
    if all(label.lstrip("-").isdigit() for label in labels):
        return {"train": (features, np.array([int(label) for label in labels]))}
    return {"train": (features, np.array(labels))}


class PlainUnpickler(pickle.Unpickler):
    """Reads pickles of plain containers, numbers, texts and numpy arrays; refuses everything else."""

    ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "scalar"),
            ("_codecs", "encode"),
            ("collections", "OrderedDict"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Only what plain arrays need.

        Raises:
            DataError: anything else.
        """
        if (module, name) not in self.ALLOWED:
            raise DataError(f"the pickle wants {module}.{name}, which plain data does not need; it is not read")
        return super().find_class(module, name)


Read = Callable[[str], bytes]


def read_cifar(path: Path) -> tuple[dict[str, Pair], list[str]]:
    """Pairs and class names from CIFAR-10 or CIFAR-100 as distributed: folder or ``.tar.gz``, Python or binary version.

    Raises:
        DataError: a file is missing or damaged.
    """
    if path.is_dir():
        files = {str(f.relative_to(path)): f for f in path.rglob("*") if f.is_file()}
        return _cifar(set(files), lambda name: files[name].read_bytes(), path)
    try:
        with tarfile.open(path) as archive:
            members = {m.name: m for m in archive.getmembers() if m.isfile()}

            def read(name: str) -> bytes:
                stream = archive.extractfile(members[name])
                return stream.read() if stream is not None else b""

            return _cifar(set(members), read, path)
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a readable tar file: {error}") from error


def is_cifar(path: Path) -> bool:
    """Whether a folder or archive looks like CIFAR as distributed."""
    if path.is_dir():
        names = {f.name for f in path.iterdir()} | {f.name for d in path.iterdir() if d.is_dir() for f in d.iterdir()}
        return bool(
            {"data_batch_1", "data_batch_1.bin"} & names or {"train", "meta"} <= names or {"train.bin"} <= names
        )
    return path.name.endswith((".tar.gz", ".tgz", ".tar"))


def _cifar(names: set[str], read: Read, path: Path) -> tuple[dict[str, Pair], list[str]]:
    base = {name.rsplit("/", 1)[-1]: name for name in names}
    if "data_batch_1" in base:
        train = [
            _batch(read(base[f"data_batch_{i}"]), "labels", path) for i in range(1, 6) if f"data_batch_{i}" in base
        ]
        return _joined(train, [_batch(read(_need(base, "test_batch", path)), "labels", path)]), _meta(
            base, read, "batches.meta", "label_names", path
        )
    if "train" in base and "meta" in base:
        key = "fine_labels"
        parts = [_batch(read(_need(base, part, path)), key, path) for part in ("train", "test")]
        return _joined(parts[:1], parts[1:]), _meta(base, read, "meta", "fine_label_names", path)
    if "data_batch_1.bin" in base:
        train = [
            _binary(read(base[f"data_batch_{i}.bin"]), 1, path) for i in range(1, 6) if f"data_batch_{i}.bin" in base
        ]
        test = [_binary(read(_need(base, "test_batch.bin", path)), 1, path)]
        return _joined(train, test), _text(base, read, "batches.meta.txt")
    if "train.bin" in base:
        parts = [_binary(read(_need(base, f"{part}.bin", path)), 2, path) for part in ("train", "test")]
        return _joined(parts[:1], parts[1:]), _text(base, read, "fine_label_names.txt")
    raise DataError(f"{path} has no CIFAR files (data_batch_1, train, data_batch_1.bin or train.bin)")


def _need(base: dict[str, str], name: str, path: Path) -> str:
    if name not in base:
        raise DataError(f"{path}: the CIFAR file {name!r} is missing; unpack the whole archive")
    return base[name]


def _unpickle(content: bytes, path: Path) -> dict[str, Any]:
    try:
        loaded = PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
        return {k.decode() if isinstance(k, bytes) else str(k): v for k, v in loaded.items()}
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        raise DataError(f"{path}: a CIFAR batch is damaged ({type(error).__name__}: {error})") from error


def _batch(content: bytes, key: str, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    loaded = _unpickle(content, path)
    if "data" not in loaded or key not in loaded:
        raise DataError(f"{path}: a CIFAR batch has {', '.join(loaded)}; expected are data and {key}")
    return np.asarray(loaded["data"], dtype=np.uint8).reshape(-1, 3, 32, 32), np.asarray(loaded[key])


def _binary(content: bytes, labels: int, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    raw = np.frombuffer(content, dtype=np.uint8)
    if len(raw) == 0 or len(raw) % (3072 + labels):
        raise DataError(
            f"{path}: a binary CIFAR batch has {len(raw)} bytes, no multiple of {3072 + labels}; it is damaged"
        )
    rows = raw.reshape(-1, 3072 + labels)
    return rows[:, labels:].reshape(-1, 3, 32, 32), rows[:, labels - 1].astype(np.int64)


def _joined(train: list[tuple[Any, Any]], test: list[tuple[Any, Any]]) -> dict[str, Pair]:
    def join(batches: list[tuple[Any, Any]]) -> Pair:
        return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])

    return {"train": join(train), "test": join(test)}


def _meta(base: dict[str, str], read: Read, name: str, key: str, path: Path) -> list[str]:
    if name not in base:
        return []
    names = _unpickle(read(base[name]), path).get(key, [])
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _text(base: dict[str, str], read: Read, name: str) -> list[str]:
    return read(base[name]).decode().split() if name in base else []
