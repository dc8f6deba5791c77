#!/usr/bin/env python3
"""Set up an environment in .venv and do one job in it. Needs Python 3.10 or newer and nothing else.

    python3 tasks.py demo    search on real images, retrain, test, export and report (about four minutes)
    python3 tasks.py test    the checks and the tests
    python3 tasks.py slow    the long tests and reproductions
    python3 tasks.py wheel   build the wheel, install it bare, import every public module

What follows the job's name is passed on, for example: python3 tasks.py test -k space
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
DEMO = (
    "search cnn --data digits --searcher rea --maximize accuracy --minimize params --budget 30 --epochs 8 "
    "--final-epochs 25 --workers 2 --seed 1 --study runs/demo"
)
QUICK = (
    "search cnn --data digits --searcher rea --maximize accuracy --minimize params --budget 4 --epochs 1 "
    "--final-epochs 2 --top 1 --baselines 1 --workers 2 --study runs/demo-quick"
)


def run(*command: str | Path) -> None:
    """Run a command in the project's folder and stop at its failure."""
    status = subprocess.run([str(word) for word in command], cwd=ROOT).returncode
    if status:
        sys.exit(status)


def python_of(environment: Path) -> Path:
    """The interpreter of an environment, made when it is not there."""
    interpreter = environment / "bin" / "python"
    if not interpreter.exists():
        print(f"making an environment in {environment}", file=sys.stderr)
        venv.create(environment, with_pip=True, symlinks=True)
    return interpreter


def installed(extras: str) -> Path:
    """The interpreter of the project's environment, with the project and ``extras`` installed in it."""
    python = python_of(ENVIRONMENT)
    wanted = (ROOT / "pyproject.toml").read_text() + (ROOT / "constraints.txt").read_text() + extras
    stamp = ENVIRONMENT / f"installed-{extras.replace(',', '-')}"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing (PyTorch is large; the first time takes minutes)", file=sys.stderr)
        run(python, "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", f".[{extras}]")
        stamp.write_text(wanted)
    return python


def demo(arguments: list[str]) -> None:
    """The main job, from real images to a report."""
    python = installed("onnx")
    words = QUICK if arguments[:1] == ["--quick"] else DEMO
    run(python, "-m", "archwright", *words.split(), *[a for a in arguments if a != "--quick"])


def test(arguments: list[str]) -> None:
    """Imports, style, types and tests."""
    python = installed("dev")
    run(python, ROOT / "tests" / "imports_resolve.py")
    if not arguments:
        run(python, "-m", "ruff", "check")
        run(python, "-m", "ruff", "format", "--check")
        run(python, "-m", "mypy")
    run(python, "-m", "pytest", *(arguments or ["-n", str(min(2, os.cpu_count() or 1)), "--dist", "loadfile"]))


def slow(arguments: list[str]) -> None:
    """Long tests."""
    run(installed("dev"), "-m", "pytest", "-m", "slow", *arguments)


def wheel(_: list[str]) -> None:
    """What a user gets from a package index: the wheel and its declared dependencies, no more."""
    python = installed("dev")
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "build", "-q", "--wheel", "--outdir", folder)
        (built,) = Path(folder).glob("*.whl")
        bare = python_of(Path(folder) / "bare")
        run(bare, "-m", "pip", "install", "-q", "-c", "constraints.txt", built)
        run(bare, ROOT / "tests" / "import_everything.py")
        run(bare, "-m", "archwright", "list", "families")


JOBS = {"demo": demo, "test": test, "slow": slow, "wheel": wheel}

if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036  (this script may be run by any Python)
        sys.exit(
            f"Archwright needs Python 3.10 or newer, this is {sys.version.split()[0]}; try python3.12 tasks.py ..."
        )
    if len(sys.argv) < 2 or sys.argv[1] not in JOBS:
        sys.exit(__doc__)
    JOBS[sys.argv[1]](sys.argv[2:])
