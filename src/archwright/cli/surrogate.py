"""``archwright surrogate``: pretrain the ensemble of a space once, keep it, use it for any objective."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import ArchwrightWarning, SettingsError

if TYPE_CHECKING:
    from archwright.searchers import Clues
    from archwright.space import Space

METRICS = "params,flops,latency_ms,peak_memory_mb"
app = typer.Typer(help="Surrogates pretrained on what networks cost, kept in files.", no_args_is_help=True)


@app.command("pretrain")
def pretrain(
    family: Annotated[
        str | None,
        typer.Argument(
            help="A family (archwright list families) or a .py file with space and build.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="What the networks are for, as for archwright search.", show_default=False),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="In place of FAMILY and --data: a table (archwright list tables) whose columns are the metrics.",
            show_default=False,
        ),
    ] = None,
    dataset: common.DatasetName = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help=f"With commas between: costs ({METRICS} by default), proxies, or columns of the table (its params and flops by default).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The file.")] = Path("surrogate.safetensors"),
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="Option of the family, such as channels=8.")
    ] = [],  # noqa: B006
    profiled: Annotated[int, typer.Option(help="Random architectures that are profiled.")] = 2000,
    pretraining: Annotated[
        str, typer.Option(help="simultaneous, or sequential: one metric after the other.")
    ] = "simultaneous",
    epochs: Annotated[int, typer.Option(help="Passes over the profiled architectures.")] = 300,
    members: Annotated[int, typer.Option(help="Networks of the ensemble.")] = 6,
    encoding: Annotated[str, typer.Option(help="ordinal or one_hot.")] = "ordinal",
    batch: Annotated[int, typer.Option(help="Training examples that proxies see.")] = 64,
    limit: Annotated[int | None, typer.Option(help="Use only so many training images.", show_default=False)] = None,
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    target: common.Target = None,
    seed: Annotated[int, typer.Option(help="Of the sample, the weights and the order of examples.")] = 0,
    workers: Annotated[
        int, typer.Option(help="Processes that profile; latencies are taken in this one all the same, one by one.")
    ] = 0,
    device: Annotated[str, typer.Option(help="Where networks are profiled: auto, cpu, cuda, mps, ...")] = "auto",
    data_dir: common.DataDir = None,
    json: common.Json = False,
) -> None:
    """Profile architectures without training them, pretrain an ensemble on that, and keep it.

    What is profiled is kept beside the file as it comes, so that the same command goes on where it stopped.
    """
    from archwright.surrogate import pretrain, store

    if (table is None) == (family is None):
        raise SettingsError("name a family or a .py file, with --data, or a --table")
    with common.counting(profiled, "profiled", quiet=json) as advance:
        if table is not None:
            space, clues = _of_table(table, dataset, metrics, data_dir)
        else:
            space, clues = _of_networks(
                str(family),
                data,
                metrics,
                common.pairs(set_, "--set"),
                {"limit": limit, "resize": resize, "skip_corrupt": skip_corrupt, "target": target},
                batch,
                seed,
                device,
                workers,
                out,
                advance,
            )
        if encoding not in ("ordinal", "one_hot"):
            raise SettingsError(f"the encoding must be ordinal or one_hot, not {encoding!r}")
        with _remarks() as remarks:
            made = pretrain(
                space, clues, profiled=profiled, pretraining=pretraining, epochs=epochs, members=members, encoding=encoding,
                seed=seed,
            )  # fmt: skip
    facts = {
        "metrics": list(clues.names), "of": table or str(family), "profiled": profiled, "pretraining": pretraining,
        "epochs": epochs, "seed": seed,
    }  # fmt: skip
    said = store(made, out, space, encoding, **facts)
    if json:
        common.print_json({"file": str(out), **_short(said), "remarks": remarks})
        return
    for remark in remarks:
        common.console().print(remark, style="dim")
    common.console().print(f"{out}: {members} members, {', '.join(clues.names)}")
    common.console().print(
        f"use it with: archwright search ... --searcher ensemble-bo-thesis --option surrogate={out}", soft_wrap=True
    )


@app.command("show")
def show(file: Annotated[Path, typer.Argument(help="A stored surrogate.")], json: common.Json = False) -> None:
    """Say what a stored surrogate was made of."""
    from archwright.surrogate import read_header

    said = _short(read_header(file))
    if json:
        common.print_json(said)
        return
    for name, value in said.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        common.console().print(f"{name:>12}  {text}", soft_wrap=True)


def _short(said: dict[str, Any]) -> dict[str, Any]:
    about = said["about"]
    parameters = about["space"].get("parameters", {})
    return {
        **said["facts"], "members": said["members"], "inputs": said["inputs"], "encoding": about["encoding"],
        "parameters": list(parameters),
    }  # fmt: skip


def _of_table(table: str, dataset: str | None, metrics: str | None, data_dir: Path | None) -> tuple[Space, Clues]:
    from archwright.arena import Problem, default_signal
    from archwright.tables import find_table

    found = find_table(table, data_dir)
    where = found.dataset(dataset)
    signal = default_signal(found, where)
    names = tuple(n.strip() for n in metrics.split(",")) if metrics else tuple(
        n for n in ("params", "flops") if n in found.metrics(where)
    )  # fmt: skip
    problem = Problem(found, where, (signal,), signal)
    clues = problem.clues(names)
    if clues is None:
        raise SettingsError(f"table {found.name} has no params or flops on {where}; name columns with --metrics")
    return problem.space, clues


def _of_networks(
    family: str,
    data: str | None,
    metrics: str | None,
    options: dict[str, Any],
    loading: dict[str, Any],
    batch: int,
    seed: int,
    device: str,
    workers: int,
    out: Path,
    advance: common.Advance,
) -> tuple[Space, Clues]:
    from archwright.data import load_data
    from archwright.evaluate import NetworkEvaluator
    from archwright.evaluate.clues import NetworkClues, check_clues
    from archwright.families import get_family

    if data is None:
        raise SettingsError("a family needs --data: what its networks are for decides their inputs and outputs")
    names = check_clues((metrics or METRICS).split(","))
    chosen = get_family(family, **options)
    networks = NetworkEvaluator(chosen, load_data(data, **loading), device=device)
    networks.check()
    log = out.with_suffix(".profile.jsonl")
    return chosen.space, NetworkClues(networks, names, batch, seed, log, lambda done: advance("", done), workers)


@contextlib.contextmanager
def _remarks() -> Iterator[list[str]]:
    """Collect our warnings, to be printed as remarks."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ArchwrightWarning)
        yield found
    found += [str(w.message) for w in caught if issubclass(w.category, ArchwrightWarning)]
