"""Running a method of search inside one network: search, retraining, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.evaluate.devices import derived_seed, seeded
from archwright.evaluate.settings import Training
from archwright.hardware.shares import load_weights
from archwright.hardware.stems import measure_weights
from archwright.layers.bands import merge_in_stem
from archwright.layers.cells import Nodes
from archwright.layers.operations import MASTER
from archwright.shapes import merged
from archwright.study.record import write_json
from archwright.supernet.dynamic import combined, dynamic_report, dynamic_search
from archwright.supernet.edgesearch import EDGE_SEARCHES
from archwright.supernet.hierarchical import macro_settings, search_hierarchically
from archwright.supernet.methods import TOURNAMENT, OneShot, find_method, whole
from archwright.supernet.micro import MicroSettings, check_images, final_network, random_cells, search_cells
from archwright.supernet.nasbench201 import check_data
from archwright.supernet.needs import mind_cells, mind_template, peak_of
from archwright.supernet.ranking import check_sample
from archwright.supernet.retraining import (
    MODELS,
    RESULT,
    SETTINGS,
    Design,
    cells_design,
    check_kept,
    export,
    retrain,
    template_design,
)
from archwright.supernet.searched import Searched, told
from archwright.supernet.settings import JointSettings
from archwright.supernet.tournament import Tournament
from archwright.supernet.transfer import found_before, read_found

Judge = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From the result of a search to what a table says of it."""


def run_oneshot(
    asked: OneShot, data: Data, folder: Path | None = None, say: Callable[[str], object] | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Search, and retrain what was found; JSON-able.

    Args:
        asked: for.
        data: images.
        folder: keeps all; the same call goes on from it.
        say: called with a line on each step.
        judge: called with the result of the search; what it gives is the result's ``ranking``.

    Raises:
        SettingsError: settings that make no sense, other ones than the folder's, or a search that broke.
    """
    say = say or (lambda _: None)
    search = _prepared(asked, data)
    size, training = asked.final()
    training.augmentation(data.input_shape)
    asked.run.examples(data, training)
    if folder is not None:
        claim(folder, asked, data)
    found = search(size, folder, say)
    result: dict[str, Any] = {
        "method": asked.method,
        "genotype": found.genotype,
        **found.designs["retrain"].to_json(),
        "search": {
            "seconds": found.seconds, "epochs": found.epochs, "val_accuracy": found.val_accuracy,
            "peak_memory_mb": found.peak, **found.more,
        },
        "expected_latency": found.expected_latency,
    }  # fmt: skip
    if judge is not None:
        result["ranking"] = judge(result)
    files: dict[str, Path] = {}
    if asked.retrain:
        check_kept(found.genotype)
        for name, design in found.designs.items():
            say(f"retraining, {training.epochs} epochs ({name})")
            result[name], made = _retrained(asked, design, data, training, folder, name, say)
            files |= made
    if folder is not None:
        if found.history:
            files["alphas"] = folder / "alphas.json"
            write_json(files["alphas"], list(found.history))
        files["result"] = folder / RESULT
    result["files"] = {name: str(path) for name, path in files.items()}
    if folder is not None:
        write_json(files["result"], result)
    return result


def _prepared(asked: OneShot, data: Data) -> Callable[..., Searched]:
    """``(size, folder, say) -> what was found``.

    Raises:
        SettingsError: settings that make no sense, or data that cannot be searched.
    """
    if asked.cells:
        return partial(found_before, asked, read_found(asked))
    if asked.family == "nasbench201":
        method, edge, settings = asked.edges()
        check_data(data, edge)
        if asked.sample:
            check_sample(asked.sample)
        return partial(EDGE_SEARCHES[method.search], asked, data, edge, settings)
    method, micro, settings = asked.settings()
    check_images(data)
    return partial(_SEARCHES[method.search], asked, data, micro, settings)


def _cells(
    asked: OneShot, data: Data, micro: MicroSettings, settings: JointSettings, size: Mapping[str, int],
    folder: Path | None, say: Callable[[str], object],
) -> Searched:  # fmt: skip
    file = None if folder is None else folder / "search.safetensors"
    mind_cells(asked, data, micro, settings, say)
    peak = peak_of(asked, folder)
    found = search_cells(
        data, micro, settings, seed=asked.seed, device=asked.device, checkpoint=file, on_epoch=told(say, "search", peak)
    )
    return Searched(
        {kind: _plain(nodes) for kind, nodes in found.cells.items()},
        {"retrain": _design(asked, found.cells, micro, size)},
        found.search.seconds,
        len(found.search.curve),
        peak.mb,
        found.search.curve[-1]["val_accuracy"],
        found.expected_latency,
        {"curve": list(found.search.curve)},
        found.search.history,
    )


def _random(
    asked: OneShot, _data: Data, micro: MicroSettings, _settings: JointSettings, size: Mapping[str, int],
    _folder: Path | None, _say: Callable[[str], object],
) -> Searched:  # fmt: skip
    cells = random_cells(micro, asked.seed)
    plain = {kind: _plain(nodes) for kind, nodes in cells.items()}
    return Searched(plain, {"retrain": _design(asked, cells, micro, size)}, 0.0, 0, None, None, None, {})


def _template(
    asked: OneShot, data: Data, micro: MicroSettings, settings: JointSettings, size: Mapping[str, int],
    folder: Path | None, say: Callable[[str], object],
) -> Searched:  # fmt: skip
    version: str = find_method(asked.method).search
    if version == "types" and asked.run.type_reduction == "pool":
        version = "types-pooled"
    micro = replace(micro, evaluation_cells=size["cells"])
    mind_template(asked, data, version, micro, settings, size["cells"], say)
    peak = peak_of(asked, folder)
    found = search_hierarchically(
        data, version, micro, settings, seed=asked.seed, device=asked.device, folder=folder,
        on_epoch=told(say, "cells, then template", peak),
        macro=macro_settings(version, settings, asked.run.macro_lr, asked.run.macro_lr_of),
    )  # fmt: skip
    assert found is not None
    assert found.micro is not None
    design = template_design(version, found.cells, found.choice, size["channels"])
    assert design.family.default is not None
    return Searched(
        {kind: _plain(nodes) for kind, nodes in found.cells.items()}
        | {"template": list(found.choice), "sequence": list(found.sequence)},
        {"retrain": design, "initial": Design(design.family, design.family.default)},
        found.to_json()["seconds"],
        len(found.micro.search.curve) + len(found.macro.curve),
        peak.mb,
        found.macro.curve[-1]["val_accuracy"],
        found.micro.expected_latency,
        {"version": version, "curve": list(found.macro.curve)},
        (*found.micro.search.history, *found.macro.history),
    )


def _tournament(
    asked: OneShot, data: Data, micro: MicroSettings, settings: JointSettings, size: Mapping[str, int],
    folder: Path | None, say: Callable[[str], object],
) -> Searched:  # fmt: skip
    options = {**TOURNAMENT, **{k: v for k, v in asked.options.items() if k in TOURNAMENT}}
    for name in ("tiers", "largest"):
        whole(name, options[name])
    pool = micro.operations if "operations" in asked.options else MASTER
    rules = Tournament(
        options["tiers"], tuple(pool), options["largest"], micro.nodes, micro.kinds, options["bundle"]
    )  # fmt: skip
    if find_method(asked.method).search == "combined":
        micro, settings = combined(micro, settings, float(asked.options.get("penalty", 0.05)))
        micro = replace(micro, latency=_latency(asked, data, micro, rules, folder, say))
    processes = max(1, min(asked.workers, rules.games(rules.tiers)))
    mind_cells(asked, data, replace(micro, lists=rules.draw(asked.seed)), settings, say, processes)
    outcome = dynamic_search(
        data, micro, settings, tournament=rules, seed=asked.seed, device=asked.device, folder=folder,
        workers=asked.workers, on_game=lambda g: say(f"tier {g.tier}, game {g.number} is over"),
    )  # fmt: skip
    report = dynamic_report(outcome, size["cells"])
    latency = {"latency_table": dict(micro.latency)} if micro.latency is not None else {}
    figures = [played.figures for _, played in outcome.games]
    return Searched(
        {kind: _plain(nodes) for kind, nodes in outcome.cells.items()},
        {"retrain": _design(asked, outcome.cells, micro, size)},
        sum(each["seconds"] for each in figures),
        sum(int(each["epochs"]) for each in figures),
        max((each["peak_memory_mb"] for each in figures if "peak_memory_mb" in each), default=None),
        figures[-1]["val_accuracy"],
        figures[-1].get("expected_latency"),
        {"searches": report["searches"], "lists": report["lists"], "frequencies": report["frequencies"], **latency},
    )


_SEARCHES = {
    "cells": _cells, "random": _random, "skips": _template, "types": _template, "dynamic": _tournament, "combined": _tournament,
}  # fmt: skip


def _latency(
    asked: OneShot,
    data: Data,
    micro: MicroSettings,
    rules: Tournament,
    folder: Path | None,
    say: Callable[[str], object],
) -> dict[str, float]:
    """The folder's table, or a new one: measured on a network of cells that ICDARTS could have found."""
    path = None if folder is None else folder / "latency.json"
    if path is not None and path.is_file():
        return load_weights(path).table()
    say(f"measuring the latency of {len(rules.pool)} operations")
    cell: Nodes = [[("sep_conv_3x3", 0), ("skip_connect", 1)]] * micro.nodes
    with seeded(derived_seed(asked.seed, 50)):
        network = final_network(
            dict.fromkeys(micro.kinds, cell), merged(data.input_shape)[0], data.num_classes, channels=micro.channels,
            depth=micro.search_cells, around=micro.template, tower=False,
        )  # fmt: skip
    merge_in_stem(network, data.input_shape)
    weights = measure_weights(network, rules.pool, data.input_shape, batch_size=64, device=asked.device)
    if path is not None:
        weights.save(path)
    return weights.table()


def _design(asked: OneShot, cells: Mapping[str, Nodes], micro: MicroSettings, size: Mapping[str, int]) -> Design:
    if asked.run.keep_tower:
        micro = replace(micro, template=replace(micro.template, tower=True))
    return cells_design(cells, micro, size)


def _retrained(
    asked: OneShot,
    design: Design,
    data: Data,
    training: Training,
    folder: Path | None,
    name: str,
    say: Callable[[str], object],
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Figures and exported files."""
    checkpoint = None if folder is None else folder / f"{name}.safetensors"
    network, figures, validation = retrain(
        design, data, training, seed=asked.seed, device=asked.device, checkpoint=checkpoint, run=asked.run,
        given=asked.training, say=say,
    )  # fmt: skip
    if folder is None:
        return figures, {}
    files = export(
        design, network, data, folder / MODELS[name], figures=figures, validation=validation, method=asked.method,
        seed=asked.seed, command=asked.command, onnx=asked.onnx,
    )  # fmt: skip
    prefix = "" if name == "retrain" else f"{name}_"
    return figures, {f"{prefix}{kind}": path for kind, path in files.items()}


def claim(folder: Path, asked: OneShot, data: Data) -> None:
    """Make a folder this run's, or refuse one of another run.

    Raises:
        SettingsError: it holds other settings, or cannot be read or written.
    """
    identity = {
        "family": asked.family, "method": asked.method, "options": asked.searching, "network": dict(asked.network), "seed": asked.seed,
        "data": data.fingerprint, "cells": asked.cells,
    }  # fmt: skip
    identity = json.loads(json.dumps(identity))
    path = folder / SETTINGS
    if path.is_file():
        try:
            there = json.loads(path.read_text())
        except ValueError as error:
            raise SettingsError(f"{path} cannot be read ({error}); take another folder") from error
        differing = [name for name in identity if {"family": "darts", "cells": "", **there}.get(name) != identity[name]]
        if differing:
            raise SettingsError(
                f"{folder} holds a search with other settings ({', '.join(differing)}); take another folder"
            )
    run = {"run": asdict(asked.run), "given": sorted(asked.training)}
    loose = run | {"training": asked.final()[1].to_json(), "device": asked.device, "command": list(asked.command)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, {**identity, **loose, "dataset": data.description()})
    except OSError as error:
        raise SettingsError(f"the study cannot be kept in {folder}: {error.strerror}; name another folder") from error


def _plain(nodes: Nodes) -> list[list[list[Any]]]:
    return [[[name, i] for name, i in node] for node in nodes]
