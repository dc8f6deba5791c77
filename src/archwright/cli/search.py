"""``archwright search``: the main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from archwright.api import Result
    from archwright.evaluation import Goal

WHAT = "What to search"
HOW = "How to search"
TRAIN = "How to train"
END = "At the end"
OUT = "Output"


def search(
    family: Annotated[
        str, typer.Argument(help="A family (archwright list families) or a .py file with space and build.")
    ],
    data: Annotated[str, typer.Option(help="digits, a file, a folder, or module:function; see archwright list data.")],
    maximize: Annotated[
        list[str], typer.Option(metavar="METRIC", help="Metric to maximise; may be repeated.", rich_help_panel=WHAT)
    ] = [],  # noqa: B006
    minimize: Annotated[
        list[str], typer.Option(metavar="METRIC", help="Metric to minimise; may be repeated.", rich_help_panel=WHAT)
    ] = [],  # noqa: B006
    at_most: Annotated[
        list[str],
        typer.Option(
            metavar="METRIC=VALUE",
            help="Bound that must hold; checked before training if it can be.",
            rich_help_panel=WHAT,
        ),
    ] = [],  # noqa: B006
    at_least: Annotated[
        list[str], typer.Option(metavar="METRIC=VALUE", help="Bound that must hold.", rich_help_panel=WHAT)
    ] = [],  # noqa: B006
    set_: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Option of the family, such as channels=8.", rich_help_panel=WHAT
        ),
    ] = [],  # noqa: B006
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.", rich_help_panel=WHAT)] = None,
    resize: Annotated[
        int | None, typer.Option(help="Resize images of a folder, or bands, to this many pixels.", rich_help_panel=WHAT)
    ] = None,
    merge: Annotated[
        str,
        typer.Option(
            help="Data with several bands: how larger ones are brought down, average or convolution.",
            rich_help_panel=WHAT,
        ),
    ] = "average",
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="Leave out unreadable images of a folder.", rich_help_panel=WHAT)
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            help="Label column of a CSV file; the last one by default.", rich_help_panel=WHAT, show_default=False
        ),
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of validation images where the data has no such split.", rich_help_panel=WHAT)
    ] = 0.2,
    test: Annotated[
        float, typer.Option(help="Share of test images where the data has no such split.", rich_help_panel=WHAT)
    ] = 0.2,
    split_seed: Annotated[int, typer.Option(help="Seed of the splits.", rich_help_panel=WHAT)] = 0,
    searcher: Annotated[
        str | None,
        typer.Option(
            help="See archwright list searchers. By default ensemble-bo for one objective, or with --fidelities; rea for several, with "
            "--inherit or --evaluate proxy:NAME. A study that is continued keeps its own.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    option: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="Option of the searcher, such as population=20.", rich_help_panel=HOW),
    ] = [],  # noqa: B006
    budget: Annotated[
        int | None,
        typer.Option(
            help="Evaluations, of which short ones count their share; 50 when no budget is given.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    budget_full: Annotated[
        float | None, typer.Option(help="Full-training equivalents (counts stopped ones in part).", rich_help_panel=HOW)
    ] = None,
    budget_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Wall time: 90, 30m or 2h.", rich_help_panel=HOW)
    ] = None,
    fidelities: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCHS",
            help="For searchers of several fidelities (ensemble-bo, hyperband, ...): epochs they may train for, such as 3,30; the "
            "last is a full training. By default ensemble-bo trains in full alone, hyperband for any number up to --epochs.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    evaluate: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="train, or proxy:NAME,NAME to score untrained networks instead, such as proxy:logsynflow,nwot,skip: the scores "
            "are the objectives of the search, and the best are trained at its end.",
            rich_help_panel=HOW,
        ),
    ] = "train",
    proxy_batch: Annotated[
        int | None,
        typer.Option(
            help="Training examples that untrained networks are scored on; 64 by default.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    clues: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="For searchers that take clues: scores and costs of untrained networks by which candidates are chosen before "
            "they are trained, such as nwot,logsynflow,params,latency_ms; -NAME turns one round.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    clue_batch: Annotated[
        int, typer.Option(help="Training examples that clues are scored on.", rich_help_panel=HOW)
    ] = 64,
    seed: Annotated[int, typer.Option(help="Seed of everything random but the splits.", rich_help_panel=HOW)] = 0,
    workers: Annotated[
        int, typer.Option(help="Worker processes; 0 evaluates in this process.", rich_help_panel=HOW)
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of each worker; by default the cores divided among them.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=HOW)] = "auto",
    latency_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Predict latency_ms with this device profile (archwright profile --measure-lut) instead of measuring it.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="For one evaluation; a longer one fails.", rich_help_panel=HOW)
    ] = None,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="Stop trials in the worse half at equal epochs.", rich_help_panel=HOW)
    ] = False,
    inherit: Annotated[
        bool,
        typer.Option(
            "--inherit",
            help="Start each training from the weights of the best trial that differs in one parameter.",
            rich_help_panel=TRAIN,
        ),
    ] = False,
    inherit_epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of trainings that start so; --epochs by default.", rich_help_panel=TRAIN, show_default=False
        ),
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Begin with the best of another study, or with a JSON file's architectures.",
            rich_help_panel=HOW,
        ),
    ] = None,
    replicate: Annotated[
        bool,
        typer.Option(
            "--replicate", help="Evaluate repeats again instead of answering from the cache.", rich_help_panel=HOW
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of each training in the search; 10 by default.", rich_help_panel=TRAIN, show_default=False
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            help="Trainings (or initialisations that are scored) per evaluation, averaged.", rich_help_panel=TRAIN
        ),
    ] = 1,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Processes that share each training, one per GPU on cuda; 1 by default, under torchrun as many as it started.",
            rich_help_panel=TRAIN,
            show_default=False,
        ),
    ] = None,
    train: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Any training setting, such as lr=0.01 or flip=true; see archwright list training.",
            rich_help_panel=TRAIN,
        ),
    ] = [],  # noqa: B006
    top: Annotated[
        int, typer.Option(help="Best candidates to train in full; 0 leaves that out.", rich_help_panel=END)
    ] = 3,
    final_epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of a full training; by default 3 x --epochs, at least 30.",
            rich_help_panel=END,
            show_default=False,
        ),
    ] = None,
    baselines: Annotated[
        int,
        typer.Option(
            help="Random architectures trained for comparison, beside the default one; 0 for none.", rich_help_panel=END
        ),
    ] = 1,
    onnx: Annotated[
        bool, typer.Option("--onnx/--no-onnx", help="Also export the chosen network to ONNX.", rich_help_panel=END)
    ] = True,
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where all is kept; the same command continues it. By default runs/FAMILY-DATA.",
            rich_help_panel=OUT,
            show_default=False,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Optuna database instead of SQLite in the study's folder.", rich_help_panel=OUT
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=OUT)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.", rich_help_panel=OUT)] = False,
) -> None:
    """Search a space of networks on your data, retrain the best, test, export and report.

    The same command again continues an interrupted study; a larger budget prolongs a finished one.
    """
    import archwright
    from archwright.api import make_goal
    from archwright.cli.progress import Progress
    from archwright.data import load_data
    from archwright.families import get_family
    from archwright.study.choosing import choose_searcher
    from archwright.study.evaluators import make_budget
    from archwright.study.final import FinalSettings
    from archwright.study.torchrun import is_first

    directions = dict.fromkeys(maximize, "maximize") | dict.fromkeys(minimize, "minimize")
    both = set(maximize) & set(minimize)
    if both or len(directions) < len(maximize) + len(minimize):
        raise SettingsError(
            f"a metric is named twice among --maximize and --minimize: {', '.join([*maximize, *minimize])}"
        )
    goal = make_goal(
        directions or {"accuracy": "maximize"},
        at_most=common.numbers(at_most, "--at-most"),
        at_least=common.numbers(at_least, "--at-least"),
    )
    seconds = common.seconds(budget_time, "--budget-time")
    if budget is None and budget_full is None and seconds is None:
        budget = 50
    settings = common.pairs(train, "--train")
    made = get_family(family, **common.pairs(set_, "--set"))
    how: dict[str, Any] = {"seed": split_seed, "validation": validation, "test": test, "limit": limit}
    loaded = load_data(data, **how, resize=resize, skip_corrupt=skip_corrupt, target=target, merge=merge)
    folder = study or Path("runs") / f"{made.name}-{loaded.name}"
    amounts = common.whole_numbers(fidelities, "--fidelities")
    searcher = searcher or choose_searcher(
        goal, trains=evaluate == "train" and not inherit, fidelities=amounts, study=folder
    )
    limits = make_budget(searcher, budget, budget_full, seconds, amounts)
    show = not quiet and not json and is_first()
    with Progress(_searched(goal, evaluate), limits, shown=show) as progress:
        result = archwright.search(
            made,
            data=loaded,
            objectives=goal,
            evaluate=evaluate,
            proxy_batch=proxy_batch,
            fidelities=amounts,
            searcher=searcher,
            searcher_options=common.pairs(option, "--option"),
            budget=limits,
            epochs=epochs,
            training=settings,
            study=folder,
            storage=storage,
            seed=seed,
            workers=workers,
            threads=threads,
            device=device,
            latency_from=latency_from,
            time_limit=common.seconds(time_limit, "--time-limit"),
            stop_early=stop_early,
            repeats=repeats,
            processes=processes,
            replicate=replicate,
            inherit=inherit,
            inherit_epochs=inherit_epochs,
            clues=None if clues is None else clues.split(","),
            clue_batch=clue_batch,
            warm_start=warm_start,
            final=FinalSettings(top, final_epochs, baselines, onnx),
            watcher=progress.search,
            final_watcher=progress.final,
            command=["archwright", *sys.argv[1:]],
        )
    if json and is_first():
        common.print_json(result.to_json())
    elif is_first():
        _summarise(result)
    if result.interrupted:
        if not json:
            common.console().print(f"continue with: archwright {shlex.join(sys.argv[1:])}", soft_wrap=True)
        raise typer.Exit(130)
    if result.best is None:
        raise typer.Exit(1)


def _searched(goal: Goal, evaluate: str) -> Goal:
    """What candidates are compared by during the search."""
    if evaluate == "train":
        return goal
    from archwright.evaluate.untrained import read_proxies, search_goal

    return search_goal(read_proxies(evaluate), goal)


def _summarise(result: Result) -> None:
    record = result.record
    out = common.console()
    objectives = [o.metric for o in record.goal.objectives]
    paid = len(record.trials) - record.count("infeasible")
    out.print(
        f"\n[bold]{paid} evaluations[/bold] by {record.settings['searcher']['name']} "
        f"({record.count('failed')} failed), {record.count('infeasible')} infeasible at no "
        f"cost, {record.repeats} repeats from the cache; {result.reason}",
        markup=True,
    )
    for remark in record.remarks:
        out.print(remark, style="dim")
    best = result.best
    if best is None:
        reasons = {t.evaluation.reason for t in record.trials if t.evaluation.reason}
        out.print(common.labelled("No evaluation ended well.", "; ".join(sorted(reasons)[:3]), "red"))
        return
    if len(objectives) > 1:
        rows = [[str(t.number), *(common.number(t.evaluation.metrics[m]) for m in objectives)] for t in record.pareto]
        out.print(common.table("Pareto front of the search", ["trial", *objectives], rows))
    out.print(common.labelled("best", f"trial {best.number}: {best.architecture}", "bold"))
    out.print(f"      in the search: {common.metrics_line(best.evaluation.metrics, [*objectives, 'params', 'macs'])}")
    if record.final is not None:
        out.print(_comparison(record.final, [o.metric for o in record.final_goal.objectives]))
    for kind, file in result.files.items():
        out.print(common.labelled(f"{kind:>12}", file), soft_wrap=True)


def _comparison(final: Any, objectives: list[str]) -> Any:
    chosen = final["candidates"][final["winner"]]
    scores = list(dict.fromkeys([*(m for m in objectives if m in final["test"]), "accuracy", "auc"]))
    static = [m for m in objectives if m not in final["test"] and m != "params"]
    rows = [["found", *_cells(chosen["validation"], final["test"], scores, static)]]
    rows += [[b["kind"], *_cells(b["validation"], b["test"], scores, static)] for b in final["baselines"]]
    return common.table(
        "Trained in full; test split, with 95 % interval",
        ["network", *(f"test {s}" for s in scores), *static, "params"],
        rows,
    )


def _cells(validation: Any, test: Any, scores: list[str], static: list[str]) -> list[str]:
    cells = []
    for name in scores:
        low, high = test.get(f"{name}_low"), test.get(f"{name}_high")
        interval = "" if low is None or high is None else f" ({low:.3f}-{high:.3f})"
        cells.append(common.number(test.get(name)) + interval)
    return [*cells, *(common.number(validation.get(m)) for m in static), common.number(validation.get("params"))]
