"""Files that a user's file imports from its own folder: an exported model needs them too."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def neighbours(source: Path) -> list[Path]:
    """Modules (files) and packages (folders) beside ``source`` that it imports, directly or through one another."""
    folder, found = source.resolve().parent, dict[Path, None]()
    waiting = [source.resolve()]
    while waiting:
        for name in _imported(waiting.pop()):
            package, module = folder / name, folder / f"{name}.py"
            path = package if (package / "__init__.py").is_file() else module
            if path.exists() and path != source.resolve() and path not in found:
                found[path] = None
                waiting += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return list(found)


def copy_with_neighbours(source: Path, target: Path) -> None:
    """Copy a file to ``target``, and what it imports from its folder beside that."""
    for path in neighbours(source):
        beside = target.parent / path.name
        if path.is_dir():
            shutil.copytree(path, beside, ignore=NOT_COPIED)
        else:
            shutil.copyfile(path, beside)
    shutil.copyfile(source, target)


def _imported(file: Path) -> Iterator[str]:
    """First words of the absolute imports anywhere in a file; none where it cannot be read as Python."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]
