"""Data from Python: arrays, torch data sets, and a user's own loader."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archwright.data.arrays import NAMES, Pair
from archwright.errors import DataError

FORMS = (
    "a Data, (inputs, labels), {'train': (inputs, labels), 'validation': ..., 'test': ...}, three such pairs, or one to "
    "three torch data sets"
)


def pairs_from(value: Any, where: str) -> dict[str, Pair]:
    """Pairs by split from any of the forms in :data:`FORMS`.

    Raises:
        DataError: another form.
    """
    if isinstance(value, Mapping):
        aliases = {"val": "validation", "valid": "validation"}
        named = {aliases.get(str(k), str(k)): v for k, v in value.items()}
        if "train" not in named or set(named) - set(NAMES):
            raise DataError(
                f"{where}: the splits are named {', '.join(map(str, value))}; expected are train, validation, test"
            )
        return {name: _pair(part, f"{where}, {name}") for name, part in named.items()}
    if _is_dataset(value):
        return {"train": _pair(value, where)}
    if isinstance(value, (tuple, list)):
        if len(value) == 2 and (_is_array(value[0]) or _is_banded(value[0])) and not _is_dataset(value[0]):
            return {"train": _pair(value, where)}
        if 1 <= len(value) <= 3:
            names = {1: ("train",), 2: ("train", "test"), 3: NAMES}[len(value)]
            return {name: _pair(part, f"{where}, {name}") for name, part in zip(names, value)}
    raise DataError(f"{where}: {type(value).__name__} is not data; give {FORMS}")


def call_loader(text: str) -> Any:
    """The result of ``module:function`` or ``path/to/file.py:function``.

    Raises:
        DataError: it cannot be imported, is not there, or raises.
    """
    home, _, name = text.rpartition(":")
    try:
        module = _import(home)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"--data {text}: {home} cannot be imported ({type(error).__name__}: {error})") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise DataError(f"--data {text}: {home} has no function {name!r}")
    try:
        return function()
    except Exception as error:
        raise DataError(f"--data {text}: {name}() raised {type(error).__name__}: {error}") from error


def _import(home: str) -> Any:
    if not home.endswith(".py"):
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(home)
    file = Path(home)
    if not file.is_file():
        raise DataError(f"there is no file {file}")
    if str(file.resolve().parent) not in sys.path:
        sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(f"archwright_loader_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise DataError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, list)) or hasattr(value, "__array__")


def _is_banded(value: Any) -> bool:
    """Arrays by band."""
    return isinstance(value, Mapping) and bool(value) and all(_is_array(array) for array in value.values())


def _is_dataset(value: Any) -> bool:
    """A torch data set, without importing torch: it has items and a length, and is no array or plain sequence."""
    if isinstance(value, (tuple, list, Mapping, str)) or hasattr(value, "__array__"):
        return False
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _pair(value: Any, where: str) -> Pair:
    if _is_dataset(value):
        return _read_dataset(value, where)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        if _is_banded(value[0]):
            return {band: np.asarray(array) for band, array in value[0].items()}, np.asarray(value[1])
        return np.asarray(value[0]), np.asarray(value[1])
    raise DataError(f"{where}: expected is a pair of inputs and labels or a torch data set, not {type(value).__name__}")


def _read_dataset(dataset: Any, where: str) -> Pair:
    inputs, labels = [], []
    for i in range(len(dataset)):
        item = dataset[i]
        if not isinstance(item, (tuple, list)) or len(item) < 2:
            raise DataError(f"{where}: item {i} is {type(item).__name__}; expected is a pair of an input and a label")
        inputs.append(np.asarray(item[0]))
        labels.append(np.asarray(item[1]).reshape(-1)[0])
    shapes = {x.shape for x in inputs}
    if len(shapes) > 1:
        raise DataError(
            f"{where}: inputs have several shapes ({', '.join(map(str, sorted(shapes)[:3]))}); resize them to one"
        )
    if not inputs:
        raise DataError(f"{where}: the data set is empty")
    return np.stack(inputs), np.array(labels)
