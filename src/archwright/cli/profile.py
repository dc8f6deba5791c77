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
    resize: common.Resize = None,
    skip_corrupt: common.SkipCorrupt = False,
    target: common.Target = None,
    input_shape: Annotated[str, typer.Option(help="Channels,height,width (or the number of features).")] = "3,32,32",
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    batch: Annotated[int, typer.Option(help="Batch size for latency and throughput.")] = 1,
    repeats: Annotated[int, typer.Option(help="Timed runs.")] = 50,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all by default.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, and of --architecture random.")] = 0,
    measure_lut: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure every operation of the family's networks on this device, and write a profile that predicts latencies.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="For --measure-lut: what to call the device.", show_default=False)
    ] = None,
    architectures: Annotated[
        int, typer.Option(help="For --measure-lut: look for operations in at most so many.")
    ] = 1000,
    held_out: Annotated[
        int, typer.Option(help="For --measure-lut: whole networks that tell how good the profile is.")
    ] = 20,
    cpu_time: Annotated[
        bool,
        typer.Option(
            "--cpu-time",
            help="For --measure-lut with --threads 1: count the processor's time, for machines that others use as well.",
        ),
    ] = False,
    latency_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also predict the latency with this profile.", show_default=False),
    ] = None,
    json: common.Json = False,
) -> None:
    """Parameters, MACs, memory and latency of one architecture; or, with --measure-lut, a device profile of a family."""
    from archwright.evaluate import profile_network, resolve_device, seeded
    from archwright.families import check_output, for_shape, get_family

    made = get_family(family, **common.pairs(set_, "--set"))
    chosen = _architecture(architecture, made, seed)
    made.space.validate(chosen)
    shape, number = _shape(data, input_shape, classes, resize=resize, skip_corrupt=skip_corrupt, target=target)
    made = for_shape(made, shape)
    if measure_lut is not None:
        also = () if architecture is None else (chosen,)
        how = {"device": device, "batch_size": batch, "threads": threads, "repeats": repeats, "seed": seed}
        _measure(measure_lut, made, shape, number, json, name=name, architectures=architectures, also=also,
                 held_out=held_out, clock="cpu" if cpu_time else "wall", **how)  # fmt: skip
        return
    predicted = None
    if latency_from is not None:
        from archwright.hardware import load_profile

        predicted = load_profile(latency_from)
        predicted.check(made, shape, number)
    if made.check_shape is not None:
        made.check_shape(shape)
    where = resolve_device(device)
    with seeded(seed):
        network = made.build(chosen, shape, number)
    check_output(network, shape, number)
    used = made.deploy(network)
    forecast = {} if predicted is None else {"predicted_latency_ms": predicted.predict(used)}
    measured = forecast | profile_network(
        network, shape, device=where, batch_size=batch, repeats=repeats, threads=threads, deployed=used
    )
    facts = {
        "family": made.name,
        "architecture": chosen.to_json(),
        "input_shape": list(shape),
        "classes": number,
        "device": str(where),
        "batch": batch,
        "metrics": measured,
    }
    if json:
        common.print_json(facts)
    else:
        _show(facts, str(chosen))


def _show(facts: dict[str, Any], architecture: str) -> None:
    out = common.console()
    out.print(common.labelled(facts["family"], architecture, "bold"))
    shape = " x ".join(map(str, facts["input_shape"]))
    out.print(f"input {shape}, {facts['classes']} classes, {facts['device']}, batch {facts['batch']}\n")
    rows = [[name, common.number(value, 5)] for name, value in facts["metrics"].items()]
    out.print(common.table("", ["metric", "value"], rows))


def _measure(file: Path, family: Any, shape: tuple[int, ...], classes: int, json: bool, **how: Any) -> None:
    """Make a profile, write it, and say how good it is."""
    from archwright.hardware import measure_profile

    with common.counting(0, "measuring", quiet=json) as advance:
        made = measure_profile(family, shape, classes, **how, on_done=advance)
    made.save(file)
    facts = {
        "file": str(file), "device": made.name, "family": family.name, "batch": made.batch_size, "threads": made.threads,
        "operations": len(made.operations), "constant_ms": made.constant, "overhead_ms": made.overhead, "scale": made.scale,
        "held_out": {"networks": sum(w.held_out for w in made.networks), **made.accuracy()},
    }  # fmt: skip
    if json:
        common.print_json(facts)
        return
    out = common.console()
    out.print(
        f"{facts['operations']} operations of {family.name} on {made.name}, batch {made.batch_size}, threads {made.threads}; a "
        f"network takes {made.constant:.3g} ms + {made.overhead:.3g} ms x operations + {made.scale:.3g} x their sum"
    )
    held = made.accuracy()
    if held:
        out.print(
            f"on {facts['held_out']['networks']} held-out networks: Spearman {held['spearman']:.3f}, "
            f"median error {100 * held['median_error']:.1f} %, within 10 %: {100 * held['within_10']:.0f} %"
        )
    out.print(f"file: {file}", soft_wrap=True)


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


def _shape(data: str | None, input_shape: str, classes: int, **loading: Any) -> tuple[tuple[int, ...], int]:
    if data is not None:
        from archwright.data import load_data

        loaded = load_data(data, **loading)
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
