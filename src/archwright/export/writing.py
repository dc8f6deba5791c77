"""Write a trained network so that it can be used without Archwright's study, and without Archwright at all (ONNX)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_model
from torch import nn

from archwright.data import Data
from archwright.errors import ArchwrightError, MissingDependencyError, StudyError, require
from archwright.export.card import model_card
from archwright.export.model import Model
from archwright.export.neighbours import copy_with_neighbours
from archwright.families import Family, family_spec, for_shape
from archwright.layers import MergeBands
from archwright.shapes import Bands
from archwright.space import Architecture
from archwright.study.record import write_json

FORMAT = 1
TOLERANCE = 1e-4
"""Largest difference between the outputs of ONNX and torch, in units of the largest absolute output (at least 1)."""


def export_model(
    network: nn.Module,
    folder: Path,
    *,
    family: Family,
    architecture: Architecture,
    data: Data,
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
    onnx: bool = True,
) -> dict[str, Path]:
    """Write weights, architecture, model card and ONNX into ``folder``, replacing what was there only when all is done.

    ONNX takes raw inputs (its first step is the normalisation; one input for each band), any batch size, and is compared with torch; where it
    cannot be made, the model card says why and the rest is written all the same.

    Args:
        network: trained; what is written is the network as the family deploys it.
        metrics: ``validation``, ``test``, ``baselines``.
        settings: of the study.

    Returns:
        Files by kind: ``model``, ``weights``, ``architecture``, ``card``, ``onnx``.

    Raises:
        StudyError: the folder cannot be written.
    """
    family = for_shape(family, data.input_shape)
    network = family.deploy(network).cpu()
    model = Model(
        network,
        architecture,
        data.input_shape,
        data.classes,
        data.mean,
        data.std,
        data.scale != 1.0,
        dict(metrics),
    ).eval()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StudyError(f"cannot write in {folder.parent}: {error.strerror}") from error
    try:
        save_model(network, str(temporary / "model.safetensors"))
        if family.source is not None:
            copy_with_neighbours(Path(family.source), temporary / "family.py")
        write_json(temporary / "architecture.json", _description(model, family, data, metrics))
        outcome = export_onnx(model, temporary / "model.onnx") if onnx else "not asked for"
        (temporary / "README.md").write_text(model_card(model, family, data, metrics, settings, outcome))
        os.chmod(temporary, 0o755)
        _replace(folder, temporary)
    except OSError as error:
        raise StudyError(
            f"cannot write the model to {folder}: {error.strerror}; free space and run the command again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    names = {
        "weights": "model.safetensors",
        "architecture": "architecture.json",
        "card": "README.md",
        "onnx": "model.onnx",
    }
    return {kind: folder / name for kind, name in names.items() if (folder / name).is_file()}


def export_onnx(model: Model, path: Path) -> str:
    """Write ``path`` and compare it with torch on batches of 1 and 5; returns what came of it, in words."""
    try:
        for package in ("onnx", "onnxscript"):
            require(package, "onnx")
        runtime = require("onnxruntime", "onnx")
        _write_onnx(model, path)
        worst = _difference(model, path, runtime)
    except MissingDependencyError as error:
        return str(error)
    except ArchwrightError:
        raise
    except Exception as error:
        path.unlink(missing_ok=True)
        return f"could not be made: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if not worst <= TOLERANCE:
        path.unlink(missing_ok=True)
        return f"left out: its outputs differ from torch's by {worst:.1e}, more than {TOLERANCE:.0e}"
    return f"outputs agree with torch within {worst:.1e} (tolerance {TOLERANCE:.0e}), batches of 1 and 5"


def _write_onnx(model: Model, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    inputs = _inputs(model, 2)
    banded = isinstance(model.input_shape, Bands)
    with _quiet():
        torch.onnx.export(
            _TakesImages(model).eval() if banded else model,
            tuple(inputs.values()),
            str(path),
            dynamo=True,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_shapes={"images": tuple({0: batch} for _ in inputs)} if banded else {"x": {0: batch}},
            external_data=False,
            verbose=False,
        )


class _TakesImages(nn.Module):
    """A model on bands with one input for each of them."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        """Logits of raw images, in the order of the bands."""
        logits: torch.Tensor = self.model(torch.cat([image.flatten(1) for image in images], dim=1))
        return logits


def _inputs(model: Model, size: int) -> dict[str, torch.Tensor]:
    """Noise for the inputs of ONNX, by name."""
    rows = _example(model, size)
    return dict(model.input_shape.unpack(rows)) if isinstance(model.input_shape, Bands) else {"input": rows}


def _difference(model: Model, path: Path, runtime: Any) -> float:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for size in (1, 5):
        x = _example(model, size)
        with torch.no_grad():
            ours = model(x).numpy()
        (theirs,) = session.run(None, {name: image.numpy() for name, image in _inputs(model, size).items()})
        if theirs.shape != ours.shape:
            return float("inf")
        worst = max(worst, float(np.abs(ours - theirs).max() / max(1.0, np.abs(ours).max())))
    return worst


def _example(model: Model, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size)
    noise = torch.randn(size, *model.input_shape, generator=generator)
    return (noise * model.std + model.mean) / model.scale


def _description(model: Model, family: Family, data: Data, metrics: Mapping[str, Any]) -> dict[str, Any]:
    from archwright import __version__

    spec = family_spec(family)
    if family.source is not None:
        spec["source"] = "family.py"
    return {
        "format": FORMAT,
        "family": spec,
        "architecture": model.architecture.to_json(),
        "input_shape": list(model.input_shape),
        **_banding(model),
        "classes": list(model.classes),
        "preprocessing": {"byte_inputs": model.byte_inputs, "mean": list(data.mean), "std": list(data.std)},
        "data": data.description(),
        "metrics": dict(metrics),
        "versions": {"archwright": __version__, "torch": torch.__version__},
    }


def _banding(model: Model) -> dict[str, Any]:
    """How an example's images lie in its row, and whether the network has a part that merges them in front."""
    if not isinstance(model.input_shape, Bands):
        return {}
    merges = isinstance(getattr(model.network, "merge", None), MergeBands)
    return {"bands": model.input_shape.to_json(), "merges_bands": merges}


def _replace(folder: Path, new: Path) -> None:
    """Put ``new`` in the place of ``folder``."""
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter logs and warns at length."""
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnxscript", "onnx_ir")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def read_description(folder: Path) -> dict[str, Any]:
    """The content of ``architecture.json``.

    Raises:
        StudyError: it is damaged, or of a newer format.
    """
    file = folder / "architecture.json"
    try:
        described: dict[str, Any] = json.loads(file.read_text())
        version = described["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{file} cannot be read ({error}); export the model again") from error
    if not isinstance(version, int) or version > FORMAT:
        raise StudyError(
            f"{file} has format {version}, newer than this Archwright knows ({FORMAT}); upgrade archwright"
        )
    return described
