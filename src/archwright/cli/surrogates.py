"""``archwright arena --surrogates``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from archwright.cli import common
from archwright.errors import SettingsError

OWN = {"surrogates", "surrogate", "train_sizes", "test_rows"}
SHARED = {"table", "dataset", "signal", "report", "workers", "runs", "seed", "data_dir", "out", "json"}


def check_options(context: typer.Context, *, surrogates: bool) -> None:
    """Refuse options of the other kind of comparison.

    Raises:
        SettingsError: one was given.
    """
    source = context.get_parameter_source
    given = [name for name in context.params if source(name) is not None and source(name).name == "COMMANDLINE"]  # type: ignore[union-attr]
    wrong = [n for n in given if (n not in OWN | SHARED if surrogates else n in OWN)]
    if wrong:
        flag = "--" + wrong[0].replace("_", "-")
        raise SettingsError(f"{flag} is for searchers" if surrogates else f"{flag} is for surrogates; add --surrogates")


def compare(
    name: str,
    dataset: str | None,
    signals: Sequence[str],
    report: str | None,
    surrogates: Sequence[str],
    *,
    sizes: str,
    test_rows: int | None,
    runs: int,
    seed: int,
    workers: int,
    data_dir: Path | None,
    out: Path,
    json: bool,
) -> None:
    """Compare surrogates on a table and print what came out."""
    from archwright.arena import default_signal, read_signal
    from archwright.arena.calibration import compare_surrogates
    from archwright.arena.calibrationpage import lead, main_table, write_trials
    from archwright.surrogate import suitable
    from archwright.tables import find_table
    from archwright.tables.surrogate import SURROGATES

    if name in SURROGATES:
        raise SettingsError(f"--surrogates needs a table with known rows, and {name} is a surrogate itself")
    if len(signals) > 1:
        raise SettingsError("--surrogates predict one --signal")
    table = find_table(name, data_dir)
    where = table.dataset(dataset)
    signal = read_signal(table, where, signals[0]) if signals else default_signal(table, where)
    judged = read_signal(table, where, report) if report else None
    names = list(surrogates) or suitable(table.space)
    with common.counting(len(names) * max(runs, 1), "runs", quiet=json) as advance:
        trials = compare_surrogates(
            table, where, signal, names, sizes=common.whole_numbers(sizes, "--train-sizes") or (), runs=runs, seed=seed,
            test_rows=test_rows, report=judged, workers=workers, on_done=advance,
        )  # fmt: skip
    files = write_trials(trials, out)
    if json:
        common.print_json({**trials.result, "files": files})
        return
    console = common.console()
    console.print(lead(trials))
    console.print(
        common.table("Means over the runs; the page has their deviations", *main_table(trials, deviations=False))
    )
    for kind, file in files.items():
        console.print(f"{kind:>10}  {file}", soft_wrap=True)
