"""``archwright proxies``: scores of untrained networks, and how well they rank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from archwright.tables import Table

MOST = 8
"""Networks whose scores are shown."""
Workers = Annotated[int, typer.Option(help="Processes that score; 0 scores in this one.")]
app = typer.Typer(help="Zero-cost proxies: how well scores of untrained networks rank.", no_args_is_help=True)


@app.command("score")
def score_(
    family: Annotated[
        str, typer.Argument(help="A family (archwright list families) or a .py file with space and build.")
    ],
    data: Annotated[str, typer.Option(help="What the networks are for, as for archwright search.")],
    proxies: Annotated[
        str | None,
        typer.Option(
            help="Names with commas between (archwright list proxies); all but flops by default.", show_default=False
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the family, NAME=VALUE; repeat it.", show_default=False),
    ] = None,
    sample: Annotated[
        int, typer.Option(help="So many random architectures, beside the default one if the family names one.")
    ] = 4,
    batch: Annotated[int, typer.Option(help="Training examples that all are scored on.")] = 64,
    seed: Annotated[int, typer.Option(help="Of architectures, initial weights, examples and noise.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.", show_default=False)] = None,
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    target: common.Target = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
    workers: Workers = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Keep the scores in this file of JSON lines; the same command goes on.", show_default=False),
    ] = None,
    json: common.Json = False,
) -> None:
    """Score networks of a family without training them."""
    from archwright.data import load_data
    from archwright.families import get_family
    from archwright.proxies import PROXIES
    from archwright.proxies.sampling import score_sample

    names = (
        [n.strip() for n in proxies.split(",") if n.strip()]
        if proxies is not None
        else [n for n in PROXIES if n != "flops"]
    )
    chosen = get_family(family, **common.pairs(setting or [], "--set"))
    loaded = load_data(data, limit=limit, resize=resize, skip_corrupt=skip_corrupt, target=target)
    with common.counting(0, "networks", quiet=json) as advance:
        rows = score_sample(
            chosen, loaded, names, sample=sample, batch=batch, seed=seed, device=device,
            workers=workers, path=out, on_done=lambda done, total: advance("", done, total),
        )  # fmt: skip
    if json:
        common.print_json({"family": chosen.name, "batch": batch, "seed": seed, "results": rows})
        return
    console = common.console()
    shown = rows[:MOST]
    cells = [[n, *(common.number(row["scores"][n]) for row in shown)] for n in names]
    console.print(common.table("", ["proxy", *(f"#{i}" for i in range(len(shown)))], cells))
    for i, row in enumerate(shown):
        console.print(f"#{i}  {' '.join(f'{k}={v}' for k, v in row['architecture'].items())}", soft_wrap=True)
    for reason in dict.fromkeys(f"{n}: {text}" for row in rows for n, text in row["reasons"].items()):
        console.print(reason, soft_wrap=True)
    if len(rows) > MOST:
        console.print(f"and {len(rows) - MOST} more" + (f" in {out}" if out else "; keep them with --out or --json"))


@app.command("correlate")
def correlate(
    table: common.TableName,
    dataset: common.DatasetName = None,
    proxies: Annotated[
        list[str] | None,
        typer.Option(
            show_default=False,
            metavar="NAMES",
            help="Names with commas between: stored scores (archwright table show), hybrid, sum:A=1,B=1, vote:proxies=A+B+C, "
            "learned:proxies=A+B; options follow, such as hybrid:di=A,dd=B. By default all proxies that every architecture has, and hybrid.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            metavar="METRIC",
            help=f"What architectures are worth: {common.SIGNAL}. By default naslib_accuracy (that of published proxy "
            "studies) where the table has it, else the validation (else test) accuracy after the longest training.",
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="Only so many architectures, drawn at random.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sample, of learned combinations, of the bootstrap.")] = 0,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind the intervals; 0 for none.")] = 200,
    data: Annotated[
        str | None,
        typer.Option(
            help="Compute the scores now, of untrained networks on examples of this data (as for archwright search), all of the "
            "table's architectures or the --sample; they are kept beside the page, and the same command goes on.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(help="With --data: training examples that all are scored on.")] = 64,
    limit: Annotated[
        int | None, typer.Option(help="With --data: use only so many training images.", show_default=False)
    ] = None,
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    family: Annotated[
        str | None,
        typer.Option(
            help="With --data: what builds the networks, where the table does not say: a file of yours.",
            show_default=False,
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --data: an option of the table's family, NAME=VALUE.", show_default=False),
    ] = None,
    workers: Workers = 0,
    data_dir: common.DataDir = None,
    out: Annotated[Path, typer.Option(help="Folder for the page, figures and tables.")] = Path("proxies"),
    json: common.Json = False,
) -> None:
    """Compare proxies with true accuracies: correlations, what their first choices are worth, intervals, figures."""
    from archwright.proxies import writing
    from archwright.proxies.comparing import correlate
    from archwright.proxies.naming import default_names, split_names
    from archwright.tables import find_table

    if resamples < 0:
        raise SettingsError(f"--resamples must not be negative, not {resamples}")
    found_table = find_table(table, data_dir)
    where = found_table.dataset(dataset)
    if data is not None:
        loading = {"limit": limit, "resize": resize, "skip_corrupt": skip_corrupt}
        found_table, proxies = _computed(found_table, where, proxies, data, loading, out, json, sample=sample, batch=batch,
                                         seed=seed, workers=workers, family=family, options=common.pairs(setting or [], "--set"))  # fmt: skip
    names = split_names(proxies) if proxies else default_names(found_table, where)
    with common.counting(len(names), "proxies", quiet=json) as advance:
        found = correlate(
            found_table, where, names, target=target, sample=sample, seed=seed, resamples=resamples, on_done=advance
        )  # fmt: skip
    files = writing.write_correlations(found, out)
    if json:
        common.print_json({**found.result, "files": files})
        return
    console = common.console()
    console.print(writing.lead(found), soft_wrap=False)
    console.print(common.table("", *writing.short_table(found)))
    for line in writing.warnings(found):
        console.print(line)
    for kind, file in files.items():
        console.print(f"{kind:>10}  {file}", soft_wrap=True)


def _computed(
    table: Table,
    dataset: str,
    proxies: list[str] | None,
    data: str,
    loading: Mapping[str, Any],
    out: Path,
    quiet: bool,
    **how: Any,
) -> tuple[Table, list[str]]:
    """The table with scores computed now, and what is to be compared."""
    from archwright.data import load_data
    from archwright.proxies import PROXIES
    from archwright.proxies.many import COMPUTED, score_table
    from archwright.proxies.naming import split_names

    asked = split_names(proxies) if proxies else [n for n in PROXIES if n != "flops"]
    there = table.metrics(dataset)
    names = [n for n in asked if n in PROXIES and not (n in ("params", "flops") and n in there)]
    if not names:
        raise SettingsError(
            f"--data computes scores, and none of {', '.join(asked)} is a proxy (archwright list proxies)"
        )
    with common.counting(0, "networks", quiet=quiet) as advance:
        scored = score_table(
            table, dataset, load_data(data, **loading), names, path=out / "scores.jsonl",
            on_done=lambda done, total: advance("", done, total), **how,
        )  # fmt: skip
    return scored, [COMPUTED + n if n in names and n in there else n for n in asked]
