"""``archwright cells``: genotypes counted and compared, cells drawn, operations timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archwright.cli import celltimes, common
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from archwright.genotypes import Group

app = typer.Typer(help="Cells that were found: what they are made of, drawings, latency.", no_args_is_help=True)
app.command("latency")(celltimes.latency)
app.command("time")(celltimes.time)

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="[NAME=]FILE...",
        help="Genotypes (JSON, or the notation of the DARTS code), result.json of one-shot studies, or their folders. Files "
        "of one NAME are runs of one group; without a name a file is its own group.",
    ),
]
Cells = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]N", help="Cells of the stacked network, of all groups or of one; repeat it. 20 by default."
    ),
]


@app.command("compare")
def compare(
    files: Files,
    cells: Cells = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write tables and figures there.", show_default=False)
    ] = None,
    json: common.Json = False,
) -> None:
    """Operations and depths of cells over the whole stacked network, for groups of genotypes side by side."""
    from archwright.genotypes import comparing

    groups = _groups(files, cells or [])
    compared = comparing.compare(groups)
    written = _write(compared, out) if out is not None else {}
    if json:
        common.print_json({"groups": compared, "files": written})
        return
    screen = common.console()
    for what in ("operations", "depths"):
        screen.print(common.table(f"{what}: mean (std) per network, share", *comparing.table(compared, what)))
        screen.print()
    for file in written.values():
        screen.print(file, soft_wrap=True)


@app.command("draw")
def draw(
    genotype: Annotated[Path, typer.Argument(help="A genotype, the result.json of a one-shot study, or its folder.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The drawing: .svg, .png or .pdf.")] = Path("cells.svg"),
    json: common.Json = False,
) -> None:
    """Draw the cells of a genotype."""
    from archwright.genotypes import read_cells
    from archwright.genotypes.drawing import draw_cells

    file = draw_cells(read_cells(genotype), out)
    if json:
        common.print_json({"genotype": str(genotype), "file": str(file)})
    else:
        common.console().print(str(file), soft_wrap=True)


def _write(compared: Sequence[dict[str, object]], folder: Path) -> dict[str, str]:
    from archwright.genotypes.writing import write_comparison

    return write_comparison(compared, folder)


def _groups(files: Sequence[str], cells: Sequence[str]) -> list[Group]:
    """Groups in the order in which they are first named."""
    from archwright.genotypes import Group, read_cells

    by_name = named_files(files)
    lengths = _lengths(cells, list(by_name))
    return [Group(name, tuple(read_cells(path) for path in paths), lengths[name]) for name, paths in by_name.items()]


def named_files(words: Sequence[str]) -> dict[str, list[Path]]:
    """``["a=1.json", "a=2.json", "b.json"]`` as files by group; a file without a name is called after itself.

    A study of several runs stands for all of them.

    Raises:
        SettingsError: an empty name or file.
    """
    found: dict[str, list[Path]] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not equals or Path(word).exists():
            name, file = _own_name(Path(word)), word
        if not name or not file:
            raise SettingsError(f"files are given as FILE or NAME=FILE, not {word!r}")
        found.setdefault(name, []).extend(_runs_in(Path(file)))
    return found


def _runs_in(path: Path) -> list[Path]:
    """The runs of a study that has several, else the path itself."""
    if (path / "result.json").is_file() or not (path / "runs.json").is_file():
        return [path]
    runs = [run for run in path.glob("run-*") if run.name.removeprefix("run-").isdigit()]
    return sorted(runs, key=lambda run: int(run.name.removeprefix("run-"))) or [path]


def _own_name(path: Path) -> str:
    return path.absolute().parent.name if path.name == "result.json" else path.stem


def _lengths(words: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    every, own = 20, {}
    for word in words:
        name, _, number = word.rpartition("=")
        if not number.isdigit() or int(number) < 1 or (name and name not in names):
            raise SettingsError(f"--cells takes a number of cells, or NAME=N with one of the groups, not {word!r}")
        if name:
            own[name] = int(number)
        else:
            every = int(number)
    return {name: own.get(name, every) for name in names}
