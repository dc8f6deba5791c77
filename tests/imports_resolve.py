"""Check, without importing anything, that every name imported from the package is there: a second for tests, examples and perf.

Style checks do not look into other files, type checks do not look at tests, and a test file that cannot be collected shows only
when it is run. Run by a bare interpreter, without pytest.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "tests", "examples", "perf")


def complaints(file: Path) -> Iterator[str]:
    """What a file imports from the package, or from a neighbour, that is not there."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            wanted: list[tuple[str, str | None]] = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            wanted = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        for module, name in wanted:
            fault = lacking(module, name, file.parent)
            if fault:
                yield f"{file.relative_to(ROOT)}:{node.lineno}: {fault}"


def lacking(module: str, name: str | None, near: Path) -> str:
    """What is not there, in words; other people's modules are not looked for."""
    source = ROOT / "src"
    place = found(module, source) or found(module, near)
    if place is None:
        return f"there is no module {module}" if module.split(".")[0] == "archwright" else ""
    if name is None or name == "*" or name in bound(place) or found(f"{module}.{name}", source):
        return ""
    return f"{module} has no {name}"


@cache
def found(module: str, folder: Path) -> Path | None:
    """The file of a module."""
    path = folder.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def bound(file: Path) -> set[str]:
    """The names that a module has when it was imported; functions and classes are not entered."""
    names: set[str] = set()
    left: list[ast.AST] = [ast.parse(file.read_text(), str(file))]
    while left:
        for node in ast.iter_child_nodes(left.pop()):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.add(node.name)
                continue
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            left.append(node)
    return names


if __name__ == "__main__":
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    wrong = [line for file in files for line in complaints(file)]
    sys.stdout.write("".join(f"{line}\n" for line in wrong) or f"all imports of {len(files)} files resolve\n")
    sys.exit(1 if wrong else 0)
