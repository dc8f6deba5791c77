"""Surrogate benchmarks: a fitted model that answers for every architecture of a space too large for a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError, require, unknown
from archwright.evaluation import Direction
from archwright.families import Family, get_family
from archwright.families.cellspace import CELLS
from archwright.families.darts import edges
from archwright.space import Architecture
from archwright.tables.known import data_folders

Floats = NDArray[np.float64]
_PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
_FIRST_EDGE = {2: 0, 3: 2, 4: 5, 5: 9}
"""Number of the edge that enters a node from the cell's first input, as NAS-Bench-301 numbers the 14 edges of a cell."""


@dataclass(frozen=True)
class Output:
    """A metric that a surrogate predicts.

    Attributes:
        metric: its name here.
        direction: where it should go.
        column: of the model's output.
        scale: from the model's unit to ours.
    """

    metric: str
    direction: Direction
    column: int
    scale: float = 1.0


OUTPUTS = (
    Output("val_accuracy", "maximize", 0, 100.0),
    Output("val_loss", "minimize", 1),
    Output("train_seconds", "minimize", 2),
)


@dataclass(frozen=True)
class NasBench301:
    """NAS-Bench-301 (Zela et al. 2022) as YAHPO Gym v2 has it (Pfisterer et al. 2022): one ONNX model, any of 98 epochs.

    It is a smooth stand-in, not the official ensembles: on 725 random networks the two agree at Spearman 0.52.

    Attributes:
        folder: of the raw files (``model_v2.onnx``, ``encoding.json``).
    """

    folder: Path
    name: str = "nasbench301"
    dataset: str = "cifar10"
    epochs: tuple[int, ...] = tuple(range(1, 99))

    @cached_property
    def family(self) -> Family:
        """Whose architectures it knows."""
        return get_family("darts")

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it predicts."""
        return tuple(o.metric for o in OUTPUTS)

    def output(self, metric: str) -> Output:
        """A metric by its name.

        Raises:
            TableError: it is not predicted.
        """
        for output in OUTPUTS:
            if output.metric == metric:
                return output
        raise TableError(f"{self.name}: " + unknown("metric", metric, self.metrics))

    def check_epoch(self, epoch: int) -> None:
        """Refuse numbers of epochs that it does not know.

        Raises:
            TableError: ``epoch`` is not in ``epochs``.
        """
        if epoch not in self.epochs:
            raise TableError(
                f"{self.name} is known after {self.epochs[0]} to {self.epochs[-1]} epochs, not after {epoch}"
            )

    def predict(self, architectures: Sequence[Architecture], metric: str, epoch: int = 98) -> Floats:
        """A metric after ``epoch`` epochs, of all ``architectures`` in one call of the model.

        Accuracies are in percent, ``train_seconds`` are those of the training up to that epoch.

        Raises:
            TableError: another metric or epoch, an architecture of another space, or files that cannot be read.
        """
        output = self.output(metric)
        self.check_epoch(epoch)
        if not architectures:
            return np.empty(0)
        codes = np.array([self._codes(a) for a in architectures], dtype=np.int32)
        at = np.full((len(codes), 1), epoch, dtype=np.float32)
        found = self._model.run(None, {"x_cat": codes, "x_cont": at})[0]
        return np.asarray(found[:, output.column], dtype=np.float64) * output.scale

    def describe(self) -> dict[str, Any]:
        """What it is, as plain data; ``best`` and ``median`` are those of 1,000 random architectures."""
        sample = self.family.space.sample(np.random.default_rng(0), 1000)
        columns = []
        for output in OUTPUTS:
            values = self.predict(sample, output.metric)
            best = values.max() if output.direction == "maximize" else values.min()
            columns.append(
                {
                    "dataset": self.dataset, "metric": output.metric, "direction": output.direction,
                    "epochs": list(self.epochs), "seeds": 1, "missing": 0, "best": float(best),
                    "median": float(np.median(values)),
                }
            )  # fmt: skip
        return {
            "name": self.name,
            "architectures": self.family.space.size,
            "whole_space": True,
            "family": {"name": "darts", "options": dict(self.family.options)},
            "datasets": [self.dataset],
            "columns": columns,
            "provenance": {
                "surrogate": "NAS-Bench-301 (Zela et al. 2022), ONNX model of YAHPO Gym v2 (Pfisterer et al. 2022)",
                "note": "best and median of 1,000 random architectures; the best of the space is not known",
            },
        }

    def _codes(self, architecture: Architecture) -> list[int]:
        values = dict.fromkeys(self._encoding, "#na#")
        try:
            for cell in CELLS:
                for source, node, operation in edges(architecture, cell):
                    values[f"{_PREFIX}edge_{cell}_{_FIRST_EDGE[node] + source}"] = operation
                    if node > 2:
                        pair = str(architecture[f"{cell}{node}_inputs"]).replace("-", "_")
                        values[f"{_PREFIX}inputs_node_{cell}_{node}"] = pair
            return [codes[values[name]] for name, codes in self._encoding.items()]
        except (KeyError, ValueError) as error:
            raise TableError(f"{self.name}: {architecture} is not in the DARTS space ({error})") from error

    @cached_property
    def _encoding(self) -> Mapping[str, Mapping[str, int]]:
        path = self.folder / "encoding.json"
        try:
            found: Mapping[str, Mapping[str, int]] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise TableError(f"{path} cannot be read: {error}") from error
        return found

    @cached_property
    def _model(self) -> Any:
        runtime = require("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        path = self.folder / "model_v2.onnx"
        try:
            return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise TableError(f"{path} is not the model of NAS-Bench-301: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_model", "family")}


SURROGATES: Mapping[str, tuple[str, str]] = {
    "nasbench301": (
        "surrogate of the DARTS space (1e18 cells): CIFAR-10 validation accuracy after 1 to 98 epochs; for the arena",
        "darts-space/yahpo_nb301_v2/model_v2.onnx",
    )
}
"""Summary and main raw file below the data folder, by name."""


def find_surrogate(name: str, data_dir: str | Path | None = None) -> NasBench301:
    """A surrogate by its name, looked for where tables are.

    Raises:
        TableError: its files are nowhere, with the places looked at, or no surrogate has this name.
    """
    if name not in SURROGATES:
        raise TableError(unknown("surrogate", name, SURROGATES))
    folders = data_folders(data_dir)
    for folder in folders:
        if (folder / SURROGATES[name][1]).is_file():
            return NasBench301((folder / SURROGATES[name][1]).parent)
    raise TableError(
        f"the files of {name} ({SURROGATES[name][1]}) are not in {', '.join(map(str, folders))}; name their folder with "
        "--data-dir or $ARCHWRIGHT_DATA"
    )
