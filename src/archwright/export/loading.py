"""Load an exported model, and predict files with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_model
from torch import nn

from archwright.data.folder import ENDINGS
from archwright.errors import DataError, FamilyError, SettingsError, StudyError
from archwright.export.model import Model
from archwright.export.writing import read_description
from archwright.families import family_from_spec, for_shape, merging
from archwright.families.userfile import adapted
from archwright.shapes import Bands
from archwright.space import Architecture

BATCH = 256


def load(path: str | Path, *, device: str = "cpu", build: Callable[..., nn.Module] | None = None) -> Model:
    """The trained network of a study, ready to predict (in evaluation mode).

    A model of a family that came from a user's file runs the copy of that file in the model's folder: load only models
    that you trust. Weights are safetensors, which run nothing.

    Args:
        path: a study's folder, a folder with an exported model, or its ``architecture.json``.
        device: where to put it.
        build: the builder, for a space that was made in Python; of a family with ``deployed``, one that gives such networks.

    Raises:
        StudyError: nothing was exported there, or its files do not fit together.
        FamilyError: the network was built by Python code that is not here; pass ``build``.
    """
    folder = _model_folder(Path(path))
    described = read_description(folder)
    architecture = Architecture(described["architecture"])
    shape = Bands.from_json(described["bands"]) if "bands" in described else tuple(described["input_shape"])
    builder = _builder(described["family"], folder, build, shape, described.get("merges_bands", False))
    network = builder(architecture, shape, len(described["classes"]))
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise StudyError(f"the weights {weights} are missing; export the model again")
    try:
        load_model(network, weights)
    except (RuntimeError, SafetensorError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise StudyError(f"the weights {weights} do not fit the architecture beside them: {first}") from error
    preprocessing = described["preprocessing"]
    model = Model(
        network,
        architecture,
        shape,
        described["classes"],
        preprocessing["mean"],
        preprocessing["std"],
        preprocessing["byte_inputs"],
        described["metrics"],
    )
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"the device {device!r} is not there: {str(error).splitlines()[0]}") from error


def _model_folder(path: Path) -> Path:
    if path.name == "architecture.json":
        path = path.parent
    for folder in (path, path / "model"):
        if (folder / "architecture.json").is_file():
            return folder
    if any((path / name).is_file() for name in ("study.db", "oneshot.json")):
        raise StudyError(f"the study {path} has no exported model yet; make it with: archwright export {path}")
    raise StudyError(f"there is no exported model in {path}; name a study's folder or one with architecture.json")


def _builder(
    spec: dict[str, Any],
    folder: Path,
    build: Callable[..., nn.Module] | None,
    shape: tuple[int, ...],
    merges_bands: bool,
) -> Callable[..., nn.Module]:
    if spec["kind"] == "python":
        if build is None:
            raise FamilyError(
                f"the network of {folder} was built by a Python function that is not stored; pass it: load(path, build=...)"
            )
        taken = adapted(build, "load(build=...)")
        return merging(taken) if merges_bands else taken
    if spec["kind"] == "file":
        spec = {**spec, "source": str(folder / spec["source"])}
    family = for_shape(family_from_spec(spec), shape)
    return lambda *of_what: family.deploy(family.build(*of_what))


def predict_files(model: Model, paths: Iterable[str | Path], *, resize: bool = False) -> list[dict[str, Any]]:
    """One row per input: ``file``, ``label``, ``class``, ``probability``.

    Args:
        paths: images, folders of images (searched recursively), ``.npy`` or ``.npz`` arrays (rows are ``file[i]``).
        resize: bring images to the model's size.

    Raises:
        DataError: a file that is missing, unreadable, or of another size or number of features.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        for names, batch in _read(Path(path), model, resize):
            answer = model.predict(batch)
            for i, label in enumerate(answer.labels):
                rows.append(
                    {
                        "file": names[i] if len(names) == len(answer.labels) else f"{names[0]}[{i}]",
                        "label": int(label),
                        "class": answer.names[i],
                        "probability": round(float(answer.probabilities[i, label]), 6),
                    }
                )
    return rows


def _read(path: Path, model: Model, resize: bool) -> Iterator[tuple[list[str], Any]]:
    """Batches with the names of their rows, or with one name for all of an array's rows."""
    if path.is_dir():
        files = [f for f in sorted(path.rglob("*")) if f.suffix.lower() in ENDINGS]
        if not files:
            raise DataError(f"the folder {path} has no images")
        for i in range(0, len(files), BATCH):
            batch = files[i : i + BATCH]
            yield [str(f) for f in batch], torch.cat([_image(f, model, resize) for f in batch])
        return
    if not path.is_file():
        raise DataError(f"there is no file or folder {path}")
    if path.suffix.lower() in (".npy", ".npz"):
        yield [str(path)], _bands(path, model.input_shape) if isinstance(model.input_shape, Bands) else _array(path)
    else:
        yield [str(path)], _image(path, model, resize)


def _array(path: Path) -> NDArray[Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = list(loaded.files)
        wanted = [n for n in ("images", "x", "X", "data", "test_images") if n in names] or names
        if not wanted:
            raise DataError(f"{path} has no arrays")
        array: NDArray[Any] = loaded[wanted[0]]
        return array
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as an array: {error}") from error


def _bands(path: Path, bands: Bands) -> dict[str, NDArray[Any]]:
    """Arrays by band, from ``images_NAME``, ``test_images_NAME`` or ``NAME`` of an ``.npz`` file."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise DataError(f"{path} has one array, and the model takes several bands ({bands}); give a .npz file")
        found = {}
        for band in bands.images:
            names = [n for n in (f"images_{band}", f"test_images_{band}", band) if n in loaded.files]
            if not names:
                raise DataError(f"{path} has no array images_{band}; the model takes {bands}")
            found[band] = loaded[names[0]]
        return found
    except DataError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as arrays: {error}") from error


def _image(path: Path, model: Model, resize: bool) -> torch.Tensor:
    shape = model.input_shape
    if isinstance(shape, Bands):
        raise DataError(
            f"the model takes several images at once ({shape}); give a .npz file with images_NAME for each band"
        )
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(f"the model takes inputs of shape {shape}, not images; give arrays (.npy, .npz)")
    try:
        with Image.open(path) as opened:
            image = opened.convert("L" if shape[0] == 1 else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    if image.size != (shape[2], shape[1]):
        if not resize:
            raise DataError(
                f"{path} is {image.width} x {image.height} pixels, the model takes {shape[2]} x {shape[1]}; pass --resize"
            )
        image = image.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    array = np.asarray(image, dtype=np.uint8)
    x = torch.from_numpy(array.copy()).reshape(image.height, image.width, shape[0]).permute(2, 0, 1)[None]
    return x if model.byte_inputs else x.float() / 255
