"""One evaluation while it is made, and how a failure is put into words."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from archwright.errors import ArchwrightError
from archwright.evaluate.devices import derived_seed, is_out_of_memory
from archwright.evaluate.inheritance import inherit
from archwright.evaluate.settings import Training
from archwright.evaluate.training import OnEpoch, Trained
from archwright.evaluation import Evaluation, Status
from archwright.families import check_output
from archwright.space import Architecture

if TYPE_CHECKING:
    from archwright.evaluate.network import NetworkEvaluator

LONGEST_REASON = 300
LIBRARIES = (str(Path(torch.__file__).parent), str(Path(np.__file__).parent), str(Path(__file__).parents[1]))
"""Folders in whose files a user's mistake is not to be looked for."""

SENT = "<dynamic-code>"
"""File name of functions and classes that cloudpickle brought to this process."""


@dataclass
class Attempt:
    """Build, measure, check the bounds, train, check again.

    Attributes:
        evaluator: whose family, data, goal and device are used.
        architecture: what to build.
        training: how to train.
        on_epoch: hears of each epoch of the first training.
        share: fidelity of a training that runs to its end.
        full_epochs: of a training that costs 1.
        repeats: trainings.
        time_limit: seconds for all of it.
        bounded: whether bounds matter.
        checkpoint: of the training; for a single one.
        inherited: architecture and weights of another network to start from.
        network: the trained network, after an evaluation that is ``ok``.
    """

    evaluator: NetworkEvaluator
    architecture: Architecture
    training: Training
    on_epoch: OnEpoch | None = None
    share: float = 1.0
    full_epochs: int = 1
    repeats: int = 1
    time_limit: float | None = None
    bounded: bool = True
    checkpoint: Path | None = None
    inherited: tuple[Architecture, Mapping[str, torch.Tensor]] | None = None
    network: nn.Module | None = None

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self._stage = "build"
        self._costs: dict[str, float] = {}
        self._done: list[Trained] = []
        self._epochs = 0

    def evaluation(self, seed: int) -> Evaluation:
        """Make it. Only what ``on_epoch`` raises is raised."""
        try:
            broken = self._measure(seed)
            if broken:
                return self._ended("infeasible", broken)
            for repeat in range(self.repeats):
                self._train(seed, repeat)
                if self._done[-1].ending == "stopped":
                    break
            return self._judged()
        except _CallbackError as callback:
            raise callback.error from None
        except (Exception, SystemExit) as error:
            self.network = None
            where = f"batch size {self.training.batch_size} on {self.evaluator.device}"
            reason = explain(self._stage, error, self.evaluator.family.source, where)
            if is_out_of_memory(error) and torch.cuda.is_available():
                torch.cuda.empty_cache()
            return self._ended("failed", reason)

    def _measure(self, seed: int) -> str:
        """Build and measure; returns the bounds that are broken before any training."""
        evaluator = self.evaluator
        self.network = evaluator.build(self.architecture, seed=seed)
        check_output(self.network, evaluator.data.input_shape, evaluator.data.num_classes)
        self._stage = "measuring costs"
        self._costs = evaluator.costs(self.network)
        return self._broken(self._costs)

    def _train(self, seed: int, repeat: int) -> None:
        own_seed = derived_seed(seed, repeat) if repeat else seed
        if repeat:
            self._stage = "build"
            self.network = self.evaluator.build(self.architecture, seed=own_seed)
        assert self.network is not None
        if self.inherited is not None:
            self._stage = "inheriting weights"
            self._costs["inherited"] = self._inherit(self.network, *self.inherited, own_seed)
        self._stage = "training"
        limit = self.time_limit
        trained = self.evaluator.train(
            self.network,
            self.training,
            seed=own_seed,
            on_epoch=self._tell if repeat == 0 else self._count,
            checkpoint=self.checkpoint,
            time_limit=None if limit is None else limit - (time.monotonic() - self._started),
        )
        if trained.ending == "failed":
            raise _BrokenCandidateError(trained.reason)
        self._done.append(trained)
        self._epochs = sum(t.epochs for t in self._done)

    def _inherit(
        self, network: nn.Module, parent: Architecture, weights: Mapping[str, torch.Tensor], seed: int
    ) -> float:
        family = self.evaluator.family
        shape = self.evaluator.data.input_shape
        morph = family.morph(self.architecture, parent, shape) if family.morph is not None else None
        return inherit(network, weights, morph, seed=derived_seed(seed, 7)).share

    def _count(self, _epoch: int, _point: Mapping[str, float]) -> bool:
        self._epochs += 1
        return True

    def _tell(self, epoch: int, point: Mapping[str, float]) -> bool:
        self._epochs = epoch
        try:
            return self.on_epoch is None or self.on_epoch(epoch, {**self._costs, **point})
        except Exception as error:
            raise _CallbackError(error) from error

    def _judged(self) -> Evaluation:
        """The evaluation of what was trained."""
        metrics = self._costs | averaged([t.metrics for t in self._done])
        if len(self._done) > 1:
            metrics |= {f"{m}_std": v for m, v in averaged([t.metrics for t in self._done], np.std).items()}
        for objective in self.evaluator.goal.objectives:
            if not math.isfinite(metrics[objective.metric]):
                raise _BrokenCandidateError(f"the {objective.metric} is {metrics[objective.metric]}")
        broken = self._broken(metrics)
        if broken:
            return self._ended("infeasible", broken, metrics)
        reasons = [t.reason for t in self._done if t.reason]
        return self._ended("ok", reasons[0] if reasons else "", metrics)

    def _broken(self, metrics: Mapping[str, float]) -> str:
        return "; ".join(self.evaluator.goal.broken(metrics)) if self.bounded else ""

    def _ended(self, status: Status, reason: str, metrics: Mapping[str, float] | None = None) -> Evaluation:
        metrics = self._costs if metrics is None else metrics
        stopped = any(t.ending == "stopped" for t in self._done)
        if status != "ok":
            self.network = None
        return Evaluation(
            metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
            status=status,
            reason=reason,
            fidelity=self._epochs / self.full_epochs if stopped else self.share,
            cost=self._epochs / self.full_epochs,
            seconds=time.monotonic() - self._started,
            curve=averaged_curve([t.curve for t in self._done]),
        )


class _CallbackError(BaseException):
    """Carries what ``on_epoch`` raised past all that is said of candidates: it is not theirs."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _BrokenCandidateError(ArchwrightError):
    """Ends an attempt; the message is the reason."""


def averaged(points: Sequence[Mapping[str, float]], average: object = np.mean) -> dict[str, float]:
    """The mean (or another statistic) of each metric that all of ``points`` have."""
    shared = [name for name in points[0] if all(name in point for point in points)]
    return {name: float(average([point[name] for point in points])) for name in shared}  # type: ignore[operator]


def averaged_curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> tuple[dict[str, float], ...]:
    """Epoch by epoch, as far as all curves go."""
    return tuple(averaged(points) for points in zip(*curves))


def explain(stage: str, error: BaseException, source: str | None = None, where: str = "") -> str:
    """One line on what went wrong: stage, kind of error, message, and the place in the user's file.

    Args:
        stage: what was going on (``build``, ``training``).
        error: what was raised.
        source: the user's file, where it is known.
        where: for lack of memory, how much was asked of what.
    """
    message = " ".join(str(error).split())
    if isinstance(error, ArchwrightError):
        text = message
    elif is_out_of_memory(error):
        text = f"out of memory in {stage} ({where}): {message}"
    else:
        text = f"{stage} raised {type(error).__name__}: {message}"
    if len(text) > LONGEST_REASON:
        text = text[: LONGEST_REASON - 3] + "..."
    return text if isinstance(error, ArchwrightError) else text + _place(error, source)


def _place(error: BaseException, source: str | None) -> str:
    """Where in the user's own code it happened: the innermost line that is not a library's."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(LIBRARIES)]
    places = [(Path(f.filename).name, f.lineno) for f in frames]
    if source is not None:
        file = Path(source).name
        places = [(file if name == SENT else name, line) for name, line in places]
        places = [place for place in places if place[0] == file] or places
    return f" ({places[-1][0]}, line {places[-1][1]})" if places else ""
