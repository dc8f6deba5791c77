"""``archwright oneshot-report``: several runs of one-shot searches side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli import common
from archwright.cli.cells import named_files

HOLDS = {True: "yes", False: "no", None: "needs {}"}
"""What is said of a statement."""


def oneshot_report(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]FILE...",
            help="result.json of one-shot studies, or their folders. Files of one NAME are runs of one group.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A number of the results, such as retrain.test_accuracy; repeat it. The main ones by default. Stability is "
            "that of the first.",
            show_default=False,
        ),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A list of numbers, one per epoch; by default the search's accuracy.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Check the statements that published runs on this data make firm: cifar10, cifar100, sglfc or em. Groups are "
            "then named after their methods.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write tables and curves there.", show_default=False)
    ] = None,
    json: common.Json = False,
) -> None:
    """Means and standard deviations over runs, whose spread is smaller, and curves of the search with 95 % bands."""
    from archwright.report import runs, runspage, statements

    groups = [
        runs.Runs(name, tuple(runs.read_result(path) for path in paths)) for name, paths in named_files(files).items()
    ]
    checked = [] if check is None else statements.check(check, statements.figures(groups))
    summaries = runs.summarise(groups, metric or ())
    tests = runs.stability(summaries, metric[0] if metric else main_metric(summaries[0]["metrics"]))
    curve_name, curves = runs.curves(groups, curve)
    written = {} if out is None else runspage.write_runs(out, summaries, tests, curve_name, curves)
    if json:
        bands = runspage.curves_json(curve_name, curves)
        common.print_json(
            {"groups": summaries, "stability": tests, "curves": bands, "statements": checked, "files": written}
        )
        return
    screen = common.console()
    screen.print(common.table("mean (std) over the runs", *runspage.results_table(summaries)))
    if tests:
        screen.print()
        screen.print(common.table(f"stability of {tests[0]['metric']}", *runspage.tests_table(tests)))
    if checked:
        screen.print()
        rows = [[HOLDS[s["holds"]].format(s["missing"]), s["text"]] for s in checked]
        screen.print(common.table(f"statements on {check}", ["holds", "statement"], rows))
    for file in written.values():
        screen.print(file, soft_wrap=True)


def main_metric(names: dict[str, object]) -> str:
    """The metric whose stability is shown: test accuracy after retraining, else the first accuracy, else the first."""
    accuracies = ["retrain.test_accuracy", *(n for n in names if n.endswith("accuracy")), *names]
    return next((name for name in accuracies if name in names), "")
