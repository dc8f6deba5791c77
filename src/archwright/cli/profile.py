"""``archwright profile``: what one network costs, without training it."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from archwright.cli import common
from archwright.errors import SettingsError


def profile(
    family: Annotated[str, typer.Argument(help="A family or a .py file with space and build.")],
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|FILE|random",
            help="Mapping of names to values, or a file with one; the default architecture otherwise.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="Option of the family.")] = [],  # noqa: B006
    data: Annotated[
        str | None, typer.Option(help="Take input shape and classes from this data.", show_default=False)
    ] = None,
    input_shape: Annotated[str, typer.Option(help="Channels,height,width (or the number of features).")] = "3,32,32",
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    batch: Annotated[int, typer.Option(help="Batch size for latency and throughput.")] = 1,
    repeats: Annotated[int, typer.Option(help="Timed runs.")] = 50,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all by default.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, and of --architecture random.")] = 0,
    json: common.Json = False,
) -> None:
    """Parameters, MACs, memory and latency of one architecture."""
    from archwright.evaluate import profile_network, resolve_device, seeded
    from archwright.families import check_output, get_family

    made = get_family(family, **common.pairs(set_, "--set"))
    chosen = _architecture(architecture, made, seed)
    made.space.validate(chosen)
    shape, number = _shape(data, input_shape, classes)
    if made.check_shape is not None:
        made.check_shape(shape)
    where = resolve_device(device)
    with seeded(seed):
        network = made.build(chosen, shape, number)
    check_output(network, shape, number)
    measured = profile_network(
        network.to(where), shape, device=where, batch_size=batch, repeats=repeats, threads=threads
    )
    answer = {
        "family": made.name,
        "architecture": chosen.to_json(),
        "input_shape": list(shape),
        "classes": number,
        "device": str(where),
        "batch": batch,
        "metrics": measured,
    }
    if json:
        common.print_json(answer)
        return
    out = common.console()
    out.print(f"[bold]{made.name}[/bold] {chosen}")
    out.print(f"input {' x '.join(map(str, shape))}, {number} classes, {where}, batch {batch}\n")
    out.print(
        common.table("", ["metric", "value"], [[name, common.number(value, 5)] for name, value in measured.items()])
    )


def _architecture(text: str | None, family: Any, seed: int) -> Any:
    from archwright.space import Architecture

    if text is None:
        return family.default or family.space.default
    if text == "random":
        import numpy as np

        return family.space.sample(np.random.default_rng(seed))
    content = text
    if not text.lstrip().startswith("{"):
        try:
            content = Path(text).read_text()
        except OSError as error:
            raise SettingsError(
                f"--architecture {text}: neither JSON nor a file that can be read ({error.strerror})"
            ) from error
    try:
        mapping = jsonlib.loads(content)
    except ValueError as error:
        raise SettingsError(f"--architecture is not JSON: {error}") from error
    if not isinstance(mapping, dict):
        raise SettingsError(f"--architecture must be a mapping of parameter names to values, not {content[:60]}")
    return Architecture(mapping.get("architecture", mapping))


def _shape(data: str | None, input_shape: str, classes: int) -> tuple[tuple[int, ...], int]:
    if data is not None:
        from archwright.data import load_data

        loaded = load_data(data)
        return loaded.input_shape, loaded.num_classes
    try:
        shape = tuple(int(part) for part in input_shape.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise SettingsError(f"--input-shape takes whole numbers such as 3,32,32, not {input_shape!r}")
    if classes < 2:
        raise SettingsError(f"--classes must be at least 2, not {classes}")
    return shape, classes
