"""``archwright search``: the main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from archwright.cli import common
from archwright.cli import searchoptions as options
from archwright.cli.searchsummary import summarise
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from archwright.evaluation import Goal
    from archwright.study.result import Result


def search(
    family: options.Family,
    data: options.Data,
    maximize: options.Maximize = [],  # noqa: B006
    minimize: options.Minimize = [],  # noqa: B006
    at_most: options.AtMost = [],  # noqa: B006
    at_least: options.AtLeast = [],  # noqa: B006
    set_: options.FamilySetting = [],  # noqa: B006
    limit: options.Limit = None,
    resize: options.Resize = None,
    merge: options.Merge = "average",
    skip_corrupt: options.SkipCorrupt = False,
    target: options.Target = None,
    validation: options.Validation = 0.2,
    test: options.Test = 0.2,
    split_seed: options.SplitSeed = 0,
    searcher: options.Searcher = None,
    option: options.SearcherOption = [],  # noqa: B006
    budget: options.Budget = None,
    budget_full: options.BudgetFull = None,
    budget_time: options.BudgetTime = None,
    fidelities: options.Fidelities = None,
    evaluate: options.Evaluate = "train",
    proxy_batch: options.ProxyBatch = None,
    clues: options.Clues = None,
    clue_batch: options.ClueBatch = 64,
    seed: options.Seed = 0,
    workers: options.Workers = 1,
    threads: options.Threads = None,
    device: options.Device = "auto",
    latency_from: options.LatencyFrom = None,
    time_limit: options.TimeLimit = None,
    stop_early: options.StopEarly = False,
    inherit: options.Inherit = False,
    inherit_epochs: options.InheritEpochs = None,
    warm_start: options.WarmStart = None,
    replicate: options.Replicate = False,
    epochs: options.Epochs = None,
    repeats: options.Repeats = 1,
    processes: options.Processes = None,
    train: options.TrainingSetting = [],  # noqa: B006
    top: options.Top = 3,
    final_epochs: options.FinalEpochs = None,
    baselines: options.Baselines = 1,
    onnx: options.Onnx = True,
    study: options.Study = None,
    storage: options.Storage = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Search a space of networks on your data, retrain the best, test, export and report.

    The same command again continues an interrupted study; a larger budget prolongs a finished one.
    """
    import archwright
    from archwright.cli.progress import Progress
    from archwright.data import load_data
    from archwright.families import get_family
    from archwright.study.choosing import choose_searcher, make_budget
    from archwright.study.final import FinalSettings
    from archwright.study.torchrun import is_first

    goal = _goal(maximize, minimize, at_most, at_least)
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
    if is_first():
        _show(result, json)
    if result.interrupted:
        raise typer.Exit(130)
    if result.best is None:
        raise typer.Exit(1)


def _goal(maximize: list[str], minimize: list[str], at_most: list[str], at_least: list[str]) -> Goal:
    from archwright.study.goals import make_goal

    directions = dict.fromkeys(maximize, "maximize") | dict.fromkeys(minimize, "minimize")
    both = set(maximize) & set(minimize)
    if both or len(directions) < len(maximize) + len(minimize):
        raise SettingsError(
            f"a metric is named twice among --maximize and --minimize: {', '.join([*maximize, *minimize])}"
        )
    return make_goal(
        directions or {"accuracy": "maximize"},
        at_most=common.numbers(at_most, "--at-most"),
        at_least=common.numbers(at_least, "--at-least"),
    )


def _searched(goal: Goal, evaluate: str) -> Goal:
    """What candidates are compared by during the search."""
    if evaluate == "train":
        return goal
    from archwright.evaluate.untrained import read_proxies, search_goal

    return search_goal(read_proxies(evaluate), goal)


def _show(result: Result, json: bool) -> None:
    if json:
        common.print_json(result.to_json())
        return
    summarise(result)
    if result.interrupted:
        common.console().print(f"continue with: archwright {shlex.join(sys.argv[1:])}", soft_wrap=True)
