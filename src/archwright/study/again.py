"""Take a finished study up again: train and export a trial of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from archwright.errors import StudyError
from archwright.study.final import FinalSettings, Retrainer
from archwright.study.load import load_record
from archwright.study.record import StudyRecord, Trial


def export_trial(
    study: Path,
    *,
    trial: int | None = None,
    out: Path | None = None,
    epochs: int | None = None,
    data: Any = None,
    onnx: bool = True,
) -> tuple[dict[str, Path], Mapping[str, Any]]:
    """Train a trial in full (unless its weights are still there), test it, export it.

    Args:
        study: the study's folder.
        trial: its number; by default the one chosen at the end of the search, else the best.
        out: folder to export to.
        epochs: of the full training.
        data: the study's data, if its source moved.
        onnx: also to ONNX.

    Returns:
        Files by kind, and the metrics by split.

    Raises:
        StudyError: no such trial, or other data than the study's.
    """
    from archwright.data import load_data
    from archwright.evaluate import NetworkEvaluator, Training
    from archwright.export import export_model
    from archwright.hardware.profile import STORED, load_profile

    record = load_record(study)
    settings = record.settings
    if settings.get("data") is None:
        raise StudyError(f"the study {study} was made with an evaluation of its own; there is no network to export")
    chosen = _chosen(record, trial)
    described = settings["data"]
    loaded = load_data(data if data is not None else described["source"], **described["loading"])
    if loaded.fingerprint != described["fingerprint"]:
        raise StudyError(f"{loaded.source} is not the data that the study {study} was made with; name it with --data")
    training = Training.from_json(settings["training"])
    final = FinalSettings(**settings["final"])
    if epochs is not None:
        final = replace(final, epochs=epochs)
    predicted = settings.get("latency") is not None
    evaluator = NetworkEvaluator(
        record.family, loaded, training, record.final_goal, device=settings["device"], processes=settings.get("processes", 1),
        latency=load_profile(study / STORED) if predicted else None,
    )  # fmt: skip
    retrainer = Retrainer(evaluator, final.training(training), (study / "checkpoints").absolute())
    seed = int(settings["seed"])
    evaluation = retrainer(chosen.architecture, seed=seed)
    if evaluation.status == "failed":
        raise StudyError(f"trial {chosen.number} could not be trained in full: {evaluation.reason}")
    network = retrainer.network(chosen.architecture, seed)
    metrics: dict[str, Any] = {"validation": dict(evaluation.metrics), "test": dict(evaluator.test(network))}
    metrics["baselines"] = [] if record.final is None else record.final["baselines"]
    folder = out or study / ("model" if trial is None else f"model-{trial}")
    files = export_model(
        network,
        folder,
        family=record.family,
        architecture=chosen.architecture,
        data=loaded,
        metrics=metrics,
        settings=dict(settings),
        onnx=onnx,
    )
    return files, metrics


def _chosen(record: StudyRecord, number: int | None) -> Trial:
    if number is None and record.final is not None:
        number = record.final["candidates"][record.final["winner"]]["number"]
    if number is None:
        if record.best is None:
            raise StudyError(f"no evaluation of the study {record.path} ended well; there is nothing to export")
        return record.best
    for trial in record.trials:
        if trial.number == number:
            return trial
    raise StudyError(f"the study {record.path} has no finished trial {number}; it has 0 to {len(record.trials) - 1}")
