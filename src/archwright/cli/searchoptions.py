"""Options of ``archwright search``, by panel of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WHAT = "What to search"
HOW = "How to search"
TRAIN = "How to train"
END = "At the end"
OUT = "Output"

Family = Annotated[str, typer.Argument(help="A family (archwright list families) or a .py file with space and build.")]
Data = Annotated[str, typer.Option(help="digits, a file, a folder, or module:function; see archwright list data.")]
Maximize = Annotated[
    list[str], typer.Option(metavar="METRIC", help="Metric to maximise; may be repeated.", rich_help_panel=WHAT)
]
Minimize = Annotated[
    list[str], typer.Option(metavar="METRIC", help="Metric to minimise; may be repeated.", rich_help_panel=WHAT)
]
AtMost = Annotated[
    list[str],
    typer.Option(
        metavar="METRIC=VALUE",
        help="Bound that must hold; checked before training if it can be.",
        rich_help_panel=WHAT,
    ),
]
AtLeast = Annotated[list[str], typer.Option(metavar="METRIC=VALUE", help="Bound that must hold.", rich_help_panel=WHAT)]
FamilySetting = Annotated[
    list[str],
    typer.Option("--set", metavar="NAME=VALUE", help="Option of the family, such as channels=8.", rich_help_panel=WHAT),
]
Limit = Annotated[int | None, typer.Option(help="Use only so many training images.", rich_help_panel=WHAT)]
Resize = Annotated[
    int | None, typer.Option(help="Resize images of a folder, or bands, to this many pixels.", rich_help_panel=WHAT)
]
Merge = Annotated[
    str,
    typer.Option(
        help="Data with several bands: how larger ones are brought down, average or convolution.",
        rich_help_panel=WHAT,
    ),
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out unreadable images of a folder.", rich_help_panel=WHAT)
]
Target = Annotated[
    str | None,
    typer.Option(help="Label column of a CSV file; the last one by default.", rich_help_panel=WHAT, show_default=False),
]
Validation = Annotated[
    float, typer.Option(help="Share of validation images where the data has no such split.", rich_help_panel=WHAT)
]
Test = Annotated[
    float, typer.Option(help="Share of test images where the data has no such split.", rich_help_panel=WHAT)
]
SplitSeed = Annotated[int, typer.Option(help="Seed of the splits.", rich_help_panel=WHAT)]
Searcher = Annotated[
    str | None,
    typer.Option(
        help="See archwright list searchers. By default ensemble-bo for one objective, or with --fidelities; rea for several, with "
        "--inherit or --evaluate proxy:NAME. A study that is continued keeps its own.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
SearcherOption = Annotated[
    list[str],
    typer.Option(metavar="NAME=VALUE", help="Option of the searcher, such as population=20.", rich_help_panel=HOW),
]
Budget = Annotated[
    int | None,
    typer.Option(
        help="Evaluations, of which short ones count their share; 50 when no budget is given.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
BudgetFull = Annotated[
    float | None, typer.Option(help="Full-training equivalents (counts stopped ones in part).", rich_help_panel=HOW)
]
BudgetTime = Annotated[str | None, typer.Option(metavar="TIME", help="Wall time: 90, 30m or 2h.", rich_help_panel=HOW)]
Fidelities = Annotated[
    str | None,
    typer.Option(
        metavar="EPOCHS",
        help="For searchers of several fidelities (ensemble-bo, hyperband, ...): epochs they may train for, such as 3,30; the "
        "last is a full training. By default ensemble-bo trains in full alone, hyperband for any number up to --epochs.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
Evaluate = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        help="train, or proxy:NAME,NAME to score untrained networks instead, such as proxy:logsynflow,nwot,skip: the scores "
        "are the objectives of the search, and the best are trained at its end.",
        rich_help_panel=HOW,
    ),
]
ProxyBatch = Annotated[
    int | None,
    typer.Option(
        help="Training examples that untrained networks are scored on; 64 by default.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
Clues = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="For searchers that take clues: scores and costs of untrained networks by which candidates are chosen before "
        "they are trained, such as nwot,logsynflow,params,latency_ms; -NAME turns one round.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
ClueBatch = Annotated[int, typer.Option(help="Training examples that clues are scored on.", rich_help_panel=HOW)]
Seed = Annotated[int, typer.Option(help="Seed of everything random but the splits.", rich_help_panel=HOW)]
Workers = Annotated[int, typer.Option(help="Worker processes; 0 evaluates in this process.", rich_help_panel=HOW)]
Threads = Annotated[
    int | None,
    typer.Option(
        help="Threads of each worker; by default the cores divided among them.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=HOW)]
LatencyFrom = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Predict latency_ms with this device profile (archwright profile --measure-lut) instead of measuring it.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
TimeLimit = Annotated[
    str | None, typer.Option(metavar="TIME", help="For one evaluation; a longer one fails.", rich_help_panel=HOW)
]
StopEarly = Annotated[
    bool, typer.Option("--stop-early", help="Stop trials in the worse half at equal epochs.", rich_help_panel=HOW)
]
Inherit = Annotated[
    bool,
    typer.Option(
        "--inherit",
        help="Start each training from the weights of the best trial that differs in one parameter.",
        rich_help_panel=TRAIN,
    ),
]
InheritEpochs = Annotated[
    int | None,
    typer.Option(
        help="Epochs of trainings that start so; --epochs by default.", rich_help_panel=TRAIN, show_default=False
    ),
]
WarmStart = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Begin with the best of another study, or with a JSON file's architectures.",
        rich_help_panel=HOW,
    ),
]
Replicate = Annotated[
    bool,
    typer.Option(
        "--replicate", help="Evaluate repeats again instead of answering from the cache.", rich_help_panel=HOW
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Epochs of each training in the search; 10 by default.", rich_help_panel=TRAIN, show_default=False
    ),
]
Repeats = Annotated[
    int,
    typer.Option(
        help="Trainings (or initialisations that are scored) per evaluation, averaged.", rich_help_panel=TRAIN
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        help="Processes that share each training, one per GPU on cuda; 1 by default, under torchrun as many as it started.",
        rich_help_panel=TRAIN,
        show_default=False,
    ),
]
TrainingSetting = Annotated[
    list[str],
    typer.Option(
        metavar="NAME=VALUE",
        help="Any training setting, such as lr=0.01 or flip=true; see archwright list training.",
        rich_help_panel=TRAIN,
    ),
]
Top = Annotated[int, typer.Option(help="Best candidates to train in full; 0 leaves that out.", rich_help_panel=END)]
FinalEpochs = Annotated[
    int | None,
    typer.Option(
        help="Epochs of a full training; by default 3 x --epochs, at least 30.",
        rich_help_panel=END,
        show_default=False,
    ),
]
Baselines = Annotated[
    int,
    typer.Option(
        help="Random architectures trained for comparison, beside the default one; 0 for none.", rich_help_panel=END
    ),
]
Onnx = Annotated[
    bool, typer.Option("--onnx/--no-onnx", help="Also export the chosen network to ONNX.", rich_help_panel=END)
]
Study = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where all is kept; the same command continues it. By default runs/FAMILY-DATA.",
        rich_help_panel=OUT,
        show_default=False,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Optuna database instead of SQLite in the study's folder.", rich_help_panel=OUT),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=OUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.", rich_help_panel=OUT)]
