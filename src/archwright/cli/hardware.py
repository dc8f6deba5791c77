"""``archwright hardware``: latency predictors compared, and predicted columns for tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError, TableError, unknown

if TYPE_CHECKING:
    from archwright.tables import Table

app = typer.Typer(help="Latency without running: predictors fitted on measured pairs.", no_args_is_help=True)


@app.command("compare")
def compare(
    table: common.TableName,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column with measured latencies (or energies); repeat it. All by default.",
            show_default=False,
        ),
    ] = None,
    dataset: common.DatasetName = None,
    train: Annotated[str, typer.Option(metavar="N,N", help="Measured architectures to fit on.")] = "50,200,900",
    predictor: Annotated[
        list[str] | None, typer.Option(help="lookup, linear or boosted; repeat it. All by default.", show_default=False)
    ] = None,
    adapt_from: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,COLUMN",
            help="Few-shot study: columns of known devices, which help to predict the others from --shots measurements.",
            show_default=False,
        ),
    ] = None,
    shots: Annotated[str, typer.Option(metavar="N,N", help="Measurements of the new device.")] = "10,20",
    seeds: Annotated[int, typer.Option(help="Draws of the architectures to fit on; figures are means over them.")] = 3,
    data_dir: common.DataDir = None,
    json: common.Json = False,
) -> None:
    """Fit latency predictors on some architectures of a table and judge them on up to 3,000 others."""
    from archwright.hardware import PREDICTORS
    from archwright.hardware.study import compare, few_shot, means
    from archwright.tables import find_table

    found = find_table(table, data_dir)
    where = found.dataset(dataset)
    sources = [_column(found, where, s.strip()) for s in (adapt_from or "").split(",") if s.strip()]
    devices = [_column(found, where, d) for d in device or []]
    devices = devices or [c for c in _columns(found, where) if c not in sources]
    sizes = common.whole_numbers(shots if sources else train, "--shots" if sources else "--train") or ()
    how: dict[str, Any] = {"predictors": tuple(predictor or PREDICTORS), "seeds": seeds}
    with common.counting(
        len(devices) * len(sizes) * max(seeds, 1) * (2 if sources else 1), "fits", quiet=json
    ) as advance:
        if sources:
            rows = few_shot(found, where, devices, sources, shots=sizes, on_done=advance, **how)
        else:
            rows = compare(found, where, devices, train=sizes, on_done=advance, **how)
    averaged = means(rows)
    if json:
        facts = {"table": found.name, "dataset": where, "seeds": seeds, "adapt_from": sources}
        common.print_json({**facts, "results": rows, "means": averaged})
        return
    out = common.console()
    out.print(_figures("", ["device"], rows))
    if len(devices) > 1:
        out.print(_figures(f"mean of {len(devices)} devices", [], averaged))


@app.command("predict")
def predict(
    table: common.TableName,
    device: Annotated[str, typer.Option(metavar="COLUMN", help="Column with measured latencies (or energies).")],
    out: Annotated[Path, typer.Option(help="File of the new table.")],
    train: Annotated[int, typer.Option(help="Measured architectures to fit on.")] = 200,
    predictor: Annotated[str, typer.Option(help="lookup, linear, boosted, or adapted with --adapt-from.")] = "boosted",
    adapt_from: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,COLUMN", help="Columns of known devices, for adapted.", show_default=False),
    ] = None,
    dataset: common.DatasetName = None,
    seed: Annotated[int, typer.Option(help="Seed of the architectures to fit on.")] = 0,
    model: Annotated[
        Path | None, typer.Option(help="Also keep the fitted predictor, as JSON.", show_default=False)
    ] = None,
    data_dir: common.DataDir = None,
    json: common.Json = False,
) -> None:
    """Add a predicted column, fitted on some architectures, to a table: a signal for the arena."""
    from archwright.hardware import Adapted, LatencyPredictor, make_predictor
    from archwright.hardware.study import ADAPTED, known_devices, predicted_column
    from archwright.tables import Column, find_table

    found = find_table(table, data_dir)
    where = found.dataset(dataset)
    name = _column(found, where, device)
    sources = [_column(found, where, s.strip()) for s in (adapt_from or "").split(",") if s.strip()]
    if bool(sources) != (predictor == ADAPTED):
        raise SettingsError("--predictor adapted and --adapt-from go together")
    if name in sources:
        raise SettingsError(f"{name} cannot be a known device and the new one at once")
    fitted: LatencyPredictor
    fitted = (
        Adapted(found.space, known_devices(found, where, sources))
        if sources
        else make_predictor(predictor, found.space)
    )
    values, figures = predicted_column(found, where, name, fitted, train, seed)
    measured = found.column(where, name)
    column = Column(measured.dataset, _predicted(name), measured.direction, values[:, None, None])
    note = f"{column.metric} is predicted by {predictor}, fitted on {train} architectures (seed {seed})"
    notes = {**found.provenance, column.metric: note}
    file = replace(found, columns=(*found.columns, column), provenance=notes).save(out)
    facts: dict[str, Any] = {"table": found.name, "column": column.metric, "train": train, "predictor": predictor}
    facts |= {**figures, "file": str(file)}
    if model is not None:
        facts["model"] = str(fitted.save(model))
    if json:
        common.print_json(facts)
        return
    console = common.console()
    console.print(_figures("", ["column"], [facts]))
    for kind in ("file", "model"):
        if kind in facts:
            console.print(f"{kind:>6}  {facts[kind]}", soft_wrap=True)


def _predicted(name: str) -> str:
    """``pixel3_predicted_latency_ms`` of ``pixel3_latency_ms``."""
    for unit in ("latency_ms", "energy_mj"):
        if name.endswith(unit):
            return f"{name.removesuffix(unit)}predicted_{unit}"
    return f"{name}_predicted"


def _columns(table: Table, dataset: str) -> list[str]:
    """All latencies and energies of a table."""
    from archwright.hardware.study import costs

    found = costs(table, dataset)
    if not found:
        raise TableError(f"table {table.name} has no column of latencies or energies; name one with --device")
    return found


def _column(table: Table, dataset: str, device: str) -> str:
    """A column by its name, or by what comes before ``_latency_ms``."""
    names = table.metrics(dataset)
    for name in (device, f"{device}_latency_ms", f"{device}_help_latency_ms"):
        if name in names:
            return name
    from archwright.hardware.study import costs

    raise TableError(
        f"table {table.name}, {dataset}: " + unknown("device column", device, costs(table, dataset) or names)
    )


def _figures(title: str, lead: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Any:
    from archwright.hardware.accuracy import MEASURES

    heads = [*lead, "train", "predictor", "Spearman", "Kendall", "MAPE", "median error", "within 10 %"]
    cells = []
    for row in rows:
        ranks, shares = [f"{row[m]:.3f}" for m in MEASURES[:2]], [f"{100 * row[m]:.1f} %" for m in MEASURES[2:]]
        cells.append(
            [
                *(str(row[x]).removesuffix("_latency_ms") for x in lead),
                str(row["train"]),
                row["predictor"],
                *ranks,
                *shares,
            ]
        )
    return common.table(title, heads, cells)
