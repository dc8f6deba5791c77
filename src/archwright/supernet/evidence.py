"""One-shot methods on real images at one small scale: runs that are kept, and what is read from them.

Every method gets the same data, the same epochs and the same retraining; seed by seed all methods and data sets take their turn,
so that what is finished at any time is balanced.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from archwright.data import Data, load_data
from archwright.errors import DataError, SettingsError, StudyError, unknown
from archwright.evaluate.cost import latencies
from archwright.evaluate.devices import seeded
from archwright.hardware.profile import CLOCKS
from archwright.report.runs import read_result
from archwright.supernet.methods import OneShot, whole
from archwright.supernet.micro import final_network
from archwright.supernet.running import run_oneshot
from archwright.tables.known import data_folders

NAME = "oneshot-real-data"
RUNS = 4
OnRun = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Scale:
    """What every run has in common.

    Attributes:
        images: training examples, half of them for weights and half for the architecture.
        shrink: blocks of so many by so many pixels become their mean.
        nodes, cells, channels: of the search and the evaluation network.
        epochs, pretrain_epochs, batch_size, arch_lr: of the search.
        final_cells, final_channels, final_epochs: of the retrained network, in batches of the same size.
        latency: file of latency weights for the penalty; the published ones without.
    """

    images: int = 384
    shrink: int = 2
    nodes: int = 2
    cells: int = 3
    channels: int = 4
    epochs: int = 4
    pretrain_epochs: int = 1
    batch_size: int = 64
    arch_lr: float = 0.02
    final_cells: int = 4
    final_channels: int = 8
    final_epochs: int = 4
    latency: str = ""

    def changed(self, options: Mapping[str, Any]) -> Scale:
        """With other values.

        Raises:
            SettingsError: an unknown name, or no whole number of at least 1.
        """
        names = [f.name for f in fields(self)]
        for name, value in options.items():
            if name not in names:
                raise SettingsError(unknown("option", name, names))
            if name not in ("arch_lr", "latency"):
                whole(name, value)
        return replace(self, **options)


@dataclass(frozen=True)
class Line:
    """A method with its label and what differs from its declaration."""

    label: str
    method: str
    options: tuple[tuple[str, Any], ...] = ()


LINES = (
    Line("random cells", "random_v1"),
    Line("DARTS, first order", "darts1"),
    Line("CDARTS", "cdarts"),
    Line("ICDARTS", "icdarts"),
    Line("XDARTS cells", "cell_xdarts"),
    Line("XDARTS cells, penalty", "cell_xdarts", (("penalty", 1.0),)),
    Line("CDARTS, V4", "cdarts_v4"),
)


@dataclass(frozen=True)
class Run:
    """One search with its retraining."""

    dataset: str
    line: Line
    seed: int

    @property
    def folder(self) -> str:
        """Where it is kept, below the folder of all."""
        return f"{self.dataset}/{self.line.label.replace(', ', '-').replace(' ', '-')}/{self.seed}"


def runs_of(seeds: Sequence[int], only: Sequence[str] = ()) -> list[Run]:
    """All runs, the seeds one after another.

    Raises:
        SettingsError: no line has any of the texts in ``only``.
    """
    lines = [line for line in LINES if not only or any(text in line.label for text in only)]
    if not lines:
        raise SettingsError(f"no method has {' or '.join(only)} in it; there are {'; '.join(x.label for x in LINES)}")
    return [Run(dataset, line, seed) for seed in seeds for dataset in LOADERS for line in lines]


def run_all(
    runs: Sequence[Run], data_dir: Path | None, out: Path, scale: Scale, workers: int, on_run: OnRun
) -> dict[Run, Mapping[str, Any]]:
    """Do what is missing in ``out``; a run that was cut off goes on after its last epoch.

    Raises:
        SettingsError: ``out`` holds runs of another scale, or ``workers`` below 1.
        DataError: the data is not there.
    """
    whole("workers", workers)
    _claim(out, scale)
    missing = [run for run in runs if _finished(out / run.folder) is None]
    for done, run in enumerate(_in_turn(missing, data_dir, out, scale, workers), start=1):
        on_run(f"{run.line.label}, {run.dataset}, seed {run.seed}", done, len(missing))
    return {run: read_result(out / run.folder) for run in runs}


def latencies_of(
    results: Mapping[Run, Mapping[str, Any]], data_dir: Path | None, out: Path, scale: Scale
) -> dict[Run, float]:
    """Processor seconds per batch of every found network, untrained, on one thread: the median of five predictions.

    All networks take their turn for each prediction, after all runs are done, so that other work on the machine does not fall on
    single methods. Kept in ``out`` until other runs are there.
    """
    path = out / "latency.json"
    there = read_result(path) if path.is_file() else {}
    if set(there) != {run.folder for run in results}:
        data = {name: load(name, data_dir, scale) for name in sorted({run.dataset for run in results})}
        networks = {run: _network(result["genotype"], data[run.dataset], scale) for run, result in results.items()}
        times: dict[Run, list[float]] = {run: [] for run in results}
        for _ in range(5):
            for run, network in networks.items():
                shape = data[run.dataset].input_shape
                times[run] += latencies(network, shape, scale.batch_size, 1, 1, 1, clock=CLOCKS["cpu"]).tolist()
        there = {run.folder: float(np.median(found)) for run, found in times.items()}
        path.write_text(json.dumps(there, indent=1), encoding="utf-8")
    return {run: float(there[run.folder]) for run in results}


def _network(genotype: Mapping[str, Any], data: Data, scale: Scale) -> nn.Module:
    cells = {kind: [[(op, source) for op, source in node] for node in nodes] for kind, nodes in genotype.items()}
    with seeded(0):
        network = final_network(
            cells,
            data.input_shape[0],
            data.num_classes,
            channels=scale.final_channels,
            depth=scale.final_cells,
            tower=False,
        )
    return network.eval()


def _claim(out: Path, scale: Scale) -> None:
    path = out / "scale.json"
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(scale), indent=1), encoding="utf-8")
    elif (there := read_result(path)) != asdict(scale):
        differing = [name for name, value in asdict(scale).items() if there.get(name) != value]
        raise SettingsError(f"{out} holds runs of another scale ({', '.join(differing)}); name another folder")


def _finished(folder: Path) -> Mapping[str, Any] | None:
    try:
        return read_result(folder)
    except StudyError:
        return None


def _in_turn(runs: Sequence[Run], data_dir: Path | None, out: Path, scale: Scale, workers: int) -> Iterable[Run]:
    if workers == 1 or len(runs) <= 1:
        for run in runs:
            _do(run, data_dir, out, scale)
            yield run
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        futures = {pool.submit(_do, run, data_dir, out, scale): run for run in runs}
        for future in as_completed(futures):
            future.result()
            yield futures[future]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _do(run: Run, data_dir: Path | None, out: Path, scale: Scale) -> None:
    run_oneshot(asked(run, scale), load(run.dataset, data_dir, scale), out / run.folder)


def asked(run: Run, scale: Scale) -> OneShot:
    """The run as ``archwright oneshot`` would ask for it."""
    search: dict[str, Any] = {
        "nodes": scale.nodes, "channels": scale.channels, "search_cells": scale.cells, "evaluation_cells": scale.cells,
        "epochs": scale.epochs, "pretrain_epochs": scale.pretrain_epochs, "batch_size": scale.batch_size,
        "arch_lr": scale.arch_lr, "crop": 0, "flip": False,
    }  # fmt: skip
    training = {
        "epochs": scale.final_epochs, "batch_size": scale.batch_size, "drop_path": 0.0, "crop": 0, "flip": False, "cutout": 0,
        "class_weights": True, "channels_last": True,
    }  # fmt: skip
    if scale.latency and dict(run.line.options).get("penalty"):
        search["latency"] = scale.latency
    network = {"channels": scale.final_channels, "cells": scale.final_cells}
    return OneShot(run.line.method, {**search, **dict(run.line.options)}, network, training, seed=run.seed)


def load(dataset: str, data_dir: Path | None, scale: Scale) -> Data:
    """The data that all runs share: the seed has no part in it.

    Raises:
        DataError: it is in none of the folders.
    """
    for folder in data_folders(data_dir):
        splits = LOADERS[dataset](folder)
        if splits is not None:
            small = {name: (_shrunk(images, scale.shrink), labels) for name, (images, labels) in splits.items()}
            return load_data(small, limit=scale.images)
    places = ", ".join(map(str, data_folders(data_dir)))
    raise DataError(f"{FILES[dataset]} is not in {places}; name its folder with --data-dir or $ARCHWRIGHT_DATA")


Splits = Mapping[str, tuple[Any, Any]]
FILES = {"cifar10": "cifar10-lossless-4k/batch-*.npz", "pneumoniamnist": "pneumoniamnist/pneumoniamnist.npz"}


def _cifar10(folder: Path) -> Splits | None:
    """Half of the 4,000 images for training, half for the test."""
    files = sorted(folder.glob(FILES["cifar10"]))
    if not files:
        return None
    parts = []
    for path in files:
        with np.load(path) as file:
            parts.append((file["images"], file["labels"]))
    images, labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    half = len(labels) // 2
    return {"train": (images[:half], labels[:half]), "test": (images[half:], labels[half:])}


def _pneumonia(folder: Path) -> Splits | None:
    path = folder / FILES["pneumoniamnist"]
    if not path.is_file():
        return None
    with np.load(path) as file:
        names = {"train": "train", "val": "validation", "test": "test"}
        return {ours: (file[f"{own}_images"], file[f"{own}_labels"].ravel()) for own, ours in names.items()}


LOADERS: Mapping[str, Callable[[Path], Splits | None]] = {"cifar10": _cifar10, "pneumoniamnist": _pneumonia}


def _shrunk(images: Any, by: int) -> Any:
    """Means of ``by x by`` blocks, ``n x height x width [x channels]``; what is beyond whole blocks is cut off."""
    h, w = images.shape[1] // by, images.shape[2] // by
    blocks = images[:, : h * by, : w * by].reshape(len(images), h, by, w, by, *images.shape[3:])
    return np.rint(blocks.mean(axis=(2, 4))).astype(images.dtype)
