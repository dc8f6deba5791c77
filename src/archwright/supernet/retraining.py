"""What a search inside one network found is an architecture of a family: trained from scratch, tested once, exported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from archwright.data import Data, load_data
from archwright.errors import SettingsError, StudyError
from archwright.evaluate.devices import derived_seed, resolve_device, seeded
from archwright.evaluate.inference import seconds_per_batch
from archwright.evaluate.metrics import confidence_intervals
from archwright.evaluate.scoring import Scored, evaluate_split
from archwright.evaluate.settings import Training
from archwright.evaluate.training import train
from archwright.families import Family, for_shape, get_family
from archwright.families.hierarchical import architecture_of
from archwright.genotypes import parse_cells
from archwright.genotypes.networks import darts_family
from archwright.genotypes.reading import AROUND
from archwright.layers.cells import Nodes
from archwright.layers.templates import plain
from archwright.space import Architecture
from archwright.supernet.memory import mind_memory, mind_weights, training_memory
from archwright.supernet.micro import MicroSettings
from archwright.supernet.options import RunOptions

MODELS: Mapping[str, str] = {"retrain": "model", "initial": "model-initial"}
"""Where the exported networks of a study are: the one that was found, and that of the cell search before a template's."""
DEFAULTS = RunOptions()
SETTINGS, RESULT = "oneshot.json", "result.json"
PROTOCOL = (
    "The search and the training from scratch after it never saw the test split, which was used once, after the last epoch. "
    "Intervals are of 95 %."
)


@dataclass(frozen=True)
class Design:
    """A network to retrain."""

    family: Family
    architecture: Architecture

    def to_json(self) -> dict[str, Any]:
        """``architecture``, ``family`` and ``family_options``; the inverse of :func:`read_design`."""
        named = {"architecture": self.architecture.to_json(), "family": self.family.name}
        return named | {"family_options": dict(self.family.options)}


def read_design(result: Mapping[str, Any]) -> Design:
    """From the result of a search."""
    return Design(get_family(result["family"], **result["family_options"]), Architecture(result["architecture"]))


def cells_design(cells: Mapping[str, Nodes], micro: MicroSettings, size: Mapping[str, int]) -> Design:
    """Cells in the template that they were searched in, with the auxiliary tower of retraining.

    Args:
        cells: per type.
        micro: what was searched.
        size: ``channels`` and ``cells`` of the network.
    """
    none = {"none": micro.zero.retraining} if micro.zero.retraining else {}
    found = parse_cells({kind: [list(node) for node in nodes] for kind, nodes in cells.items()})
    return Design(*darts_family(found, plain(micro.template), tower=True, **none, **size))


def check_kept(genotype: Mapping[str, Any]) -> None:
    """Refuse to train cells that are empty.

    Raises:
        SettingsError: no node of any cell keeps an operation.
    """
    cells = [nodes for kind, nodes in genotype.items() if kind not in AROUND and not isinstance(nodes, str)]
    if cells and not any(pairs for nodes in cells for pairs in nodes):
        raise SettingsError(
            "no operation's gate reached the threshold, so that the cells are empty; search longer, or with another "
            "--option threshold or cell=darts. --no-retrain keeps the architecture parameters of this search"
        )


def template_design(version: str, cells: Mapping[str, Nodes], choice: Sequence[int], channels: int) -> Design:
    """Cells in a template of hierarchical search."""
    depth = len(choice) + (version == "skips")
    genotype = {kind: [[list(pair) for pair in node] for node in nodes] for kind, nodes in cells.items()}
    family = get_family(
        "hierarchical", version=version, genotype=genotype, channels=channels, cells=depth, tower=True
    )  # fmt: skip
    return Design(family, architecture_of(version, choice))


def retrain(
    design: Design,
    data: Data,
    training: Training,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    run: RunOptions = DEFAULTS,
    given: Collection[str] = (),
    say: Callable[[str], object] = lambda _: None,
) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """Train from scratch; the test split is read once, after the last epoch.

    Args:
        design: the network.
        data: images.
        training: how.
        seed: of the weights and of the training.
        device: where.
        checkpoint: kept, and gone on from.
        run: says on which examples, and whether some settings follow the network's size.
        given: names of settings that do not.
        say: called with a line on the memory that it needs.

    Returns:
        The network, the figures of the result, and the validation metrics, without those of examples that it was trained
        with.

    Raises:
        SettingsError: there is not enough memory for it, or the training failed.
    """
    where = resolve_device(device)
    family = for_shape(design.family, data.input_shape)
    mind_weights(
        lambda: [family.build(design.architecture, data.input_shape, data.num_classes)], "retraining",
        "channels and cells with --set", device=where, memory=run.memory,
    )  # fmt: skip
    with seeded(derived_seed(seed, 60)):
        network = family.build(design.architecture, data.input_shape, data.num_classes)
    params = sum(p.numel() for p in family.deploy(network).parameters())
    training = run.sized(training, params, given)
    examples = run.examples(data, training)
    mind_memory(
        training_memory(network, training, examples), "retraining", f"batch_size ({training.batch_size}) with --train",
        device=where, say=say, memory=run.memory,
    )  # fmt: skip
    network = network.to(where)
    latency = seconds_per_batch(network, data, batch_size=training.batch_size, device=where)
    trained = train(
        network,
        examples,
        training,
        seed=derived_seed(seed, 61),
        device=where,
        checkpoint=checkpoint,
    )
    if trained.ending == "failed":
        raise SettingsError(f"the retraining failed: {trained.reason}; lower its lr with --train")
    scored = evaluate_split(network, data, data.test, device=where)
    metrics = scored.metrics
    binary = {f"test_{name}": metrics[name] for name in ("auc", "f_beta") if data.num_classes == 2}
    figures = {
        "test_accuracy": metrics["accuracy"], "examples": len(examples.train), "epochs": trained.epochs, "seconds": trained.seconds, "params": params,
        "seconds_per_batch": latency["seconds_per_batch"], "latency_batch": int(latency["batch_size"]), "test": metrics | _intervals(scored),
        **binary,
    }  # fmt: skip
    held_out = trained.metrics if run.retrain_on == "train" else {}
    if "accuracy" in held_out:
        figures["val_accuracy"] = held_out["accuracy"]
    return network, figures, {**held_out, "params": params}


def _intervals(scored: Scored) -> dict[str, float]:
    """The 95 % interval of each metric that has one."""
    found = confidence_intervals(scored.logits, scored.targets)
    ends = {f"{name}_{end}": value for name, pair in found.items() for end, value in zip(("low", "high"), pair)}
    return {name: value for name, value in ends.items() if math.isfinite(value)}


def export(
    design: Design, network: nn.Module, data: Data, folder: Path, *, figures: Mapping[str, Any],
    validation: Mapping[str, Any], method: str, seed: int, command: Sequence[str] = (), onnx: bool = False,
) -> dict[str, Path]:  # fmt: skip
    """The folder of a model, as every search ends with; see :func:`archwright.export.export_model`.

    Raises:
        StudyError: the folder cannot be written.
    """
    from archwright.export import export_model

    return export_model(
        network,
        folder,
        family=design.family,
        architecture=design.architecture,
        data=data,
        metrics={"validation": dict(validation), "test": dict(figures["test"]), "baselines": []},
        settings={
            "searcher": {"name": f"{method}, inside one network"}, "seed": seed, "command": list(command), "protocol": PROTOCOL,
            "examples": figures["examples"],
        },
        onnx=onnx,
    )  # fmt: skip


def is_oneshot(study: Path) -> bool:
    """Whether a folder is that of a search inside one network."""
    return (study / SETTINGS).is_file()


def export_found(
    study: Path, *, out: Path | None = None, epochs: int | None = None, data: Any = None, onnx: bool = True
) -> tuple[dict[str, Path], dict[str, Any]]:
    """Export what a search inside one network found; it is retrained first, unless that is done.

    Args:
        study: the folder.
        out: where to; by default ``model`` in it.
        epochs: of the retraining, if others than the study's.
        data: the study's data, if its source moved.
        onnx: also to ONNX.

    Returns:
        Files by kind, and the metrics by split.

    Raises:
        StudyError: the search is not over, or other data than the study's.
    """
    if not (study / RESULT).is_file():
        raise StudyError(
            f"the search in {study} is not over; give the same archwright oneshot command to go on with it"
        )
    try:
        asked, result = (json.loads((study / name).read_text()) for name in (SETTINGS, RESULT))
        design = read_design(result)
        check_kept(result["genotype"])
        described, training = asked["dataset"], Training.from_json(asked["training"])
        options = {"run": RunOptions(**asked["run"]), "given": asked["given"]}
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"the files of the search in {study} cannot be read: {error}") from error
    loaded = load_data(data if data is not None else described["source"], **described["loading"])
    if loaded.fingerprint != asked["data"]:
        raise StudyError(f"{loaded.source} is not the data that the study {study} was made with; name it with --data")
    name = "retrain" if epochs is None else f"retrain-{epochs}"
    training = training if epochs is None else replace(training, epochs=epochs)
    network, figures, validation = retrain(
        design, loaded, training, seed=asked["seed"], device=asked["device"], checkpoint=study / f"{name}.safetensors",
        **options,
    )  # fmt: skip
    files = export(
        design, network, loaded, out or study / MODELS["retrain"], figures=figures, validation=validation,
        method=asked["method"], seed=asked["seed"], command=asked["command"], onnx=onnx,
    )  # fmt: skip
    return files, {"validation": validation, "test": figures["test"]}
