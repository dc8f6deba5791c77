"""``archwright data``: files for ``--data`` from published data as they are distributed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archwright.cli import common

if TYPE_CHECKING:
    from archwright.data.preparing import Prepared

app = typer.Typer(help="Make .npz files for --data of published data as they are distributed.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", metavar="FILE.npz", help="The file to write.")]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn.")]
MinMax = Annotated[
    str,
    typer.Option(
        metavar="SCOPE", help="Over what the range that becomes [0, 1] is taken: band (of training) or image."
    ),
]


@app.command("sglfc")
def sglfc(
    source: Annotated[
        Path, typer.Argument(help="Folder of the unpacked challenge, with EUC_VIS, EUC_J, EUC_H, EUC_Y.")
    ],
    out: Out,
    catalog: Annotated[
        Path | None,
        typer.Option(help="By default image_catalog2.0train.csv in the folder or beside it.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Use only so many candidates, classes in proportion.", show_default=False)
    ] = None,
    test: Annotated[float, typer.Option(help="Share of test examples.")] = 0.2,
    min_max: MinMax = "band",
    seed: Seed = 0,
    json: common.Json = False,
) -> None:
    """Strong gravitational lens finding challenge 2.0: four bands of two sizes, lens or not."""
    from archwright.data.lenses import BANDS, prepare_lenses

    with common.counting(len(BANDS), "bands", quiet=json) as advance:
        made = prepare_lenses(
            source, out, catalogue=catalog, test=test, seed=seed, limit=limit, scope=min_max, on_done=advance
        )
    _say(made, json)


@app.command("em")
def em(
    source: Annotated[
        Path, typer.Argument(help="Folder with training.tif, testing.tif and their masks ..._groundtruth.tif.")
    ],
    out: Out,
    train_crops: Annotated[int, typer.Option(help="Crops of each training slice.")] = 300,
    test_crops: Annotated[int, typer.Option(help="Crops of each test slice.")] = 60,
    min_max: MinMax = "band",
    seed: Seed = 0,
    json: common.Json = False,
) -> None:
    """Electron microscopy of the hippocampus: balanced crops of 32 x 32, structure in their middle or none."""
    from archwright.data.microscopy import prepare_microscopy

    with common.counting(2, "stacks", quiet=json) as advance:
        made = prepare_microscopy(
            source, out, train_crops=train_crops, test_crops=test_crops, seed=seed, scope=min_max, on_done=advance
        )
    _say(made, json)


def _say(made: Prepared, json: bool) -> None:
    if json:
        common.print_json(
            {"file": str(made.path), "sizes": made.sizes, "class_counts": made.class_counts, "notes": made.notes}
        )
        return
    screen = common.console()
    for split, counts in made.class_counts.items():
        screen.print(f"{split:>6}  {made.sizes[split]:,} examples ({', '.join(f'{n:,}' for n in counts)} by class)")
    for note in made.notes:
        screen.print(f"        {note}", style="dim")
    screen.print(f"        {made.path}", soft_wrap=True)
