"""``archwright cells latency`` and ``archwright cells time``: latency weights of operations, seconds per batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archwright.cli import common
from archwright.errors import SettingsError

if TYPE_CHECKING:
    from torch import nn

Channels = Annotated[int, typer.Option(help="Channels of the first cells.")]
Cells = Annotated[int, typer.Option(help="Cells of the network.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; torch's own number by default.", show_default=False)]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")]


def latency(
    genotype: Annotated[
        Path | None,
        typer.Argument(help="Cells of the network; those that DARTS found by default.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the weights there.", show_default=False)
    ] = None,
    operations: Annotated[
        str, typer.Option(metavar="SET|NAME,NAME", help="A set (basic, simple, darts, mbconv, master), or operations.")
    ] = "darts",
    channels: Channels = 36,
    cells: Cells = 20,
    input_shape: Annotated[str, typer.Option(metavar="C,H,W", help="Shape of an image.")] = "3,32,32",
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    batch: Annotated[int, typer.Option(help="Images per prediction.")] = 16,
    copies: Annotated[int, typer.Option(help="Of an operation, in a row behind the stem.")] = 10,
    repeats: Annotated[int, typer.Option(help="Timed predictions, of which the mean counts.")] = 20,
    threads: Threads = None,
    cpu_time: Annotated[
        bool, typer.Option("--cpu-time", help="Count the processor's time, for machines that others use as well.")
    ] = False,
    device: Device = "cpu",
    name: Annotated[str, typer.Option(help="Of this device, in words.", show_default=False)] = "",
    json: common.Json = False,
) -> None:
    """Measure on this machine what each operation weighs in an expected latency; the weights sum to 1."""
    from archwright.hardware.stems import measure_weights

    if cpu_time and threads != 1:
        raise SettingsError("--cpu-time counts one thread; give --threads 1 with it")
    if out is not None and not out.absolute().parent.is_dir():
        raise SettingsError(f"--out {out}: there is no folder {out.parent}")
    chosen = _operations(operations)
    shape = _shape(input_shape)
    network = _network(genotype, shape, classes, channels, cells)
    with common.counting((len(chosen) + 1) * (max(repeats, 1) + 2), "predictions", quiet=json) as advance:
        found = measure_weights(
            network, chosen, shape, batch_size=batch, copies=copies, repeats=repeats, threads=threads, device=device,
            clock="cpu" if cpu_time else "wall", name=name, on_done=advance,
        )  # fmt: skip
    if out is not None:
        found.save(out)
    if json:
        common.print_json(
            {
                "weights": found.weights, "base_ms": found.base_ms, "measured_ms": found.measured_ms,
                "settings": found.settings, "file": None if out is None else str(out),
            }
        )  # fmt: skip
        return
    rows = [[op, f"{found.measured_ms[op]:.4g}", f"{weight:.3f}"] for op, weight in found.weights.items()]
    screen = common.console()
    screen.print(common.table("", ["operation", "ms", "weight"], [["(none)", f"{found.base_ms:.4g}", ""], *rows]))
    if out is not None:
        screen.print(f"file: {out}", soft_wrap=True)


def time(
    genotype: Annotated[Path, typer.Argument(help="Cells of the network.")],
    data: Annotated[str, typer.Option(help="The data, whose test split is predicted.")],
    channels: Channels = 36,
    cells: Cells = 20,
    batch: Annotated[int, typer.Option(help="Images per prediction.")] = 128,
    threads: Threads = None,
    device: Device = "cpu",
    json: common.Json = False,
) -> None:
    """Seconds per batch of the untrained network, averaged over the test split."""
    from archwright.data import load_data
    from archwright.evaluate.inference import seconds_per_batch

    loaded = load_data(data)
    network = _network(genotype, loaded.input_shape, loaded.num_classes, channels, cells)
    found = seconds_per_batch(network, loaded, batch_size=batch, threads=threads, device=device)
    if json:
        common.print_json(
            {"genotype": str(genotype), "data": loaded.name, "channels": channels, "cells": cells, **found}
        )
        return
    common.console().print(
        f"{found['seconds_per_batch']:.4g} s per batch of {found['batch_size']:.0f} (std {found['std']:.2g} over "
        f"{found['batches']:.0f} batches of the test split of {loaded.name})"
    )


def _operations(text: str) -> tuple[str, ...]:
    from archwright.layers.operations import OPERATION_SETS

    return OPERATION_SETS.get(text) or tuple(word.strip() for word in text.split(",") if word.strip())


def _shape(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if len(words) != 3 or not all(w.strip().isdigit() and int(w) > 0 for w in words):
        raise SettingsError(f"--input-shape takes three whole numbers such as 3,32,32, not {text!r}")
    return tuple(int(w) for w in words)


def _network(genotype: Path | None, shape: tuple[int, ...], classes: int, channels: int, cells: int) -> nn.Module:
    """A network of the family ``darts`` with fresh weights."""
    from archwright.evaluate.devices import seeded
    from archwright.families import get_family
    from archwright.genotypes import read_cells
    from archwright.genotypes.networks import darts_family

    family = get_family("darts", channels=channels, cells=cells)
    architecture = family.default
    if genotype is not None:
        family, architecture = darts_family(read_cells(genotype), channels=channels, cells=cells)
    assert architecture is not None
    if family.check_shape is not None:
        family.check_shape(shape)
    if classes < 2:
        raise SettingsError(f"--classes must be at least 2, not {classes}")
    with seeded(0):
        return family.build(architecture, shape, classes)
