"""``archwright table``: import benchmark tables, and look into them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archwright.cli import common
from archwright.errors import SettingsError, TableError

Settings = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the family, NAME=VALUE; repeat it.", show_default=False)
]
FamilyFile = Annotated[
    str | None,
    typer.Option(
        "--family", help="What builds the networks, where the table does not say: a file of yours.", show_default=False
    ),
]
app = typer.Typer(help="Benchmark tables: import them, look into them.", no_args_is_help=True)


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A published table's name (archwright list tables), a CSV file (also .gz), or NATS-Bench as it is distributed "
            "(the folder ...-simple, or the file .pickle.pbz2)."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The table's file; by default NAME.table.npz in the current folder.", show_default=False),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="For a CSV: the family of networks it is about.", show_default=False)
    ] = None,
    setting: Settings = None,
    identity: Annotated[
        str | None,
        typer.Option(
            "--architecture", help="For a CSV: the column that identifies the architecture.", show_default=False
        ),
    ] = None,
    notation: Annotated[
        str,
        typer.Option(
            help="How that column is written: digits (one per parameter); nasbench201 also string, naslib; macro also string."
        ),
    ] = "digits",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="For a CSV: COLUMN=METRIC:DATASET@EPOCH:max (or :min), of which all but COLUMN may be left out; repeat it.",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="For a CSV: only rows with COLUMN=VALUE.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the table; by default the file's.", show_default=False)
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="For NATS-Bench: also what is known after every epoch.")
    ] = False,
    data_dir: common.DataDir = None,
    json: common.Json = False,
) -> None:
    """Make a table's file from a published benchmark's raw files or from any CSV."""
    from archwright.families import get_family
    from archwright.tables import KNOWN, Metric, find_table, import_csv
    from archwright.tables.known import SUFFIX
    from archwright.tables.official import import_official, is_official

    official = source not in KNOWN and is_official(Path(source))
    if curves and not official:
        raise SettingsError(
            "--curves is for NATS-Bench as it is distributed; CSV columns have their epochs in --metric"
        )
    if source in KNOWN:
        made = find_table(source, data_dir)
    elif official:
        made = import_official(Path(source), name=name, curves=curves)
    else:
        if not source.endswith((".csv", ".csv.gz")):
            find_table(source, data_dir)
            raise TableError(
                f"{source} is neither a CSV file, nor a file or folder of NATS-Bench, nor a published table's name (archwright list tables)"
            )
        for value, flag in ((family, "--family"), (identity, "--architecture"), (metric, "--metric")):
            if not value:
                raise SettingsError(f"a CSV file needs {flag}; see archwright table import --help")
        key, equals, value = (where or "").partition("=")
        if where and not equals:
            raise SettingsError(f"--where takes COLUMN=VALUE, not {where!r}")
        path = Path(source)
        made = import_csv(
            path,
            name=name or path.name.split(".")[0],
            family=get_family(family or "", **common.pairs(setting or [], "--set")),
            identity=identity or "",
            notation=notation,
            metrics=[Metric.parse(m) for m in metric or []],
            where=(key, value) if where else None,
        )
    file = made.save(out or Path(f"{made.name}{SUFFIX}"))
    _print({**made.describe(), "file": str(file)}, json)


@app.command("make")
def make(
    family: Annotated[str, typer.Argument(help="A family's name, or a file of yours with space and build.")],
    data: Annotated[str, typer.Option(help="What to train on, as for archwright search.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The table's file; by default FAMILY-DATA.table.npz in the current folder.", show_default=False
        ),
    ] = None,
    setting: Settings = None,
    epochs: Annotated[int, typer.Option(help="Epochs of each training; the table has the metrics after each.")] = 10,
    train: Annotated[
        list[str] | None,
        typer.Option(help="A training setting, NAME=VALUE (archwright list training); repeat it.", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 3,
    sample: Annotated[
        int | None, typer.Option(help="Only so many architectures, drawn at random.", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.", show_default=False)] = None,
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    target: common.Target = None,
    validation: Annotated[
        float, typer.Option(help="Share of validation images where the data has no such split.")
    ] = 0.2,
    test: Annotated[float, typer.Option(help="Share of test images where the data has no such split.")] = 0.2,
    split_seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 0,
    workers: Annotated[int, typer.Option(help="Training processes; 0 trains in this one.")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each; by default the cores are shared.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
    name: Annotated[str | None, typer.Option(help="Name of the table.", show_default=False)] = None,
    json: common.Json = False,
) -> None:
    """Make a table by training a whole space, or a sample of it. The same command again goes on after an interruption."""
    from archwright.data import load_data
    from archwright.evaluate import Training
    from archwright.families import get_family
    from archwright.tables.known import SUFFIX
    from archwright.tables.making import make_table

    chosen = get_family(family, **common.pairs(setting or [], "--set"))
    loaded = load_data(
        data,
        seed=split_seed,
        validation=validation,
        test=test,
        limit=limit,
        resize=resize,
        skip_corrupt=skip_corrupt,
        target=target,
    )
    training = Training.from_json({**common.pairs(train or [], "--train"), "epochs": epochs})
    file = out or Path(f"{name or f'{chosen.name}-{loaded.name}'}{SUFFIX}")
    with common.counting(0, "trainings", quiet=json) as advance:
        made = make_table(
            chosen,
            loaded,
            file,
            training=training,
            seeds=seeds,
            sample=sample,
            workers=workers,
            threads=threads,
            device=device,
            name=name,
            on_done=lambda done, total, evaluation: advance(evaluation.reason, done, total),
        )
    _print({**made.describe(), "file": str(file)}, json)


@app.command("score")
def score(
    table: Annotated[str, typer.Argument(help="A table's name or file.")],
    data: Annotated[
        str, typer.Option(help="Whose training examples networks are scored on, as for archwright search.")
    ],
    proxies: Annotated[str, typer.Option(help="Names with commas between (archwright list proxies).")],
    dataset: common.DatasetName = None,
    family: FamilyFile = None,
    setting: Settings = None,
    sample: Annotated[
        int | None, typer.Option(help="Only so many architectures, drawn at random.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option(help="Training examples that all are scored on.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the sample, initial weights, examples and noise.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.", show_default=False)] = None,
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    target: common.Target = None,
    workers: Annotated[int, typer.Option(help="Processes that score; 0 scores in this one.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
    data_dir: common.DataDir = None,
    out: Annotated[
        Path | None, typer.Option(help="The new table; by default NAME-scored.table.npz here.", show_default=False)
    ] = None,
    json: common.Json = False,
) -> None:
    """Add scores of the untrained networks to a table. The same command again goes on after an interruption."""
    from archwright.data import load_data
    from archwright.proxies.many import score_table
    from archwright.tables import find_table
    from archwright.tables.known import SUFFIX

    found = find_table(table, data_dir)
    file = out or Path(f"{found.name}-scored{SUFFIX}")
    names = [n.strip() for n in proxies.split(",") if n.strip()]
    with common.counting(0, "networks", quiet=json) as advance:
        made = score_table(
            found,
            found.dataset(dataset),
            load_data(data, limit=limit, resize=resize, skip_corrupt=skip_corrupt, target=target),
            names,
            sample=sample,
            options=common.pairs(setting or [], "--set"),
            family=family,
            batch=batch,
            seed=seed,
            workers=workers,
            device=device,
            path=file.with_name(file.name + ".scores.jsonl"),
            on_done=lambda done, total: advance("", done, total),
        )
    _print({**made.describe(), "file": str(made.save(file))}, json)


@app.command("show")
def show(
    table: Annotated[str, typer.Argument(help="A table's name or file.")],
    data_dir: common.DataDir = None,
    json: common.Json = False,
) -> None:
    """What a table holds: data sets, metrics, epochs, seeds, optimum."""
    from archwright.tables import find_table
    from archwright.tables.surrogate import SURROGATES, find_surrogate

    found = find_surrogate(table, data_dir) if table in SURROGATES else find_table(table, data_dir)
    _print(found.describe(), json)


def _print(facts: dict[str, object], json: bool) -> None:
    if json:
        common.print_json(facts)
        return
    console = common.console()
    kind = "the whole space" if facts["whole_space"] else "a part of the space"
    console.print(f"{facts['name']}: {facts['architectures']:,} architectures, {kind}")
    columns: list[dict[str, object]] = facts["columns"]  # type: ignore[assignment]
    rows = [
        [
            str(c["dataset"]) or "-", str(c["metric"]), str(c["direction"])[:3], _ranges(c["epochs"]),  # type: ignore[arg-type]
            str(c["seeds"]), str(c["missing"]), common.number(c["best"], 6), common.number(c["median"], 6),  # type: ignore[arg-type]
        ]
        for c in columns
    ]  # fmt: skip
    console.print(common.table("", ["data set", "metric", "to", "epochs", "seeds", "missing", "best", "median"], rows))
    for name, text in facts["provenance"].items():  # type: ignore[attr-defined]
        console.print(f"{name}: {text if len(text) <= 160 else text[:159] + '…'}", soft_wrap=True)
    if "file" in facts:
        console.print(f"file: {facts['file']}", soft_wrap=True)


def _ranges(numbers: list[int]) -> str:
    """``1-8, 20``: runs of whole numbers by their ends."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts) or "-"
