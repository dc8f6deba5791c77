"""The files of NATS-Bench (Dong et al. 2021) as they are distributed, which are pickles: read, never executed.

A folder such as ``NATS-tss-v1_0-3ffb9-simple`` holds ``meta.pickle.pbz2`` and a file per architecture; the other form is
one file with everything. Both have, per architecture and length of training, the results of every data set and seed.
The topology space is that of NAS-Bench-201.
"""

from __future__ import annotations

import bz2
import codecs
import math
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError
from archwright.evaluation import Direction
from archwright.families import get_family
from archwright.families.nasbench201 import from_string
from archwright.space import Architecture, Choice, Space
from archwright.tables.column import Column
from archwright.tables.table import Table

META = "meta.pickle.pbz2"
WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64)
SPLITS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "cifar10-valid": ("cifar10", {"x-valid": "val", "ori-test": "test_{}_of_valid_training"}),
    "cifar10": ("cifar10", {"ori-test": "test"}),
    "cifar100": ("cifar100", {"x-valid": "val", "x-test": "test"}),
    "ImageNet16-120": ("imagenet16-120", {"x-valid": "val", "x-test": "test"}),
}
"""Training set of the benchmark -> data set, and what each of its judging splits is."""


def is_official(path: Path) -> bool:
    """Whether a path looks like such a folder or file."""
    return (path.is_dir() and (path / META).is_file()) or path.name.endswith((".pickle.pbz2", ".pickle"))


class _PlainData(pickle.Unpickler):
    """Numbers, text and containers; anything else is refused before it is made."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """The few names that plain data needs."""
        numpy_core = module in ("numpy.core.multiarray", "numpy._core.multiarray")
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if numpy_core and name == "scalar":
            return _scalar
        raise TableError(f"{self._path} holds {module}.{name}, which is not plain data; it was not loaded")


def _scalar(dtype: np.dtype[Any], data: bytes = b"") -> Any:
    """A NumPy number from its bytes; no object type."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise TableError("a NumPy value that is not a number")
    return np.frombuffer(data, dtype, 1)[0].item()


def read_pickle(path: Path) -> Any:
    """Plain data from a pickle, compressed with bzip2 or not.

    Raises:
        TableError: it is missing, broken, or holds anything but numbers, text and containers.
    """
    try:
        with bz2.open(path, "rb") if path.suffix == ".pbz2" else path.open("rb") as file:
            return _PlainData(file, path).load()
    except TableError:
        raise
    except FileNotFoundError as error:
        raise TableError(f"there is no file {path}") from error
    except Exception as error:  # a broken pickle raises nearly anything
        raise TableError(f"{path} is not a whole pickle: {type(error).__name__}: {error}") from error


def import_official(path: Path, *, name: str | None = None, curves: bool = False) -> Table:
    """A table from a folder or file of NATS-Bench.

    Metrics after the last epoch of each length of training become ``val_accuracy`` and so on with that epoch; seeds that
    an architecture lacks are NaN. Architectures without results are left out.

    Args:
        path: the folder, or the one file.
        name: of the table.
        curves: also what is known after every epoch of a training of N epochs, as ``train_accuracy_curveN``,
            ``val_accuracy_curveN`` and so on.

    Raises:
        TableError: a missing or broken file, one that holds anything but plain data, or is not laid out like that.
    """
    meta = read_pickle(path / META if path.is_dir() else path)
    try:
        members, results = _results(path, meta)
        space, architectures, family = _space([meta["meta_archs"][i] for i in members])
        columns = _columns(len(members), results, curves)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise TableError(
            f"{path} is not laid out as NATS-Bench is distributed: {type(error).__name__}: {error}"
        ) from error
    return Table(
        name or ("nasbench201-official" if family else "nats-size"),
        space,
        space.codes(architectures),
        tuple(columns),
        family,
        {"benchmark": "NATS-Bench (Dong et al. 2021)", "file": path.name},
    )


def _results(path: Path, meta: Mapping[str, Any]) -> tuple[list[int], Iterator[Mapping[str, Any]]]:
    """Which architectures there are, and what is known of each, read one at a time: whole they would fill the memory."""
    if not path.is_dir():
        known = meta["arch2infos"]
        return sorted(known), (known[i] for i in sorted(known))
    files = {int(f.name.split(".")[0]): f for f in path.glob("*.pickle.pbz2") if f.name != META}
    if not files:
        raise TableError(f"{path} has no results, only {META}")
    return sorted(files), (read_pickle(files[i]) for i in sorted(files))


def _space(texts: Sequence[str]) -> tuple[Space, list[Architecture], dict[str, Any] | None]:
    if texts[0].startswith("|"):
        family = get_family("nasbench201")
        spec = {"name": family.name, "options": dict(family.options)}
        return family.space, [from_string(text) for text in texts], spec
    widths = [[int(w) for w in text.split(":")] for text in texts]
    names = [f"layer{k}" for k in range(1, len(widths[0]) + 1)]
    space = Space({name: Choice(*WIDTHS, ordered=True) for name in names})
    return space, [Architecture(dict(zip(names, row))) for row in widths], None


class _Values:
    """``n x epochs x seeds`` that grow as values come in."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.found: dict[tuple[str, str], dict[tuple[int, int], NDArray[np.float64]]] = {}

    def add(self, dataset: str, metric: str, row: int, epoch: int, seed: int, value: Any) -> None:
        """One value; epoch 0 and seed 0 stand for none."""
        trainings = self.found.setdefault((dataset, metric), {})
        if (epoch, seed) not in trainings:
            trainings[epoch, seed] = np.full(self.n, math.nan)
        trainings[epoch, seed][row] = float(value)

    def columns(self) -> list[Column]:
        """All of them."""
        made = []
        for (dataset, metric), trainings in self.found.items():
            epochs, seeds = (sorted(set(names)) for names in zip(*trainings))
            nothing = np.full(self.n, math.nan)
            values = np.stack(
                [np.stack([trainings.get((e, s), nothing) for s in seeds], axis=1) for e in epochs], axis=1
            )
            way: Direction = "maximize" if "accuracy" in metric else "minimize"
            made.append(Column(dataset, metric, way, values, tuple(filter(None, epochs)), tuple(filter(None, seeds))))
        return made


def _columns(n: int, results: Iterable[Mapping[str, Any]], curves: bool) -> list[Column]:
    values = _Values(n)
    for row, by_length in enumerate(results):
        for length, infos in by_length.items():
            for (training_set, seed), result in infos["all_results"].items():
                _add_result(values, row, int(length), training_set, int(seed), result, curves)
        last = by_length[max(by_length, key=int)]["all_results"]
        for (training_set, _), result in last.items():
            dataset = SPLITS[training_set][0]
            latency = [float(x) for x in result["latency"] if x is not None]
            values.add(dataset, "params", row, 0, 0, result["params"] * 1e6)
            values.add(dataset, "flops", row, 0, 0, result["flop"] * 1e6)
            if latency:
                values.add(dataset, "latency_ms", row, 0, 0, 1e3 * sum(latency) / len(latency))
    return values.columns()


def _add_result(
    values: _Values, row: int, length: int, training_set: str, seed: int, result: Mapping[str, Any], curves: bool
) -> None:
    """One training: judged after its last epoch, its seconds, and its curves."""
    dataset, splits = SPLITS[training_set]
    last = int(result["epochs"]) - 1
    for metric, key in (("accuracy", "eval_acc1es"), ("loss", "eval_losses")):
        for split, kind in splits.items():
            named = kind.format(metric) if "{}" in kind else f"{kind}_{metric}"
            each = {e: result[key].get(f"{split}@{e}") for e in range(last + 1)}
            if each[last] is not None:
                values.add(dataset, named, row, length, seed, each[last])
            if curves and each[0] is not None:
                for epoch, value in each.items():
                    values.add(dataset, f"{named}_curve{length}", row, epoch + 1, seed, value)
    suffix = "_of_valid_training" if training_set == "cifar10-valid" else ""
    seconds = [t for t in result["train_times"].values() if t is not None]
    if len(seconds) == last + 1:
        values.add(dataset, f"train_seconds{suffix}", row, length, seed, sum(seconds))
    if curves:
        for metric, key in (("accuracy", "train_acc1es"), ("loss", "train_losses")):
            for epoch, value in result[key].items():
                values.add(dataset, f"train_{metric}{suffix}_curve{length}", row, int(epoch) + 1, seed, value)
