"""A family from a user's own Python file with ``space`` and ``build``."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from archwright.errors import ArchwrightError, FamilyError, SpaceError
from archwright.families.base import Family
from archwright.space import Architecture, Space


def family_from_file(path: str | Path) -> Family:
    """Read a file that defines ``space`` and ``build``, and perhaps ``default``, ``canonical``, ``deployed`` and ``takes_bands``.

    ``space`` is a :class:`~archwright.space.Space` or a dict of parameters; ``build`` takes ``architecture``,
    ``input_shape`` and ``num_classes``, by position, or only the first of them.

    Raises:
        FamilyError: the file is missing, breaks while it is imported, or lacks something.
    """
    file = Path(path)
    if not file.is_file():
        raise FamilyError(f"there is no file {file}")
    module = import_file(file)
    space, build = _wanted(module, file, "space"), _wanted(module, file, "build")
    if isinstance(space, Mapping):
        try:
            space = Space(space)
        except SpaceError as error:
            raise FamilyError(f"{file}: {error}") from error
    if not isinstance(space, Space):
        raise FamilyError(
            f"{file}: space must be an archwright.Space or a dict of parameters, not {type(space).__name__}"
        )
    if not callable(build):
        raise FamilyError(f"{file}: build must be a function, not {type(build).__name__}")
    default = getattr(module, "default", None)
    if default is not None:
        default = Architecture(default)
        problems = space.problems(default)
        if problems:
            raise FamilyError(f"{file}: default is not in the space: {problems[0]}")
    return Family(
        name=file.stem,
        space=space,
        build=adapted(build, str(file)),
        summary=(inspect.getdoc(module) or "").split("\n")[0],
        options={"sha": hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()},
        default=default,
        canonical=getattr(module, "canonical", None),
        deployed=getattr(module, "deployed", None),
        takes_bands=bool(getattr(module, "takes_bands", False)),
        source=str(file),
    )


def adapted(build: Callable[..., Any], where: str) -> Callable[..., Any]:
    """``build`` as a function of three positions, whether it takes one, two or three.

    Raises:
        FamilyError: it takes none, or needs more than three.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return build
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return build
    takes = sum(p.kind in kinds for p in parameters)
    needs = sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)
    if takes < 1 or needs > 3:
        raise FamilyError(
            f"{where}: build must take (architecture, input_shape, num_classes), and it takes {takes} arguments"
        )
    if takes >= 3:
        return build

    def build_with_fewer(*arguments: Any) -> Any:
        return build(*arguments[:takes])

    return build_with_fewer


def import_file(file: Path) -> ModuleType:
    """The module of a user's file, imported anew; its functions can be sent to worker processes.

    Raises:
        FamilyError: it breaks while it is imported.
    """
    name = f"archwright_user_{file.stem}_{hashlib.blake2b(str(file.resolve()).encode(), digest_size=4).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise FamilyError(f"{file} is not a Python file; name a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:  # its neighbours can be imported, as when it is run as a script
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except ArchwrightError as error:
        raise FamilyError(f"{file}{_line(error, file)}: {error}") from error
    except Exception as error:
        raise FamilyError(f"{file} cannot be imported: {describe(error, file)}") from error
    _send_by_value(module)
    return module


def describe(error: BaseException, file: str | Path | None = None) -> str:
    """``ValueError: message (line 12)``, with the line in ``file`` where that is known."""
    where = _line(error, Path(file)) if file is not None else ""
    return f"{type(error).__name__}: {error}{where}".replace("\n", " ")


def _line(error: BaseException, file: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).name == file.name]
    if isinstance(error, SyntaxError) and error.lineno is not None:
        lines.append(error.lineno)
    return f" (line {lines[-1]})" if lines else ""


def _wanted(module: ModuleType, file: Path, name: str) -> Any:
    if not hasattr(module, name):
        has = [n for n in vars(module) if not n.startswith("_")]
        raise FamilyError(
            f"{file} has no {name!r}; a family's file defines space (an archwright.Space) and "
            f"build(architecture, input_shape, num_classes). It has: {', '.join(has) or 'nothing'}"
        )
    return getattr(module, name)


def _send_by_value(module: ModuleType) -> None:
    """Worker processes cannot import this module by name, so its functions travel with their code."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)
